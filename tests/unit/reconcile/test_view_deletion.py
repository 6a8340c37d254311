"""A view that somebody reads is not deleted by mistake: it waits until it is confirmed, and nothing is wedged."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.kube import PDSHUB
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view import deletion
from tests.unit.reconcile.views import PARTS, SPEC, A, B, Bench, served

LIVE = {**SPEC, "form": "live"}
GOING = {"deletionTimestamp": "2026-01-02T00:00:00Z"}
OWNED = {"pdshub.dev/hub": "sbn", "pdshub.dev/namespace": "ns"}


def hub(name: str, archive: dict[str, Any] | None, **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", **meta}, "spec": {"archive": archive} if archive else {}}


def reports(**targets: int) -> dict[str, NodeReport]:
    return {node: NodeReport(node, {"views": {"ns-sbn": {"targets": n}}}) for node, n in targets.items()}


REF, INLINE = {"viewRef": "ns-sbn"}, {"inline": {"folder": "x"}}
# labels of view ns-sbn, hubs, what nodes say -> hubs and servers that are in the way
USERS: list[tuple[str, dict[str, str], list[dict[str, Any]], dict[str, NodeReport], list[str], dict[str, int]]] = [
    ("nobody", {}, [], {}, [], {}),
    ("a hub", {}, [hub("a", REF)], {}, ["ns/a"], {}),
    (
        "hubs that show something else",
        {},
        [hub("a", {"viewRef": "other"}), hub("b", None), hub("c", INLINE)],
        {},
        [],
        {},
    ),
    ("a hub that is going", {}, [hub("a", REF, **GOING)], {}, [], {}),
    ("servers", {}, [], reports(n1=2, n2=0), [], {"n1": 2}),
    ("servers of a hub that is going", {}, [hub("a", REF, **GOING)], reports(n1=1), [], {"n1": 1}),
    ("a node that says nonsense", {}, [], {"n": NodeReport("n", {"views": {"ns-sbn": {"targets": "x"}}})}, [], {}),
    ("inline", OWNED, [hub("sbn", INLINE)], reports(n1=1), ["ns/sbn"], {}),
    ("inline, its hub is going", OWNED, [hub("sbn", INLINE, **GOING)], reports(n1=1), [], {}),
    ("inline, its hub is gone", OWNED, [], reports(n1=1), [], {}),
    ("inline, its hub shows another", OWNED, [hub("sbn", {"viewRef": "other"})], {}, [], {}),
    ("inline of one, and another refers to it", OWNED, [hub("b", REF)], {}, ["ns/b"], {}),
]


@pytest.mark.parametrize(
    ("labels", "hubs", "said", "found", "servers"), [c[1:] for c in USERS], ids=[c[0] for c in USERS]
)
def test_users(
    labels: dict[str, str],
    hubs: list[dict[str, Any]],
    said: dict[str, NodeReport],
    found: list[str],
    servers: dict[str, int],
) -> None:
    users = deletion.users({"metadata": {"name": "ns-sbn", "labels": labels}}, hubs, said)
    assert (list(users.hubs), dict(users.servers)) == (found, servers)
    assert bool(users) is bool(found or servers)
    text = deletion.in_use_message("ns-sbn", users)
    assert all(name in text for name in (*found, *servers)) and "pdshub.dev/confirm-delete=ns-sbn" in text


def used(spec: dict[str, Any] | None = None) -> Bench:
    bench = Bench(spec)
    bench.kube.put(PDSHUB, hub("one", {"viewRef": "sbn"}))
    bench.surveys.keep(A)
    if spec is None:
        bench.serve()
    bench.look()
    return bench


def gone(bench: Bench) -> bool:
    return ("archiveviews", "", "sbn") not in bench.kube.objects


@pytest.mark.parametrize("spec", [None, LIVE], ids=["catalog", "live"])
def test_a_view_in_use_waits_and_users_go_on(spec: dict[str, Any] | None) -> None:
    bench = used(spec)
    bench.delete(servers=1)
    for _ in range(3):
        bench.look()
    status, reason, message = bench.condition("Deleting")
    assert (status, reason) == ("True", "InUse") and "ns/one" in message and "n1 (1)" in message
    assert bench.condition("Ready")[0] == "True", "everything else is still said"
    assert bench.parts == (PARTS if spec is None else set())
    assert bench.kube.events().count("InUse") == 1
    if spec is None:
        bench.surveys.keep(B, previous=A)
        bench.look()
        assert bench.status["generation"]["name"] == B, "surveys and releases go on"
    del bench.kube.objects[("pdshubs", "ns", "one")]
    bench.look()
    assert not gone(bench) and "n1 (1)" in bench.condition("Deleting")[2], "its servers are still there"
    bench.words["targets"] = 0
    bench.look()
    assert gone(bench) and bench.parts == set()


@pytest.mark.parametrize(("text", "goes"), [("sbn", True), ("true", False), ("other", False)])
def test_a_confirmation_names_the_view(text: str, goes: bool) -> None:
    bench = used()
    bench.delete(servers=1)
    bench.annotate(**{"confirm-delete": text})
    bench.look()
    assert gone(bench) is goes


def test_a_confirmation_before_the_deletion_counts_too() -> None:
    bench = used()
    bench.annotate(**{"confirm-delete": "sbn"})
    bench.look()
    assert not gone(bench)
    bench.delete(servers=3)
    bench.look()
    assert gone(bench)


def test_nothing_goes_before_the_nodes_were_asked() -> None:
    bench = used()
    del bench.kube.objects[("pdshubs", "ns", "one")]
    bench.delete(servers=1)
    bench.asked = False
    bench.look()
    assert not gone(bench)


def test_a_live_view_is_held_only_while_somebody_uses_it() -> None:
    bench = used(LIVE)
    view = bench.kube.objects[("archiveviews", "", "sbn")]
    assert view["metadata"]["finalizers"] == ["pdshub.dev/view"]
    bench.kube.writes.clear()
    bench.look()
    assert bench.kube.writes == []
    del bench.kube.objects[("pdshubs", "ns", "one")]
    bench.look()
    assert bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["finalizers"] == ["pdshub.dev/view"]
    bench.words["targets"] = 0
    bench.look()
    assert bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["finalizers"] == []


def test_a_view_in_use_that_becomes_live_loses_its_surveyor_and_stays_held() -> None:
    bench = used()
    bench.apply(LIVE)
    bench.look()
    assert bench.parts == set()
    assert bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["finalizers"] == ["pdshub.dev/view"]


def test_the_surveyor_of_a_view_that_is_going_is_not_made_again() -> None:
    """Kubernetes may collect what the view owns (--cascade=foreground): to make it again would never end."""
    bench = used()
    bench.delete(servers=1)
    del bench.kube.objects[("deployments", "pdshub-surveyors", "survey-sbn")]
    bench.look()
    assert "deployments/survey-sbn" not in bench.parts and not gone(bench)
    assert bench.status["generation"]["name"] == A


@pytest.mark.parametrize("spec", [SPEC, LIVE, {"tree": []}], ids=["catalog", "live", "refused"])
def test_it_is_said_whatever_the_spec_is(spec: dict[str, Any]) -> None:
    bench = used()
    bench.apply(spec)
    bench.delete(servers=1)
    bench.look()
    assert bench.condition("Deleting")[:2] == ("True", "InUse") and not gone(bench)


def test_a_live_view_inside_of_a_hub_is_not_held() -> None:
    """Its hub makes it again: nothing is lost, and nothing has to be waited for."""
    bench = Bench(LIVE)
    labels = {"pdshub.dev/hub": "sbn", "pdshub.dev/namespace": "ns"}
    bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["labels"] = labels
    bench.kube.put(PDSHUB, hub("one", {"viewRef": "sbn"}))
    bench.look()
    assert not bench.kube.objects[("archiveviews", "", "sbn")]["metadata"].get("finalizers")


def test_nobody_uses_it() -> None:
    bench = served(None, A)
    bench.delete()
    bench.look()
    assert gone(bench)
