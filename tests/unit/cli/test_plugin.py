"""``kubectl pdshub`` against a kubectl that records what it is asked and answers from files."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli import archive, outcome, words
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.main import main, parser
from pdshub.surveyor import schedule

NEW, SHOWN, OLD = (f"sha256:{c * 64}" for c in "abc")
VIEW: dict[str, Any] = {
    "metadata": {"name": "sbn"},
    "spec": {"folder": "small-bodies"},
    "status": {
        "form": "catalog",
        "surveyor": {"address": "10.96.0.7:9810", "namespace": "pdshub-surveyors"},
        "generation": {
            "name": SHOWN, "asOf": "2026-11-20T00:00:00Z", "counts": {"files": 7, "bytes": 70},
            "findings": {"error": 2},
        },
        "candidate": {
            "name": NEW, "reason": "WaitsForApproval", "message": "generation aaaa waits", "changes": {"filesAdded": 3},
        },
        "generations": [{"name": n, "asOf": "", "files": 7} for n in (NEW, SHOWN, OLD)],
        "survey": {"state": "idle", "lastFinished": "2026-11-21T00:00:00Z", "request": "t0"},
        "sources": [{"name": "main", "ready": True, "mode": "kernel-nfs"}],
        "nodes": [
            {"name": "n1", "ready": True, "form": "catalog", "generation": SHOWN, "targets": 2,
             "proof": {"ok": False, "at": "now", "message": "\x1b[31mx.dat: its content is another"}},
        ],
        "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "Released", "status": "False", "reason": "WaitsForApproval", "message": "it waits"},
        ],
    },
}  # fmt: skip
HUB = {
    "metadata": {"name": "planet", "namespace": "hubs"},
    "status": {"users": 3, "conditions": VIEW["status"]["conditions"]},
}
DEPLOYMENT = {
    "metadata": {
        "name": "survey-sbn",
        "namespace": "pdshub-surveyors",
        "ownerReferences": [{"kind": "ArchiveView", "name": "sbn"}],
    }
}
EXPLAINED = {
    "path": "x",
    "visible": True,
    "kind": "file",
    "from": [{"source": "main", "path": "x"}],
    "others": [],
    "decisions": [],
}
ABSENT = {
    "path": "x/none", "visible": False, "state": "absent", "others": [], "decisions": [], "notes": [],
    "parent": "x", "near": ["x/nine"],
}  # fmt: skip
DIFFED: dict[str, Any] = {
    "from": SHOWN, "to": NEW,
    "datasets": {"added": [{"dataset": "urn:x::1.0"}]}, "files": {"added": {"count": 3, "paths": ["x\n"]}},
}  # fmt: skip
DRIFTED = {"generation": SHOWN, "files": 7, "drifted": 1, "examples": ["m:x"]}
ONLY = {"generation": {"name": OLD}, "generations": [{"name": OLD}]}
FOUND = {
    "total": 2,
    "findings": [{"severity": "error", "kind": "conflict", "message": "two", "paths": ["p"], "count": 1}],
}
SURVEYOR = {"generations": [{"name": n, "accepted": n != SHOWN} for n in (NEW, SHOWN, OLD)]}
FAKE = """#!{python}
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
with open(here + "/calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "-i" in sys.argv:
    open(here + "/stdin", "w").write(sys.stdin.read())
words = [a for a in sys.argv[1:] if not a.startswith("--context") and not a.startswith("--kubeconfig")]
answers = json.load(open(here + "/answers"))
for key in sorted(answers, key=len, reverse=True):
    if all(part in words for part in key.split()):
        answer = answers[key]
        if isinstance(answer, str):
            sys.stderr.write(answer); sys.exit(1)
        sys.stderr.buffer.write(answer.pop("told", "").encode()) if isinstance(answer, dict) else None
        print(json.dumps(answer)); sys.exit(0)
sys.stderr.write("error: no answer to " + " ".join(words)); sys.exit(1)
"""


class Fake:
    """The recorded calls, and what is answered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "kubectl"
        program.write_text(FAKE.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.answers: dict[str, Any] = {
            "get archiveviews.pdshub.dev": {"items": [VIEW]},
            "get archiveviews.pdshub.dev sbn": VIEW,
            "get pdshubs.pdshub.dev": {"items": [HUB]},
            "get deployments.apps": {"items": [DEPLOYMENT]},
            "patch": {},
            "exec explain": EXPLAINED,
            "exec diff": DIFFED,
            "exec findings": FOUND,
            "exec status": SURVEYOR,
            "exec verify": {"generation": SHOWN, "files": 7, "drifted": 0, "examples": []},
        }

    def answer(self, **more: Any) -> None:
        self.answers |= {key.replace("__", ".").replace("_", " "): value for key, value in more.items()}

    def write(self) -> None:
        (self.folder / "answers").write_text(json.dumps(self.answers))

    def calls(self) -> list[list[str]]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("KUBECTL", raising=False)
    made = Fake(tmp_path)
    made.write()
    return made


def patch(change: dict[str, Any]) -> list[str]:
    manager = "--field-manager=kubectl-pdshub"
    return ["patch", archive.VIEWS, "sbn", manager, "--type=merge", "-p", json.dumps(change, separators=(",", ":"))]


def decided(field: str, name: str, note: dict[str, str] | None = None, **spec: None) -> list[str]:
    """A decision as it is written: the field, the opposite one away, and the note."""
    key = {"approved": "approved", "pin": "pinned", "rejected": "rejected"}[field]
    text = None if note is None else json.dumps({"generation": name, **note}, ensure_ascii=False)
    return patch({"spec": {field: name, **spec}, "metadata": {"annotations": {f"pdshub.dev/{key}": text}}})


def inside(*command: str, namespace: str = "pdshub-surveyors") -> list[str]:
    run = ["pdshub-surveyor", command[0], "--output", "json", *command[1:]]
    return ["exec", "-n", namespace, "deployment/survey-sbn", "-c", "surveyor", "--", *run]


@pytest.mark.parametrize(
    ("line", "last", "said"),
    [
        ("status", None, "planet"),
        ("archive status", None, "sbn   True"),
        ("archive status sbn", None, "Users see bbbbbbbbbbbb as of 2026-11-20T00:00:00Z: 7 files"),
        ("archive status sbn", None, "Released is False: it waits"),
        ("archive status sbn", None, "2 errors"),
        ("archive status sbn", None, r"FAILED now  \x1b[31mx.dat"),
        ("archive explain sbn x/y", inside("explain", "--generation", NEW, "--", "x/y"), "from main:x"),
        (
            "archive explain sbn x",
            None,
            "generation aaaaaaaaaaaa, which waits; users see bbbbbbbbbbbb\nx: file\n",
        ),
        ("archive explain sbn /archive/small-bodies/x/y", inside("explain", "--generation", NEW, "--", "x/y"), ""),
        ("archive explain sbn -- -x", inside("explain", "--generation", NEW, "--", "-x"), ""),
        (
            "archive explain sbn x --generation released",
            inside("explain", "--generation", SHOWN, "--", "x"),
            "generation bbbbbbbbbbbb, which users see\n",
        ),
        ("archive explain sbn x --generation waiting", inside("explain", "--generation", NEW, "--", "x"), "waits"),
        ("archive explain sbn x --generation newest", inside("explain", "--generation", NEW, "--", "x"), "waits"),
        (
            "archive explain sbn x --generation cccccccccccc",
            None,
            "generation cccccccccccc, which is kept; users see b",
        ),
        ("archive explain sbn x -o json", None, '"of": "waiting"'),
        ("archive explain sbn x --generation cccccccccccc", inside("explain", "--generation", OLD, "--", "x"), ""),
        ("archive diff sbn", inside("diff", SHOWN, NEW, "--limit", "1000"), "added urn:x::1.0"),
        ("archive diff sbn", inside("diff", SHOWN, NEW, "--limit", "1000"), r"x\n"),
        (
            "archive diff sbn cccccccccccc aaaaaaaaaaaa",
            inside("diff", OLD, NEW, "--limit", "1000"),
            "from bbbbbbbbbbbb",
        ),
        ("archive findings sbn", inside("findings", "--generation", NEW, "--limit", "1000"), "… 1 more"),
        (
            "archive findings sbn --generation released --limit 1",
            inside("findings", "--generation", SHOWN, "--limit", "1"),
            "generation bbbbbbbbbbbb, which users see\nerror: conflict: two",
        ),
        ("archive verify sbn", inside("verify", "--generation", SHOWN), "7 files, 0 differ"),
        ("archive pin sbn", decided("pin", SHOWN), "held at bbbbbbbbbbbb"),
        ("archive pin sbn sha256:cccccccccccc", decided("pin", OLD), "held at cccccccccccc"),
        ("archive pin sbn previous", decided("pin", OLD), "held at cccccccccccc"),
        ("archive unpin sbn", ["get", archive.VIEWS, "sbn", "-o", "json"], "was not pinned"),
        ("archive approve sbn", decided("approved", NEW), "approved aaaaaaaaaaaa: 3 files added"),
        ("archive approve sbn aaaaaaaaaaaaaaaa", decided("approved", NEW), "approved aaaaaaaaaaaa"),
        ("archive refresh sbn", None, "asked for a survey"),
        ("--output json archive pin sbn", None, None),
        ("archive pin sbn --output json", decided("pin", SHOWN), f'"pin": "{SHOWN}"'),
        ("archive status --output json", None, '"catalog"'),
    ],
)
def test_commands(
    kubectl: Fake, capsys: pytest.CaptureFixture[str], line: str, last: list[str] | None, said: str | None
) -> None:
    if said is None:
        with pytest.raises(SystemExit):
            main(line.split())
        return
    assert main(line.split()) == 0, capsys.readouterr().err
    assert said in capsys.readouterr().out
    if last:
        assert kubectl.calls()[-1] == last


@pytest.mark.parametrize(
    ("line", "change", "code", "words"),
    [
        ("archive status sbn", {"get_archiveviews__pdshub__dev_sbn": "Error: not found"}, 1, "Error: not found"),
        ("archive pin sbn bbbb", {}, 1, "at least its first 12 digits (aaaaaaaaaaaa, bbbbbbbbbbbb, cccccccccccc)"),
        ("archive pin sbn latest-and-best", {}, 1, "names no generation"),
        ("archive pin sbn dddddddddddd", {}, 1, "is not kept; there are"),
        ("archive approve sbn bbbbbbbbbbbb", {}, 1, "does not wait for a decision; aaaaaaaaaaaa does"),
        ("archive explain sbn x", {"get_deployments__apps": {"items": []}}, 1, "none in namespace pdshub-surveyors"),
        ("archive explain sbn x", {"get_deployments__apps": "forbidden"}, 1, "kubectl pdshub: forbidden"),
        ("archive explain sbn x -n there", {"get_deployments__apps": "forbidden"}, 1, "kubectl pdshub: forbidden"),
        ("archive explain sbn x", {"exec_explain": "Defaulted container\nno generation yet"}, 1, "hub: no gene"),
        ("archive verify sbn", {"exec_verify": DRIFTED}, 1, ""),
        ("archive explain sbn", {}, 2, "PATH"),
        ("archive explain sbn x --generation live", {}, 1, "is in no generation"),
        ("archive explain sbn x/none", {"exec_explain": ABSENT}, 1, ""),
        (
            "archive explain sbn sbn/x",
            {"exec_explain": ABSENT},
            2,
            "paths of this view begin with its folder, small-bodies: write /archive/small-bodies/x or x\n",
        ),
        ("archive explain sbn small-bodies/x/y", {"exec_explain": ABSENT}, 2, "write /archive/small-bodies/x/y or x/y"),
        ("archive explain sbn /archive/sbn/x", {}, 2, "write /archive/small-bodies/x or x\n"),
        ("archive explain sbn /archive/sbn", {}, 2, "write /archive/small-bodies\n"),
        ("archive explain sbn /x/y", {}, 2, "write /archive/small-bodies/x/y or x/y"),
        ("archive", {}, 2, "COMMAND"),
        ("nonsense", {}, 2, "invalid choice"),
    ],
)
def test_errors(
    kubectl: Fake, capsys: pytest.CaptureFixture[str], line: str, change: dict[str, Any], code: int, words: str
) -> None:
    kubectl.answer(**change)
    kubectl.write()
    try:
        made = main(line.split())
    except SystemExit as end:
        made = int(str(end.code))
    assert made == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "line", "words"),
    [
        ({}, "archive pin sbn", "users see no generation yet"),
        ({}, "archive approve sbn", "no generation waits"),
        (
            {"generation": {"name": OLD}, "generations": [{"name": OLD}]},
            "archive pin sbn previous",
            "no generation before",
        ),
    ],
)
def test_a_view_without_what_is_asked_for(
    kubectl: Fake, capsys: pytest.CaptureFixture[str], status: dict[str, Any], line: str, words: str
) -> None:
    found = {"surveyor": VIEW["status"]["surveyor"], **status}
    kubectl.answer(**{"get_archiveviews__pdshub__dev_sbn": {"metadata": {"name": "sbn"}, "spec": {}, "status": found}})
    kubectl.write()
    assert main(line.split()) == 1
    assert words in capsys.readouterr().err


def test_who_waits_reads_how_far_it_is(kubectl: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    kubectl.answer(exec_diff={**DIFFED, "told": "… 10000 of some 20000\nnoise\n… 20000 \x1b[1m\n"})
    kubectl.write()
    assert main(["archive", "diff", "sbn"]) == 0
    out, err = capsys.readouterr()
    assert err == "10000 of some 20000\n20000 \\x1b[1m\n" and "added urn:x::1.0" in out
    kubectl.answer(exec_diff="… 10000 of some 20000\npdshub-surveyor: no generation\n")
    kubectl.write()
    assert main(["archive", "diff", "sbn"]) == 1
    assert capsys.readouterr().err == "10000 of some 20000\nkubectl pdshub: pdshub-surveyor: no generation\n"


@pytest.mark.parametrize(
    ("changes", "words"),
    [(None, "what it changes is not known yet"), ({}, "no change of names"), ({"filesAdded": 3}, "3 files added")],
)
def test_what_a_candidate_brings(
    kubectl: Fake, capsys: pytest.CaptureFixture[str], changes: dict[str, Any] | None, words: str
) -> None:
    waits = {k: v for k, v in VIEW["status"]["candidate"].items() if k != "changes"}
    waits |= {} if changes is None else {"changes": changes}
    status = {**VIEW["status"], "candidate": waits}
    kubectl.answer(**{"get_archiveviews__pdshub__dev_sbn": {**VIEW, "status": status}})
    kubectl.write()
    assert main(["archive", "status", "sbn"]) == 0 and main(["archive", "approve", "sbn"]) == 0
    out = capsys.readouterr().out
    assert f"it brings: {words}" in out and f"approved aaaaaaaaaaaa: {words}" in out


def test_flags_are_handed_on(kubectl: Fake) -> None:
    there = {"metadata": {**DEPLOYMENT["metadata"], "namespace": "there"}}
    kubectl.answer(get_deployments__apps={"items": [there]})
    kubectl.write()
    assert main(["archive", "verify", "sbn", "--context", "prod", "--kubeconfig", "/k", "-n", "there"]) == 0
    for call in kubectl.calls():
        assert call[:2] == ["--context=prod", "--kubeconfig=/k"]
    assert kubectl.calls()[-2][2:6] == ["get", "deployments.apps", "-n", "there"]


ELSEWHERE = {"metadata": {"name": "sbn"}, "spec": {}, "status": {"surveyor": {"address": "10.96.0.7:9810"}}}
THERE = {**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], "namespace": "there"}}
FORGED = {**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], "name": "forged", "namespace": "tenant"}}
FOREIGN = {**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], "ownerReferences": []}}


@pytest.mark.parametrize(
    ("line", "answers", "where", "words"),
    [
        # what lies elsewhere, whatever it is labelled, is not asked for
        ("archive verify sbn", {"get deployments.apps -n tenant": {"items": [FORGED]}}, "pdshub-surveyors", ""),
        ("archive verify sbn -n there", {"get deployments.apps": {"items": [THERE]}}, "there", ""),
        ("archive verify sbn", {"get deployments.apps": {"items": [FOREIGN]}}, "pdshub-surveyors", "has no surveyor"),
        ("archive explain sbn x", {"get archiveviews.pdshub.dev sbn": ELSEWHERE}, "", "say with -n NAMESPACE"),
    ],
)
def test_surveyors_are_looked_for_in_one_namespace(
    kubectl: Fake, capsys: pytest.CaptureFixture[str], line: str, answers: dict[str, Any], where: str, words: str
) -> None:
    kubectl.answers |= answers
    kubectl.write()
    assert main(line.split()) == (1 if words else 0)
    assert words in capsys.readouterr().err
    asked = [call for call in kubectl.calls() if call[:2] == ["get", "deployments.apps"]]
    assert [call[2:4] for call in asked] == ([["-n", where]] if where else [])
    assert [call[:3] for call in kubectl.calls() if call[0] == "exec"] == ([] if words else [["exec", "-n", where]])
    assert not any("--all-namespaces" in call for call in kubectl.calls())


@pytest.mark.parametrize(
    ("survey", "code", "words"),
    [
        (lambda token: {"state": "idle", "request": token}, 0, "users see bbbbbbbbbbbb; generation aaaa waits"),
        (
            lambda token: {"state": "waiting", "request": token, "message": "2 datasets are still being copied"},
            0,
            "settling: 2 datasets are still being copied",
        ),
        (lambda token: {"state": "failed", "request": token, "message": "NAS is away"}, 1, "NAS is away"),
        (lambda token: {"state": "running", "request": "t0", "message": "reading main"}, 3, "no answer within 10 s"),
        (lambda token: {"state": "idle", "request": "t0"}, 3, "no answer"),
    ],
)
def test_refresh_waits(kubectl: Fake, survey: Callable[[str], dict[str, Any]], code: int, words: str) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        token = json.loads(kubectl.calls()[1][-1])["metadata"]["annotations"][archive.REFRESH]
        status = {**VIEW["status"], "survey": survey(token)}
        kubectl.answer(**{"get_archiveviews__pdshub__dev_sbn": {**VIEW, "status": status}})
        kubectl.write()

    args = parser().parse_args(["archive", "refresh", "sbn", "--wait", "--timeout", "10"])
    _, text, made = archive.refresh(Kubectl(), args, sleep, lambda: now[0])
    assert (made, words in text) == (code, True), text


@pytest.mark.parametrize(("words", "full"), [((), False), (("--full",), True)])
def test_refresh_says_how_much_is_read(kubectl: Fake, words: tuple[str, ...], full: bool) -> None:
    archive.refresh(Kubectl(), parser().parse_args(["archive", "refresh", "sbn", *words]))
    token = json.loads(kubectl.calls()[1][-1])["metadata"]["annotations"][archive.REFRESH]
    assert schedule.full(token, "") is full, "as the surveyor understands it"


def after(*kept: str, shown: str = "", waits: str = "", pin: str = "") -> dict[str, Any]:
    candidate = {"name": waits, "message": f"generation {waits[7:19]} waits", "changes": {"filesAdded": 3}}
    return {
        "metadata": {"name": "sbn"},
        "spec": {"pin": pin} if pin else {},
        "status": {
            **({"generation": {"name": shown}} if shown else {}),
            **({"candidate": candidate} if waits else {}),
            "generations": [{"name": name} for name in kept],
        },
    }


@pytest.mark.parametrize(
    ("before", "then", "kind", "said"),
    [
        (after(), after(NEW, shown=NEW), "released", "surveyed: aaaaaaaaaaaa is new\nusers see aaaaaaaaaaaa"),
        (
            after(SHOWN, shown=SHOWN),
            after(NEW, SHOWN, shown=NEW),
            "released",
            "surveyed: aaaaaaaaaaaa is new\nusers see aaaaaaaaaaaa instead of bbbbbbbbbbbb",
        ),
        (
            after(NEW, shown=NEW),
            after(NEW, shown=NEW),
            "unchanged",
            "surveyed: nothing has changed since the last survey\nusers see aaaaaaaaaaaa",
        ),
        (
            after(SHOWN, shown=SHOWN),
            after(NEW, SHOWN, shown=SHOWN, waits=NEW),
            "waits",
            "surveyed: aaaaaaaaaaaa is new\nusers see bbbbbbbbbbbb; generation aaaaaaaaaaaa waits\n"
            "  it brings: 3 files added",
        ),
        (
            after(NEW, waits=NEW),
            after(NEW, waits=NEW),
            "waits",
            "surveyed: nothing has changed since the last survey\nusers see the sources live; generation aaaaaaaaaaaa"
            " waits\n  it brings: 3 files added",
        ),
        (
            after(SHOWN, shown=SHOWN, pin=SHOWN),
            after(NEW, SHOWN, shown=SHOWN, pin=SHOWN),
            "pinned",
            "surveyed: aaaaaaaaaaaa is new\nthe view is pinned: users see bbbbbbbbbbbb",
        ),
        (after(), after(), "none", "surveyed; users see the sources live: there is no generation yet"),
    ],
)
def test_what_came_of_a_survey(before: dict[str, Any], then: dict[str, Any], kind: str, said: str) -> None:
    found, lines = outcome.of(before, then)
    assert (found, "\n".join(lines)) == (kind, said)


def test_without_kubectl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("KUBECTL", raising=False)
    assert main(["status"]) == 1
    assert "kubectl is not on PATH" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("proof", "word"),
    [
        ({"ok": True, "result": "intact", "message": "m"}, "ok now"),
        ({"ok": False, "result": "changing", "message": "changed on the NAS"}, "changing now changed on the NAS"),
        ({"ok": False, "result": "incomplete", "message": "a source"}, "incomplete now a source"),
        ({"ok": False, "result": "violated", "message": "a user could write"}, "FAILED now a user could write"),
        ({"ok": False, "message": "of a node of before"}, "FAILED now of a node of before"),
        ({"ok": True}, "ok now"),
    ],
)
def test_a_delivery_is_no_failed_proof(proof: dict[str, Any], word: str) -> None:
    node = {"name": "n1", "proof": {"at": "now", **proof}}
    text = words.view({"metadata": {"name": "sbn"}, "spec": {}, "status": {"nodes": [node]}})
    assert word in " ".join(text.splitlines()[-1].split())
