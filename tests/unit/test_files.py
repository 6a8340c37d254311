"""Files that are replaced whole: what a reader meets, what a crash leaves, and what is forced to the disk when."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pdshub import files


@pytest.mark.parametrize("durable", [True, False])
def test_a_writer_that_dies_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool) -> None:
    path = tmp_path / "state.json"
    files.write_json(path, {"old": 1}, durable=durable)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            files.write_json(path, {"new": 1}, durable=durable)
    assert files.read_json(path) == {"old": 1}
    assert {p.name for p in tmp_path.iterdir()} == {"state.json", ".state.json.partial"}
    assert list(tmp_path.glob("*.json")) == [path]  # a listing of documents does not meet the half one
    files.write_json(path, {"new": 1}, durable=durable)
    assert files.read_json(path) == {"new": 1} and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("durable", "happens"),
    [
        (True, ["force .f.partial: new", "f is replaced", "force the directory"]),
        (False, ["f is replaced"]),
    ],
)
def test_what_is_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool, happens: list[str]
) -> None:
    seen: list[str] = []
    replace = Path.replace

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        seen.append("force the directory" if path.is_dir() else f"force {path.name}: {path.read_text()}")

    def replaced(self: Path, target: Path) -> Path:
        seen.append(f"{target.name} is replaced")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replaced)
    files.write_text(tmp_path / "f", "new", durable=durable)
    assert seen == happens


@pytest.mark.parametrize(("mode", "found"), [(None, 0o600), (0o644, 0o644)])
def test_permissions(tmp_path: Path, mode: int | None, found: int) -> None:
    former = os.umask(0o077)
    try:
        files.write_text(tmp_path / "f", "x", durable=False, mode=mode)
    finally:
        os.umask(former)
    assert (tmp_path / "f").stat().st_mode & 0o777 == found


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"[1]", None),
        (b"{", None),
        (b"", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (None, None),
    ],
)
def test_reading(tmp_path: Path, raw: bytes | None, found: Any) -> None:
    if raw is not None:
        (tmp_path / "f").write_bytes(raw)
    assert files.read_json(tmp_path / "f") == found


def test_equal_values_give_equal_bytes_and_undecodable_names_survive(tmp_path: Path) -> None:
    one, two = {"b": "\udcff", "a": 1}, {"a": 1, "b": "\udcff"}
    files.write_json(tmp_path / "one", one, durable=False)
    files.write_json(tmp_path / "two", two, durable=False)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert files.read_json(tmp_path / "one") == json.loads(json.dumps(one)) == one
