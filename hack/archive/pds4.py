"""PDS4 bundles: labels of bundles, collections and products, and collection inventories.

Source: PDS4 Standards Reference 1.21; information model 1.21.0.0 (schema PDS4_PDS_1L00).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from archive import areas, fits
from archive.picture import Image, Spectrum
from archive.tree import Tree

MODEL = "1.21.0.0"
EOL = "\r\n"
NAMESPACE = "http://pds.nasa.gov/pds4/pds/v1"
SCHEMA = "https://pds.nasa.gov/pds4/pds/v1/PDS4_PDS_1L00"


@dataclass
class Bundle:
    """A PDS4 bundle at ``path``; ``lid`` is its last part, lower case."""

    path: str
    lid: str
    version: str
    title: str
    instrument: str = "camera"
    suffix: str = ".xml"
    collections: list[Collection] = field(default_factory=list)

    @property
    def urn(self) -> str:
        """The logical identifier."""
        return f"urn:nasa:pds:{self.lid}"


@dataclass
class Collection:
    """A collection in the folder of the same name; ``members`` are LIDVIDs."""

    bundle: Bundle
    name: str
    version: str
    kind: str = "Data"
    members: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Its folder."""
        return f"{self.bundle.path}/{self.name}"

    @property
    def urn(self) -> str:
        """The logical identifier."""
        return f"{self.bundle.urn}:{self.name.lower()}"


def collection(bundle: Bundle, name: str, version: str | None = None, kind: str = "Data") -> Collection:
    """A new collection of a bundle, of the bundle's version unless another is named."""
    made = Collection(bundle, name, version or bundle.version, kind)
    bundle.collections.append(made)
    return made


def _document(root: str, inner: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<?xml-model href="{SCHEMA}.sch" '
        f'schematypens="http://purl.oclc.org/dsdl/schematron"?>\n'
        f'<{root} xmlns="{NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{NAMESPACE} {SCHEMA}.xsd">\n{inner}</{root}>\n'
    )


def _identification(urn: str, version: str, title: str, product_class: str) -> str:
    return f"""\
  <Identification_Area>
    <logical_identifier>{urn}</logical_identifier>
    <version_id>{version}</version_id>
    <title>{title}</title>
    <information_model_version>{MODEL}</information_model_version>
    <product_class>{product_class}</product_class>
  </Identification_Area>
"""


def _observation(bundle: Bundle) -> str:
    context = "urn:nasa:pds:context"
    return f"""\
  <Observation_Area>
    <Time_Coordinates>
      <start_date_time>2021-04-02T03:04:05.000Z</start_date_time>
      <stop_date_time>2021-04-02T03:04:35.000Z</stop_date_time>
    </Time_Coordinates>
    <Primary_Result_Summary>
      <purpose>Science</purpose>
      <processing_level>Calibrated</processing_level>
    </Primary_Result_Summary>
    <Investigation_Area>
      <name>Generated data for tests</name>
      <type>Mission</type>
      <Internal_Reference>
        <lid_reference>{context}:investigation:mission.example</lid_reference>
        <reference_type>data_to_investigation</reference_type>
      </Internal_Reference>
    </Investigation_Area>
    <Observing_System>
      <Observing_System_Component>
        <name>{bundle.instrument}</name>
        <type>Instrument</type>
      </Observing_System_Component>
    </Observing_System>
    <Target_Identification>
      <name>Example asteroid</name>
      <type>Asteroid</type>
    </Target_Identification>
  </Observation_Area>
"""


def _product(tree: Tree, where: Collection, name: str, version: str, suffix: str, area: str, folder: str = "") -> str:
    """Write a label; a ``folder`` below the collection is no part of the identifier."""
    urn = f"{where.urn}:{name.lower()}"
    inner = (
        _identification(urn, version, f"{where.bundle.title}: {name}", "Product_Observational")
        + _observation(where.bundle)
        + f"  <File_Area_Observational>\n{area}  </File_Area_Observational>\n"
    )
    path = f"{where.path}/{folder}/{name}{suffix}" if folder else f"{where.path}/{name}{suffix}"
    tree.write(path, _document("Product_Observational", inner))
    where.members.append(f"{urn}::{version}")
    return path


def raw_image(tree: Tree, where: Collection, name: str, image: Image, suffix: str = ".xml", version: str = "") -> str:
    """An Array_2D_Image in an .img of nothing but pixels. Returns the label's path."""
    data = struct.pack(f">{len(image.values)}h", *image.values)
    tree.write(f"{where.path}/{name}.img", data)
    area = areas.file(f"{name}.img", len(data), hashlib.md5(data, usedforsecurity=False).hexdigest())
    area += areas.array("image", "SignedMSB2", 0, image.lines, image.samples)
    return _product(tree, where, name, version or where.version, suffix, area)


def fits_image(
    tree: Tree, where: Collection, name: str, image: Image, folder: str = "", suffix: str = ".xml", version: str = ""
) -> str:
    """An Array_2D_Image in a FITS file, in ``folder`` below the collection. Returns the label's path."""
    below = f"{folder}/{name}" if folder else name
    data = fits.image(image, [("OBJECT", "Example asteroid"), ("EXPTIME", 30)])
    tree.write(f"{where.path}/{below}.fits", data)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    area = areas.fits(f"{name}.fits", len(data), md5, "SignedMSB2", image.lines, image.samples)
    return _product(tree, where, name, version or where.version, suffix, area, folder)


def large_fits(
    tree: Tree, where: Collection, folder: str, name: str, lines: int, samples: int, pixels: Iterable[bytes]
) -> str:
    """A FITS image of bytes, written in blocks. Returns the data file's path."""
    md5 = hashlib.md5(usedforsecurity=False)
    size = 0

    def content() -> Iterable[bytes]:
        nonlocal size
        parts = ([fits.header(8, samples, lines)], pixels, [bytes(fits.padding(lines * samples))])
        for block in chain.from_iterable(parts):
            md5.update(block)
            size += len(block)
            yield block

    path = f"{where.path}/{folder}/{name}.fits"
    tree.write(path, content())
    area = areas.fits(f"{name}.fits", size, md5.hexdigest(), "UnsignedByte", lines, samples)
    _product(tree, where, name, where.version, ".xml", area, folder)
    return path


def character_table(tree: Tree, where: Collection, name: str, spectrum: Spectrum, suffix: str = ".xml") -> str:
    """A Table_Character in a .tab. Returns the label's path."""
    data = "".join(f"{w:6d}  {r / 1000:7.3f}  {e / 1000:7.3f}{EOL}" for w, r, e in spectrum.rows).encode()
    tree.write(f"{where.path}/{name}.tab", data)
    area = areas.character_table(f"{name}.tab", data, len(spectrum.rows))
    return _product(tree, where, name, where.version, suffix, area)


def delimited_table(tree: Tree, where: Collection, name: str, spectrum: Spectrum) -> str:
    """A Table_Delimited in a .csv. Returns the label's path."""
    data = "".join(f"{w},{r / 1000:.3f}{EOL}" for w, r, _ in spectrum.rows).encode()
    tree.write(f"{where.path}/{name}.csv", data)
    area = areas.delimited_table(f"{name}.csv", data, len(spectrum.rows))
    return _product(tree, where, name, where.version, ".xml", area)


def _inventory(tree: Tree, where: Collection) -> str:
    name = f"collection_{where.name.lower()}_inventory.csv"
    data = "".join(f"P,{member}{EOL}" for member in sorted(where.members)).encode()
    tree.write(f"{where.path}/{name}", data)
    return areas.inventory(name, data, len(where.members))


def close(tree: Tree, bundle: Bundle, name: str = "") -> None:
    """Write the inventories and the labels of the collections and of the bundle (``name``, else bundle_<lid>)."""
    for where in bundle.collections:
        inner = (
            _identification(where.urn, where.version, f"{bundle.title}: {where.name}", "Product_Collection")
            + f"  <Collection>\n    <collection_type>{where.kind}</collection_type>\n  </Collection>\n"
            + f"  <File_Area_Inventory>\n{_inventory(tree, where)}  </File_Area_Inventory>\n"
        )
        label = f"{where.path}/collection_{where.name.lower()}{bundle.suffix}"
        tree.write(label, _document("Product_Collection", inner))
    entries = "".join(
        f"""\
  <Bundle_Member_Entry>
    <lidvid_reference>{where.urn}::{where.version}</lidvid_reference>
    <member_status>Primary</member_status>
    <reference_type>bundle_has_{where.kind.lower()}_collection</reference_type>
  </Bundle_Member_Entry>
"""
        for where in bundle.collections
    )
    readme = f"{bundle.title}{EOL}{EOL}Generated data for tests; no instrument took it.{EOL}"
    tree.write(f"{bundle.path}/readme.txt", readme)
    inner = (
        _identification(bundle.urn, bundle.version, bundle.title, "Product_Bundle")
        + """\
  <Bundle>
    <bundle_type>Archive</bundle_type>
  </Bundle>
  <File_Area_Text>
    <File>
      <file_name>readme.txt</file_name>
    </File>
    <Stream_Text>
      <offset unit="byte">0</offset>
      <parsing_standard_id>7-Bit ASCII Text</parsing_standard_id>
      <record_delimiter>Carriage-Return Line-Feed</record_delimiter>
    </Stream_Text>
  </File_Area_Text>
"""
        + entries
    )
    tree.write(f"{bundle.path}/{name or f'bundle_{bundle.lid}'}{bundle.suffix}", _document("Product_Bundle", inner))
