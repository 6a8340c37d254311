"""What people who are not trusted write never acts on a terminal, and no pod of theirs is taken for the surveyor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive.findings import printable
from pdshub.cli.main import main
from pdshub.cli.terminal import safe
from tests.unit.cli.test_plugin import (
    ABSENT,
    DEPLOYMENT,
    DIFFED,
    DRIFTED,
    EXPLAINED,
    FOUND,
    HUB,
    NEW,
    OLD,
    SHOWN,
    SURVEYOR,
    VIEW,
    Fake,
    inside,
)
from tests.unit.cli.test_plugin import kubectl as kubectl

META = {**DEPLOYMENT["metadata"], "namespace": "pdshub-system"}
THERE = {**VIEW, "status": {**VIEW["status"], "surveyor": {"address": "10.0.0.1:9810", "namespace": "pdshub-system"}}}
NASTY = "\x1b[2J\x1b]0;t\x07\x9b1m\r\u202egnp\u2066\u200b\x00\nFORGED: users see all\n\ud800"
NAMES = {NEW, SHOWN, OLD, "sbn", "survey-sbn", "pdshub-system", "ArchiveView", "visible", "hidden", "absent"}
WORDS = {"True", "False", "Unknown", "Ready", "Released", "idle", "running", "failed", "catalog", "live", "t0"}


def spoiled(value: Any, key: str = "") -> Any:
    """Every text that is no name or word of the protocol, followed by all that can harm; keys of answers stay."""
    if isinstance(value, str):
        return value if value in NAMES | WORDS else value + NASTY
    if isinstance(value, Mapping):
        return {name: spoiled(held, name) for name, held in value.items()}
    if isinstance(value, list):
        return [spoiled(held, key) for held in value]
    return value


EXPLAINED_MORE = {
    **EXPLAINED,
    "dataset": {"name": "urn:x"},
    "others": [{"source": "m", "path": "p", "reason": "r"}],
    "decisions": [{"dataset": "d", "source": "s", "root": "r", "state": "hidden", "reason": "why"}],
    "notes": ["note"],
}
DIFFED_MORE = {
    **DIFFED,
    "asOf": "now",
    "datasets": {
        "added": [{"dataset": "urn:x"}],
        "replaced": [{"dataset": "urn:y", "was": "urn:z", "from": "a", "to": "b"}],
        "rehomed": [{"dataset": "urn:w", "from": "a", "to": "b"}],
    },
}
PLANNED: dict[str, Any] = {
    **DIFFED_MORE,
    "against": SHOWN,
    "asOf": "now",
    "alone": {"datasets": {"added": 1}, "files": {"added": 1}},
    "findings": {"new": FOUND["findings"], "gone": FOUND["findings"]},
    "counts": {"files": 1, "directories": 1, "bytes": 1},
}
DECISIONS = [
    {"kind": "Pinned", "generation": OLD, "by": "ada", "manager": "m", "at": "t1", "reason": "r"},
]
FULL = {
    **THERE,
    "spec": {"folder": "small-bodies"},
    "status": {
        **THERE["status"],
        "decisions": DECISIONS,
        "survey": {"state": "failed", "message": "m", "lastFinished": "l", "request": "t0"},
    },
}
MANIFEST = {
    "kind": "ArchiveView",
    "metadata": {"name": "sbn"},
    "spec": {
        "sources": [{"name": "main", "nfs": {"server": "nas", "export": "/pds"}}],
        "tree": [{"path": "x", "layers": [{"source": "main"}]}],
    },
}
COMMANDS = [
    "status",
    "archive status",
    "archive status sbn",
    "archive explain sbn x",
    "archive diff sbn",
    "archive findings sbn",
    "archive verify sbn",
    "archive refresh sbn",
    "archive refresh sbn --wait --timeout 0",
    "archive pin sbn",
    "archive pin sbn previous",
    "archive unpin sbn",
    "archive approve sbn",
    "archive reject sbn",
    "archive plan -f {file}",
]


@pytest.fixture
def hostile(kubectl: Fake) -> Fake:
    """Whatever kubectl answers is spoiled, and what it says beside it, too."""
    deleting = {**FULL, "metadata": {**FULL["metadata"]}}
    kubectl.answers |= {
        "get archiveviews.pdshub.dev": {"items": [deleting]},
        "get archiveviews.pdshub.dev sbn": deleting,
        "get pdshubs.pdshub.dev": {"items": [HUB]},
        "get deployments.apps": {"items": [{"metadata": META}]},
        "exec explain": EXPLAINED_MORE,
        "exec diff": DIFFED_MORE,
        "exec findings": FOUND,
        "exec status": SURVEYOR,
        "exec verify": DRIFTED,
        "exec plan": PLANNED,
        "auth whoami": {"status": {"userInfo": {"username": "ada"}}},
    }
    kubectl.answers = {key: spoiled(value) for key, value in kubectl.answers.items()}
    for key in ("exec explain", "exec diff", "exec plan"):
        kubectl.answers[key]["told"] = "… half way\x1b[2J\u202e\nFORGED: all is well\n"
    (kubectl.folder / "view.yaml").write_text(json.dumps(MANIFEST))
    kubectl.write()
    return kubectl


def harmless(text: str, extra: str = "") -> None:
    lines = text.split("\n")
    assert all(c.isprintable() for line in lines for c in line), text
    assert not [line for line in lines if line.startswith("FORGED")], text


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_that_is_printed_acts(hostile: Fake, capsys: pytest.CaptureFixture[str], command: str) -> None:
    line = command.format(file=hostile.folder / "view.yaml").split()
    main(line)
    printed = capsys.readouterr()
    harmless(printed.out)
    harmless(printed.err)
    assert printed.out or printed.err


@pytest.mark.parametrize("command", COMMANDS)
def test_json_stays_json(hostile: Fake, capsys: pytest.CaptureFixture[str], command: str) -> None:
    line = command.format(file=hostile.folder / "view.yaml").split()
    main([*line, "--output", "json"])
    printed = capsys.readouterr()
    harmless(printed.out)
    harmless(printed.err)
    if printed.out:
        json.loads(printed.out, parse_constant=lambda text: pytest.fail(text))


@pytest.mark.parametrize("command", [c for c in COMMANDS if "plan" not in c])
def test_what_kubectl_complains_of_is_text(kubectl: Fake, capsys: pytest.CaptureFixture[str], command: str) -> None:
    kubectl.answers = {key: "error: no\x1b[2J\u202e\nFORGED: users see all\r" for key in kubectl.answers}
    kubectl.write()
    assert main(command.split()) == 1
    printed = capsys.readouterr()
    assert not printed.out
    harmless(printed.err)


@pytest.mark.parametrize("text", ["NaN", "[]", "7", '"x"', "[" * 100_000, '{"a": Infinity}', "\x1b[2J"])
def test_what_is_no_answer(kubectl: Fake, capsys: pytest.CaptureFixture[str], text: str) -> None:
    program = kubectl.folder / "kubectl"
    kept = kubectl.folder / "real"
    kept.write_text(program.read_text())
    kept.chmod(0o755)
    (kubectl.folder / "text").write_text(text)
    program.write_text(f'#!/bin/sh\ncase "$*" in exec*) cat {kubectl.folder}/text;; *) exec {kept} "$@";; esac\n')
    assert main(["archive", "findings", "sbn"]) == 1
    printed = capsys.readouterr()
    assert "is not understood" in printed.err and len(printed.err) < 1000
    harmless(printed.err)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 東", "plain é 東"),
        ("\x1b[1m", r"\x1b[1m"),
        ("a\nb\r\t", r"a\nb\r\t"),
        ("\u202e\u2066\u200b", r"\u202e\u2066\u200b"),
        ("\x9b\x7f\0", r"\x9b\x7f\x00"),
        ("x\udcff", r"x\xff"),
        ("\ud800\udcff", r"\ud800\udcff"),
        ("\u2028\u2029\u00a0", r"\u2028\u2029\xa0"),
    ],
)
def test_one_function_makes_text_harmless(text: str, shown: str) -> None:
    assert printable(text) == shown == printable(shown)
    assert safe({text: [text, 1, None, {"a": text}]}) == {shown: [shown, 1, None, {"a": shown}]}


# --- which pod is asked ----------------------------------------------------------------------------------------------

LOOKALIKES: list[tuple[str, dict[str, Any]]] = [
    ("in another namespace", {**META, "namespace": "tenant"}),
    ("of another view", {**META, "ownerReferences": [{"kind": "ArchiveView", "name": "other"}]}),
    ("of another kind", {**META, "ownerReferences": [{"kind": "PDSHub", "name": "sbn"}]}),
    ("of a view that is gone", {**META, "ownerReferences": [{"kind": "ArchiveView", "name": "sbn", "uid": "old"}]}),
    ("of nobody", {"name": "survey-sbn", "namespace": "pdshub-system"}),
    ("where the view's status does not say", {**META, "namespace": "pdshub-surveyors"}),
]


@pytest.mark.parametrize("meta", [item[1] for item in LOOKALIKES], ids=[item[0] for item in LOOKALIKES])
def test_a_deployment_that_only_looks_like_a_surveyor(
    kubectl: Fake, capsys: pytest.CaptureFixture[str], meta: dict[str, Any]
) -> None:
    kubectl.answers["get archiveviews.pdshub.dev sbn"] = THERE
    kubectl.answer(get_deployments__apps={"items": [{"metadata": meta}]})
    kubectl.write()
    assert main(["archive", "explain", "sbn", "x"]) == 1
    assert "has no surveyor" in capsys.readouterr().err
    assert not [call for call in kubectl.calls() if call[0] == "exec"]


@pytest.mark.parametrize(("flags", "namespace"), [([], "pdshub-system"), (["-n", "there"], "there")])
@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_one_namespace_is_asked(
    kubectl: Fake, flags: list[str], namespace: str, first: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl.answers["get archiveviews.pdshub.dev sbn"] = THERE
    ours = {"metadata": {**META, "namespace": namespace}}
    theirs = {"metadata": {**META, "namespace": "tenant"}}
    kubectl.answer(get_deployments__apps={"items": [theirs, ours] if first == "theirs" else [ours, theirs]})
    kubectl.write()
    assert main(["archive", "findings", "sbn", *flags]) == 0, capsys.readouterr().err
    asked = [call for call in kubectl.calls() if "deployments.apps" in call]
    assert [call[call.index("-n") + 1] for call in asked] == [namespace]
    assert not [call for call in kubectl.calls() if "--all-namespaces" in call or "-A" in call]
    assert kubectl.calls()[-1] == inside("findings", "--generation", NEW, "--limit", "1000", namespace=namespace)


def test_absent_paths_are_text_too(hostile: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    hostile.answers["exec explain"] = spoiled(ABSENT)
    hostile.write()
    assert main(["archive", "explain", "sbn", "x"]) == 1
    harmless(capsys.readouterr().out)


IN_PODS = (
    *("aside.py", "dial.py", "home_compare.py", "home_look.py"),
    *("import_database_pod.py", "import_receiver.py"),
)
"""These run in pods, and answer in JSON."""


def test_there_is_one_way_to_the_terminal() -> None:
    folder = Path(main.__code__.co_filename).parent
    for file in sorted(folder.glob("*.py")):
        if file.name not in ("terminal.py", *IN_PODS):
            for word in ("print(", "stdout.write", "stderr.write", "sys.exit(str"):
                text = file.read_text().replace("_printed(", "").replace("printable(", "")
                assert word not in text, f"{file.name}: {word}"
