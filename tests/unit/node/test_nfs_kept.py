"""The same export once more for each catalog, whose attributes are asked for at an open and kept from then on."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from pdshub.node.layout import KEPT
from pdshub.node.source import nfs_attributes, nfs_fuse
from tests.unit.node import fake_nfs
from tests.unit.node.test_nfsclient import content, mounted, names, nas  # noqa: F401 - a fixture

ONE, OTHER = f"/{KEPT}1a", f"/{KEPT}2b"


@pytest.fixture
def asked(nas: fake_nfs.Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:  # noqa: F811
    """Calls since it was asked last; no attribute is taken for true for a moment."""
    monkeypatch.setattr(nfs_fuse, "ATTRIBUTE_SECONDS", -1.0)
    calls: list[str] = []
    nas.trouble = calls.append

    def since() -> int:
        count = len([call for call in calls if call != "connect"])
        calls.clear()
        return count

    return since


def test_a_stat_of_a_file_that_was_opened_asks_nobody(nas: fake_nfs.Server, asked: Callable[[], int]) -> None:  # noqa: F811
    nas.put("e/d/f", b"one")
    export = mounted()
    assert content(export, f"{ONE}/d/f") == b"one" and asked() > 0
    for path in ("", "/d", "/d/f"):
        export.getattr(ONE + path)
    asked()

    def away(what: str) -> None:
        raise TimeoutError(what)

    calls, nas.trouble = nas.trouble, away
    assert export.getattr(f"{ONE}/d/f")["st_size"] == 3 and export.getattr(f"{ONE}/d")["st_nlink"] == 2
    nas.trouble = calls
    assert export.getattr("/d/f")["st_size"] == 3 and asked() == 1, "who looks at the export itself asks"
    assert export.getattr(f"{OTHER}/d/f")["st_size"] == 3 and asked() == 1, "and so does another catalog"


def test_an_open_asks(nas: fake_nfs.Server, asked: Callable[[], int]) -> None:  # noqa: F811
    nas.put("e/f", b"one")
    export = mounted()
    assert content(export, f"{ONE}/f") == b"one"
    nas.files["e/f"] = b"written in place"
    assert export.getattr(f"{ONE}/f")["st_size"] == 3
    assert content(export, f"{ONE}/f") == b"written in place"
    assert export.getattr(f"{ONE}/f")["st_size"] == 16
    nas.put("e/f", b"replaced by another file")
    assert content(export, f"{ONE}/f") == b"replaced by another file"
    del nas.files["e/f"]
    with pytest.raises(FileNotFoundError):
        export.open(f"{ONE}/f", 0)
    assert export.getattr(f"{ONE}/f")["st_size"] == 24, "what a catalog lists it can say the size of"


def test_it_is_listed_nowhere(nas: fake_nfs.Server) -> None:  # noqa: F811
    nas.put("e/f", b"one")
    export = mounted()
    assert names(export, "/") == nas.directories["e"] and export.getattr(ONE)["st_ino"] == export.getattr("/")["st_ino"]


def test_the_longest_unused_is_forgotten() -> None:
    known = nfs_attributes.Attributes(2, math.inf)
    for path in ("a", "b"):
        known.put(path, {"st_mode": 0})
    known.get("a")
    known.put("c", {"st_mode": 0})
    assert [known.get(path) is None for path in "abc"] == [False, True, False]
