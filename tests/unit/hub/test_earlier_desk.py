"""Questions about earlier versions: whose they are, how many there may be, and what an answer may hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pdshub_hub import earlier
from pdshub_hub.earlier import Desk
from pdshub_hub.earlier_answers import MOST_ENTRIES, amount, end_of_day
from pdshub_hub.earlier_asks import Refused, What, Why, below, beneath, crumbs
from pdshub_hub.earlier_pace import BURST, EACH_HOUR

ADA, BELA = "ada@example.org", "bela@example.org"
ONE, TWO = "1a" * 32, "2b" * 32


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def desk() -> tuple[Desk, Clock]:
    """A desk that the operator has just asked."""
    clock = Clock()
    made = Desk(clock=clock)
    made.open_now()
    return made, clock


def version(id: str = ONE, at: str = "2026-03-10T02:30:05Z", **more: Any) -> dict[str, Any]:
    return {"snapshot": id, "at": at, "files": 3, "sizeBytes": 4096, "partial": False, **more}


def listed(made: Desk, user: str, *ids: str) -> None:
    """The operator answers somebody's list."""
    ask = made.ask(user, What.LIST)
    assert made.answer(ask.id, {"done": True, "ok": True, "versions": [version(id) for id in ids]})


def refused(call: Any) -> Why:
    with pytest.raises(Refused) as error:
        call()
    return error.value.why


# --- whose


def test_somebodys_own_version_can_be_asked_for_and_nobody_elses() -> None:
    made, _ = desk()
    listed(made, ADA, ONE)
    listed(made, BELA, TWO)
    assert refused(lambda: made.ask(ADA, What.BROWSE, TWO)) is Why.NOT_FOUND
    assert refused(lambda: made.ask(ADA, What.RESTORE, TWO, "x")) is Why.NOT_FOUND
    assert refused(lambda: made.ask("new@example.org", What.BROWSE, ONE)) is Why.NOT_FOUND, "who has no list has none"
    ask = made.ask(ADA, What.RESTORE, ONE, "notebooks/x.ipynb")
    assert (ask.user, ask.snapshot, ask.as_of, ask.path) == (ADA, ONE, "", "notebooks/x.ipynb")
    assert ask.wire() | {"id": "", "number": 0} == {
        "id": "", "number": 0, "user": ADA, "what": "restore", "snapshot": ONE, "asOf": "", "path": "notebooks/x.ipynb",
    }  # fmt: skip


def test_a_day_means_its_end() -> None:
    made, _ = desk()
    assert made.ask(ADA, What.BROWSE, "2026-03-09").as_of == "2026-03-09T23:59:59Z"


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-3-9", "2026-03-09T00:00:00Z", "٢٠٢٦-03-09", "1a2b3c4d"]
)
def test_what_is_no_day_is_refused(text: str) -> None:
    assert refused(lambda: end_of_day(text)) is Why.BAD_VERSION


def test_answers_reach_their_own_user_alone() -> None:
    made, _ = desk()
    listed(made, ADA, ONE)
    listed(made, BELA, TWO)
    ask = made.ask(ADA, What.BROWSE, ONE, "data")
    entries = [{"name": "secret.txt", "kind": "File", "sizeBytes": 5, "modified": "2026-03-01T00:00:00Z"}]
    assert made.answer(ask.id, {"done": True, "ok": True, "entries": entries, "taken": "2026-03-10T02:30:05Z"})
    found = made.folder(ADA, ONE, "data")
    assert found is not None and [entry.name for entry in found.entries] == ["secret.txt"]
    for other in ((BELA, ONE, "data"), (BELA, TWO, "data"), (ADA, ONE, "."), (ADA, TWO, "data")):
        assert made.folder(*other) is None
    seen = made.listing(BELA)
    assert seen is not None and [one.id for one in seen.versions] == [TWO]


@pytest.mark.parametrize("id", ["", "x", "0" * 32])
def test_an_answer_to_a_question_that_is_not_open_changes_nothing(id: str) -> None:
    made, _ = desk()
    made.ask(ADA, What.LIST)
    assert made.answer(id, {"done": True, "ok": True, "versions": [version()]}) is False
    assert made.listing(ADA) is None and made.waits(ADA) is not None


def test_an_answer_counts_once() -> None:
    made, _ = desk()
    ask = made.ask(ADA, What.LIST)
    assert made.answer(ask.id, {"done": True, "ok": True, "versions": [version(ONE)]})
    assert made.answer(ask.id, {"done": True, "ok": True, "versions": [version(TWO)]}) is False


# --- how many


def test_ten_thousand_questions_of_one_person_are_one() -> None:
    made, _ = desk()
    made.ask(ADA, What.LIST)
    whys = {refused(lambda: made.ask(ADA, What.LIST)) for _ in range(10_000)}
    assert whys == {Why.BUSY} and len(made.open_now()) == 1


@pytest.mark.parametrize("what", list(What))
def test_each_kind_has_a_pace(what: What) -> None:
    made, clock = desk()
    listed(made, ADA, ONE)
    done, whys = 0, set()
    for _ in range(10_000):
        try:
            ask = made.ask(ADA, what, ONE)
        except Refused as error:
            whys.add(error.why)
            continue
        done += 1
        made.answer(ask.id, {"done": True, "ok": True, "versions": [version()]})
    assert whys == {Why.TOO_OFTEN} and done == BURST[what] - (what is What.LIST)
    listed(made, BELA, ONE)
    assert made.ask(BELA, what, ONE), "one who asks too often hinders nobody else"
    clock.now += 3600
    made.open_now()
    assert made.ask(ADA, what, ONE) and EACH_HOUR[what] <= 120


def test_after_a_restore_the_list_is_asked_for_again_and_shown_meanwhile() -> None:
    made, _ = desk()
    listed(made, ADA, ONE)
    assert not made.is_due(ADA)
    ask = made.ask(ADA, What.RESTORE, ONE, "x")
    assert made.answer(ask.id, {"done": True, "ok": True, "message": "It is back."})
    listing, said = made.listing(ADA), made.said(ADA)
    assert made.is_due(ADA) and listing is not None and listing.has(ONE)
    listed(made, ADA, ONE)
    assert said is not None and made.said(ADA) == said, "what was said stays to be read"


def test_all_people_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = desk()
    monkeypatch.setattr(earlier, "MOST_OPEN", 3)
    for number in range(3):
        made.ask(f"u{number}", What.LIST)
    assert refused(lambda: made.ask(ADA, What.LIST)) is Why.CROWDED


def test_memory_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "MOST_LISTINGS", 10)
    monkeypatch.setattr(earlier, "MOST_FOLDERS", 10)
    made, _ = desk()
    for number in range(100):
        listed(made, f"u{number}", ONE)
        ask = made.ask(f"u{number}", What.BROWSE, ONE, "x")
        made.answer(ask.id, {"done": True, "ok": True, "entries": []})
    assert len(made._listings) == len(made._folders) == 10
    assert made.listing("u99") and made.folder("u99", ONE, "x") and not made.listing("u0")


def test_nothing_is_asked_where_the_operator_does_not_ask() -> None:
    made = Desk(clock=Clock())
    assert refused(lambda: made.ask(ADA, What.LIST)) is Why.AWAY and not made.is_due(ADA)
    made, clock = desk()
    clock.now += earlier.FOLLOWED + 1
    assert refused(lambda: made.ask(ADA, What.LIST)) is Why.AWAY


def test_a_question_without_an_answer_is_given_up_and_said() -> None:
    made, clock = desk()
    ask = made.ask(ADA, What.LIST)
    clock.now += earlier.PATIENCE - 1
    assert made.answer(ask.id, {"done": False, "ok": True, "message": "it waits for its turn"}), "a word keeps it open"
    clock.now += earlier.PATIENCE - 1
    assert made.waits(ADA) is not None
    clock.now += 2
    said = made.waits(ADA), made.said(ADA)
    assert said[0] is None and said[1] is not None and said[1].reason == "unanswered"
    assert made.answer(ask.id, {"done": True, "ok": True}) is False


def test_who_waits_for_a_question_is_woken_by_it() -> None:
    async def run() -> list[str]:
        made, _ = desk()
        waiting = asyncio.create_task(made.newer(0, 60))
        await asyncio.sleep(0)
        made.ask(ADA, What.LIST)
        await asyncio.wait_for(waiting, 30)
        await made.newer(0, 60)  # what is newer is there already
        return [ask.user for ask in made.open_now()]

    assert asyncio.run(run()) == [ADA]


# --- paths

BENEATH = [
    ("x.ipynb", "x.ipynb"),
    ("notebooks/x.ipynb", "notebooks/x.ipynb"),
    ("./notebooks/", "notebooks"),
    ("/home/jovyan/notebooks/x", "notebooks/x"),
    ("~/x", "x"),
    ("", "."),
    (".", "."),
    ("~", "."),
    ("/home/jovyan/", "."),
    ("a/./b", "a/b"),
    ("..a/b..", "..a/b.."),
    ("with blank ", "with blank "),
    ("é/日本", "é/日本"),
    ('"><script>', '"><script>'),
]
BAD = [
    "..", "../x", "a/../b", "a/..", "/", "/etc/passwd", "//x", "a//b", "/home/jovyan/../other", "~/../x", "~root/../x",
    "a\0b", "a\nb", "a\x1b[2J", "a\x7f", "a\x85b", "x" * 513, "/home/jovyan//etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize(("written", "path"), BENEATH)
def test_a_path_is_one_below_the_home(written: str, path: str) -> None:
    assert beneath(written) == path


@pytest.mark.parametrize("written", BAD)
def test_what_leads_elsewhere_is_refused(written: str) -> None:
    assert refused(lambda: beneath(written)) is Why.BAD_PATH


def test_the_way_to_a_folder() -> None:
    assert crumbs(".") == [("your home", ".")]
    assert crumbs("a/b") == [("your home", "."), ("a", "a"), ("b", "a/b")]
    assert below(".", "x") == "x" and below("a/b", "x") == "a/b/x"


# --- answers

NONE = [{}, {"done": 1, "ok": True}, {"done": True}, {"ok": False}, {"done": "yes", "ok": "yes"}]


@pytest.mark.parametrize("body", NONE)
def test_what_is_no_answer_is_refused(body: dict[str, Any]) -> None:
    made, _ = desk()
    ask = made.ask(ADA, What.LIST)
    with pytest.raises(ValueError, match="done and ok"):
        made.answer(ask.id, body)
    assert made.waits(ADA) is not None


HOSTILE_VERSIONS = [
    "x", [1, None], [{"snapshot": "../x", "at": "2026-03-10T02:30:05Z"}], [{"snapshot": ONE}],
    [{"snapshot": ONE, "at": "<b>"}],
    [{"snapshot": ONE + "\n", "at": "2026-03-10T02:30:05Z"}],
]  # fmt: skip


@pytest.mark.parametrize("versions", HOSTILE_VERSIONS)
def test_versions_that_are_none_are_left_out(versions: Any) -> None:
    made, _ = desk()
    ask = made.ask(ADA, What.LIST)
    assert made.answer(ask.id, {"done": True, "ok": True, "versions": versions})
    found = made.listing(ADA)
    assert found is not None and found.versions == ()


def test_entries_are_bounded_and_plain() -> None:
    made, _ = desk()
    listed(made, ADA, ONE)
    ask = made.ask(ADA, What.BROWSE, ONE)
    names = ["..", ".", "", "a/b", "x\x1b[2Jy", "n" * 10_000, "<img src=x onerror=alert(1)>"]
    rows: list[Any] = [{"name": name, "kind": "Device", "sizeBytes": -1, "modified": {}} for name in names]
    rows += [{"name": f"f{n}"} for n in range(10_000)]
    assert made.answer(ask.id, {"done": True, "ok": True, "entries": rows, "more": "many", "taken": "now"})
    found = made.folder(ADA, ONE, ".")
    assert found is not None and (found.more, found.taken) == (0, "")
    assert len(found.entries) <= MOST_ENTRIES
    shown = [entry.name for entry in found.entries]
    assert shown[0] == "x\ufffd[2Jy" and len(shown[1]) <= 512 and shown[2] == names[-1], "the page escapes it"
    assert {(entry.kind, entry.size, entry.modified) for entry in found.entries} == {("File", 0, "")}


AMOUNTS = [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KB"), (1_500_000, "1.5 MB"), (10**15, "1000.0 TB")]


@pytest.mark.parametrize(("size", "text"), AMOUNTS)
def test_sizes_in_words(size: int, text: str) -> None:
    assert amount(size) == text
