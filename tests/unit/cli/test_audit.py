"""``kubectl pdshub audit``: what is asked of the reader's pod, what it answers, and what of that reaches a terminal."""

from __future__ import annotations

import argparse
import io
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdshub.audit_log import asked, author, query
from pdshub.audit_log.entry import ELSEWHERE
from pdshub.audit_log.log import AuditLog
from pdshub.cli import change
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.main import main
from pdshub.wellknown import CHANGED_BY, PLUGIN
from tests.unit.cli.test_hostile import NASTY

FAKE = """#!{python}
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(here + "/calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
sys.stdout.buffer.write(open(here + "/answer", "rb").read())
sys.exit(int(open(here + "/code").read()))
"""
ENTRIES: list[dict[str, Any]] = [
    {"n": 2, "time": "2026-01-01T00:00:09Z", "at": "2026-01-01T00:00:05Z", "hub": "ns/sbn", "event": "access",
     "user": "root@example.org", "owner": "bela@example.org", "way": "page", "prev": "0" * 64, "from": "hub"},
    {"n": 3, "time": "2026-01-01T00:01:00Z", "hub": "ns/sbn", "event": "list-change", "added": ["allowed:ada"],
     "by": "kim", "manager": "kubectl-pdshub", "from": "operator"},
]  # fmt: skip


class Fake:
    """The recorded calls, and what is answered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "kubectl"
        program.write_text(FAKE.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.answer("")

    def answer(self, text: str | bytes, code: int = 0) -> None:
        (self.folder / "answer").write_bytes(text.encode() if isinstance(text, str) else text)
        (self.folder / "code").write_text(str(code))

    def entries(self, *found: Any, matched: int | None = None) -> None:
        last = {"matched": len(found) if matched is None else matched, "shown": len(found)}
        self.answer("".join(json.dumps(each) + "\n" for each in (*found, last)))

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake(tmp_path)
    monkeypatch.setenv("KUBECTL", str(tmp_path / "kubectl"))
    return made


def test_it_is_asked_of_the_one_pod_and_each_question_is_one_word(fake: Fake) -> None:
    fake.entries()
    line = [
        "audit",
        "--user=--verify",
        "--hub",
        "ns/sbn",
        "--event",
        "access; rm",
        "--since",
        "2026-01-31",
        "-n",
        "sys",
    ]
    assert main([*line, "--limit", "7"]) == 0
    (call,) = fake.calls()
    where = ["exec", "-n", "sys", "pdshub-audit-0", "-c", "audit", "--", "pdshub-audit"]
    questions = ["--user=--verify", "--hub=ns/sbn", "--event=access; rm", "--since=2026-01-31T00:00:00Z", "--limit=7"]
    assert call == [*where, *questions]


def test_entries_are_a_table(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.entries(*ENTRIES, matched=5)
    assert main(["audit"]) == 0
    said = capsys.readouterr().out
    assert [line.split() for line in said.splitlines()] == [
        ["TIME", "HUB", "EVENT", "USER", "DETAILS"],
        ["2026-01-01T00:00:05Z", "ns/sbn", "access", "root@example.org", "owner=bela@example.org", "way=page"],
        ["2026-01-01T00:01:00Z", "ns/sbn", "list-change", "-", "added=allowed:ada", "by=kim", "manager=kubectl-pdshub"],
        ["…", "3", "older:", "--limit"],
    ]
    fake.entries(*ENTRIES)
    assert main(["audit", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == ENTRIES
    fake.entries()
    assert main(["audit"]) == 0 and capsys.readouterr().out == "no entries\n"


VERDICTS: list[tuple[dict[str, Any], int, str]] = [
    ({"unchanged": True, "entries": 2, "first": 1, "last": 2, "anchor": "2:aa", "problems": []}, 0,
     "unchanged: 2 entries, 1 to 2\nanchor: 2:aa\n"),
    ({"unchanged": False, "entries": 2, "first": 1, "last": 2,
      "problems": [{"code": "changed", "file": "audit-00000001.jsonl", "line": 2}]}, 1,
     "CHANGED: 2 entries, 1 to 2\n  audit-00000001.jsonl line 2: does not fit the line before it\n"),
    ({"unchanged": "true"}, 1, "CHANGED"),
]  # fmt: skip


@pytest.mark.parametrize(("verdict", "code", "said"), VERDICTS)
def test_a_verdict_is_an_exit_code(
    fake: Fake, capsys: pytest.CaptureFixture[str], verdict: dict[str, Any], code: int, said: str
) -> None:
    fake.answer(json.dumps(verdict) + "\n")
    assert main(["audit", "--verify"]) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("answer", ["", "nonsense\n", "[1]\n", "[" * 5000 + "\n", b"\xff\xfe\n"])
def test_what_is_no_answer_is_said(fake: Fake, capsys: pytest.CaptureFixture[str], answer: str | bytes) -> None:
    fake.answer(answer)
    assert main(["audit"]) == 1
    assert capsys.readouterr().err.startswith("kubectl pdshub: pdshub-audit-0 answer")


def test_nothing_of_an_entry_acts_on_a_terminal(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    spoiled = {key: value + NASTY if isinstance(value, str) else value for key, value in ENTRIES[0].items()}
    fake.entries({**spoiled, NASTY: NASTY, "list": [NASTY]}, {"event": {"a": NASTY}, "user": 7, "at": None})
    assert main(["audit"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 3
    assert all(character.isprintable() for line in out.split("\n") for character in line)


WRONG = [
    ["--since", "yesterday"], ["--since", "-1h"], ["--since", "99999999999h"], ["--limit", "0"], ["--limit", "1e9"],
    ["--limit", "100001"], ["--hub", "../x"], ["--hub", "a/b/c"], ["--anchor", "7"], ["--anchor", "7:zz"], ["x"],
]  # fmt: skip


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_use_asks_nobody(fake: Fake, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["audit", *words])
    assert ended.value.code == 2 and not (fake.folder / "calls").exists()


WORD = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(user=WORD, event=WORD, limit=st.integers(1, 100_000))
def test_whatever_is_asked_arrives_as_it_was_asked(user: str, event: str, limit: int) -> None:
    parser = query.parser()
    args = argparse.Namespace(user=user, hub="", event=event, since="", limit=limit, verify=False, anchor="")
    found = parser.parse_args(asked.words_of(args))
    assert (found.user, found.event, found.limit, found.verify) == (user, event, limit, False)


QUESTIONS: list[tuple[list[str], list[int]]] = [
    ([], [1, 2, 3, 4, 5]),
    (["--user=bela@example.org"], [2, 4]),
    (["--user=BELA@example.org"], [2, 4]),
    (["--user=kim"], [4]),
    (["--user=allowed:bela@example.org"], [4]),
    (["--hub=ns/sbn"], [2, 4]),
    (["--hub=other"], [3, 5]),
    (["--event=sign-in-refused"], [5]),
    (["--user=eve"], [5]),
    (["--since=2026-01-01"], [4, 5]),
    (["--since=2027-01-01"], []),
    (["--limit=1"], [5]),
]


@pytest.mark.parametrize(("words", "numbers"), QUESTIONS, ids=[" ".join(words) for words, _ in QUESTIONS])
def test_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], numbers: list[int]) -> None:
    clock = ["2025-01-01T00:00:00Z"]
    log = AuditLog(tmp_path, 1 << 30, 200, lambda: clock[0])
    log.open()
    log.append([{"event": "access", "hub": "ns/sbn", "user": "root@example.org", "owner": "bela@example.org"}])
    log.append([{"event": "sign-in", "hub": "other/x", "user": "root@example.org"}])
    clock[0] = "2026-01-02T00:00:00Z"
    log.append([{"event": "list-change", "hub": "ns/sbn", "removed": ["allowed:bela@example.org"], "by": "kim"}])
    log.append([{"event": "sign-in-refused", "hub": "other/x", "user": "", "claimed": "eve"}])
    log.close()
    monkeypatch.setenv("PDSHUB_AUDIT_FOLDER", str(tmp_path))
    out = io.StringIO()
    assert query.main(words, out) == 0
    *found, last = [json.loads(line) for line in out.getvalue().splitlines()]
    events = [each["event"] for each in found if each["event"] != "log-opened"]
    names = {1: None, 2: "access", 3: "sign-in", 4: "list-change", 5: "sign-in-refused"}
    assert events == [names[number] for number in numbers if names[number]]
    assert last["shown"] == len(found)


def test_a_log_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PDSHUB_AUDIT_FOLDER", str(tmp_path / "none"))
    assert query.main([]) == 1 and "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "by"),
    [({"status": {"userInfo": {"username": "kim"}}}, "kim"), ({"status": {}}, None), ("nonsense", None)],
)
def test_who_makes_a_change(fake: Fake, answer: Any, by: str | None) -> None:
    """The plugin's note is what the audit log reads, for a change of the plugin at that time and no other."""
    fake.answer(json.dumps(answer))
    note = change.by(Kubectl(), ["users", "remove", "bela"])
    assert fake.calls() == [["auth", "whoami", "-o", "json"]]
    at = json.loads(note)["at"]
    assert at.endswith("Z")
    written = {"manager": PLUGIN, "time": at, "fieldsV1": {"f:spec": {"f:users": {"f:allowed": {}}}}}
    item = {"metadata": {"annotations": {CHANGED_BY: note}, "managedFields": [written]}}
    found = author.last_write(item, "spec", "users").fields
    assert found == {**({"by": by} if by else {"person": ELSEWHERE}), "manager": PLUGIN}
