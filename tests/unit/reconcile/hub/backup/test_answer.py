"""What a Job says is believed within bounds, about what was asked, and as plain text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.api.backup_job import LONGEST_ANSWER
from pdshub.reconcile.hub.backup import answer

ID = "ab" * 32
GOOD: dict[str, Any] = {
    "ok": True,
    "item": {
        "item": "home/ada",
        "phase": "Completed",
        "snapshot": ID,
        "how": "InUse",
        "sizeBytes": 10,
        "files": 2,
        "addedBytes": 5,
        "seconds": 1.25,
        "digest": "cd" * 32,
    },
}


def said(**more: Any) -> str:
    return json.dumps({**GOOD, **more})


def of_item(**more: Any) -> str:
    return json.dumps({"ok": True, "item": {**GOOD["item"], **more}})


def test_an_answer_is_read() -> None:
    found = answer.read(said(), "home/ada")
    assert found is not None and found.ok and found.item is not None
    assert (found.item.snapshot, found.item.size_bytes, found.item.seconds) == (ID, 10, 1.25)


NONE = [
    ("nothing", ""),
    ("no JSON", "restic: done"),
    ("no object", "[]"),
    ("without ok", "{}"),
    ("ok is a word", '{"ok": "perhaps"}'),
    ("another item", of_item(item="home/bela")),
    ("the database", of_item(item="database")),
    ("no item at all", '{"ok": true}'),
    ("an item that is none", of_item(item="../../etc")),
    ("a phase that is none", of_item(phase="Great")),
    ("too long", said(message="x" * LONGEST_ANSWER)),
    ("deep", '{"ok": true, "item": ' + "[" * 2000 + "]" * 2000 + "}"),
    ("a lone surrogate", '{"ok": true, "message": "\ud800'),
    ("a number beyond any", '{"ok": true, "files": ' + "9" * 5000 + "}"),
]


@pytest.mark.parametrize("text", [c[1] for c in NONE], ids=[c[0] for c in NONE])
def test_what_is_no_answer(text: str) -> None:
    assert answer.read(text, "home/ada") is None


def test_a_failure_need_not_name_its_item() -> None:
    found = answer.read('{"ok": false, "reason": "WrongKey", "message": "wrong password"}', "home/ada")
    assert found is not None and (found.ok, found.reason) == (False, "WrongKey")


BOUNDS = [
    ("size_bytes", {"sizeBytes": -5}, 0),
    ("size_bytes", {"sizeBytes": 2**80}, answer.MOST),
    ("files", {"files": 10**30}, answer.MOST),
    ("seconds", {"seconds": -1}, 0.0),
    ("seconds", {"seconds": 1e300}, 1e9),
    ("snapshot", {"snapshot": "latest; rm -rf"}, ""),
    ("snapshot", {"snapshot": "AB" * 32}, ""),
    ("digest", {"digest": "x"}, ""),
    ("how", {"how": "Perfectly"}, ""),
    ("phase", {"phase": "Running"}, "Completed"),
    ("message", {"message": "a\u202eb\x1b[2Jc\nd"}, "a\ufffdb\ufffd[2Jc\ufffdd"),
]


@pytest.mark.parametrize(("field", "given", "wanted"), BOUNDS)
def test_what_an_item_says_is_bounded_and_plain(field: str, given: dict[str, Any], wanted: Any) -> None:
    found = answer.read(of_item(**given), "home/ada")
    assert found is not None and found.item is not None
    assert getattr(found.item, field) == wanted


def test_names_of_files_are_a_users() -> None:
    """Forty paths with a line of their own in each: as many as are shown, each on one line, their number stays."""
    unread = [{"path": f"a\n{number}", "why": "permission denied\x07"} for number in range(40)]
    found = answer.read(of_item(unread=unread, unreadCount=40, phase="PartiallyCompleted"), "home/ada")
    assert found is not None and found.item is not None
    assert (len(found.item.unread), found.item.unread_count) == (20, 40)
    assert all(one.path.isprintable() and one.why.isprintable() for one in found.item.unread)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none(number: str) -> None:
    text = of_item().replace("1.25", number)
    found = answer.read(text, "home/ada")
    assert found is None or (found.item is not None and found.item.seconds == 0.0)


def test_reasons_are_one_word() -> None:
    for given, wanted in (("Full", "Full"), ("it is full", "Failed"), ("", "Failed"), ("X" * 50, "Failed")):
        found = answer.read(json.dumps({"ok": False, "reason": given}))
        assert found is not None and found.reason == wanted


def test_a_restore_tells_its_place() -> None:
    text = json.dumps(
        {
            "ok": True,
            "place": "restored-2026-03-01",
            "replaced": "x\n",
            "files": 3,
            "snapshots": [{"id": ID, "item": "home/ada", "time": "2026-03-01T00:00:00.123456789Z"}],
        }
    )
    found = answer.read(text)
    assert found is not None and (found.place, found.replaced, found.files) == ("restored-2026-03-01", "x\ufffd", 3)
    assert found.snapshots[0].time.startswith("2026-03-01")
    broken = answer.read(text.replace("2026-03-01T00", "<script>"))
    assert broken is not None and broken.snapshots[0].time == ""


ENTRIES: list[tuple[str, Any, str | None]] = [
    ("as it should be", "notebook.ipynb", "notebook.ipynb"),
    ("with a line of its own", "a\nb", "a\ufffdb"),
    ("that turns the writing", "txt.\u202efdp", "txt.\ufffdfdp"),
    ("as long as a name can be", "n" * 255, "n" * 255),
    ("the folder itself", ".", None),
    ("what is above", "..", None),
    ("nothing", "", None),
    ("a path", "../../etc/passwd", None),
]


@pytest.mark.parametrize(("given", "wanted"), [c[1:] for c in ENTRIES], ids=[c[0] for c in ENTRIES])
def test_names_in_a_folder(given: str, wanted: str | None) -> None:
    rows = [{"name": given, "kind": "File", "sizeBytes": -1, "modified": "yesterday"}, {"name": "b", "kind": "Folder"}]
    found = answer.read(json.dumps({"ok": True, "entries": rows, "more": 3}))
    assert found is not None
    assert [entry.name for entry in found.entries] == [*([wanted] if wanted is not None else []), "b"]
    assert found.more == 3 + (wanted is None), "what is not shown is counted"
    assert all(entry.size_bytes >= 0 and entry.modified == "" for entry in found.entries)


@pytest.mark.parametrize("row", [{"name": "n" * 256}, {"name": "x", "kind": "Device"}, {"kind": "File"}, "x"])
def test_an_answer_with_an_entry_that_is_none_is_none(row: Any) -> None:
    assert answer.read(json.dumps({"ok": True, "entries": [row]})) is None


def test_snapshots_that_are_not_shown_are_counted() -> None:
    rows = [{"id": f"{n:064x}", "item": "keys", "time": "2026-03-01T00:00:00Z"} for n in range(23)]
    found = answer.read(json.dumps({"ok": True, "snapshots": rows, "more": 2}))
    assert found is not None and (len(found.snapshots), found.more) == (20, 5)
