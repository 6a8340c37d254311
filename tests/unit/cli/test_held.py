"""Servers that are held at another generation: by name in ``archive status`` and ``why``, counted in ``status``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.cli import held, words
from tests.manual import Same, steps
from tests.unit.cli.backup_cluster import ADA
from tests.unit.cli.day_two_cluster import READY, DayTwoCluster, pod
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless

OLD, NEW, SINCE, UNTIL = "c" * 12, "b" * 12, "2026-11-26T08:00:00Z", "2026-11-26T09:00:00Z"
BELA = "bela@example.org"


def server(uid: str = "uid-jupyter-ada", until: str = UNTIL, **more: Any) -> dict[str, Any]:
    """A held server, as the status of a view has it."""
    return {"pod": uid, "generation": OLD, "since": SINCE, "until": until, **more}


def view(*servers: dict[str, Any], node: str = "n1", held: int | None = None, **more: Any) -> tuple[str, Any]:
    """A view that one node shows."""
    shows = {"name": node, "ready": True, "targets": 3, "generation": "sha256:" + "b" * 64,
             "held": len(servers) if held is None else held, "heldServers": list(servers), **more}  # fmt: skip
    status = {"generation": {"name": "sha256:" + "b" * 64, "asOf": SINCE}, "nodes": [shows]}
    return "view", {"metadata": {"name": "sbn"}, "status": status}


def cluster(*objects: tuple[str, Any]) -> DayTwoCluster:
    """A hub that shows the view, where ada has a server."""
    return DayTwoCluster(pod(conditions=[READY]), *objects, archive={"viewRef": "sbn"})


LATER = f"until {UNTIL} at the latest"
BY_POLICY = server(until="")
CASES: list[tuple[str, tuple[str, Any], str, str, str, str]] = [
    ("nobody", view(), "", "", "", f"{NEW}\n"),
    ("an operator of before", ("view", {"metadata": {"name": "sbn"}, "status": {"nodes": [{"name": "n1"}]}}), "", "",
     "", "not said by its node; released is -"),
    ("in use", view(server()), f"{OLD}  {ADA}  hub        n1    {SINCE}  {UNTIL}", f"{OLD} 1, {LATER}",
     f"{OLD} since {SINCE} as somebody works in it, {LATER}", f"{OLD}, since"),
    ("by the hub's policy", view(BY_POLICY), f"{OLD}  {ADA}  hub        n1    {SINCE}  its server ends",
     f"{OLD} 1, until their servers end", "by archive.updates: nextServer of the hub", f"released is {NEW}"),
    ("since when is not known", view(server(since="")), "n1    -", LATER, f"{OLD} as somebody works in it", OLD),
    ("the sources live", view(server(generation="live")), f"live     {ADA}", "live 1", "live since", "live, since"),
    ("a pod that is gone", view(server("uid-gone")), f"{OLD}  pod uid-gone  -", "", "", f"{NEW}\n"),
    ("a node that speaks of another node's pod", view(server(), node="n2"), "pod uid-jupyter-ada  -", "", "",
     "not said by its node"),
    ("what has no shape", view(7, {}, {"pod": 7, "generation": [], "since": {}}), "pod   ", "", "",  # type: ignore[arg-type]
     f"{NEW}\n"),
    ("a node that is behind", view(generation="sha256:" + "d" * 64), "", "", "",
     f"{'d' * 12}; released is {NEW}, which its node does not show yet"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "table", "screen", "why", "shows"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_people_read(call: Call, found: tuple[str, Any], table: str, screen: str, why: str, shows: str) -> None:
    where = cluster(found)
    for line, said, mark in (
        ("archive status sbn", table, "HELD AT"),
        ("status --hub hub/sbn", screen, "are held at another"),
        (f"why {ADA}", why, "held: its archive is generation"),
    ):
        code, out, err = call(where, line)
        assert code == 0 and said in out and (mark in out) is bool(said), out + err
    (fact,) = [text for text in out.splitlines(keepends=True) if text.startswith("  generation:")]
    assert shows in fact


def test_what_programs_read(call: Call) -> None:
    bela = pod("jupyter-bela", BELA, annotations={})
    bela[1]["metadata"]["namespace"] = "elsewhere"
    where = cluster(view(server(), server("uid-jupyter-bela", "", since="2026-11-26T07:00:00Z")), bela)
    mine = {"user": ADA, "namespace": "hub", "pod": "jupyter-ada", "uid": "uid-jupyter-ada", "node": "n1",
            "generation": OLD, "since": SINCE, "until": UNTIL}  # fmt: skip
    hers = {"user": BELA, "namespace": "elsewhere", "pod": "jupyter-bela", "uid": "uid-jupyter-bela", "node": "n1",
            "generation": OLD, "since": "2026-11-26T07:00:00Z", "until": None}  # fmt: skip
    answer = json.loads(call(where, "archive status sbn -o json")[1])
    assert answer["held"] == [hers, mine] and answer["notes"] == [] and answer["metadata"]["name"] == "sbn"
    (summary,) = json.loads(call(where, "status -o json")[1])["summary"]
    assert summary["archive"]["held"] == [mine], "of the hub alone"
    answer = json.loads(call(where, f"why {ADA} -o json")[1])
    assert answer["held"] == mine and answer["reasons"] == [], "it keeps nobody from working"
    assert json.loads(call(cluster(view()), f"why {ADA} -o json")[1])["held"] is None


def test_the_views_in_lines(call: Call) -> None:
    _, out, _ = call(cluster(view(server(), BY_POLICY)), "archive status")
    assert [line.split()[-1] for line in out.splitlines()] == ["HELD", "2"]
    _, out, _ = call(cluster(view()), "archive status")
    assert [line.split()[-1] for line in out.splitlines()] == ["HELD", "-"]


@pytest.mark.parametrize(
    ("line", "said", "key"),
    [
        ("archive status sbn", f"{OLD}  pod uid-jupyter-ada", "pods of servers: not read: pods is forbidden"),
        ("status", "note         pods of servers: not read: pods is forbidden", "pods is forbidden"),
        (f"why {ADA}", "note: pods of servers: not read: pods is forbidden", "pods is forbidden"),
    ],
)
def test_who_may_not_list_pods_is_told_so(call: Call, line: str, said: str, key: str) -> None:
    where = cluster(view(server()))
    where.broken["get pods"] = "pods is forbidden"
    code, out, err = call(where, line)
    assert code == 0 and said in out and key in out, out + err


def test_who_may_not_read_the_view(call: Call) -> None:
    where = cluster(view(server()))
    where.broken["get archiveviews"] = "archiveviews is forbidden"
    _, out, err = call(where, f"why {ADA}")
    assert "no archive view that can be read here" in out and "the archive view: not read" in out, out + err


def test_nobody_is_held_and_no_pods_are_asked_for(call: Call) -> None:
    where = cluster(view())
    call(where, "archive status sbn")
    call(where, "status")
    assert not [line for line in where.calls if line[:2] == ("get", "pods")]


def test_more_are_held_than_the_status_names(call: Call) -> None:
    where = cluster(view(server(), held=700))
    for line in ("archive status sbn", "status"):
        assert "699 more servers are held than the status of the view names" in call(where, line)[1]


def test_nothing_of_a_pod_acts_on_a_terminal(call: Call) -> None:
    _, found = view(server(generation=NASTY, since=NASTY, until=NASTY))
    who = pod(user=NASTY)
    where = DayTwoCluster(who, ("view", found), archive={"viewRef": "sbn"})
    for line in ("archive status sbn", "status", "archive status sbn -o json", f"why {ADA}"):
        harmless(call(where, line)[1])
    where = cluster(("view", found))
    for line in (f"why {ADA}", f"why {ADA} -o json"):
        harmless(call(where, line)[1])


def row(generation: str, until: str | None = UNTIL) -> dict[str, Any]:
    return {"generation": generation, "until": until}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], ""),
        ([row("a"), row("a", "2026-11-26T10:00:00Z")], "a 2, until 2026-11-26T10:00:00Z at the latest"),
        ([row("a"), row("a", None)], "a 2, until their servers end"),
        ([row("a"), row("b"), row("b")], f"b 2, {LATER}; a 1, {LATER}"),
        ([row(one) for one in "abcde"], f"a 1, {LATER}; b 1, {LATER}; c 1, {LATER}; 2 others"),
    ],
)
def test_in_short(rows: list[dict[str, Any]], said: str) -> None:
    assert held.in_short(rows) == said


@pytest.mark.parametrize(
    ("status", "number"),
    [({}, 0), ({"nodes": [{"held": 2}, {"held": 1}, {}]}, 3), ({"nodes": [{"held": "2"}, {"held": None}]}, 0)],
)
def test_how_many(status: dict[str, Any], number: int) -> None:
    assert words.held({"status": status}) == number


def test_the_table_on_the_plugins_page() -> None:
    shown = [step.lines for step in steps("kubectl-plugin.md") if step.command == "kubectl pdshub archive status sbn"]
    when = "2026-11-20T08:20:00Z"
    found = [
        {"generation": "4f0c2a91be77", "user": ADA, "namespace": "hub", "node": "node-1", "since": when,
         "until": "2026-11-20T09:20:00Z"},
        {"generation": "4f0c2a91be77", "user": "bela", "namespace": "hub", "node": "node-2", "since": when,
         "until": None},
    ]  # fmt: skip
    assert Same().difference(shown[-1], "what stands above\n\n" + held.table(found)) == ""
