"""The images of a generation as the store keeps them: each compressed, and named by its digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard

from pdshub.archive import catalog
from pdshub.archive.image import Image
from pdshub.archive.plan import Plan
from pdshub.generation_id import digits

FOLDER = "images"
"""Of a workplace: what the store takes over from it."""
LEVEL = 6
"""Of zstd: 243 MB of image become 6 MB in a second."""


def write(
    plan: Plan, work: Path, say: Callable[[str], None], objects: catalog.Objects = catalog.no_objects
) -> Iterator[Image]:
    """Writes the images of a plan into ``work/images``; ``objects`` as catalog.stream has it.

    Raises CatalogError, OSError.
    """
    folder = work / FOLDER
    folder.mkdir()
    for part in catalog.parts(plan):
        say(f"writing {part.name}")
        image = catalog.write_image(plan, part, work, objects)
        whole = work / part.name
        with whole.open("rb") as content, (folder / f"{digits(image.digest)}.zst").open("wb") as out:
            compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
            compressor.copy_stream(content, out, size=image.size)
        whole.unlink()
        yield image
