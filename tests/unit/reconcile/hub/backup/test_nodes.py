"""Jobs that no node can run: what is said of them, and that nobody waits for one. Tables of cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pdshub.api.backup import HubBackupStatus, HubRestoreStatus
from pdshub.kube import Object
from pdshub.reconcile.common.watched import slim_node
from pdshub.reconcile.hub.backup.asked import Run
from pdshub.reconcile.hub.backup.decide import WORKING, decide
from pdshub.reconcile.hub.backup.facts import Facts, Node, Use
from pdshub.reconcile.hub.backup.items import concerned
from pdshub.reconcile.hub.backup.nodes import mounts, node, nowhere
from pdshub.reconcile.hub.backup.outcome import START
from pdshub.reconcile.hub.backup.steps import Nothing, Start, Tell
from pdshub.wellknown import HOMES_DRIVER, HOMES_NODE
from tests.unit.reconcile.hub.backup.given import backup, claim, facts, home, job, pod, restore, run, running

HOST = "kubernetes.io/hostname"


def described(name: str, ready: str = "True", *, cordoned: bool = False, **labels: str) -> Object:
    """A node as the API server describes it."""
    return {
        "metadata": {"name": name, "labels": {HOST: name, HOMES_NODE: name, **labels}},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {"addresses": [], "conditions": [{"type": "Ready", "status": ready}], "images": ["many"]},
    }


def cluster(**cordoned: bool) -> dict[str, Node]:
    """Nodes a and b; those that are named are as they are said to be."""
    return {name: node(described(name, cordoned=cordoned.get(name, False))) for name in ("a", "b")}


def on(*nodes: str, key: str = HOST) -> Object:
    """A volume of these nodes alone."""
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": list(nodes)}]}
    return {"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}}


ANYWHERE: Object = {"spec": {"nfs": {"server": "nas"}}}


# --- a node


EVERYTHING = [{"operator": "Exists"}]
MENDED = [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}]
OTHERS = [{"key": "hub.jupyter.org/dedicated", "operator": "Equal", "value": "user", "effect": "NoSchedule"}]


@pytest.mark.parametrize("slim", [False, True], ids=["asked", "from the copy"])
@pytest.mark.parametrize(
    ("found", "tolerations", "away"),
    [
        (described("a"), [], ""),
        (described("a", cordoned=True), [], "is cordoned (kubectl uncordon a)"),
        (described("a", cordoned=True), OTHERS, "is cordoned (kubectl uncordon a)"),
        (described("a", cordoned=True), EVERYTHING, ""),
        (described("a", cordoned=True), MENDED, ""),
        (described("a", "False"), EVERYTHING, "is not ready"),
        (described("a", "Unknown", cordoned=True), [], "is not ready"),
    ],
)
def test_whether_a_node_takes_a_job(found: Object, tolerations: list[dict[str, Any]], away: str, slim: bool) -> None:
    assert node(slim_node(found) if slim else found, tolerations).away == away


def test_a_copy_of_a_node_keeps_no_heartbeat_and_no_images() -> None:
    found = described("a")
    found["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-03-10T12:00:00Z"
    kept = slim_node(found)
    assert kept["status"] == {"addresses": [], "conditions": [{"type": "Ready", "status": "True"}]}


# --- where a volume can be mounted


def needs(operator: str, *values: str, key: str = "zone") -> Object:
    term = {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}
    return {"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}}


def any_of(*volumes: Object) -> Object:
    terms = [v["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0] for v in volumes]
    return {"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}}


BY_NAME: Object = {
    "spec": {
        "nodeAffinity": {
            "required": {
                "nodeSelectorTerms": [
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]},
                ]
            }
        }
    }
}
NO_TERM: Object = {"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{}]}}}}


@pytest.mark.parametrize(
    ("volume", "wanted"),
    [
        (None, None),
        (ANYWHERE, None),
        (on("a"), {"a"}),
        (on("a", "b"), {"a", "b"}),
        (on("gone"), set()),
        (on("b", key=HOMES_NODE), {"b"}),
        (needs("In", "west"), {"a"}),
        (needs("NotIn", "west"), {"b"}),
        (needs("Exists"), {"a", "b"}),
        (needs("DoesNotExist"), set()),
        (needs("Gt", "1", key="rack"), {"b"}),
        (needs("Lt", "2", key="rack"), {"a"}),
        (needs("Gt", "x", key="rack"), set()),
        (needs("Resembles", "x"), {"a", "b"}),
        (any_of(on("a"), needs("In", "east")), {"a", "b"}),
        (BY_NAME, {"b"}),
        (NO_TERM, set()),
    ],
)
def test_the_nodes_of_a_volume(volume: Object | None, wanted: set[str] | None) -> None:
    known = {"a": node(described("a", zone="west", rack="1")), "b": node(described("b", zone="east", rack="2"))}
    given = facts(nodes=known, volumes={"claim-ada": volume} if volume else {})
    assert mounts(given, "claim-ada") == wanted


# --- what is said

AT_WORK = {"claim-ada": (Use("jupyter-ada", "b"),)}
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("nothing is known of volumes", {}, "", ""),
    ("both on one node", {"claim-ada": on("a"), "vault": on("a")}, "", ""),
    ("the repository is anywhere", {"claim-ada": on("b"), "vault": ANYWHERE}, "", ""),
    (
        "on two nodes",
        {"claim-ada": on("b", key=HOMES_NODE), "vault": on("a")},
        "Apart",
        "claim claim-ada lies on node b, claim vault on node a: no pod has both",
    ),
    (
        "cordoned",
        {"claim-ada": on("b"), "nodes": cluster(b=True)},
        "NodeAway",
        "claim claim-ada lies on node b, which is cordoned (kubectl uncordon b)",
    ),
    ("one of two is cordoned", {"claim-ada": on("a", "b"), "nodes": cluster(b=True)}, "", ""),
    (
        "both are",
        {"claim-ada": on("a", "b"), "nodes": cluster(a=True, b=True)},
        "NodeAway",
        "claim claim-ada lies on nodes a, b, which is cordoned (kubectl uncordon a)",
    ),
    (
        "not ready",
        {"claim-ada": on("b"), "nodes": {**cluster(), "b": node(described("b", "Unknown"))}},
        "NodeAway",
        "claim claim-ada lies on node b, which is not ready",
    ),
    (
        "gone",
        {"claim-ada": on("c")},
        "NodeAway",
        "no node of the cluster has the volume of claim claim-ada: its node is gone",
    ),
    ("no nodes are known", {"claim-ada": on("c"), "nodes": {}}, "", ""),
    (
        "in use on a cordoned node, though any could mount it",
        {"claim-ada": ANYWHERE, "uses": AT_WORK, "nodes": cluster(b=True)},
        "NodeAway",
        "what is needed is in use on node b, which is cordoned (kubectl uncordon b)",
    ),
    ("in use where it lies", {"claim-ada": on("b"), "uses": AT_WORK}, "", ""),
    (
        "in use on another node than where the repository lies",
        {"vault": on("a"), "uses": AT_WORK},
        "Apart",
        "claim vault lies on node a, what else is needed is in use on node b",
    ),
    (
        "in use on two",
        {"uses": {**AT_WORK, "vault": (Use("r", "a"),)}},
        "InUse",
        "claim vault is mounted on another node than what else is needed",
    ),
]


def given_of(found: dict[str, Any], **more: Any) -> Facts:
    """A hub in a cluster of two nodes; by claim its volume, and by field what else was found."""
    fields = {"nodes": cluster(), **{key: value for key, value in found.items() if key in ("nodes", "uses")}}
    volumes = {key: value for key, value in found.items() if key not in ("nodes", "uses")}
    return facts(volumes=volumes, **{**fields, **more})


@pytest.mark.parametrize(("found", "reason", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_why_no_node_can_run_it(found: dict[str, Any], reason: str, words: str) -> None:
    assert nowhere(given_of(found), ["claim-ada", "vault"]) == (reason, words)


@pytest.mark.parametrize(("found", "reason", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_run_says_it_at_once_and_goes_on(found: dict[str, Any], reason: str, words: str) -> None:
    step = decide(given_of(found, runs=(run(status=running(("home/ada", "Pending"), ("keys", "Pending"))),)))
    if not reason:
        assert isinstance(step, Start) and step.item == "home/ada"
        return
    assert isinstance(step, Tell) and isinstance(step.status, HubBackupStatus)
    home_, keys = step.status.items
    assert home_.phase == "Failed" and home_.message == f"{reason}: {words}" and keys.phase == "Pending"
    (ready,) = step.status.conditions
    assert ready.status == "True", "it says nothing of the repository: the next item is tried at once"


@pytest.mark.parametrize(("found", "reason", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_restore_says_it_at_once(found: dict[str, Any], reason: str, words: str) -> None:
    begun = {"phase": "Running", "started": "2026-03-10T11:59:00Z"}
    step = decide(given_of(found, restores=(restore(status=begun),)))
    if not reason:
        assert isinstance(step, Start)
        return
    assert isinstance(step, Tell) and isinstance(step.status, HubRestoreStatus)
    assert step.status.phase == "Failed" and step.status.message == f"{reason}: {words}"


def test_a_repository_that_nobody_reaches_ends_the_run() -> None:
    found = given_of({"vault": on("b"), "nodes": cluster(b=True)}, runs=(run(status=running(conditions=())),))
    step = decide(found)
    assert isinstance(step, Tell) and isinstance(step.status, HubBackupStatus) and step.status.phase == "Failed"
    assert step.status.message == "NodeAway: claim vault lies on node b, which is cordoned (kubectl uncordon b)"


# --- a home that has checkpoints

ON_DISK = {**home("claim-ada")}
ON_DISK["metadata"] = {
    **ON_DISK["metadata"],
    "annotations": {"volume.kubernetes.io/storage-provisioner": HOMES_DRIVER},
}
CLAIMS = {"claim-ada": ON_DISK, "vault": claim("vault")}


@pytest.mark.parametrize(
    ("volumes", "cordoned", "reason"),
    [
        ({"claim-ada": on("b", key=HOMES_NODE)}, False, ""),
        ({"claim-ada": on("b", key=HOMES_NODE)}, True, "NodeAway"),
        ({"claim-ada": on("b", key=HOMES_NODE), "vault": on("a")}, False, "Apart"),
    ],
)
def test_a_checkpoint_is_on_the_node_of_its_home(volumes: dict[str, Object], cordoned: bool, reason: str) -> None:
    """The Job does not mount the home, and whoever works in it elsewhere is in nobody's way."""
    alone = claim("claim-ada", "ReadWriteOncePod")
    alone["metadata"] = ON_DISK["metadata"]
    found = given_of(
        {**volumes, "nodes": cluster(b=cordoned), "uses": AT_WORK},
        claims={**CLAIMS, "claim-ada": alone},
        runs=(run(status=running(("home/ada", "Pending"))),),
    )
    step = decide(found)
    if reason:
        assert isinstance(step, Tell) and isinstance(step.status, HubBackupStatus)
        assert step.status.items[0].message.startswith(f"{reason}: ")
    else:
        assert isinstance(step, Start)


# --- a Job that is there already

NAME = "one-i0"
WAITS = {**pod(NAME, phase="Pending"), "spec": {}}
STARTS = pod(NAME, phase="Pending")


@pytest.mark.parametrize(
    ("pods", "cordoned", "told"),
    [((WAITS,), False, False), ((WAITS,), True, True), ((), True, True), ((STARTS,), True, False)],
    ids=["it waits for room", "its node was cordoned", "and it has no pod yet", "it was there before"],
)
def test_a_job_that_will_get_no_node_is_not_waited_for(pods: tuple[Object, ...], cordoned: bool, told: bool) -> None:
    given: Run = run(status=running(("home/ada", "Running"), job=NAME))
    found = given_of({"claim-ada": on("b"), "nodes": cluster(b=cordoned)}, runs=(given,), jobs={NAME: job(NAME)})
    step = decide(replace(found, backup=backup(suspend=True), pods=pods, made=frozenset({NAME})))
    if told:
        assert isinstance(step, Tell) and isinstance(step.status, HubBackupStatus)
        assert step.status.items[0].message.startswith("NodeAway: ") and step.status.job == ""
    else:
        assert step == Nothing(WORKING)


def test_a_restore_whose_job_will_get_no_node_ends_too() -> None:
    name = "back-restore"
    status = {"phase": "Running", "started": "2026-03-10T11:59:00Z", "job": name}
    found = given_of({"claim-ada": on("b"), "nodes": cluster(b=True)}, restores=(restore(status=status),))
    step = decide(replace(found, jobs={name: job(name)}, pods=({**pod(name, phase="Pending"), "spec": {}},)))
    assert isinstance(step, Tell) and isinstance(step.status, HubRestoreStatus)
    assert step.status.phase == "Failed" and step.status.message.startswith("NodeAway: ")


def test_an_interrupted_job_is_not_begun_anew_on_a_drained_node() -> None:
    """A drain evicts the Job's pod: that it can not come back is said instead of tried."""
    evicted = pod(
        NAME,
        phase="Failed",
        conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}],
    )
    given = run(status=running(("home/ada", "Running"), job=NAME))
    failed = job(NAME, ("Failed", "BackoffLimitExceeded"))
    found = given_of({"claim-ada": on("b"), "nodes": cluster(b=True)}, runs=(given,), jobs={NAME: failed})
    step = decide(replace(found, pods=(evicted,), made=frozenset({NAME})))
    assert isinstance(step, Tell) and isinstance(step.status, HubBackupStatus)
    assert step.status.items[0].message.startswith("NodeAway: ")


def test_no_thousand_volumes_are_asked_for() -> None:
    rows = [(f"home/user-{n}", "Completed" if n < 500 else "Pending") for n in range(1000)]
    homes = {f"user-{n}": f"claim-{n}" for n in range(1000)}
    asked = restore(status={"phase": "Running"}, user="user-7")
    found = facts(homes=homes, runs=(run(status=running(*rows)),), restores=(asked,))
    assert concerned(found) == {"vault", "claim-500", "claim-7"}


def test_nobody_waits_ten_minutes_for_each_home_of_a_node_that_is_mended() -> None:
    """Ten homes of a drained node: as many looks, and no second of waiting."""
    homes = {f"user-{n}": f"claim-{n}" for n in range(10)}
    volumes = {claim_: on("b") for claim_ in homes.values()}
    claims = {name: home(name) for name in homes.values()} | {"vault": claim("vault")}
    given = run(status=running(*((f"home/{user}", "Pending") for user in homes)))
    for _ in homes:
        found = facts(homes=homes, claims=claims, volumes=volumes, nodes=cluster(b=True), runs=(given,))
        step = decide(found)
        assert isinstance(step, Tell) and isinstance(step.status, HubBackupStatus)
        given = replace(given, status=step.status)
    assert START > 0 and all(item.phase == "Failed" for item in given.status.items)
