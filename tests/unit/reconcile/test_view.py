"""reconcile() of a view from end to end, over an API server, a surveyor and nodes in memory."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pdshub.api.generation import Changes
from pdshub.helm import Helm
from pdshub.installation import Installation
from pdshub.kube import ARCHIVE_VIEW, CLAIM, PDSHUB, STORAGE_CLASS, Kube, KubeError
from pdshub.reconcile import surveytalk, view
from pdshub.reconcile.reports import NodeReport
from pdshub.reconcile.world import CarriedChart, World
from pdshub.survey_api import State, SurveyApi, SurveyError
from tests.unit.reconcile.fakes import FakeKube

SPEC: dict[str, Any] = {
    "sources": [{"name": "main", "nfs": {"server": "10.0.0.1", "export": "/pds"}}],
    "tree": [{"path": "pds4", "layers": [{"source": "main"}]}],
}
A, B, C = ("sha256:" + letter * 64 for letter in "abc")
PARTS = {
    "deployments/survey-sbn",
    "services/survey-sbn",
    "persistentvolumeclaims/survey-sbn",
    "persistentvolumeclaims/survey-sbn-sources",
    "persistentvolumes/survey-sbn-sources",
}


class FakeSurveys:
    """A surveyor that keeps what it is told to have."""

    def __init__(self) -> None:
        self.generations: list[dict[str, Any]] = []
        self.survey: dict[str, Any] = {"state": "idle", "lastFinished": "2026-01-01T00:00:00Z"}
        self.verified: dict[str, Any] = {}
        self.spec: str | None = None
        self.error, self.view = "", ""
        self.puts: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.compared: Changes | SurveyError | None = Changes(files_added=7)

    def keep(self, name: str, files: int = 100, previous: str | None = None, as_of: str = "2026-01-01") -> None:
        counts = {"files": files, "directories": 1, "links": 0, "bytes": files}
        self.generations.insert(0, {"name": name, "asOf": as_of, "counts": counts, "previous": previous})

    async def state(self, tls: Any, address: str) -> State:
        if self.error:
            raise SurveyError(self.error)
        body = {
            "view": self.view,
            "spec": self.spec,
            "survey": self.survey,
            "generations": self.generations,
            "verify": self.verified,
        }
        return State.model_validate(body)

    async def put_spec(self, tls: Any, address: str, body: dict[str, Any]) -> None:
        self.puts.append(body)
        self.spec = str(len(self.puts))
        self.survey["request"] = body["request"]

    async def changes(self, tls: Any, address: str, before: str, after: str) -> Changes | None:
        self.asked.append(f"diff {before[7]}{after[7]}")
        if isinstance(self.compared, SurveyError):
            raise self.compared
        return self.compared


class FakeTls:
    async def get(self) -> Any:
        """The fake surveyor looks at no certificate."""


class Bench:
    """A view on the fakes, and the moves of the world around it."""

    def __init__(self, spec: dict[str, Any] | None = None, storage: bool = True, image: str = "pdshub:1") -> None:
        self.kube, self.surveys = FakeKube(), FakeSurveys()
        self.world = self.start(image)
        if storage:
            default = {"storageclass.kubernetes.io/is-default-class": "true"}
            self.kube.put(STORAGE_CLASS, {"metadata": {"name": "standard", "annotations": default}})
        self.generation, self.words = 0, dict[str, Any]()
        self.apply(spec or SPEC)

    def start(self, image: str = "pdshub:1") -> World:
        """A new process of the operator."""
        settings = {"archive": {"allowedServers": ["10.0.0.0/8"]}, "surveyor": {"image": image}}
        self.world = World(
            cast(Kube, self.kube),
            cast(Helm, None),
            Installation.model_validate(settings),
            CarriedChart("/charts/airgap", "0.1.0", "abc"),
            "pdshub-system",
            surveys=cast(SurveyApi, self.surveys),
            _tls=cast(Any, FakeTls()),
        )
        return self.world

    def apply(self, spec: dict[str, Any], **annotations: str) -> None:
        self.generation += 1
        old = self.kube.objects.get(("archiveviews", "", "sbn"), {"metadata": {}})
        meta = {**old["metadata"], "name": "sbn", "generation": self.generation, "annotations": annotations}
        self.kube.put(ARCHIVE_VIEW, {**old, "metadata": meta, "spec": spec})

    def annotate(self, **annotations: str) -> None:
        meta = self.kube.objects[("archiveviews", "", "sbn")]["metadata"]
        meta["annotations"] = {f"pdshub.dev/{key}": text for key, text in annotations.items()}

    def delete(self) -> None:
        self.kube.objects[("archiveviews", "", "sbn")]["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"

    def runs(self) -> None:
        """Kubernetes does its part: an address for the Service, a pod for the Deployment."""
        self.kube.objects[("services", "pdshub-system", "survey-sbn")]["spec"]["clusterIP"] = "10.96.0.7"
        deployment = self.kube.objects[("deployments", "pdshub-system", "survey-sbn")]
        deployment["status"] = {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 1}

    def look(self) -> float | None:
        reports = {"n1": NodeReport("n1", self.report(), view.time.monotonic())}
        for memory in self.world.views.values():
            memory.seen_at = -1e9  # a while later
        return asyncio.run(view.reconcile(self.world, "sbn", reports, True))

    def report(self) -> dict[str, Any]:
        words = {"generation": self.generation, "form": "live", "ready": True, "targets": 1, "message": ""}
        source = {"ready": True, "mode": "kernel-nfs", "message": ""}
        return {"views": {"sbn": {**words, **self.words}}, "sources": {"sbn": {"main": source}}}

    def serve(self) -> None:
        """Up to a surveyor that runs."""
        self.look()
        self.runs()
        self.look()

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.kube.objects[("archiveviews", "", "sbn")]["status"]
        return found

    def condition(self, kind: str) -> tuple[str, str, str]:
        found: dict[str, Any] = next((c for c in self.status["conditions"] if c["type"] == kind), {})
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")

    @property
    def parts(self) -> set[str]:
        mine = ("deployments", "services", "persistentvolumeclaims", "persistentvolumes")
        return {f"{plural}/{name}" for plural, _, name in self.kube.objects if plural in mine}


def served(spec: dict[str, Any] | None = None, *names: str) -> Bench:
    bench = Bench(spec)
    for name in names:
        bench.surveys.keep(name)
    bench.serve()
    return bench


def test_a_surveyor_is_made_and_the_archive_is_ready_without_it() -> None:
    bench = Bench()
    assert bench.look() == view.STARTING
    assert bench.parts == PARTS
    assert bench.condition("Ready")[0] == "True"
    assert bench.condition("Surveyed")[:2] == ("Unknown", "SurveyorStarting")
    assert bench.condition("Released")[0] == "Unknown" and "live" in bench.condition("Released")[2]
    assert "generation" not in bench.status
    assert bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["finalizers"] == ["pdshub.dev/view"]
    for part in ("deployments", "services", "persistentvolumes"):
        (item,) = (o for (plural, _, _), o in bench.kube.objects.items() if plural == part)
        assert item["metadata"]["ownerReferences"][0]["kind"] == "ArchiveView"


def test_the_first_generation_is_released() -> None:
    bench = served(None, A)
    assert bench.status["surveyor"] == {"address": "10.96.0.7:9810"}
    assert bench.status["generation"]["name"] == A and bench.status["generation"]["short"] == "a" * 12
    assert bench.status["generations"] == [{"name": A, "asOf": "2026-01-01", "files": 100}]
    assert bench.condition("Released")[:2] == ("True", "Newest")
    assert bench.condition("Surveyed")[:2] == ("True", "Finished")
    assert bench.kube.events() == ["GenerationReleased"]
    (said,) = bench.surveys.puts
    assert (said["name"], said["generation"], said["request"], said["keep"]) == ("sbn", 1, "", [])
    assert said["spec"]["sources"][0]["nfs"]["export"] == "/pds"


def test_looks_without_news_write_nothing() -> None:
    bench = served(None, A)
    bench.look()  # what users see now is to be kept: said once
    bench.kube.writes.clear()
    bench.surveys.puts.clear()
    bench.world.view("sbn").told_at = 0.0
    for _ in range(3):
        assert bench.look() == view.EVERY
    assert bench.kube.writes == [] and bench.surveys.puts == []
    bench.start()
    bench.look()
    assert bench.kube.writes == [] and len(bench.surveys.puts) == 1


def test_what_users_see_is_kept_whatever_its_age() -> None:
    bench = served({**SPEC, "release": "approve", "approved": "b" * 12}, A, B, C)
    held = "sha256:" + "9" * 64
    bench.words |= {"shows": A, "shown": {A: 2, held: 1, "live": 1}}
    bench.look()
    bench.look()
    # held by a server, seen on a node, released, waiting
    assert bench.surveys.puts[-1]["keep"] == [held, A, B, C]


def test_a_survey_that_runs_is_looked_at_often_and_written_seldom() -> None:
    bench = served(None, A)
    bench.look()
    bench.kube.writes.clear()
    for phase in ("reading", "deciding", "writing"):
        bench.surveys.survey |= {"state": "running", "phase": phase}
        assert bench.look() == view.SURVEYING
    assert bench.status["survey"]["state"] == "running" and bench.status["survey"]["message"] == "reading"
    assert bench.kube.writes == ["patch status archiveviews/sbn"]
    bench.world.view("sbn").phase = ("reading", 1.0)
    bench.look()
    assert bench.status["survey"]["message"] == "writing"
    bench.surveys.survey |= {"state": "idle", "message": ""}
    bench.world.view("sbn").told_at = 0.0
    assert bench.look() == view.EVERY
    assert bench.status["survey"]["message"] == ""


def test_a_candidate_shows_what_it_changes_for_users() -> None:
    bench = served({**SPEC, "release": "approve", "approved": "a" * 12}, A)
    bench.surveys.keep(B, previous=A)
    bench.surveys.keep(C, previous=B)
    bench.look()
    assert bench.status["generation"]["name"] == A
    assert (bench.status["candidate"]["name"], bench.status["candidate"]["reason"]) == (C, "Approve")
    assert bench.status["candidate"]["changes"]["filesAdded"] == 7
    assert bench.condition("Released")[:2] == ("False", "WaitsForApproval")
    bench.look()
    assert bench.surveys.asked == ["diff ac"]  # once
    bench.apply({**SPEC, "release": "approve", "approved": "c" * 12})
    bench.look()
    assert bench.status["generation"]["name"] == C and "candidate" not in bench.status


UNKNOWN: list[tuple[str, Changes | SurveyError | None, str]] = [
    ("not yet", None, surveytalk.BEING_COMPARED),
    ("failed", SurveyError("more memory is needed"), f"{surveytalk.NOT_COMPARED}: more memory is needed"),
]


@pytest.mark.parametrize(("compared", "says"), [c[1:] for c in UNKNOWN], ids=[c[0] for c in UNKNOWN])
def test_no_numbers_are_shown_before_they_are_known(compared: Changes | SurveyError | None, says: str) -> None:
    bench = served({**SPEC, "release": "approve", "approved": "a" * 12}, A)
    bench.surveys.keep(B, previous=A)
    bench.surveys.generations[0]["changes"] = {"filesAdded": 1}
    bench.look()
    assert bench.status["candidate"]["changes"]["filesAdded"] == 1  # the surveyor compared with what users see
    bench.surveys.keep(C, previous=B)
    bench.surveys.generations[0]["changes"] = {"filesAdded": 2}
    bench.surveys.compared = compared
    for _ in range(2):
        bench.look()
        candidate = bench.status["candidate"]
        assert candidate["name"] == C and "changes" not in candidate, "neither those of B nor none at all"
        assert candidate["message"].endswith(says)
        bench.kube.writes.clear()
        bench.look()
        assert bench.kube.writes == [], "while it is worked out nothing is written again and again"
        bench.surveys.error = "away"
    asked = len(bench.surveys.asked)
    bench.surveys.error, bench.surveys.compared = "", Changes(files_added=3)
    bench.look()
    assert bench.status["candidate"]["changes"]["filesAdded"] == 3
    assert "worked out" not in bench.status["candidate"]["message"]
    bench.surveys.error = "away"
    bench.look()
    assert bench.status["candidate"]["changes"]["filesAdded"] == 3 and len(bench.surveys.asked) == asked + 1


def test_a_store_that_was_lost_cannot_be_compared_with() -> None:
    bench = served({**SPEC, "release": "approve", "approved": "a" * 12}, A)
    bench.surveys.generations.clear()
    bench.surveys.keep(C)
    bench.surveys.generations[0]["changes"] = {"filesAdded": 100}
    bench.look()
    candidate = bench.status["candidate"]
    assert candidate["message"].endswith(surveytalk.CANNOT_COMPARE) and "changes" not in candidate
    assert bench.surveys.asked == []


def test_a_shrunk_one_waits_and_approval_shows_it() -> None:
    bench = served(None, A)
    bench.surveys.keep(B, files=1, previous=A)
    bench.look()
    assert bench.condition("Released")[:2] == ("False", "Shrunk") and "99.0 %" in bench.condition("Released")[2]
    assert bench.status["generation"]["name"] == A
    bench.apply({**SPEC, "approved": "b" * 12})
    bench.look()
    assert bench.status["generation"]["name"] == B


DRIFTED = {"generation": A, "state": "done", "at": "2026-01-02", "files": 9, "drifted": 2, "examples": ["main:x"]}
DRIFTS: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("not yet", {}, "Unknown", "NotCompared", "being compared"),
    ("another one", {**DRIFTED, "generation": B}, "Unknown", "NotCompared", "being compared"),
    ("begun", {"generation": A, "state": "running", "at": "2026-01-02"}, "Unknown", "NotCompared", "being compared"),
    ("failed", {"generation": A, "state": "failed", "message": "timeout"}, "Unknown", "CompareFailed", "timeout"),
    ("drifted", DRIFTED, "True", "Drifted", "main:x"),
    ("drifted, compared again", {**DRIFTED, "state": "running"}, "True", "Drifted", "2 of 9"),
    ("as surveyed", {**DRIFTED, "drifted": 0}, "False", "AsSurveyed", "all 9 files"),
]


@pytest.mark.parametrize(("said", "status", "reason", "says"), [c[1:] for c in DRIFTS], ids=[c[0] for c in DRIFTS])
def test_a_pinned_one_is_compared_with_its_sources(said: dict[str, Any], status: str, reason: str, says: str) -> None:
    bench = Bench({**SPEC, "pin": "a" * 12})
    bench.surveys.keep(A)
    bench.surveys.keep(B)
    bench.surveys.verified = said
    bench.serve()
    assert bench.status["generation"]["name"] == A
    assert bench.condition("PinnedDrift")[:2] == (status, reason) and says in bench.condition("PinnedDrift")[2]
    bench.surveys.error = "gone"
    bench.world.view("sbn").state_at -= surveytalk.PATIENCE
    bench.look()
    assert bench.condition("PinnedDrift")[:2] == (status, reason) or reason == "CompareFailed"  # the last word stands
    bench.surveys.error = ""
    bench.apply(SPEC)
    bench.look()
    assert bench.status["generation"]["name"] == B and bench.condition("PinnedDrift")[0] == ""


def test_a_surveyor_that_is_away_takes_nothing_away() -> None:
    bench = served(None, A)
    bench.look()
    before = {kind: bench.condition(kind) for kind in ("Released", "Surveyed")}
    bench.surveys.error = "the surveyor does not answer: refused"
    bench.look()
    assert {kind: bench.condition(kind) for kind in before} == before  # a restart is no outage
    bench.world.view("sbn").state_at -= surveytalk.PATIENCE
    bench.look()
    assert bench.condition("Surveyed")[:2] == ("False", "SurveyorAway")
    assert bench.condition("Released") == before["Released"]
    assert bench.status["generation"]["name"] == A and bench.status["generations"]
    assert bench.condition("Ready")[0] == "True"


def test_another_views_surveyor_is_not_listened_to() -> None:
    bench = Bench()
    bench.surveys.keep(A)
    bench.surveys.view = "other"
    bench.serve()
    assert bench.surveys.puts == [] and "generation" not in bench.status
    assert bench.condition("Surveyed")[:2] == ("False", "SurveyorAway") and "other" in bench.condition("Surveyed")[2]


def test_a_pod_that_cannot_start_is_named() -> None:
    bench = Bench()
    bench.look()
    labels = {"app.kubernetes.io/component": "surveyor", "pdshub.dev/view": "sbn"}
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    meta = {"name": "survey-sbn-1", "namespace": "pdshub-system", "labels": labels}
    bench.kube.put(view.surveyors.POD, {"metadata": meta, "status": {"containerStatuses": [waiting]}})
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
        "allowedServers",
    ),
]


@pytest.mark.parametrize(("world", "spec", "reason", "says"), [c[1:] for c in REFUSALS], ids=[c[0] for c in REFUSALS])
def test_where_no_surveyor_can_be(world: dict[str, Any], spec: dict[str, Any], reason: str, says: str) -> None:
    bench = Bench({**SPEC, **spec}, **world)
    assert bench.look() == view.EVERY
    assert bench.parts == set()
    assert bench.condition("Surveyed")[:2] == ("False", reason) and says in bench.condition("Surveyed")[2]
    if reason != "NotAllowed":
        assert bench.condition("Ready")[0] == "True"


def test_a_class_that_comes_later_is_noticed() -> None:
    bench = Bench(storage=False)
    bench.look()
    bench.kube.put(STORAGE_CLASS, {"metadata": {"name": "fast"}})
    bench.apply({**SPEC, "survey": {"storageClassName": "fast"}})
    bench.world._lists.clear()
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
    meta = {"name": "survey-sbn", "namespace": "pdshub-system"}
    bench.kube.put(CLAIM, {"metadata": meta, "spec": {"resources": {"requests": {"storage": "1Gi"}}}})
    bench.look()
    assert bench.parts == {"persistentvolumeclaims/survey-sbn"}
    assert bench.condition("Surveyed")[:2] == ("False", "NotOurs")
    bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]["finalizers"] = ["pdshub.dev/view"]
    bench.delete()
    bench.look()
    assert bench.parts == {"persistentvolumeclaims/survey-sbn"}


def test_a_claim_that_was_lost_is_bound_again() -> None:
    bench = served(None, A)
    bench.kube.objects[("persistentvolumes", "", "survey-sbn-sources")]["spec"]["claimRef"]["uid"] = "gone"
    del bench.kube.objects[("persistentvolumeclaims", "pdshub-system", "survey-sbn-sources")]
    bench.look()
    assert bench.parts == PARTS
    reference = bench.kube.objects[("persistentvolumes", "", "survey-sbn-sources")]["spec"]["claimRef"]
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
    bench.world._lists.clear()
    bench.apply({**SPEC, "survey": {"storage": "20Gi"}})
    bench.look()
    claim = bench.kube.objects[("persistentvolumeclaims", "pdshub-system", "survey-sbn")]
    assert claim["spec"]["resources"]["requests"]["storage"] == ("20Gi" if expands else "10Gi")


def test_too_large_a_store_stops_nothing_that_runs() -> None:
    bench = served(None, A)
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    meta = {"name": "standard", "annotations": default}
    bench.kube.put(STORAGE_CLASS, {"metadata": meta, "allowVolumeExpansion": True})
    bench.world._lists.clear()
    bench.apply({**SPEC, "survey": {"storage": "500Gi"}})
    bench.surveys.keep(B, previous=A)
    bench.look()
    claim = bench.kube.objects[("persistentvolumeclaims", "pdshub-system", "survey-sbn")]
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
    claim = bench.kube.objects[("persistentvolumeclaims", "pdshub-system", "survey-sbn")]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert bench.condition("Surveyed")[0] == "True"


def test_who_asks_for_a_survey() -> None:
    bench = served(None, A)
    bench.look()

    def request() -> str:
        bench.look()
        return str(bench.surveys.puts[-1]["request"])

    assert request() == ""
    bench.annotate(refresh="now-1")
    assert request() == "now-1"
    bench.words["surveyWanted"] = "aaaaaaaaaaaa-1"
    first = request()
    assert first.startswith("now-1+") and request() == first
    assert bench.status["survey"]["request"] == "now-1"
    bench.words["surveyWanted"] = "aaaaaaaaaaaa-2"
    assert request() == first  # not so soon
    bench.world.view("sbn").token_at -= surveytalk.NODES_EVERY
    second = request()
    assert second != first
    del bench.words["surveyWanted"]
    assert request() == second  # what ended is no new wish
    bench.words["surveyWanted"] = "aaaaaaaaaaaa-2"
    bench.start()
    assert request() == second  # nor is a restart
    bench.annotate(refresh="now-2")
    assert request().startswith("now-2+")


@pytest.mark.parametrize(
    "junk", [None, [], {"sbn": 1}, {"sbn": {"surveyWanted": 5}}, {"sbn": {"surveyWanted": "", "shown": 7}}]
)
def test_strange_words_of_a_node_ask_for_nothing(junk: Any) -> None:
    reports = {"n1": NodeReport("n1", {"views": junk}, 1.0)}
    assert surveytalk.wishes("sbn", reports) == frozenset()
    spec = view.ArchiveViewSpec.model_validate(SPEC)
    assert surveytalk.keep("sbn", spec, view.ArchiveViewStatus(), reports) == []


def hub(name: str, **archive: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"archive": archive}}


def test_nodes_read_how_each_hub_takes_up_a_generation() -> None:
    bench = Bench()
    bench.kube.put(PDSHUB, hub("one", viewRef="sbn"))
    bench.kube.put(PDSHUB, hub("two", viewRef="sbn", updates="nextServer", maxHoldSeconds=60))
    bench.kube.put(PDSHUB, hub("three", viewRef="other"))
    bench.kube.put(PDSHUB, {"metadata": {"name": "four", "namespace": "ns"}, "spec": {}})
    bench.look()
    found = {item["volume"][:14]: (item["updates"], item["maxHoldSeconds"]) for item in bench.status["volumes"]}
    assert found == {"pdshub-ns-one-": ("live", 3600), "pdshub-ns-two-": ("nextServer", 60)}


NOT_YET = "has not finished"
SURVEYS: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("well", {"state": "idle", "lastFinished": "t1"}, "True", "Finished", "t1"),
    ("again", {"state": "running", "phase": "reading", "lastFinished": "t1"}, "True", "Finished", "t1"),
    (
        "the first",
        {"state": "running", "phase": "reading", "message": "5 directories"},
        "Unknown",
        "Surveying",
        NOT_YET,
    ),
    ("not asked yet", {"state": "idle", "message": "no wish"}, "Unknown", "Surveying", "no wish"),
    ("settling", {"state": "waiting", "message": "2 copied", "lastFinished": "t1"}, "True", "Settling", "2 copied"),
    ("failed", {"state": "failed", "message": "main is away"}, "False", "SurveyFailed", "main is away"),
    ("failed again", {"state": "failed", "lastFinished": "t1"}, "False", "SurveyFailed", "ended t1"),
]


@pytest.mark.parametrize(("survey", "status", "reason", "says"), [c[1:] for c in SURVEYS], ids=[c[0] for c in SURVEYS])
def test_how_it_stands_with_the_survey(survey: dict[str, Any], status: str, reason: str, says: str) -> None:
    bench = Bench()
    bench.surveys.survey = survey
    bench.serve()
    assert bench.condition("Surveyed")[:2] == (status, reason) and says in bench.condition("Surveyed")[2]
    assert bench.condition("Ready")[0] == "True"


PROOFS: list[tuple[str, dict[str, Any] | None, tuple[str, str]]] = [
    ("none yet", None, ("", "")),
    ("strange", {"ok": "perhaps"}, ("", "")),
    ("intact", {"ok": True, "result": "intact", "at": "t", "message": "m"}, ("True", "Proven")),
    ("writable", {"ok": False, "result": "violated", "message": "could write"}, ("False", "Violated")),
    ("no result word", {"ok": False, "message": "could write"}, ("False", "Violated")),
    ("not all read", {"ok": False, "result": "incomplete", "message": "timeout"}, ("Unknown", "Incomplete")),
]


@pytest.mark.parametrize(("proof", "condition"), [c[1:] for c in PROOFS], ids=[c[0] for c in PROOFS])
def test_the_continuous_proof(proof: dict[str, Any] | None, condition: tuple[str, str]) -> None:
    bench = Bench()
    if proof:
        bench.words["proof"] = proof
    bench.look()
    assert bench.condition("Intact")[:2] == condition
    if condition[0] == "False":
        assert "n1" in bench.condition("Intact")[2] and "could write" in bench.condition("Intact")[2]


def test_what_nodes_show_stands_beside_what_is_released() -> None:
    bench = served(None, A)
    bench.words |= {"form": "live", "shows": "live", "fetching": A}
    bench.look()
    (node,) = bench.status["nodes"]
    assert (node["generation"], node["message"]) == ("", "is fetching generation aaaaaaaaaaaa")
    bench.words |= {"form": "catalog", "shows": A, "fetching": ""}
    bench.look()
    (node,) = bench.status["nodes"]
    assert (node["ready"], node["form"], node["generation"]) == (True, "catalog", A)
    assert bench.status["form"] == "catalog"
