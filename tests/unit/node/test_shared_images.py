"""Images that several generations have: moved once, kept once, counted once, and gone with the last of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive import manifest as archive
from pdshub.archive.image import Image
from pdshub.node.store.fetch import DirectoryOrigin, Fetch
from pdshub.node.store.generations import Generation, Store
from pdshub.node.store.room import NoRoom, Room

SAME, OLD, NEW = (bytes([n]) * (40960 + n) for n in (1, 2, 3))
LARGE = 44 << 10
"""What each of these takes in whole blocks."""


def made(folder: Path, **images: bytes) -> str:
    """A generation in the folder of an origin; its name."""
    layering = {"form": "single", "top": ".pdshub-catalog", "data": [{"source": "main", "path": ""}]}
    written = [
        Image(f"catalog-{name}.erofs", "sha256:" + hashlib.sha256(raw).hexdigest(), len(raw), None)
        for name, raw in images.items()
    ]
    name = archive.digest_of(written, layering)
    place = folder / name.removeprefix("sha256:")
    place.mkdir(parents=True)
    said: dict[str, Any] = {
        "schema": archive.SCHEMA, "generation": name, "view": "sbn", "surveyedAt": "2026-01-01T00:00:00Z",
        "images": [{"name": i.name, "digest": i.digest, "size": i.size} for i in written], "layering": layering,
    }  # fmt: skip
    (place / archive.FILE).write_text(json.dumps(said))
    for image, raw in zip(written, images.values(), strict=True):
        (place / image.name).write_bytes(raw)
    return name


class Node:
    """What a node keeps, and what it looked at."""

    def __init__(self, tmp: Path, most: int = 1 << 30) -> None:
        self.origin, self.store = tmp / "origin", Store(tmp / "generations")
        self.room = Room(self.store, most)
        self.moved = 0

    def fetch(self, name: str) -> Generation:
        one = Fetch(name, DirectoryOrigin(self.origin), self.store, self.room, lambda *words: None)
        found = one.run()
        self.moved = one.done
        return found

    def file(self, name: str, image: str) -> Path:
        return self.store.path(name) / f"catalog-{image}.erofs"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_what_is_here_is_not_fetched_again(node: Node) -> None:
    first, second = made(node.origin, a=SAME, b=OLD), made(node.origin, a=SAME, b=NEW)
    node.fetch(first)
    alone = node.room.used
    (node.origin / second.removeprefix("sha256:") / "catalog-a.erofs").unlink()  # nobody asks for it
    node.fetch(second)
    assert node.moved < 2 * len(NEW), "of two images one was moved"
    assert node.file(first, "a").samefile(node.file(second, "a"))
    assert node.file(second, "a").read_bytes()[: len(SAME)] == SAME
    assert node.room.used - alone < 2 * LARGE, "it is counted once"
    assert set(node.store.sizes().values()) != {0} and node.store.shared() == LARGE


def test_it_goes_with_the_last_that_has_it(node: Node) -> None:
    first, second = made(node.origin, a=SAME, b=OLD), made(node.origin, a=SAME, b=NEW)
    node.fetch(first)
    node.fetch(second)
    node.store.keep_only({second})
    assert node.file(second, "a").read_bytes()[: len(SAME)] == SAME
    assert node.store.shared() == 0 and node.room.used == sum(node.store.sizes().values()) > 2 * len(SAME)
    node.store.keep_only(())
    assert node.room.used == 0


def test_room_is_needed_for_what_is_new_alone(tmp_path: Path) -> None:
    node = Node(tmp_path, most=4 * LARGE)
    first, second = made(node.origin, a=SAME, b=OLD), made(node.origin, a=SAME, b=NEW)
    third = made(node.origin, a=OLD + b"x", b=NEW + b"x")
    node.fetch(first)
    node.fetch(second)
    with pytest.raises(NoRoom):
        node.fetch(third)
    assert not list((tmp_path / "generations").glob(".new-*"))


def test_one_that_goes_meanwhile_is_fetched(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = made(node.origin, a=SAME, b=OLD), made(node.origin, a=SAME, b=NEW)
    node.fetch(first)
    gone = node.file(first, "a")
    monkeypatch.setattr(node.store, "image", lambda digest: gone.with_name("gone") if digest else None)
    node.fetch(second)
    assert node.file(second, "a").read_bytes()[: len(SAME)] == SAME
    assert not node.file(first, "a").samefile(node.file(second, "a"))


def test_who_mounts_a_view_shares_it_with_another(node: Node) -> None:
    """By digest alone, whatever it is called there."""
    first, second = made(node.origin, a=SAME), made(node.origin, z=SAME, b=NEW)
    node.fetch(first)
    node.fetch(second)
    assert node.file(first, "a").samefile(node.file(second, "z"))
