"""An archive that changes while it is surveyed: what is removed or replaced meanwhile answers ESTALE over NFS."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from pdshub.archive import beneath
from pdshub.archive.findings import Findings
from pdshub.archive.synced_stat import retry_stale
from pdshub.archive.verify import verify
from pdshub.archive.walk import SourceError
from tests.unit.archive.archive_support import OLD, build, bundle, kinds, run, spec, visible

FILES = {"a/f": "1", "b/f": "2", "x/bundle.xml": bundle("x"), "x/f": "3"}


class Stale:
    """Calls for the path `name`, or one that ends in it, fail with ESTALE, `times` times; then `then` happens, once."""

    def __init__(self, function: Any, name: str, times: int, then: Any = lambda: None) -> None:
        self.function, self.name, self.left, self.then = function, name, times, then

    def __call__(self, *paths: Any, **options: Any) -> Any:
        meant = [path for path in paths if f"/{path}".endswith(f"/{self.name}")]
        if meant and self.left:
            self.left -= 1
            if not self.left:
                self.then()
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(meant[0]))
        return self.function(*paths, **options)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield build(tmp_path / "a", FILES)


def test_a_directory_that_was_replaced_is_read_as_it_is_now(tmp_path: Path, root: Path) -> None:
    with mock.patch.object(beneath, "scan_below", Stale(beneath.scan_below, "b", 2, lambda: (root / "b/new").touch())):
        plan, _ = run(tmp_path, {"a": root}, spec(["a"]), "g1")
    assert {"a/f", "b/f", "b/new", "x/f"} <= set(visible(plan))


def test_a_directory_that_went_away_is_away(tmp_path: Path, root: Path) -> None:
    def remove() -> None:
        (root / "b/f").unlink()
        (root / "b").rmdir()

    with mock.patch.object(beneath, "scan_below", Stale(beneath.scan_below, "b", 1, remove)):
        plan, _ = run(tmp_path, {"a": root}, spec(["a"]), "g1")
    assert "a/f" in visible(plan) and "b/f" not in visible(plan)


def test_a_label_that_was_replaced_is_read_as_it_is_now(tmp_path: Path, root: Path) -> None:
    def again() -> None:
        (root / "x/bundle.xml").write_text(bundle("y"))

    with mock.patch.object(beneath, "open_regular", Stale(beneath.open_regular, "bundle.xml", 3, again)):
        plan, _ = run(tmp_path, {"a": root}, spec(["a"]), "g1")
    assert "urn:nasa:pds:y" in plan.path.read_text() and "urn:nasa:pds:x" not in plan.path.read_text()


def test_an_export_that_is_stale_is_an_error_of_the_source(tmp_path: Path, root: Path) -> None:
    with (
        mock.patch.object(beneath, "scan_below", Stale(beneath.scan_below, root.name, -1)),
        pytest.raises(SourceError, match=r"source a: .*Stale file handle"),
    ):
        run(tmp_path, {"a": root}, spec(["a"]), "g1")


class StaleEntry:
    """An entry of a directory that is replaced whenever somebody looks at it."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self.name = entry.name

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), self.name)


@contextmanager
def stale_entries(root: str, path: str) -> Iterator[Iterator[Any]]:
    with scan_below(root, path) as entries:
        yield (StaleEntry(entry) if entry.name == "f" and path == "x" else entry for entry in entries)


scan_below = beneath.scan_below
NEVER_STILL = [("a directory", Stale(scan_below, "x", -1)), ("a file of it", stale_entries)]


@pytest.mark.parametrize("scan", [row[1] for row in NEVER_STILL], ids=[row[0] for row in NEVER_STILL])
def test_what_is_replaced_faster_than_it_can_be_read_costs_nobody_else(tmp_path: Path, root: Path, scan: Any) -> None:
    """Its dataset stays as it was, and the survey says so; the rest is surveyed, and once it is still, it as well."""
    first, _ = run(tmp_path, {"a": root}, spec(["a"]), "g1")
    (root / "x/new").write_text("4")
    (root / "a/new").write_text("5")
    with mock.patch.object(beneath, "scan_below", scan):
        plan, _ = run(tmp_path, {"a": root}, spec(["a"]), "g2", tmp_path / "g1")
    assert (
        {p for p in visible(plan) if p.startswith("x/")} == {p for p in visible(first) if p.startswith("x/")} != set()
    )
    assert {"a/f", "b/f"} <= set(visible(plan))
    assert kinds(plan) == {"listing-doubted"}
    last, _ = run(tmp_path, {"a": root}, spec(["a"]), "g3", tmp_path / "g2", now_ns=3 * OLD * 10**9)
    assert {"a/new", "x/new", "x/f"} <= set(visible(last))


def test_verify_looks_again(tmp_path: Path, root: Path) -> None:
    plan, _ = run(tmp_path, {"a": root}, spec(["a"]), "g1")
    findings = Findings()
    with mock.patch.object(os, "lstat", Stale(os.lstat, "b/f", 2, (root / "b/f").unlink)):
        verify(plan, {"a": root}, findings)
    assert [f.kind for f in findings.sorted()] == ["gone"]


def test_other_errors_are_not_asked_again() -> None:
    read = mock.Mock(side_effect=OSError(errno.EIO, "I/O"))
    with pytest.raises(OSError, match="I/O"):
        retry_stale(read)
    assert read.call_count == 1
