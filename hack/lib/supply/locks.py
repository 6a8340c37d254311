"""What the locks in the source name: pip's requirements with digests, npm's package-lock.json, Go's go.mod and go.sum.

A line that is understood only in part would be a package that no list has, so each raises ValueError.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from .package import Kind, Package

_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;]+)(?:\s*;[^\\]*?)?(?P<hashes>(?:\s+--hash=\S+)+)"
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NPM_ALGORITHMS = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


def python_name(name: str) -> str:
    """A name as package URLs have it: lower case, words joined by ``-`` (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python(text: str) -> list[Package]:
    """The packages of a requirements file of which every line has a version and SHA-256 digests."""
    lines = [
        line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    found = []
    for line in lines:
        pin = _PIN.fullmatch(line.strip())
        digests = _HASH.findall(line)
        if not pin or len(digests) != line.count("--hash="):
            raise ValueError(f"not NAME==VERSION with SHA-256 digests: {line.strip()[:80]}")
        hashes = tuple(("SHA-256", digest) for digest in sorted(digests))
        found.append(Package(Kind.PYTHON, python_name(pin["name"]), pin["version"], hashes))
    return sorted(found)


def npm(text: str) -> list[Package]:
    """The packages of a package-lock.json (version 2 or 3) that an installation without ``dev`` has, each once."""
    found = set()
    for path, entry in json.loads(text)["packages"].items():
        if not path or entry.get("dev") or entry.get("link"):
            continue
        name = entry.get("name") or path.rpartition("node_modules/")[2]
        found.add(Package(Kind.NPM, name, entry["version"], _integrity(path, entry["integrity"])))
    return sorted(found)


def _integrity(path: str, text: str) -> tuple[tuple[str, str], ...]:
    """Digests of npm's ``integrity`` (W3C Subresource Integrity: ALGORITHM-BASE64, separated by spaces)."""
    hashes = []
    for word in text.split():
        algorithm, _, encoded = word.partition("-")
        try:
            hashes.append((_NPM_ALGORITHMS[algorithm], base64.b64decode(encoded, validate=True).hex()))
        except (KeyError, binascii.Error):
            raise ValueError(f"{path}: no digest that is known: {word[:80]}") from None
    return tuple(hashes)


def go(mod: str, sums: str) -> list[Package]:
    """The modules that a go.mod requires, with their digests in go.sum.

    Since Go 1.17 a go.mod names each module that the build needs. It can name a few more than end up in the program.
    """
    digests = {(m, v): digest for m, v, digest in (line.split() for line in sums.splitlines() if line.strip())}
    replaced: dict[str, tuple[str, str]] = {}
    required: dict[str, str] = {}
    for verb, words in _statements(mod):
        if verb == "require":
            required[words[0]] = words[1]
        elif verb == "replace":
            arrow = words.index("=>")
            if len(words) - arrow != 3:
                raise ValueError(f"replaced by a folder: {' '.join(words)}")
            replaced[words[0]] = (words[arrow + 1], words[arrow + 2])
    found = []
    for module, version in required.items():
        name, version = replaced.get(module, (module, version))
        if (name, version) not in digests:
            raise ValueError(f"go.sum has no {name} {version}")
        found.append(Package(Kind.GO, name, version, go_sum=digests[name, version]))
    return sorted(found)


def _statements(mod: str) -> list[tuple[str, list[str]]]:
    """(verb, its words) of each line of a go.mod, those in blocks too."""
    found, block = [], ""
    for line in mod.splitlines():
        words = line.partition("//")[0].split()
        if not words:
            continue
        if block:
            if words == [")"]:
                block = ""
            else:
                found.append((block, words))
        elif words[1:] == ["("]:
            block = words[0]
        else:
            found.append((words[0], words[1:]))
    return found
