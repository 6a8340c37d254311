"""The generations that a node keeps on its disk: checked when they arrive, dropped when nobody needs them.

plugin/generations/<64 hex>/ holds manifest.json, the images by their names, proof.json, and in inspected.json that the
images were looked at. A directory with that name is whole: it is made aside (.new-<hex>) and renamed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdshub.api.survey import values_at_most
from pdshub.archive import manifest as archive
from pdshub.archive.image import Image
from pdshub.files import read_json, write_json
from pdshub.generation_id import digits, is_name, short
from pdshub.node.hardening import SpecError, relative
from pdshub.node.image.inspection import READER

MANIFEST, PROOF, INSPECTED = "manifest.json", "proof.json", "inspected.json"
MAX_MANIFEST, MAX_PROOF, MAX_IMAGE, MAX_IMAGES = 4 << 20, 2 << 20, 4 << 30, 400  # bytes; images of one generation
MAX_MANIFEST_VALUES = 250_000
"""As Python holds it, a manifest must not be many times larger than its text."""
COUNTS = ("files", "directories", "links", "bytes")
BLOCK = 4096  # of an image; a loop device shows no part of one
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.erofs")
_HEX = re.compile(r"[0-9a-f]{64}")


class GenerationError(ValueError):
    """The manifest or a file of it is not what its name says; the text tells which."""


@dataclass(frozen=True)
class DataLayer:
    """A directory of a source that a catalog joins: where the bytes of its files are."""

    source: str
    path: str


@dataclass(frozen=True)
class Generation:
    """What a node needs of a manifest."""

    name: str  # sha256:…
    view: str
    as_of: str  # RFC 3339
    nested: bool
    top: str  # the folder of the mounted catalog that is the view
    images: tuple[Image, ...]
    data: tuple[DataLayer, ...]
    counts: dict[str, int]
    proof: tuple[str, int] | None = None  # digest and size of proof.json

    @property
    def digits(self) -> str:
        """The 64 hexadecimal digits of its name: its folder."""
        return digits(self.name)

    @property
    def short(self) -> str:
        """The first 12 of them, for people."""
        return short(self.name)

    @property
    def room(self) -> int:
        """Bytes that its files take on the disk, in whole blocks."""
        sizes = [image.size for image in self.images] + [self.proof[1] if self.proof else 0, BLOCK]
        return sum(-(-size // BLOCK) * BLOCK for size in sizes)


def _whole(value: Any, most: int, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise GenerationError(f"{what}: {value!r} is not a number from 0 to {most}")
    return value


def _image(raw: dict[str, Any], nested: bool) -> Image:
    name, digest = raw["name"], raw["digest"]
    if not isinstance(name, str) or not _IMAGE.fullmatch(name) or ".." in name:
        raise GenerationError(f"image {name!r}: not a name for a file")
    if not is_name(digest):
        raise GenerationError(f"image {name}: {digest!r} is not sha256: and 64 hexadecimal digits")
    if nested and not isinstance(raw.get("source"), str):
        raise GenerationError(f"image {name}: names no source")
    return Image(name, digest, _whole(raw["size"], MAX_IMAGE, f"image {name}"), raw.get("source"), None)


def parse(raw: bytes) -> Generation:
    """A manifest's bytes -> Generation, its name computed anew from what it says. Raises GenerationError."""
    try:
        if len(raw) > MAX_MANIFEST:
            raise GenerationError("too large")
        if values_at_most(raw) > MAX_MANIFEST_VALUES:
            raise GenerationError(f"too large, it has more than {MAX_MANIFEST_VALUES} values")
        document = json.loads(raw)
        if document["schema"] != archive.SCHEMA:
            raise GenerationError(f"not of schema {archive.SCHEMA}")
        layering = document["layering"]
        nested = {"single": False, "nested": True}[layering["form"]]
        images = tuple(_image(image, nested) for image in document["images"])
        if not 0 < len(images) <= MAX_IMAGES or len({image.name for image in images}) != len(images):
            raise GenerationError("no image, too many of them, or two of one name")
        name = archive.digest_of(images, layering)
        if name != document["generation"]:
            raise GenerationError(f"it says {document['generation']!r}, its content is {name}")
        top = relative(layering.get("top") or ".", "layering.top")
        data = tuple(DataLayer(str(d["source"]), relative(d["path"] or ".", "layering.data")) for d in layering["data"])
        sources = {layer.source for layer in data}
        if len(sources) != len(data) or "/" in top or (nested and {image.source for image in images} - sources):
            raise GenerationError("its layers do not fit together")
        said = document.get("counts") or {}
        counts = {key: _whole(said.get(key, 0), 1 << 62, "counts") for key in COUNTS}
        proof = document.get("proof")
        proven = (str(proof["digest"]), _whole(proof["size"], MAX_PROOF, "proof")) if proof else None
    except (GenerationError, SpecError) as error:
        raise GenerationError(f"manifest: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise GenerationError(f"manifest: {error!r}") from None
    view, as_of = str(document.get("view") or ""), str(document.get("surveyedAt") or "")
    return Generation(name, view, as_of, nested, "" if top == "." else top, images, data, counts, proven)


class Store:
    """The directory. Nothing in it is written twice."""

    def __init__(self, directory: Path) -> None:
        """`directory` is made if need be; what a plugin that was killed left unfinished is removed."""
        self._directory = directory
        self._parsed: dict[str, Generation] = {}
        directory.mkdir(parents=True, exist_ok=True)
        for path in directory.glob(".new-*"):  # of a plugin that was killed
            shutil.rmtree(path, ignore_errors=True)

    def path(self, name: str) -> Path:
        """Where a generation of this name is, or would be."""
        return self._directory / digits(name)

    def aside(self, name: str) -> Path:
        """Where it is put together."""
        return self._directory / f".new-{digits(name)}"

    def names(self) -> set[str]:
        """The generations that are here, unchecked."""
        return {f"sha256:{path.name}" for path in self._directory.iterdir() if _HEX.fullmatch(path.name)}

    def get(self, name: str) -> Generation | None:
        """None if it is not here. One that can't be read any more is removed, to be fetched again."""
        if name in self._parsed:
            return self._parsed[name]
        found = self._whole(name)
        if found is None or not self._inspected(name):
            return None
        self._parsed[name] = found
        return found

    def unlooked(self, name: str) -> Generation | None:
        """One that is whole, and whose images nobody has looked at by the rules of now: an older plugin fetched it."""
        return None if self._inspected(name) else self._whole(name)

    def inspected(self, directory: Path) -> None:
        """Note that the images in a generation's directory were looked at. Raises OSError."""
        write_json(directory / INSPECTED, {"reader": READER}, durable=False)

    def _inspected(self, name: str) -> bool:
        return (read_json(self.path(name) / INSPECTED) or {}).get("reader") == READER

    def _whole(self, name: str) -> Generation | None:
        path = self.path(name)
        try:
            with (path / MANIFEST).open("rb") as file:
                found = parse(file.read(MAX_MANIFEST + 1))
            whole = found.name == name and all((path / i.name).stat().st_size >= i.size for i in found.images)
        except FileNotFoundError:
            whole = False
        except GenerationError:
            whole = False
        if not whole:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            return None
        return found

    def sizes(self) -> dict[str, int]:
        """Bytes that would go with each generation, by its name: images that others have, too, would stay."""
        return {name: sum(_files(self.path(name), shared=False).values()) for name in self.names()}

    def shared(self) -> int:
        """Bytes of images that several generations have."""
        found: dict[int, int] = {}
        for name in self.names():
            found |= _files(self.path(name), shared=True)
        return sum(found.values())

    def image(self, digest: str) -> Path | None:
        """An image of this digest that some generation here has; None where none has it."""
        for found in self.all().values():
            for image in found.images:
                if image.digest == digest:
                    return self.path(found.name) / image.name
        return None

    def lacking(self, generation: Generation) -> int:
        """Bytes that a generation would take here beside what others have of it."""
        images = [image.size for image in generation.images if self.image(image.digest)]
        return generation.room - sum(-(-size // BLOCK) * BLOCK for size in images)

    def all(self) -> dict[str, Generation]:
        """The generations that are here and whole, by name."""
        return {name: found for name in self.names() if (found := self.get(name))}

    def keep_only(self, names: Collection[str]) -> list[str]:
        """Drop the others. Images that are mounted live on until they are not."""
        dropped = sorted(self.names() - set(names))
        for name in dropped:
            self.drop(name)
        return dropped

    def drop(self, name: str) -> None:
        """Remove a generation. Raises OSError."""
        self._parsed.pop(name, None)
        # renamed first: half a generation never has a whole one's name
        self.path(name).rename(self.aside(name))
        shutil.rmtree(self.aside(name), ignore_errors=True)


def _files(directory: Path, *, shared: bool) -> dict[int, int]:
    """Inode -> bytes, of the files of a directory that other generations have, too, or of those that none has; what
    goes meanwhile takes nothing."""
    found = {}
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if (status.st_nlink > 1 and stat.S_ISREG(status.st_mode)) is shared:
                    found[status.st_ino] = status.st_size
    return found
