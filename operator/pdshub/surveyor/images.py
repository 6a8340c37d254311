"""The images of a generation as the store keeps them: each compressed, and named by its digest."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import zstandard

from pdshub.archive import catalog
from pdshub.archive.image import Image
from pdshub.archive.plan import Plan
from pdshub.archive.subtree import Layout
from pdshub.generation_id import digits

FOLDER = "images"
"""Of a workplace: what the store takes over from it."""
LEVEL = 6
"""Of zstd: 243 MB of image become 6 MB in a second."""


@dataclass(frozen=True, slots=True)
class Written:
    """The images of a plan. ``layout``: how a large tree was cut; ``kept``: so many were there already."""

    images: tuple[Image, ...]
    layout: Layout | None = None
    kept: int = 0


def write(
    plan: Plan,
    work: Path,
    say: Callable[[str], None],
    objects: catalog.Objects = catalog.no_objects,
    before: Layout | None = None,
    known: Mapping[str, Image] = MappingProxyType({}),
) -> Written:
    """Writes the images of a plan into ``work/images``; ``objects`` as catalog.stream has it.

    ``before``: how the former generation's tree was cut; ``known``: its images by what they are made of, those that the
    store has. They are written again by nobody. Raises CatalogError, OSError.
    """
    folder = work / FOLDER
    folder.mkdir()
    found, kept = list[Image](), 0
    with tempfile.TemporaryDirectory(prefix="parts-", dir=work) as lines:
        parts = catalog.parts(plan, Path(lines), before)
        for number, part in enumerate(parts):
            same = known.get(catalog.made_of(plan, part)) if part.layout and known else None
            if same is not None:
                found.append(same)
                kept += 1
                continue
            say(f"writing {part.name}" + (f", {number + 1} of {len(parts)}" if len(parts) > 1 else ""))
            image = catalog.write_image(plan, part, work, objects)
            whole = work / part.name
            with whole.open("rb") as content, (folder / f"{digits(image.digest)}.zst").open("wb") as out:
                compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
                compressor.copy_stream(content, out, size=image.size)
            whole.unlink()
            found.append(image)
    return Written(tuple(found), parts[0].layout if parts else None, kept)


def known(generation: Path, manifest: Mapping[str, Any]) -> dict[str, Image]:
    """The images of a kept generation by what they are made of, as far as the store has them."""
    folder = generation.parent.parent / FOLDER
    found = {}
    for said in manifest.get("images", ()):
        if of := said.get("of"):
            image = Image(said["name"], said["digest"], said["size"], said.get("source"), of)
            if (folder / f"{digits(image.digest)}.zst").is_file():
                found[of] = image
    return found
