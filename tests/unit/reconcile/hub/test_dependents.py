"""What goes with a deleted hub: by policy, by mark, and by Helm's marks where Helm's record cannot be read."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pdshub.api.hub import PDSHubSpec
from pdshub.kube import Kube
from pdshub.reconcile.hub.dependents import RELEASED, RESOURCES, judge_dependents, read_dependents
from pdshub.reconcile.hub.judge import judge
from pdshub.reconcile.hub.observation import ReleaseRead
from pdshub.reconcile.hub.release import Release, UnreadableRelease
from pdshub.render.names import Names
from tests.unit.reconcile.fakes import FakeKube, owned
from tests.unit.reconcile.hub.test_judge import BUNDLED, INSTALLATION, Observation, hub, named, release

NAMES = Names("ns", "demo")
MINE = {"pdshub.dev/hub": "demo", "pdshub.dev/namespace": "ns"}
THEIRS = {"pdshub.dev/hub": "b", "pdshub.dev/namespace": "ns-a"}


def spec(**policy: str) -> PDSHubSpec:
    return PDSHubSpec.model_validate({"signIn": {"development": {}}, "deletionPolicy": policy})


def helms(name: str = "x", release_name: str = "demo", namespace: str = "ns", **annotations: str) -> dict[str, Any]:
    marks = owned(release_name, namespace)
    meta = {"name": name, "labels": marks["labels"], "annotations": {**marks["annotations"], **annotations}}
    return {"metadata": meta}


LEFT = {
    "servers": (named("jupyter-ada"),),
    "claims": (named("demo-archive"),),
    "volumes": (named("pdshub-ns-demo-archive", None),),
    "shares": (named("pdshub-ns-demo-backups", None),),
    "homes": (named("claim-ada"), named("hub-db-dir")),
    "notice": (named("demo-notice"),),
    "database": (named("hub-db-dir"),),
    "keys": (named("demo-keys"),),
    "sign-in": (named("demo-sign-in"),),
    "view": (named("ns-demo", None, MINE),),
}
ALWAYS = {
    "jupyter-ada",
    "demo-archive",
    "pdshub-ns-demo-archive",
    "pdshub-ns-demo-backups",
    "demo-notice",
    "ns-demo",
}
DATABASE = {"hub-db-dir", "demo-keys", "demo-sign-in"}
CASES: list[tuple[str, PDSHubSpec | None, dict[str, Any], set[str]]] = [
    ("data stays by default", spec(), LEFT, ALWAYS),
    ("a spec that cannot be read keeps all data", None, LEFT, ALWAYS),
    ("homes, but no database among them", spec(homes="Delete"), LEFT, {*ALWAYS, "claim-ada"}),
    ("the database and its keys", spec(database="Delete"), LEFT, {*ALWAYS, *DATABASE}),
    ("everything", spec(homes="Delete", database="Delete"), LEFT, {*ALWAYS, *DATABASE, "claim-ada"}),
    ("another hub's view", spec(), {"view": (named("ns-demo", None, THEIRS),)}, set()),
    ("a manager's view", spec(), {"view": (named("ns-demo", None),)}, set()),
    ("what goes already", spec(), {"servers": ({"metadata": {"name": "x", "deletionTimestamp": "x"}},)}, set()),
    ("what Helm made", spec(), {"deployment": (helms(),)}, {"x"}),
    ("what another release made", spec(), {"deployment": (helms(release_name="b"),)}, set()),
    ("what a release of elsewhere made", spec(), {"deployment": (helms(namespace="b"),)}, set()),
    ("what Helm keeps", spec(), {"secret": (helms(**{"helm.sh/resource-policy": "keep"}),)}, set()),
    ("what has no mark of Helm", spec(), {"service": (named("x"),)}, set()),
]


@pytest.mark.parametrize(("given", "left", "goes"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_judge_dependents(given: PDSHubSpec | None, left: dict[str, Any], goes: set[str]) -> None:
    found = judge_dependents(NAMES, given, left)
    assert {name for _, name in found} == goes
    assert {kind for kind, _ in found} <= set(RESOURCES)


def test_no_claim_and_no_volume_is_found_by_helms_marks() -> None:
    assert not {"persistentvolumeclaims", "persistentvolumes"} & {r.plural for r in RELEASED.values()}


@pytest.mark.parametrize("broken", [False, True])
def test_reading_writes_nothing_and_asks_for_helms_objects_only_when_helm_cannot(broken: bool) -> None:
    kube = FakeKube()
    for resource in RELEASED.values():
        kube.put(resource, {"metadata": {**helms(f"x-{resource.plural}")["metadata"], "namespace": "ns"}})
    left = asyncio.run(read_dependents(cast(Kube, kube), NAMES, broken))
    assert kube.writes == []
    found = {name for _, name in judge_dependents(NAMES, spec(), left)}
    assert found == ({f"x-{r.plural}" for r in RELEASED.values()} if broken else set())


BROKEN = UnreadableRelease("v7", "no release")
GOING: list[tuple[str, ReleaseRead, int, tuple[str, ...], set[str]]] = [
    ("readable", ReleaseRead(release({})), 1, (), ALWAYS),
    ("gone", ReleaseRead(), 1, (), ALWAYS),
    ("an older one is whole", ReleaseRead(None, BROKEN, release({}), ("v7",)), 7, ("v7",), ALWAYS),
    ("none is whole", ReleaseRead(None, BROKEN, None, ("v7", "v6")), 7, (), {*ALWAYS, "v7", "v6", "x"}),
    ("none is whole, never installed", ReleaseRead(None, BROKEN, None, ("v7",)), 0, (), ALWAYS),
    ("somebody's is whole", ReleaseRead(None, BROKEN, release({}, owner=""), ("v7",)), 7, (), ALWAYS),
]


@pytest.mark.parametrize(("read", "revision", "broken", "goes"), [c[1:] for c in GOING], ids=[c[0] for c in GOING])
def test_a_release_that_cannot_be_read(
    read: ReleaseRead, revision: int, broken: tuple[str, ...], goes: set[str]
) -> None:
    going = {**hub(deletionTimestamp="x"), "status": {"revision": revision}}
    left = {**LEFT, **({"deployment": (helms(),)} if read.unreadable and not read.older else {})}
    facts = judge(Observation(hub=going, spec=spec(), release=read, left=left), INSTALLATION, BUNDLED)
    assert facts.broken_revisions == broken
    assert {name for _, name in facts.dependents} == goes
    assert facts.release is None or isinstance(facts.release, Release)
