"""``kubectl pdshub why``: what a cluster shows on a bad day -> the reason that is named first, and what to look at."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli import why_judge
from pdshub.server_trouble.trouble import WORDS, Kind, Trouble, logged
from pdshub.wellknown import RECOVERING
from tests.unit.cli.backup_cluster import ADA, volume
from tests.unit.cli.day_two_cluster import CLAIM, READY, DayTwoCluster, event, node, pod, quota
from tests.unit.cli.fake_cluster import condition
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless

ROOT = Path(__file__).resolve().parents[3]
GONE = "jupyter-ada-example-org---cfe00dde"
"""What KubeSpawner calls the pod of ada@example.org."""
PENDING = {"phase": "Pending", "node": ""}


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "notebook", "restartCount": 1, **state}]}


def line(kind: Kind, detail: str = "", user: str = ADA, hour: int = 8) -> str:
    return f"[E 2026-11-26 {hour:02}:00:01.123 JupyterHub spawner:118] {logged(user, Trouble(kind, detail))}\n"


def claim(**more: Any) -> tuple[str, dict[str, Any]]:
    meta = {"name": CLAIM, "namespace": "hub", "uid": f"uid-{CLAIM}", "annotations": {"pdshub.dev/home-of": ADA}}
    meta["annotations"] |= more.pop("annotations", {})
    return "claim", {"metadata": meta, "spec": {"volumeName": f"pv-{CLAIM}"}, "status": {"phase": "Bound"}, **more}


def at(*nodes: str) -> tuple[str, dict[str, Any]]:
    kind, found = volume(CLAIM)
    rule = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}
    found["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}
    return kind, found


NOT_READY = {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
FULL = quota("sbn-servers", {"pods": "10"}, {"pods": "10"})
STORAGE = quota("sbn-storage", {"requests.storage": "100Gi"}, {"requests.storage": "102400Mi"})
CASES: list[tuple[str, list[tuple[str, dict[str, Any]]], str, list[str], str]] = [
    ("nothing", [], "", [], ""),
    ("a server that runs", [pod(conditions=[READY])], "", [], "the server runs"),
    ("quota", [FULL], "", ["Quota"], "pods: 10 of 10"),
    ("quota of a server that starts is not it", [FULL, pod(**PENDING)], "", [], ""),
    ("quota, by the hub's log", [], line(Kind.QUOTA, "exceeded quota: sbn-servers"), ["Quota"], "exceeded quota"),
    ("the last start counts", [], line(Kind.IMAGE) + line(Kind.SLOW, hour=9), ["Slow"], "2026-11-26 09:00:01"),
    ("somebody else's start", [], line(Kind.IMAGE, user="bela@example.org"), [], ""),
    ("what is over", [pod(conditions=[READY])], line(Kind.IMAGE), [], ""),
    ("storage is used up, and there is a home", [STORAGE], "", [], ""),
    ("no room", [pod(**PENDING), event("FailedScheduling", "0/3 nodes are available: 3 Insufficient memory.")], "",
     ["NoRoom"], "kubectl describe nodes"),
    ("image", [pod(**PENDING, **container(state={"waiting": {"reason": "ImagePullBackOff", "message": "x"}}))], "",
     ["Image"], "imagePullSecrets"),
    ("image, by an event", [pod(**PENDING), event("Failed", "Failed to pull image x: not found")], "", ["Image"], ""),
    ("events of a pod that is gone", [event("Failed", "Failed to pull image x", name=GONE)], "",
     ["Image"], ""),
    ("events of another pod of that name", [pod(**PENDING), event("Failed", "Failed to pull image", uid="old")], "",
     [], ""),
    ("volume", [pod(**PENDING), event("FailedMount", 'MountVolume.SetUp failed for volume "pvc-1" : x')], "",
     ["HomeNotMounted"], f"kubectl describe pvc {CLAIM} -n hub"),
    ("archive", [pod(**PENDING), event("FailedMount", 'MountVolume.SetUp failed for volume "archive" : x')], "",
     ["ArchiveNotMounted"], "the node plugin"),
    ("memory", [pod(**container(state={"waiting": {"reason": "CrashLoopBackOff"}},
                                lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}}))], "",
     ["Memory"], "server.resources.memory.limit"),
    ("memory, and it runs again", [pod(conditions=[READY], **container(
        state={"running": {}}, lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}}))], "",
     ["Memory"], ""),
    ("evicted", [pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")], "",
     ["Evicted"], "kubectl describe node n1"),
    ("node away", [pod(), node("n1", NOT_READY)], "", ["Node"], "stopped posting"),
    ("node gone", [pod(), node("n2")], "", ["Node"], "node n1 is gone"),
    ("node short of memory", [pod(**PENDING | {"node": "n1"}),
                              node("n1", READY, {"type": "MemoryPressure", "status": "True"})], "",
     ["Evicted"], "node n1 has MemoryPressure"),
    ("home on a node that is cordoned", [at("n1"), node("n1", unschedulable=True), node("n2")], "",
     ["HomeAway"], "kubectl uncordon"),
    ("home on a node that is gone", [at("n9"), node("n1")], "", ["HomeAway"], "the home lies on n9"),
    ("home on one of two nodes", [at("n1", "n9"), node("n1")], "", [], ""),
    ("home to come", [claim(annotations={RECOVERING: "x"})], "", ["HomeReturns"], "Recovered"),
    ("home pending", [claim(status={"phase": "Pending"}),
                      event("ProvisioningFailed", "no disk", name=CLAIM, kind="PersistentVolumeClaim")], "",
     ["HomePending"], "no disk"),
    ("home that only waits for its pod", [claim(status={"phase": "Pending"}),
                                          event("WaitForFirstConsumer", "x", name=CLAIM, kind="PersistentVolumeClaim",
                                                type="Normal")], "", [], ""),
    ("home without a volume", [claim(status={"phase": "Lost"})], "", ["HomeNotMounted"], "has lost its volume"),
    ("two things", [pod(**PENDING), event("FailedScheduling", "Insufficient cpu"), at("n1"),
                    node("n1", unschedulable=True)], "", ["NoRoom", "HomeAway"], ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("objects", "log", "kinds", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_why(call: Call, objects: list[Any], log: str, kinds: list[str], said: str) -> None:
    where = DayTwoCluster(*objects)
    where.log = log  # type: ignore[misc]
    code, out, err = call(where, f"why {ADA} -o json")
    assert code == 0, err
    answer = json.loads(out)
    assert [reason["kind"] for reason in answer["reasons"]] == kinds, out
    code, out, err = call(where, f"why {ADA}")
    assert code == 0 and said in out and ADA in out, out
    for kind in kinds:
        assert WORDS[Kind(kind)][0] in out, "the hub's own words"
    assert ("nothing that is known here is in the way" in out) is (not kinds)


@pytest.mark.parametrize(
    ("users", "who", "kind", "said"),
    [
        ({"allowed": []}, ADA, "NotListed", "kubectl pdshub users list --hub hub/sbn"),
        ({"allowed": [ADA], "suspended": [ADA]}, ADA, "UserSuspended", f"kubectl pdshub users suspend {ADA} --undo"),
        ({"domains": ["example.org"]}, "new@example.org", "", "nothing that is known here"),
        ({"from": [{"secret": {"name": "s", "key": "k"}}]}, ADA, "", "not by name that can be read here"),
    ],
)
def test_who_may_not_sign_in(call: Call, users: dict[str, Any], who: str, kind: str, said: str) -> None:
    where = DayTwoCluster(users=users)
    _, out, err = call(where, f"why {who}")
    assert said in out and (kind in out if kind else "why:" not in out), out + err


def test_a_hub_that_is_down(call: Call) -> None:
    where = DayTwoCluster()
    where.set(works=False)
    where.found("pdshub", "sbn")["status"]["conditions"] = [condition("Ready", "False", "NotServing", "no pod", 1)]
    _, out, _ = call(where, f"why {ADA}")
    assert "why: HubNotReady" in out and "it says: no pod" in out


@pytest.mark.parametrize("closed", ["nodes", "events", "resourcequotas", "logs", "pods", "persistentvolumeclaims"])
def test_what_may_not_be_read_is_said(call: Call, closed: str) -> None:
    where = DayTwoCluster(pod(**PENDING), event("Failed", "Failed to pull image x"))
    where.broken[f"{'get ' if closed != 'logs' else ''}{closed}"] = f"{closed} is forbidden"
    code, out, err = call(where, f"why {ADA}")
    assert code == 0 and "is forbidden" in out, out + err


@pytest.mark.parametrize("name", ["a b", "a/b", "", "\u0430da@example.org"])
def test_no_name(call: Call, name: str) -> None:
    assert call(DayTwoCluster(), f"why '{name}'")[0] == 2


def test_nothing_that_others_wrote_acts_on_a_terminal(call: Call) -> None:
    objects = [pod(**PENDING, **container(state={"waiting": {"reason": "ImagePullBackOff", "message": NASTY}})),
               event("Failed", NASTY), node("n1", {**NOT_READY, "message": NASTY})]  # fmt: skip
    where = DayTwoCluster(*objects)
    where.log = line(Kind.SLOW, NASTY.replace("\n", " "))  # type: ignore[misc]
    _, out, err = call(where, f"why {ADA}")
    harmless(out)
    harmless(err)
    harmless(call(where, f"why {ADA} -o json")[1])


def test_each_kind_has_something_to_look_at_here_and_in_the_manual() -> None:
    assert set(why_judge.LOOK) == set(Kind)
    page = (ROOT / "docs/troubleshooting.md").read_text()
    table = page.partition("| word in the grey box |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`(?=[^|]*\|[^|]*\|$)", table, re.MULTILINE)) >= {str(kind) for kind in Kind}


@pytest.mark.parametrize(
    ("hard", "used", "found"),
    [
        ({"pods": "2"}, {"pods": "2"}, ["pods: 2 of 2"]),
        ({"pods": "2"}, {"pods": "1"}, []),
        ({"requests.memory": "1Gi"}, {"requests.memory": "1024Mi"}, ["requests.memory: 1024Mi of 1Gi"]),
        ({"pods": "2"}, {}, []),
        ({"pods": "x"}, {"pods": "y"}, []),
        ({}, {}, []),
    ],
)
def test_full(hard: dict[str, str], used: dict[str, str], found: list[str]) -> None:
    assert why_judge.full(quota("q", hard, used)[1]) == found
