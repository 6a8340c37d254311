"""Files with holes that say they are larger than any disk: named, left out, and in nobody's way."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pdshub.backup import holes
from pdshub.backup.patterns import everything
from tests.unit.backup.harness import Hub

SIZES = [
    ([], 100, None),
    ([50, 50], 100, None),
    ([50, 51], 100, 31),
    ([1 << 60, 5, 5], 100, (1 << 60) - 1),
    ([1 << 60, (1 << 60) + 1, 90], 100, (1 << 60) - 1),
    ([1 << 60, 1 << 50, 90], 100, (1 << 50) - 1),
    ([1] * 1000, 10, 0),
]


@pytest.mark.parametrize(("sizes", "most", "wanted"), SIZES)
def test_the_largest_go_until_the_rest_could_be_there(sizes: list[int], most: int, wanted: int | None) -> None:
    found = holes.limit(sizes, most)
    assert found == wanted
    if found is not None:
        assert sum(size for size in sizes if size <= found) <= most


def test_they_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    for n in range(30):
        with (tmp_path / f"large{n:02}").open("wb") as file:
            file.truncate(1 << 34)
    (tmp_path / "small").write_bytes(b"x" * 5000)
    found = holes.left_out(str(tmp_path), everything, 1 << 30, str.upper, lambda: None)
    assert (found.count, len(found.paths), found.paths[0].path) == (30, holes.SHOWN, "LARGE00")
    assert found.beyond is not None and 5000 < found.beyond < 1 << 34
    assert holes.left_out(str(tmp_path), everything, 1 << 50, str.upper, lambda: None) == holes.LeftOut()


@pytest.mark.parametrize("larger_than", ["", "8T"])
def test_a_home_with_a_file_larger_than_any_disk_is_saved_without_it(hub: Hub, larger_than: str) -> None:
    """restic would read zeros until the deadline, every day, and save nothing of this home."""
    sizes = {"huge": 15 << 40, "also": 7 << 40}
    for name, size in sizes.items():
        with (hub.home / "notebooks" / name).open("wb") as file:
            try:
                file.truncate(size)
            except OSError:
                pytest.skip("this file system has no such sizes")
    if holes.most(str(hub.home)) >= 7 << 40:
        pytest.skip("this file system could hold it")
    began = time.monotonic()
    answer = hub.run("backup", deadline_seconds=1200, larger_than=larger_than).good()
    assert time.monotonic() - began < 1000 and answer.item is not None
    left = {"notebooks/also"} if larger_than else {"notebooks/also", "notebooks/huge"}
    assert answer.item.phase == "PartiallyCompleted" and answer.item.unread_count == len(left)
    assert {one.path for one in answer.item.unread} == left and answer.item.unread[0].why == holes.WHY
    assert answer.item.digest, "what was saved is proven like all else"
    hub.run("drill").good()
    assert not {"huge", "also"} & {entry.name for entry in hub.run("browse", path="notebooks").good().entries}
    (hub.home / "notebooks/huge").unlink()
    (hub.home / "notebooks/also").unlink()
    again = hub.run("backup").good().item
    assert again is not None and (again.phase, again.unread_count) == ("Completed", 0)
