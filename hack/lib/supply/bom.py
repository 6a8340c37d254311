"""Bills of materials in CycloneDX 1.6 (ECMA-424), as JSON: the same contents give the same bytes.

Runs in the environment of ``requirements.txt``: the documents are written and checked by CycloneDX's own library.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from .contents import Contents
from .findings import clean
from .package import Kind, Package

VERSION = SchemaVersion.V1_6
READS = "pdshub:read-from"
"""Property of a document: what it was read from."""
LOCKS = "locks; Debian's packages are those of the mirror at the build, and are not listed"
IMAGE = "locks and the built image"


def purl(package: Package) -> PackageURL:
    """A package's URL, by the rules of its type (https://github.com/package-url/purl-spec)."""
    namespace, name, qualifiers = None, package.name, {}
    if package.kind in (Kind.NPM, Kind.GO) and "/" in name:
        namespace, _, name = name.rpartition("/")
    if package.kind is Kind.DEBIAN:
        namespace = "debian"
        qualifiers = {"arch": package.arch} | ({"distro": package.suite} if package.suite else {})
    return PackageURL(package.kind.value, namespace, name, package.version, qualifiers or None)


def component(package: Package) -> Component:
    """A package as a component of CycloneDX."""
    url = purl(package)
    properties = {"pdshub:go.sum": package.go_sum, "pdshub:debian-source": package.source}
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=str(url),
        scope=ComponentScope.EXCLUDED if package.build_only else ComponentScope.REQUIRED,
        hashes=[HashType(alg=HashAlgorithm(name), content=digest) for name, digest in package.hashes],
        properties=[Property(name=name, value=value) for name, value in properties.items() if value],
    )


def write(contents: Contents, epoch: int | None = None) -> str:
    """The document of ``contents``.

    ``epoch``: SOURCE_DATE_EPOCH, seconds since 1970, for its time; without one it has none. Its serial number is made
    of everything else that it says. Raises ValueError when it would not be valid.
    """
    root = Component(
        name=f"pdshub-{contents.image}",
        version=contents.version,
        type=ComponentType.CONTAINER,
        bom_ref=f"image:{contents.image}",
        properties=[Property(name="pdshub:image", value=contents.ref)] if contents.ref else [],
    )
    parts = [component(package) for package in contents.packages]
    bom = Bom(components=parts, serial_number=uuid.UUID(int=0))
    bom.metadata.component = root
    bom.metadata.properties.add(Property(name=READS, value=IMAGE if contents.ref else LOCKS))
    # the library's own idea is the time of writing
    bom.metadata.timestamp = None if epoch is None else datetime.fromtimestamp(epoch, UTC)
    bom.register_dependency(root, parts)
    unnamed = _text(bom)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(unnamed.encode()).hexdigest())
    text = _text(bom)
    if wrong := problem(text):
        raise ValueError(f"image {contents.image}: {wrong}")
    return text


def _text(bom: Bom) -> str:
    return make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=2) + "\n"


def problem(text: str) -> str:
    """Why ``text`` is no valid CycloneDX 1.6 document, in a line; empty when it is one."""
    try:
        error = JsonStrictValidator(VERSION).validate_str(text)
    except ValueError as wrong:
        return f"no JSON: {clean(wrong)}"
    return clean(str(error).partition("\n")[0]) if error else ""
