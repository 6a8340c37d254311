"""What travels with the generations of a node: catalogs that point into packs, and the packs' images.

    <generation's folder>/content-<hex>/   content.json and its catalogs, by their names
    <generation's folder>/content          a link to the one that holds
    packs/<64 hex>.squashfs                the image of a pack, by the digest of the pack; contents share them

A content is there when the link leads to it, with all the packs that it names. Nothing in it is written twice; a later
one takes its place as a whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pdshub.archive.content import document
from pdshub.archive.content.document import Content, DocumentError
from pdshub.archive.content.pack import Pack
from pdshub.files import read_json, sync, write_json
from pdshub.generation_id import digits
from pdshub.node.image.inspection import READER
from pdshub.node.store.generations import INSPECTED

FOLDER, SUFFIX = "content", ".squashfs"


@dataclass(frozen=True)
class Held:
    """A content that is whole on this node."""

    content: Content
    folder: Path
    packs: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """By which it is cited, and told from an earlier one."""
        return self.content.digest


class Contents:
    """The contents below the generations' folders, and the packs. For several threads, one of which changes it."""

    def __init__(self, packs: Path) -> None:
        """`packs`: directory of the packs' images, which is made; what was left unfinished in it is removed."""
        self._packs = packs
        packs.mkdir(parents=True, exist_ok=True)
        for path in packs.iterdir():
            if not path.name.endswith(SUFFIX) or path.name.startswith("pack-"):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    @property
    def aside(self) -> Path:
        """Where images of packs are made: on the file system where they are kept."""
        return self._packs

    def pack(self, digest: str) -> Path:
        """Where the image of a pack is, or would be."""
        return self._packs / f"{digits(digest)}{SUFFIX}"

    def lacking(self, content: Content) -> list[Pack]:
        """The packs of a content that are not here."""
        return [one for one in content.packs if not self.pack(one.digest).is_file()]

    def get(self, generation: Path) -> Held | None:
        """What travels with the generation in this folder; None where nothing does, or not all of it is here."""
        try:
            folder = generation / (generation / FOLDER).readlink().name
            if (read_json(folder / INSPECTED) or {}).get("reader") != READER:
                return None
            content = self._read(folder)
            whole = all((folder / image.name).stat().st_size >= image.size for image in content.images)
        except (OSError, DocumentError):
            return None
        if not whole or self.lacking(content):
            return None
        return Held(content, folder, tuple(self.pack(one.digest) for one in content.packs))

    def _read(self, folder: Path) -> Content:
        """Raises OSError, DocumentError."""
        with (folder / document.FILE).open("rb") as file:
            return document.parse(file.read(document.MAX_BYTES + 1))

    def put(self, made: Path, generation: Path) -> None:
        """Take over a folder of content.json and its catalogs, which were looked at. Raises OSError, DocumentError."""
        write_json(made / INSPECTED, {"reader": READER}, durable=False)
        sync(made)
        content = self._read(made)
        target, link = generation / f"{FOLDER}-{digits(content.digest)[:16]}", generation / f".{FOLDER}"
        shutil.rmtree(target, ignore_errors=True)  # of a plugin that was killed
        made.rename(target)
        link.unlink(missing_ok=True)
        link.symlink_to(target.name)
        sync(generation)
        link.replace(generation / FOLDER)
        sync(generation)
        for other in generation.glob(f"{FOLDER}-*"):  # what is mounted of these lives on until it is not
            if other != target:
                shutil.rmtree(other, ignore_errors=True)

    def put_pack(self, image: Path, pack: Pack) -> None:
        """Take over the image of a pack. Raises OSError."""
        image.rename(self.pack(pack.digest))
        sync(self._packs)

    def keep_only(self, digests: Collection[str]) -> list[str]:
        """Drop the images of all packs but these (sha256:…); answers those that went."""
        gone = []
        for path in self._packs.glob(f"*{SUFFIX}"):
            digest = "sha256:" + path.name.removesuffix(SUFFIX)
            if not path.name.startswith("pack-") and digest not in digests:
                path.unlink(missing_ok=True)
                gone.append(digest)
        return sorted(gone)

    def size(self) -> int:
        """Bytes that the packs' images take."""
        total = 0
        for path in self._packs.iterdir():
            with suppress(FileNotFoundError):
                total += path.stat(follow_symlinks=False).st_size
        return total
