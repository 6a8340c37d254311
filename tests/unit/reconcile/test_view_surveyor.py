"""The objects of a view's surveyor: made, kept as they should be, and taken away."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from pdshub.kube import CLAIM, POD, STORAGE_CLASS, KubeError, Object, Resource
from pdshub.reconcile.view import reconcile
from tests.unit.reconcile.views import PARTS, SPEC, A, B, Bench, served


def test_a_surveyor_is_made_and_the_archive_is_ready_without_it() -> None:
    bench = Bench()
    assert bench.look() == reconcile.STARTING
    assert bench.parts == PARTS
    assert bench.condition("Ready")[0] == "True"
    assert bench.condition("Surveyed")[:2] == ("Unknown", "SurveyorStarting")
    assert bench.condition("Released")[0] == "Unknown" and "live" in bench.condition("Released")[2]
    assert "generation" not in bench.status
    assert bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["finalizers"] == ["pdshub.dev/view"]
    for part in ("deployments", "services", "persistentvolumes", "secrets"):
        (item,) = (o for (plural, _, _), o in bench.kube.objects.items() if plural == part)
        assert item["metadata"]["ownerReferences"][0]["kind"] == "ArchiveView"


def test_a_pod_that_cannot_start_is_named() -> None:
    bench = Bench()
    bench.look()
    labels = {"app.kubernetes.io/component": "surveyor", "pdshub.dev/view": "sbn"}
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    meta = {"name": "survey-sbn-1", "namespace": "pdshub-surveyors", "labels": labels}
    bench.kube.put(POD, {"metadata": meta, "status": {"containerStatuses": [waiting]}})
    bench.look()
    assert bench.condition("Surveyed")[0] == "False" and "no such image" in bench.condition("Surveyed")[2]


REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("no default class", {"storage": False}, {}, "NoStorageClass", "storageClassName"),
    ("no such class", {}, {"survey": {"storageClassName": "fast"}}, "NoStorageClass", "fast"),
    ("too large a store", {}, {"survey": {"storage": "101Gi"}}, "StorageTooLarge", "spec.survey.storage: 101Gi"),
    ("no image", {"image": ""}, {}, "NoImage", "image"),
    (
        "a server that is not allowed",
        {},
        {"sources": [{"name": "main", "nfs": {"server": "192.168.0.1", "export": "/pds"}}]},
        "NotAllowed",
        "archive.allowed ",
    ),
]


@pytest.mark.parametrize(("context", "spec", "reason", "says"), [c[1:] for c in REFUSALS], ids=[c[0] for c in REFUSALS])
def test_where_no_surveyor_can_be(context: dict[str, Any], spec: dict[str, Any], reason: str, says: str) -> None:
    bench = Bench({**SPEC, **spec}, **context)
    assert bench.look() == reconcile.EVERY
    assert bench.parts == set()
    assert bench.condition("Surveyed")[:2] == ("False", reason) and says in bench.condition("Surveyed")[2]
    if reason != "NotAllowed":
        assert bench.condition("Ready")[0] == "True"


def test_a_class_that_comes_later_is_noticed() -> None:
    bench = Bench(storage=False)
    bench.look()
    bench.kube.put(STORAGE_CLASS, {"metadata": {"name": "fast"}})
    bench.apply({**SPEC, "survey": {"storageClassName": "fast"}})
    bench.context._lists.clear()
    bench.look()
    assert bench.parts == PARTS


def test_another_image_is_rolled_out_and_nothing_else_is_touched() -> None:
    bench = served(None, A)
    bench.look()
    bench.kube.writes.clear()
    bench.start("pdshub:2")
    bench.look()
    assert bench.kube.writes == ["apply deployments/survey-sbn"]


@pytest.mark.parametrize("how", ["live", "all entries live"])
def test_a_live_view_has_no_surveyor(how: str) -> None:
    bench = served(None, A)
    bench.words["targets"] = 0
    tree = [{**SPEC["tree"][0], "live": True}]
    bench.apply({**SPEC, "form": "live"} if how == "live" else {**SPEC, "tree": tree})
    bench.look()
    assert bench.parts == set()
    assert not {"generation", "generations", "surveyor", "candidate", "survey"} & {
        key for key, value in bench.status.items() if value
    }
    assert {c["type"] for c in bench.status["conditions"]} == {"Ready"}
    assert bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["finalizers"] == []
    bench.apply(SPEC)
    bench.look()
    assert "generation" not in bench.status  # what the surveyor that is gone once said means nothing


@pytest.mark.parametrize(
    ("annotations", "left"),
    [({}, set[str]()), ({"keep-store": "true"}, {"persistentvolumeclaims/survey-sbn"}), ({"keep-store": "no"}, set())],
)
def test_a_deleted_view_goes_with_its_surveyor(annotations: dict[str, str], left: set[str]) -> None:
    bench = served(None, A)
    bench.annotate(**annotations)
    bench.delete()
    bench.look()
    assert bench.parts == left
    assert ("archiveviews", "", "sbn") not in bench.kube.objects
    assert bench.look() is None


def replaced(bench: Bench) -> None:
    """kubectl replace with a manifest that names no finalizer, of a view that nobody has mounted."""
    bench.words["targets"] = 0
    bench.kube.objects[("archiveviews", "", "sbn")]["metadata"].pop("finalizers", None)


def test_a_finalizer_that_was_replaced_away_is_set_again() -> None:
    """Without it the store stays behind when the view is deleted."""
    bench = served(None, A)
    bench.look()
    replaced(bench)
    bench.kube.writes.clear()
    bench.look()
    assert bench.kube.writes[0] == "patch archiveviews/sbn"
    assert bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["finalizers"] == ["pdshub.dev/view"]
    bench.delete()
    bench.look()
    assert bench.parts == set()


def test_the_finalizer_is_set_before_anything_is_made() -> None:
    bench = served(None, A)
    replaced(bench)
    del bench.kube.objects[("deployments", "pdshub-surveyors", "survey-sbn")]
    bench.kube.writes.clear()
    bench.look()
    assert bench.kube.writes[:2] == ["patch archiveviews/sbn", "apply deployments/survey-sbn"]


def test_what_there_is_of_a_surveyor_holds_the_view_even_where_none_can_be_made() -> None:
    bench = served(None, A)
    replaced(bench)
    bench.start(image="")
    bench.look()
    assert bench.condition("Surveyed")[:2] == ("False", "NoImage")
    assert bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["finalizers"] == ["pdshub.dev/view"]


def test_a_view_that_is_replaced_by_a_live_one_loses_its_surveyor() -> None:
    bench = served(None, A)
    replaced(bench)
    bench.apply({**SPEC, "form": "live"})
    bench.look()
    assert bench.parts == set()
    assert not bench.kube.objects[("archiveviews", "", "sbn")]["metadata"].get("finalizers")


def test_a_view_that_is_going_gets_no_finalizer() -> None:
    bench = served(None, A)
    replaced(bench)
    bench.delete()
    bench.kube.writes.clear()
    bench.look()
    assert bench.kube.writes == []


def test_a_view_is_kept_while_its_surveyor_cannot_be_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = served(None, A)
    bench.delete()

    async def refuse(*_: Any, **__: Any) -> bool:
        raise KubeError(403, "forbidden")

    monkeypatch.setattr(bench.kube, "delete", refuse)
    with pytest.raises(KubeError):
        bench.look()
    assert ("archiveviews", "", "sbn") in bench.kube.objects


def test_what_is_not_ours_stays() -> None:
    bench = Bench()
    meta = {"name": "survey-sbn", "namespace": "pdshub-surveyors"}
    bench.kube.put(CLAIM, {"metadata": meta, "spec": {"resources": {"requests": {"storage": "1Gi"}}}})
    bench.look()
    assert bench.parts == {"persistentvolumeclaims/survey-sbn"}
    status, reason, message = bench.condition("Surveyed")[:3]
    assert (status, reason) == ("False", "NotOurs")
    # it may be somebody's data
    assert "another name" in message and not any(word in message for word in ("remove", "delete"))
    bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["finalizers"] = ["pdshub.dev/view"]
    bench.delete()
    bench.look()
    assert bench.parts == {"persistentvolumeclaims/survey-sbn"}


def test_a_claim_that_was_lost_is_bound_again() -> None:
    bench = served(None, A)
    volume = ("persistentvolumes", "", "pdshub-surveyors.survey-sbn-sources")
    bench.kube.objects[volume]["spec"]["claimRef"]["uid"] = "gone"
    del bench.kube.objects[("persistentvolumeclaims", "pdshub-surveyors", "survey-sbn-sources")]
    bench.look()
    assert bench.parts == PARTS
    reference = bench.kube.objects[volume]["spec"]["claimRef"]
    assert "uid" not in reference


@pytest.mark.parametrize("expands", [True, False])
def test_a_larger_store(expands: bool) -> None:
    bench = served(None, A)
    bench.kube.put(
        STORAGE_CLASS,
        {
            "metadata": {
                "name": "standard",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "allowVolumeExpansion": expands,
        },
    )
    bench.context._lists.clear()
    bench.apply({**SPEC, "survey": {"storage": "20Gi"}})
    bench.look()
    claim = bench.kube.objects[("persistentvolumeclaims", "pdshub-surveyors", "survey-sbn")]
    assert claim["spec"]["resources"]["requests"]["storage"] == ("20Gi" if expands else "10Gi")


def test_too_large_a_store_stops_nothing_that_runs() -> None:
    bench = served(None, A)
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    meta = {"name": "standard", "annotations": default}
    bench.kube.put(STORAGE_CLASS, {"metadata": meta, "allowVolumeExpansion": True})
    bench.context._lists.clear()
    bench.apply({**SPEC, "survey": {"storage": "500Gi"}})
    bench.surveys.keep(B, previous=A)
    bench.look()
    claim = bench.kube.objects[("persistentvolumeclaims", "pdshub-surveyors", "survey-sbn")]
    assert claim["spec"]["resources"]["requests"]["storage"] == "10Gi"
    assert bench.status["generation"]["name"] == B and bench.condition("Ready")[0] == "True"
    status, reason, says = bench.condition("Surveyed")
    assert (status, reason) == ("False", "StorageTooLarge")
    assert says.startswith("spec.survey.storage: 500Gi is more") and says.endswith("with the store that there is")
    bench.surveys.survey |= {"state": "failed", "message": "the store is full"}
    bench.look()
    assert bench.condition("Surveyed")[1] == "SurveyFailed"
    assert (
        "the store is full" in bench.condition("Surveyed")[2]
        and "surveyor.maxStorage" in bench.condition("Surveyed")[2]
    )
    bench.surveys.survey |= {"state": "idle"}
    bench.apply({**SPEC, "survey": {"storage": "20Gi"}})
    bench.look()
    claim = bench.kube.objects[("persistentvolumeclaims", "pdshub-surveyors", "survey-sbn")]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert bench.condition("Surveyed")[0] == "True"


def days(bench: Bench, number: float) -> None:
    bench.tls.now += datetime.timedelta(days=number)


def rotated(bench: Bench) -> None:
    bench.tls.authority = "second"


def lost(bench: Bench) -> None:
    del bench.kube.objects[SECRET_KEY]


def stripped(bench: Bench) -> None:
    bench.kube.objects[SECRET_KEY]["metadata"].pop("annotations")


SECRET_KEY = ("secrets", "pdshub-surveyors", "survey-sbn-tls")


@pytest.mark.parametrize(
    ("happens", "issued"),
    [
        (lambda bench: None, 1),
        (lambda bench: days(bench, 300), 1),
        (lambda bench: days(bench, 305.5), 2),
        (lambda bench: days(bench, 400), 2),
        (rotated, 2),
        (lost, 2),
        (stripped, 2),
    ],
    ids=["nothing", "300 days", "60 days before its end", "expired", "the authority changed", "lost", "unmarked"],
)
def test_the_certificate_names_the_view_and_is_renewed_when_it_is_due(
    happens: Callable[[Bench], None], issued: int
) -> None:
    bench = served(None, A)
    assert bench.tls.issued == ["sbn.surveyor.pdshub"]
    bench.kube.writes.clear()
    happens(bench)
    bench.look()
    bench.look()
    assert bench.tls.issued == ["sbn.surveyor.pdshub"] * issued
    assert [w for w in bench.kube.writes if "status" not in w] == ["apply secrets/survey-sbn-tls"] * (issued - 1)
    secret = bench.kube.objects[SECRET_KEY]
    assert secret["metadata"]["ownerReferences"][0]["name"] == "sbn"
    assert (asyncio.run(bench.tls.due())).fulfilled(secret["metadata"]["annotations"])


def test_nobody_reads_its_key() -> None:
    bench = served(None, A)
    read: list[str] = []
    get = bench.kube.get

    async def listening(resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        read.append(resource.plural)
        return await get(resource, name, namespace)

    async def metadata(resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        return await get(resource, name, namespace)

    bench.kube.get, bench.kube.get_metadata = listening, metadata  # type: ignore[method-assign]
    bench.look()
    assert "deployments" in read and "secrets" not in read
