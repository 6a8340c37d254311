"""What is compared, how often, and what is put back when."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, cast

import pytest

from pdshub.kube import CLAIM, CONFIG_MAP, SECRET, Kube, Object, Resource
from pdshub.reconcile.hub import drift
from pdshub.reconcile.hub.drift import Drift, Drifted, DriftMemory, in_words
from pdshub.reconcile.hub.manifest.kinds import KINDS
from pdshub.reconcile.hub.release import Release
from tests.unit.reconcile.fakes import FakeKube, owned

ROLE = KINDS["rbac.authorization.k8s.io/v1 Role"]
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]


def body(resource: Resource, name: str, **more: Any) -> Object:
    return {"apiVersion": resource.api, "kind": resource.kind, "metadata": {"name": name}, **more}


WANTED = [
    body(CONFIG_MAP, "hub", data={"a": "1"}),
    body(SECRET, "hub", type="Opaque"),
    body(CLAIM, "hub-db-dir"),
    body(ROLE, "hub", rules=RULES),
    body(KINDS["batch/v1 Job"], "done"),
]


class Counting(FakeKube):
    """Counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    async def items(self, resource: Resource, *args: Any, **more: Any) -> list[Object]:
        self.reads.append(resource.plural)
        return await super().items(resource, *args, **more)

    async def get(self, resource: Resource, *args: Any, **more: Any) -> Object | None:
        self.reads.append(resource.plural)
        return await super().get(resource, *args, **more)


def release(digest: str = "d") -> Release:
    made = tuple(json.dumps(item) for item in WANTED)
    return Release("s", 1, "deployed", "jupyterhub", "4.4.0", {}, digest=digest, sealed=True, made=made)


def whole() -> Counting:
    kube = Counting()
    for item in WANTED[:-1]:
        meta = {**item["metadata"], "namespace": "ns", **owned("demo", "ns")}
        kube.put(KINDS[f"{item['apiVersion']} {item['kind']}"], {**item, "metadata": meta})
    return kube


def look(kube: FakeKube, memory: DriftMemory | None = None, of: Release | None = None) -> Drift:
    return asyncio.run(drift.observe(cast(Kube, kube), "ns", of or release(), memory or DriftMemory()))


def test_nothing_drifted() -> None:
    found = look(whole())
    assert (found.found, found.due, found.compared) == ((), (), len(WANTED)) and found.words == ""


CASES: list[tuple[str, Resource, str, Object | None, str, bool]] = [
    ("a key changed", CONFIG_MAP, "hub", {"data": {"a": "2"}}, "ConfigMap hub: data.a differs", True),
    ("missing", CONFIG_MAP, "hub", None, "ConfigMap hub is missing", True),
    ("a Secret is missing", SECRET, "hub", None, "Secret hub is missing", True),
    ("a role changed", ROLE, "hub", {"rules": [*RULES, *RULES]}, "Role hub: rules differs", True),
    ("data is missing", CLAIM, "hub-db-dir", None, "PersistentVolumeClaim hub-db-dir is missing", False),
    ("a Secret's content is its own", SECRET, "hub", {"data": {"x": "y"}}, "", False),
    ("a claim grew", CLAIM, "hub-db-dir", {"spec": {"volumeName": "x"}}, "", False),
    ("its label was taken off", CONFIG_MAP, "hub", {"metadata": {"name": "hub", "namespace": "ns"}}, "", False),
    ("going", CONFIG_MAP, "hub", {"metadata": {"name": "hub", "namespace": "ns", "deletionTimestamp": "x"}}, "", False),
]


@pytest.mark.parametrize(("kind", "name", "change", "words", "due"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_drift(kind: Resource, name: str, change: Object | None, words: str, due: bool) -> None:
    kube = whole()
    item = kube.objects.pop((kind.plural, "ns", name))
    if change is not None:
        kube.put(kind, {**item, **change})
    found = look(kube)
    assert found.words == words and bool(found.due) is due


def test_other_kinds_are_read_from_time_to_time(monkeypatch: pytest.MonkeyPatch) -> None:
    kube, memory = whole(), DriftMemory()
    look(kube, memory)
    assert {"roles", "persistentvolumeclaims"} <= set(kube.reads)
    kube.objects.pop(("roles", "ns", "hub"))
    kube.reads.clear()
    assert look(kube, memory).found == () and set(kube.reads) == {"configmaps", "secrets"}
    monkeypatch.setattr(drift, "RARELY", 0.0)
    assert look(kube, memory).words == "Role hub is missing"
    monkeypatch.setattr(drift, "RARELY", 600.0)
    assert look(kube, memory).words == "Role hub is missing", "it is remembered until it is put back"


def test_another_release_is_another_measure() -> None:
    kube, memory = whole(), DriftMemory()
    look(kube, memory)
    memory.put_back["ConfigMap hub"] = time.monotonic()
    memory.as_written["ConfigMap hub"] = frozenset({"data.a"})
    kube.put(CONFIG_MAP, {**kube.objects[("configmaps", "ns", "hub")], "data": {"a": "2"}})
    assert look(kube, memory).found == ()
    found = look(kube, memory, release("another"))
    assert found.due == found.found != ()


def test_what_was_put_back_just_now_waits() -> None:
    memory, each = DriftMemory(put_back={"Role hub": 100.0}), Drifted("rbac.authorization.k8s.io/v1 Role", "hub")
    assert not memory.due(each, 100.0 + drift.PAUSE - 1) and memory.due(each, 100.0 + drift.PAUSE)


def test_a_message_stays_short() -> None:
    many = [Drifted("v1 ConfigMap", f"c{n}", tuple("abcdef")) for n in range(100)]
    assert len(in_words(many)) < 500 and in_words(many).endswith("92 more") and "a, b, c, ..." in in_words(many)
