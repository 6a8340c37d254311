"""The archive of a hub, and the status of a view from what its nodes say."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.api.generation import Survey
from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus
from pdshub.installation import Allowed, Installation
from pdshub.reconcile.common.events import happened
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.hub.archive_state import archive_state, judge_volumes, name_conflict, notice_text
from pdshub.reconcile.hub.facts import ArchiveState
from pdshub.reconcile.view.observation import Observation
from pdshub.reconcile.view.readiness import node_states
from pdshub.reconcile.view.status import status_of
from pdshub.render import archive
from pdshub.render.archive import ViewRef
from pdshub.render.names import Names

NAMES = Names("ns", "demo")
OWN = ViewRef("ns-demo", "demo", True)
REFERRED = ViewRef("sbn", "sbn", False)
SPEC = ArchiveViewSpec.model_validate(
    {
        "sources": [
            {"name": "main", "nfs": {"server": "10.0.0.1", "export": "/main"}},
            {"name": "mission", "nfs": {"server": "10.0.0.2", "export": "/mission"}},
        ],
        "tree": [{"path": "pds4", "layers": [{"source": "main"}, {"source": "mission"}]}],
    }
)
ALLOWED = Allowed.model_validate({"allowed": [{"server": "10.0.0.0/24", "exports": ["/"]}]})
INSTALLATION = Installation(archive=ALLOWED)
NOW = 1000.0


def report(
    generation: int = 1,
    ready: bool = True,
    at: float = NOW,
    main: str = "",
    mode: str = "kernel-nfs",
    error: str = "",
    source: str = "",
    view: str = "",
    node: str = "n1",
    **more: Any,
) -> NodeReport:
    """A node's word; ``main`` is what is wrong with source main; ``source`` and ``view`` are their states; ``more``: of
    the view."""
    well = {"ready": True, "mode": mode, "message": ""}
    body: dict[str, Any] = {
        "views": {"sbn": {"generation": generation, "form": "live", "ready": ready, "targets": 2, "message": ""}},
        "sources": {"sbn": {"main": {**well, "ready": not main, "message": main}, "mission": well}},
    }
    body["views"]["sbn"].update({"state": view, **more} if view else more)
    body["sources"]["sbn"]["main"].update({"state": source} if source else {})
    return NodeReport(node, body, at, error)


NEW = "sha256:" + "ab" * 32
FULL = "no room for generation abababababab: it takes 9 MiB; raise nodePlugin.generations.maxBytes"
AWAY: dict[str, Any] = {"main": "not looked at yet", "ready": False}
SILENT = NodeReport("n1", {}, 0.0, "the node plugin does not answer: refused")
CASES: list[tuple[str, dict[str, NodeReport], str, str, list[str]]] = [
    ("well", {"n1": report()}, "True", "Complete", ["kernel-nfs", "1 node"]),
    ("by the helper", {"n1": report(mode="user-space-nfs")}, "True", "Complete", ["user-space-nfs"]),
    ("no plugin", {}, "Unknown", "NoNodePlugin", ["pdshub-node"]),
    ("never answered", {"n1": SILENT}, "Unknown", "NoReport", ["n1", "refused"]),
    (
        "a source is away",
        {"n1": report(main="connection refused", ready=False)},
        "False",
        "SourceUnreachable",
        ["main", "10.0.0.1:/main", "connection refused", "n1"],
    ),
    ("just restarting", {"n1": report(at=NOW - 20, error="no answer")}, "True", "Complete", []),
    ("silent for long", {"n1": report(at=NOW - 40, error="no answer")}, "False", "NodeSilent", ["n1", "no answer"]),
    ("not yet taken up", {"n1": NodeReport("n1", {"views": {}}, NOW)}, "Unknown", "Progressing", ["n1"]),
    ("older generation", {"n1": report(generation=0, ready=False)}, "Unknown", "Progressing", ["generation"]),
    ("view broken", {"n1": report(ready=False)}, "False", "ViewNotReady", ["n1"]),
    (
        "first attempt under way",
        {"n1": report(**AWAY, source="connecting", view="connecting")},
        "Unknown",
        "Connecting",
        ["main", "10.0.0.1:/main", "connected", "n1"],
    ),
    (
        "first attempt failed",
        {"n1": report(**AWAY, source="failed", view="failed")},
        "False",
        "SourceUnreachable",
        ["not looked at yet"],
    ),
    ("reached, being mounted", {"n1": report(ready=False, view="connecting")}, "Unknown", "Connecting", ["n1"]),
    ("reached, not mounted", {"n1": report(ready=False, view="failed")}, "False", "ViewNotReady", ["n1"]),
    (
        "a failure on one node is not hidden by another that connects",
        {"n1": report(**AWAY, source="connecting", view="connecting"), "n2": report(main="timeout")},
        "False",
        "SourceUnreachable",
        ["n2", "timeout"],
    ),
    (
        "a new node connects",
        {"n1": report(), "n2": report(**AWAY, source="connecting", view="connecting")},
        "Unknown",
        "Connecting",
        ["node n2"],
    ),
    (
        "every node connects",
        {n: report(**AWAY, source="connecting", view="connecting") for n in ("n1", "n2")},
        "Unknown",
        "Connecting",
        ["every node"],
    ),
    (
        "no room on a node, which goes on showing what it had",
        {"n1": report(), "n2": report(node="n2", fetching=NEW, fetchReason="NoRoom", fetchMessage=FULL)},
        "False",
        "GenerationNoRoom",
        [f"node n2: {FULL}"],
    ),
    (
        "no room on a node without pods",
        {"n1": report(ready=False, view="failed", fetching=NEW, fetchReason="NoRoom", fetchMessage=FULL)},
        "False",
        "GenerationNoRoom",
        [f"node n1: {FULL}"],
    ),
    (
        "an image that was refused, and a node without room",
        {
            "n1": report(fetching=NEW, fetchReason="Refused", fetchMessage="a.erofs: no EROFS image"),
            "n2": report(node="n2", fetching=NEW, fetchReason="NoRoom", fetchMessage=FULL),
        },
        "False",
        "GenerationNoRoom",
        ["node n1: a.erofs: no EROFS image", f"node n2: {FULL}"],
    ),
    (
        "a refused image",
        {"n1": report(fetching=NEW, fetchReason="Refused", fetchMessage="a.erofs: no EROFS image")},
        "False",
        "GenerationRefused",
        ["node n1: a.erofs: no EROFS image"],
    ),
    ("a reason of a newer plugin", {"n1": report(fetching=NEW, fetchReason="Other")}, "True", "Complete", []),
    ("a reason for what is here by now", {"n1": report(fetchReason="NoRoom")}, "True", "Complete", []),
    ("one of two", {"n1": report(), "n2": report(main="timeout")}, "False", "SourceUnreachable", ["n2", "timeout"]),
]


def status(reports: dict[str, NodeReport], allowed: Allowed = ALLOWED) -> ArchiveViewStatus:
    seen = Observation("sbn", {}, 1, ArchiveViewStatus(), NOW, spec=SPEC, reports=reports, allowed=allowed)
    return status_of(seen, "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(("reports", "ready", "reason", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_view_status(reports: dict[str, NodeReport], ready: str, reason: str, says: list[str]) -> None:
    (condition,) = status(reports).conditions
    assert (condition.status, condition.reason) == (ready, reason)
    assert all(word in condition.message for word in says)


def test_a_server_that_is_not_allowed_is_named_with_the_fix() -> None:
    found = status({"n1": report()}, Allowed())
    assert found.conditions[0].reason == "NotAllowed"
    assert "archive.allowed " in found.conditions[0].message
    assert not any(row.ready for row in found.sources)


@pytest.mark.parametrize(
    "junk",
    [
        {"views": 1},
        {"sources": {"sbn": []}},
        {"views": {"sbn": "x"}},
        {"views": {"sbn": {"generation": 1, "ready": "no"}}},
        {"views": {"sbn": {"generation": True, "ready": True}}},
        {"views": {"sbn": {"generation": 1, "ready": True}}, "sources": {"sbn": {"main": {"ready": "no"}}}},
    ],
)
def test_a_strange_report_is_no_crash(junk: dict[str, Any]) -> None:
    assert status({"n1": NodeReport("n1", junk, NOW)}).conditions[0].status != "True"


def test_a_source_that_connects_is_neither_ready_nor_an_alarm() -> None:
    found = status({"n1": report(**AWAY, source="connecting", view="connecting")})
    main, mission = found.sources
    assert not main.ready and "not looked at" not in main.message and mission.ready
    assert found.nodes[0].message == "is connecting to the sources"
    (condition,) = found.conditions
    view = seen(condition.status, reason=condition.reason)
    judged = archive_state(REFERRED, view, None, INSTALLATION)
    assert (judged.ready, judged.reason, notice_text(judged)) == (None, "Connecting", "")
    assert happened([], found.conditions) == []


HELD = {"pod": "u1", "generation": NEW, "since": "2026-01-01T00:00:00Z", "until": "2026-01-01T01:00:00Z"}


@pytest.mark.parametrize(
    ("answers", "held", "named"),
    [
        ({"n1": report()}, [0], [[]]),
        ({"n1": report(heldServers=[HELD]), "n2": report(node="n2")}, [1, 0], [["u1"], []]),
        (
            {"n1": report(heldServers=[{**HELD, "pod": "../../etc"}])},
            [0],
            [[]],
        ),  # whoever holds a node holds its answer
        ({"n1": report(heldServers=[HELD], at=NOW - 40, error="no answer")}, [1], [["u1"]]),
        (
            {n: report(node=n, heldServers=[{**HELD, "pod": f"{n}-{i}"} for i in range(300)]) for n in ("n1", "n2")},
            [300, 300],
            [[f"n1-{i}" for i in range(300)], [f"n2-{i}" for i in range(200)]],
        ),
    ],
)
def test_held_servers(answers: dict[str, NodeReport], held: list[int], named: list[list[str]]) -> None:
    nodes = node_states("sbn", 1, answers, NOW)
    assert [node.held for node in nodes] == held
    assert [[server.pod for server in node.held_servers] for node in nodes] == named
    assert {server.generation for node in nodes for server in node.held_servers} <= {"abababababab"}


def seen(ready: str | None, generation: int = 1, observed: int = 1, reason: str = "R") -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "reason": reason, "message": "words"}] if ready else []
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": observed, "conditions": conditions},
    }


@pytest.mark.parametrize(
    ("view", "found", "ready", "says"),
    [
        (OWN, None, None, "being made"),
        (REFERRED, None, False, "viewRef"),
        (REFERRED, seen(None), None, "no node has reported"),
        (REFERRED, seen("True", 2, 1), None, "no node has reported"),
        (REFERRED, seen("True"), True, "words"),
        (REFERRED, seen("False"), False, "words"),
        (REFERRED, seen("Unknown"), None, "words"),
    ],
)
def test_state(view: ViewRef, found: dict[str, Any] | None, ready: bool | None, says: str) -> None:
    judged = archive_state(view, found, None, INSTALLATION)
    assert judged.ready is ready and says in judged.message
    assert bool(notice_text(judged)) is (ready is False)


@pytest.mark.parametrize(
    ("reason", "itself"), [("SourceUnreachable", True), ("NotAllowed", False), ("NoSuchView", False)]
)
def test_users_are_told_whether_to_wait(reason: str, itself: bool) -> None:
    assert ("by themselves" in notice_text(ArchiveState(False, reason, "why"))) is itself


def test_an_inline_archive_of_a_server_that_is_not_allowed() -> None:
    judged = archive_state(OWN, seen("True"), SPEC, Installation())
    assert judged.ready is False and "10.0.0.1" in judged.message and "archive.allowed " in judged.message


@pytest.mark.parametrize("ready", ["True", "False", "Unknown"])
def test_an_inline_archive_that_asks_for_too_large_a_store_is_shown_all_the_same(ready: str) -> None:
    asks = SPEC.model_copy(update={"survey": Survey(storage="200Gi")})
    within, beyond = (archive_state(OWN, seen(ready), spec, INSTALLATION) for spec in (SPEC, asks))
    assert (beyond.ready, beyond.reason, notice_text(beyond)) == (within.ready, within.reason, notice_text(within))
    said = "spec.archive.inline.survey.storage: 200Gi" in beyond.message and "surveyor.maxStorage" in beyond.message
    assert said is (ready != "False"), "what is broken comes first, and is what users read"
    assert "survey.storage" not in archive_state(REFERRED, seen(ready), None, INSTALLATION).message


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, ""),
        ({"pdshub.dev/namespace": "a", "pdshub.dev/hub": "b-c"}, ""),
        ({"pdshub.dev/namespace": "a-b", "pdshub.dev/hub": "c"}, "belongs to PDSHub a-b/c"),
        ({"pdshub.dev/namespace": "a"}, "was not made for a PDSHub"),
        ({}, "was not made for a PDSHub"),
    ],
)
def test_names_of_two_hubs_that_meet(found: dict[str, str] | None, says: str) -> None:
    mine = Names("a", "b-c")
    assert mine.own_view == Names("a-b", "c").own_view
    view = None if found is None else {"metadata": {"name": mine.own_view, "labels": found}}
    said = name_conflict("ArchiveView", view, mine)
    assert (says in said and "another name" in said) if says else not said


def claim(view: str = "ns-demo", uid: str = "u1", going: bool = False, phase: str = "Bound") -> dict[str, Any]:
    made = {**archive.claim(NAMES, view), "status": {"phase": phase}}
    made["metadata"].update({"uid": uid, **({"deletionTimestamp": "x"} if going else {})})
    return made


def volume(view: str = "ns-demo", uid: str | None = "u1", going: bool = False) -> dict[str, Any]:
    made = archive.volume(NAMES, view)
    made["metadata"].update({"resourceVersion": "1", **({"deletionTimestamp": "x"} if going else {})})
    if uid:
        made["spec"]["claimRef"]["uid"] = uid
    return made


VOLUMES: list[tuple[str, list[Any], list[Any], list[str], bool, int]] = [
    ("nothing there", [], [], ["create", "create"], False, 0),
    ("all there", [claim()], [volume()], [], False, 0),
    ("not bound yet", [claim()], [volume(uid=None)], [], False, 0),
    ("claim lost, volume released", [], [volume()], ["rebind", "create"], False, 0),
    ("another claim of that name", [claim(uid="u2")], [volume()], ["rebind"], False, 0),
    ("claim going", [claim(going=True)], [volume()], [], True, 0),
    ("volume going", [], [volume(going=True)], [], True, 0),
    ("an earlier view", [claim(), claim("sbn")], [volume(), volume("sbn")], [], False, 2),
    ("an earlier view going", [claim(), claim("sbn", going=True)], [volume()], [], False, 0),
]


@pytest.mark.parametrize(
    ("claims", "volumes", "how", "settling", "stale"), [c[1:] for c in VOLUMES], ids=[c[0] for c in VOLUMES]
)
def test_volumes(claims: list[Any], volumes: list[Any], how: list[str], settling: bool, stale: int) -> None:
    found = judge_volumes(NAMES, OWN, claims, volumes)
    assert [step.how for step in found.steps] == how
    assert bool(found.settling) is settling
    assert len(found.stale) == stale


@pytest.mark.parametrize(("phase", "said"), [("Bound", False), ("Pending", True), ("Lost", True)])
def test_a_claim_that_is_not_bound_is_said(phase: str, said: bool) -> None:
    assert bool(judge_volumes(NAMES, OWN, [claim(phase=phase)], [volume()]).unbound) is said


def test_a_hub_without_archive_lets_all_volumes_go() -> None:
    assert len(judge_volumes(NAMES, None, [claim()], [volume()]).stale) == 2
