"""The namespace of a hub: opened before anything there is known, closed with the last hub, deleted in any order."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pdshub import tenant
from pdshub.helm import HelmError
from pdshub.kube import ROLE_BINDING, VOLUME, KubeError, Object, Resource
from pdshub.render.names import FINALIZER, HUB_LABEL, NAMESPACE_LABEL, VIEW_LABEL
from pdshub.wellknown import HUB_ROLE
from tests.unit.reconcile.fakes import FakeHelm, FakeKube
from tests.unit.reconcile.hubs import SPEC, Bench

BINDING = ("rolebindings", "ns", HUB_ROLE)
HUB = ("pdshubs", "ns", "demo")
ORDERS = list(itertools.permutations(["the namespace", "the hub", "the binding", "the Secrets"]))


class Guarded(FakeKube):
    """Refuses what lies in a namespace without the binding, and new objects in one that is going."""

    def __init__(self) -> None:
        super().__init__()
        self.stale_bindings = 0
        """How often the binding is still seen though it has gone."""

    def _allow(self, resource: Resource, namespace: str | None, name: str = "", *, new: bool = False) -> None:
        own = resource.api.startswith("pdshub.dev") or (resource.plural, name) == ("rolebindings", HUB_ROLE)
        if not resource.namespaced or namespace != "ns":
            return
        phase = (self.objects["namespaces", "", "ns"].get("status") or {}).get("phase")
        if new and phase == "Terminating":
            raise KubeError(403, "unable to create new content in namespace ns because it is being terminated")
        if not own and BINDING not in self.objects:
            raise KubeError(403, f"{resource.plural} is forbidden: cannot do that in namespace ns")

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        self._allow(resource, namespace, name)
        return await super().get(resource, name, namespace)

    async def items(self, resource: Resource, namespace: str | None = None, **more: Any) -> list[Object]:
        if resource is ROLE_BINDING and namespace is None and self.stale_bindings:
            self.stale_bindings -= 1
            return [tenant.binding("ns")]
        self._allow(resource, namespace)
        return await super().items(resource, namespace, **more)

    async def create(self, resource: Resource, body: Object) -> bool:
        self._allow(resource, body["metadata"].get("namespace"), new=True)
        return await super().create(resource, body)

    async def apply(self, resource: Resource, body: Object, manager: str) -> Object:
        meta = body["metadata"]
        there = (resource.plural, meta.get("namespace", ""), meta["name"]) in self.objects
        self._allow(resource, meta.get("namespace"), meta["name"], new=not there)
        return await super().apply(resource, body, manager)

    async def patch(self, resource: Resource, name: str, body: Object, *args: Any, **more: Any) -> Object | None:
        self._allow(resource, args[0] if args else None, name)
        return await super().patch(resource, name, body, *args, **more)

    async def delete(self, resource: Resource, name: str, *args: Any, **more: Any) -> bool:
        self._allow(resource, args[0] if args else None, name)
        return await super().delete(resource, name, *args, **more)


class GuardedHelm(FakeHelm):
    """Has the rights of the namespace's account, as the operator has."""

    async def uninstall(self, release: str, namespace: str) -> None:
        try:
            await super().uninstall(release, namespace)
        except KubeError as error:
            raise HelmError("UninstallFailed", str(error), permanent=False) from error


def bench(spec: dict[str, Any] | None = None, *, installed: bool = True, binding: bool = True) -> Bench:
    kube = Guarded()
    made = Bench(spec, kube=kube)
    made.helm = made.context.helm = GuardedHelm(kube)  # type: ignore[assignment]
    if installed:
        made.run()
        for item in kube.objects.values():  # Kubernetes binds what waits
            if item["kind"] == "PersistentVolumeClaim":
                item["status"] = {"phase": "Bound"}
        made.run()
        assert made.condition("Ready")["status"] == "True"
    if not binding:
        del kube.objects[BINDING]
    kube.writes.clear()
    made.helm.runs.clear()
    return made


def happen(made: Bench, what: str) -> None:
    objects = made.kube.objects
    if what == "the namespace":
        objects["namespaces", "", "ns"]["status"] = {"phase": "Terminating"}
    elif what == "the hub" and HUB in objects:
        made.delete()
    elif what == "the binding":
        objects.pop(BINDING, None)
    else:
        for key in [key for key in objects if key[0] == "secrets"]:
            del objects[key]


# --- opened


def test_a_namespace_is_opened_before_anything_is_made_there() -> None:
    made = bench(installed=False, binding=False)
    made.run()
    made.run()
    assert tenant.granted(made.kube.objects[BINDING], "ns")
    # the event is one of the condition that turned; all before the binding is the operator's own
    first = made.kube.writes.index(f"apply rolebindings/{HUB_ROLE}")
    assert {what.rpartition("/")[0].split()[-1] for what in made.kube.writes[:first]} <= {"pdshubs", "events"}
    assert made.helm.runs == ["upgrade"]


def test_an_installation_that_is_older_gets_its_binding_and_nothing_restarts() -> None:
    made = bench(binding=False)
    before = made.kube.objects[HUB]["status"]
    made.run()
    assert tenant.granted(made.kube.objects[BINDING], "ns")
    assert made.helm.runs == []
    assert made.kube.objects[HUB]["status"] == before
    assert made.kube.writes == [f"apply rolebindings/{HUB_ROLE}"], "no event, no status: nothing happened to the hub"


def test_a_binding_that_names_somebody_else_too_is_put_right() -> None:
    made = bench()
    subjects = made.kube.objects[BINDING]["subjects"]
    made.kube.objects[BINDING]["subjects"] = [*subjects, {"kind": "User", "name": "eve"}]
    made.run()
    assert tenant.granted(made.kube.objects[BINDING], "ns")


def test_a_binding_that_cannot_be_written_is_said() -> None:
    made = bench(binding=False)

    async def refuse(*_: Any) -> Object:
        raise KubeError(403, "denied by policy pdshub-rolebindings")

    made.kube.apply = refuse  # type: ignore[method-assign]
    made.run()
    assert "pdshub-rolebindings" in made.condition("Reconciling")["message"]


def test_where_the_account_lacks_a_right_though_it_is_bound_the_look_says_so() -> None:
    made = bench()

    async def refuse(*_: Any, **__: Any) -> Any:
        raise KubeError(403, "secrets is forbidden")

    made.kube.metadata = refuse  # type: ignore[method-assign]
    made.run()
    ready = made.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("Unknown", "ObservationFailed") and "forbidden" in ready["message"]


# --- not allowed


def test_a_namespace_that_may_not_hold_hubs() -> None:
    made = bench(installed=False, binding=False)
    made.kube.objects["namespaces", "", "ns"]["metadata"]["labels"] = {"pdshub.dev/environment": "development"}
    made.run()
    stalled = made.condition("Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "NamespaceNotAllowed")
    assert "kubectl label namespace ns pdshub.dev/hubs=allowed" in stalled["message"]
    assert BINDING not in made.kube.objects and not made.kube.objects[HUB]["metadata"].get("finalizers")
    assert [what for what in made.kube.writes if "pdshubs" not in what] == [], "no event can be written there"


def test_a_hub_that_runs_goes_on_where_its_namespace_is_no_longer_allowed() -> None:
    made = bench()
    made.kube.objects["namespaces", "", "ns"]["metadata"]["labels"] = {}
    made.run()
    assert made.condition("Stalled")["reason"] == "NamespaceNotAllowed"
    assert made.condition("Ready")["status"] == "True" and made.helm.runs == []
    made.delete()
    made.run()
    assert made.helm.runs == ["uninstall"] and HUB not in made.kube.objects


def test_what_cannot_be_removed_is_not_forgotten() -> None:
    made = bench(binding=False)
    made.kube.objects["namespaces", "", "ns"]["metadata"]["labels"] = {}
    made.delete()
    made.run()
    assert made.condition("Stalled")["reason"] == "NamespaceNotAllowed"
    assert FINALIZER in made.kube.objects[HUB]["metadata"]["finalizers"]
    made.kube.objects["namespaces", "", "ns"]["metadata"]["labels"] = {"pdshub.dev/hubs": "allowed"}
    made.run()
    assert made.helm.runs == ["uninstall"] and HUB not in made.kube.objects and BINDING not in made.kube.objects


# --- closed


def test_the_binding_goes_with_the_last_hub() -> None:
    made = bench()
    made.apply(SPEC, "second", created="2026-02-01T00:00:00Z")
    made.delete()
    made.run()
    assert HUB not in made.kube.objects and BINDING in made.kube.objects
    made.run("second")
    assert made.condition("Stalled", "second")["reason"] == "NotOurs", "it is looked at: the first one's database stays"
    made.delete("second")
    made.run("second")
    assert BINDING not in made.kube.objects


@pytest.mark.parametrize("order", ORDERS, ids=", ".join)
@pytest.mark.parametrize("stale", [0, 1])
def test_a_namespace_that_is_deleted_ends_in_every_order(order: tuple[str, ...], stale: int) -> None:
    """With a look at each moment between, and one that still sees a binding that has gone."""
    made = bench()
    assert isinstance(made.kube, Guarded)
    for what in order:
        happen(made, what)
        if what == "the namespace":
            made.helm.runs.clear()
        made.kube.stale_bindings = stale if BINDING not in made.kube.objects else 0
        made.run()
        made.kube.stale_bindings = 0
    made.run()
    assert HUB not in made.kube.objects, "its finalizer is gone"
    if order.index("the namespace") < order.index("the hub"):
        assert made.helm.runs == [], "Kubernetes removes what is in the namespace"
    assert not [k for k in made.kube.objects if k[0] == "archiveviews"], "the hub's own view lies outside"
    left = {key[2]: item for key, item in made.kube.objects.items() if key[0] == "persistentvolumes"}
    assert not [name for name, item in left.items() if VIEW_LABEL in (item["metadata"].get("labels") or {})]
    assert left["pv-db"]["spec"]["persistentVolumeReclaimPolicy"] == "Retain"


@pytest.mark.parametrize(
    ("homes", "database", "gone"),
    [
        ("Retain", "Retain", set()),
        ("Delete", "Retain", {"pv-home"}),
        ("Retain", "Delete", {"pv-db"}),
        ("Delete", "Delete", {"pv-home", "pv-db"}),
    ],
)
def test_data_of_a_namespace_that_goes_follows_the_deletion_policy(homes: str, database: str, gone: set[str]) -> None:
    made = bench({**SPEC, "deletionPolicy": {"homes": homes, "database": database}})
    marks = {HUB_LABEL: "demo", NAMESPACE_LABEL: "ns"}
    for name, labels, where in (("pv-home", marks, "ns"), ("pv-other", {}, "ns"), ("pv-moved", marks, "elsewhere")):
        spec = {"persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": where, "name": "claim-ada"}}
        made.kube.put(VOLUME, {"metadata": {"name": name, "labels": labels}, "spec": spec})
    for what in ("the namespace", "the binding", "the hub"):
        happen(made, what)
    made.run()
    assert HUB not in made.kube.objects
    volumes = [item for key, item in made.kube.objects.items() if key[0] == "persistentvolumes"]
    policy = {v["metadata"]["name"]: v["spec"].get("persistentVolumeReclaimPolicy") for v in volumes}
    assert {name for name, word in policy.items() if word == "Delete"} == gone
