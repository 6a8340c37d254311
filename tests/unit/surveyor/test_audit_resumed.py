"""An audit that is killed goes on where it ended, and finds what an uninterrupted one finds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive.audit import Said
from pdshub.surveyor import checks, journal
from pdshub.surveyor.journal import Journal
from tests.unit.archive.archive_support import build, collection, label, run, spec
from tests.unit.surveyor.support import Bench, needs_mkfs

P = "urn:nasa:pds:x:data:p"
ARCHIVE = {
    # what only all labels together tell: a product twice, over directories; members that are missing or come later
    "a/c.xml": collection("x:data", files=["c.csv", "gone.csv", "bad.csv"]),
    "a/c.csv": f"P,{P}0::1.0\r\nP,{P}3\r\nP,urn:nasa:pds:x:data:none::1.0\r\nS,urn:nasa:pds:y:a:b::1.0\r\n",
    "a/bad.csv": "nonsense\r\n",
    "a/schema.xml": "<schema/>",
    "a/broken.xml": "<p",
    "b/old.xml": label("Observational", f"{P}9", "one"),
    "b/empty.xml": "",
    **{f"b/p{n}.xml": label("Observational", f"{P}{n}", files=[f"{n}.dat", "x.dat"]) for n in range(4)},
    "b/0.dat": "",
    "c/d/again.lblx": label("Observational", f"{P}1"),
    "c/d/many.xml": label("Observational", f"{P}many", files=[f"{n:02}.dat" for n in range(15)]),
}
LABELS = 11


class Killed(BaseException):
    """As a process that is killed: nothing is tidied up."""


class Life:
    """In place of the pace: it ends the process before the label that is one too many."""

    def __init__(self, labels: int) -> None:
        self.left, self.opened = labels, 0

    def __call__(self, rate: float) -> Life:
        return self

    def wait(self) -> None:
        if self.left == 0:
            raise Killed
        self.left, self.opened = self.left - 1, self.opened + 1


@pytest.fixture
def task(tmp_path: Path) -> dict[str, Any]:
    """An audit to be done."""
    build(tmp_path / "sources/main", ARCHIVE)
    run(tmp_path, {"main": tmp_path / "sources/main"}, spec(["main"]))
    return {"generation": str(tmp_path / "gen"), "sources": str(tmp_path / "sources"), "rate": 1}


def live(task: dict[str, Any], monkeypatch: pytest.MonkeyPatch, labels: int) -> tuple[bool, int]:
    """One life that ends after so many labels: whether the audit ended first, and how many it opened."""
    life = Life(labels)
    monkeypatch.setattr(checks, "Pace", life)
    try:
        checks.audit(task, lambda text: None)
    except Killed:
        return False, life.opened
    return True, life.opened


def result(task: dict[str, Any]) -> bytes:
    return Path(task["generation"], "audit.json").read_bytes()


def left(task: dict[str, Any]) -> Path:
    return Path(task["generation"], journal.FILE)


@pytest.fixture
def whole(task: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What an audit says that nobody interrupts."""
    assert live(task, monkeypatch, -1) == (True, LABELS)
    found = result(task)
    Path(task["generation"], "audit.json").unlink()
    kinds = {f["kind"] for f in json.loads(found)["findings"]}
    assert kinds == {
        "broken-label", "broken-version", "broken-inventory", "file-absent", "member-missing", "product-twice",
    }  # fmt: skip
    return found


@pytest.mark.parametrize("every", [1, 2, 5])
@pytest.mark.parametrize("lives", range(1, LABELS + 1))
def test_killed_at_every_kth_label(
    task: dict[str, Any], whole: bytes, monkeypatch: pytest.MonkeyPatch, lives: int, every: int
) -> None:
    monkeypatch.setattr(journal, "LABELS", every)
    opened, ends = 0, 0
    kept = lives // every * every  # what each life adds to what is known
    for _ in range(LABELS // max(kept, 1) + 2):
        done, more = live(task, monkeypatch, lives if kept else -1)
        opened += more
        ends += 1
        if done:
            break
    assert result(task) == whole
    assert not left(task).exists()
    assert opened <= LABELS + (ends - 1) * (lives - kept), "what was kept is not opened again"


def test_killed_once_before_each_label(task: dict[str, Any], whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LABELS", 1)
    for number in range(LABELS):
        assert live(task, monkeypatch, number) == (False, number)
        assert live(task, monkeypatch, -1) == (True, LABELS - number)
        assert result(task) == whole


def test_another_plan_begins_anew(task: dict[str, Any], whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LABELS", 1)
    live(task, monkeypatch, 8)
    plan = Path(task["generation"], "plan.json")
    text = plan.read_text()
    said, sizes = text.replace('"findings":[', '"findings":[ ', 1), text.replace('"sizes":[', '"sizes":[1', 1)
    assert len({text, said, sizes}) == 3
    plan.write_text(said)
    assert len(list(Journal(left(task), digest(plan)).known())) == 8, "what is said about the tree may differ"
    plan.write_text(sizes)
    assert live(task, monkeypatch, -1) == (True, LABELS)


def digest(plan: Path) -> str:
    return checks.open_plan(plan).tree_digest()


SAID = [
    Said(f"{P}1", "1.0"),
    Said(),
    Said("urn:a:b:c", "1.0", ("\udcff.dat",), 11),
    Said("urn:a:b:d", "2.0", inventories=("i.csv", "i.csv")),
    Said(trouble="unreadable", why="Permission denied"),
    Said(f"{P}2", "1.0"),
]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal of six labels in three lines."""
    monkeypatch.setattr(journal, "LABELS", 2)
    path = tmp_path / "j"
    made = Journal(path, "plan")
    for said in SAID:
        made.note(said)
    assert path.read_bytes().count(b"\n") == 3
    return path


def test_what_is_kept_is_known(kept: Path) -> None:
    assert list(Journal(kept, "plan").known()) == SAID
    assert list(Journal(kept, "another").known()) == []


def _cut(raw: bytes) -> bytes:
    return raw[:-1]


def _damaged(raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    return lines[0] + lines[1][:30] + b"A" + lines[1][31:] + lines[2]


def _twice(raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    return b"".join([*lines[:2], lines[1], lines[2]])  # as of two processes at once


def _more(raw: bytes) -> bytes:
    return raw + b"\0" * 100


def _gone(raw: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(("harm", "known"), [(_cut, 4), (_damaged, 2), (_twice, 4), (_more, 6), (_gone, 0)])
def test_damage_ends_what_is_known_and_is_written_over(kept: Path, harm: Any, known: int) -> None:
    kept.write_bytes(harm(kept.read_bytes()))
    again = Journal(kept, "plan")
    assert list(again.known()) == SAID[:known]
    for said in [*SAID[known:], *SAID]:
        again.note(said)
    assert list(Journal(kept, "plan").known()) == [*SAID, *SAID]


def test_every_way_to_be_cut_short(kept: Path) -> None:
    raw = kept.read_bytes()
    for size in range(len(raw)):
        kept.write_bytes(raw[:size])
        assert list(Journal(kept, "plan").known()) == SAID[: raw[:size].count(b"\n") * 2]


@pytest.mark.parametrize(
    ("seconds", "known"),
    [(0.0, 0), (journal.SECONDS - 1, 0), (journal.SECONDS, 1)],
)
def test_what_is_read_slowly_is_kept_in_time(tmp_path: Path, seconds: float, known: int) -> None:
    now = [0.0]
    made = Journal(tmp_path / "j", "plan", lambda: now[0])
    now[0] = seconds
    made.note(SAID[0])
    assert len(list(Journal(tmp_path / "j", "plan").known())) == known


def test_its_size_is_bounded(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = kept.stat().st_size
    monkeypatch.setattr(journal, "MAX_BYTES", size + 10)
    again = Journal(kept, "plan")
    assert list(again.known()) == SAID
    for said in SAID:
        again.note(said)
    assert kept.stat().st_size == size


def test_a_store_that_is_full_costs_the_journal_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LABELS", 1)
    made = Journal(tmp_path / "nowhere" / "j", "plan")
    for said in SAID:
        made.note(said)
    made.remove()


def test_what_a_million_labels_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LABELS", 1000)
    made = Journal(tmp_path / "j", "plan")
    for number in range(10_000):
        made.note(Said(f"urn:nasa:pds:orex.ocams:data_raw:2019{number:07}s{number * 7919 % 1000:03}_map_l0", "1.0"))
    assert (tmp_path / "j").stat().st_size / 10_000 < 20  # bytes a label


@needs_mkfs
def test_the_journal_outlives_the_surveyor(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    async def story() -> None:
        bench.put()
        await bench.turn()
        directory = bench.surveyor.entries[0].directory
        (directory / journal.FILE).write_text("kept\n")
        await bench.restart()
        assert (directory / journal.FILE).exists()
        audit = (await bench.checked())["audit"]
        assert audit["state"] == "done" and audit["labels"] == 4
        assert not (directory / journal.FILE).exists()

    bench.run(story)
    shutil.rmtree(bench.path)
