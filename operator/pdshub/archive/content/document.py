"""content.json: which of a generation's files travel with it, in which packs, and the catalogs that point there.

A generation is released without its content, which follows as it is read: each document of a generation has more than
the one before it. The catalogs that it names have the tree of the generation's own, to the byte and the nanosecond;
they differ in where a file's bytes are taken from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdshub.archive.content.pack import Pack
from pdshub.archive.image import Image
from pdshub.files import write_json
from pdshub.generation_id import is_name

FILE = "content.json"
SCHEMA = "pdshub.dev/archive-content/v1"
MAX_BYTES = 1 << 20
"""Bytes of a document."""
MAX_PACKS, MAX_IMAGES = 64, 400


def image_name(of: str) -> str:
    """How the catalog is called that points to what travels, by the name of the generation's own."""
    return f"content-{of}"


class DocumentError(ValueError):
    """It is no such document; the text says in what."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Files and their bytes."""

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.files + other.files, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Content:
    """What a document says. ``local``: what travels, of ``wanted``, which the view's rules name."""

    generation: str
    complete: bool
    local: Amount
    wanted: Amount
    packs: tuple[Pack, ...]
    images: tuple[Image, ...]

    @property
    def digest(self) -> str:
        """sha256:… over the packs and catalogs: by it people cite which bytes of labels they worked with."""
        packs = [one.digest for one in self.packs]
        said = [self.generation, packs, [[one.name, one.digest] for one in self.images]]
        return "sha256:" + hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


def write(path: Path, content: Content) -> None:
    """Replaces the document, with what it says of itself."""
    write_json(path, wire(content), durable=True)


def wire(content: Content) -> dict[str, Any]:
    """The document as JSON has it."""
    return {
        "schema": SCHEMA,
        "generation": content.generation,
        "digest": content.digest,
        "complete": content.complete,
        "local": {"files": content.local.files, "bytes": content.local.bytes},
        "wanted": {"files": content.wanted.files, "bytes": content.wanted.bytes},
        "packs": [{"digest": one.digest, "size": one.size, "objects": one.objects} for one in content.packs],
        "images": [
            {
                "name": one.name,
                "digest": one.digest,
                "size": one.size,
                **({"source": one.source} if one.source else {}),
                **({"of": one.of} if one.of else {}),
            }
            for one in content.images
        ],
    }


def _number(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise DocumentError(f"{what}: {value!r} is no number")
    return value


def _digest(value: Any, what: str) -> str:
    if not is_name(value):
        raise DocumentError(f"{what}: {str(value)[:80]!r} is no digest")
    return str(value)


def _amount(value: Any, what: str) -> Amount:
    return Amount(_number(value["files"], f"{what}.files"), _number(value["bytes"], f"{what}.bytes"))


def _list(value: Any, most: int, what: str) -> Sequence[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > most or not all(isinstance(one, dict) for one in value):
        raise DocumentError(f"{what}: no list of at most {most} objects")
    return value


def parse(raw: bytes) -> Content:
    """A document's bytes. Raises DocumentError for what is none, or says another digest than its own."""
    try:
        if len(raw) > MAX_BYTES:
            raise DocumentError("too large")
        said = json.loads(raw)
        if said["schema"] != SCHEMA:
            raise DocumentError(f"not of schema {SCHEMA}")
        packs = tuple(
            Pack(_digest(one["digest"], "packs"), _number(one["size"], "packs"), _number(one["objects"], "packs"))
            for one in _list(said["packs"], MAX_PACKS, "packs")
        )
        images = tuple(
            Image(
                str(one["name"]),
                _digest(one["digest"], "images"),
                _number(one["size"], "images"),
                one.get("source"),
                _digest(one["of"], "images") if one.get("of") else None,
            )
            for one in _list(said["images"], MAX_IMAGES, "images")
        )
        local, wanted = _amount(said["local"], "local"), _amount(said["wanted"], "wanted")
        found = Content(_digest(said["generation"], "generation"), bool(said["complete"]), local, wanted, packs, images)
        if len({one.digest for one in packs}) != len(packs):
            raise DocumentError("packs: one of them twice")
        if said["digest"] != found.digest:
            raise DocumentError(f"it says {str(said['digest'])[:80]!r}, its content is {found.digest}")
    except DocumentError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"{error!r}") from None
    return found
