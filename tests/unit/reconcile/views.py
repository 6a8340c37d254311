"""A view over an API server, a surveyor and nodes in memory, and the moves of the world around it."""

from __future__ import annotations

import asyncio
import datetime
import time
from dataclasses import replace
from typing import Any, cast

from pdshub import pki
from pdshub.api.generation import Changes
from pdshub.api.survey import SpecTaken, State
from pdshub.helm import Helm
from pdshub.installation import Installation
from pdshub.kube import ARCHIVE_VIEW, STORAGE_CLASS, Kube
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view import reconcile
from pdshub.reconcile.view.context import ViewContext
from pdshub.survey_api import SurveyApi, SurveyError, Where
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
    "persistentvolumes/pdshub-surveyors.survey-sbn-sources",
    "secrets/survey-sbn-tls",
}


class FakeSurveys:
    """A surveyor that keeps what it is told to have."""

    def __init__(self) -> None:
        self.generations: list[dict[str, Any]] = []
        self.survey: dict[str, Any] = {"state": "idle", "lastFinished": "2026-01-01T00:00:00Z"}
        self.verified: dict[str, Any] = {}
        self.spec: str | None = None
        self.error, self.view, self.refuses = "", "", ""
        self.puts: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.compared: Changes | SurveyError | None = Changes(files_added=7)

    def keep(
        self, name: str, files: int = 100, previous: str | None = None, as_of: str = "2026-01-01", found: str = ""
    ) -> None:
        """A new generation. ``found``: what there is of the one layer, where that is not files."""
        counts = {"files": files, "directories": 1, "links": 0, "bytes": files, "datasets": 2}
        layers = [{"source": "main", "path": ".", "found": found or "files"}]
        made = {"name": name, "asOf": as_of, "counts": counts, "previous": previous}
        self.generations.insert(0, {**made, "entries": [{"path": "pds4", "layers": layers}]})

    async def state(self, tls: Any, where: Where) -> State:
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

    async def put_spec(self, tls: Any, where: Where, body: dict[str, Any]) -> SpecTaken:
        if self.refuses:
            raise SurveyError(self.refuses)
        self.puts.append(body)
        self.spec = str(len(self.puts))
        self.survey["request"] = body["request"]
        return SpecTaken(spec=self.spec)

    async def changes(self, tls: Any, where: Where, before: str, after: str) -> Changes | None:
        self.asked.append(f"diff {before if before == 'live' else before[7]}{after[7]}")
        if isinstance(self.compared, SurveyError):
            raise self.compared
        return self.compared


class FakeTls:
    """An authority whose certificates nobody looks at, but for what is annotated. ``now`` goes when it is told to."""

    def __init__(self) -> None:
        self.authority = "first"
        self.now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self.issued: list[str] = []

    async def get(self) -> Any:
        """The fake surveyor looks at no certificate."""

    async def due(self) -> pki.Due:
        return pki.Due(self.authority, self.now)

    async def surveyor_secret(self, body: dict[str, Any], dns: str) -> dict[str, Any]:
        self.issued.append(dns)
        annotations = (await self.due()).annotations()
        return {**body, "metadata": {**body["metadata"], "annotations": annotations}, "data": {"tls.crt": "c2VjcmV0"}}


class Bench:
    """A view on the fakes, and the moves of the world around it."""

    def __init__(self, spec: dict[str, Any] | None = None, storage: bool = True, image: str = "pdshub:1") -> None:
        self.kube, self.surveys, self.tls = FakeKube(), FakeSurveys(), FakeTls()
        self.context = self.start(image)
        if storage:
            default = {"storageclass.kubernetes.io/is-default-class": "true"}
            self.kube.put(STORAGE_CLASS, {"metadata": {"name": "standard", "annotations": default}})
        self.generation, self.words, self.source, self.asked = 0, dict[str, Any](), dict[str, Any](), True
        self.apply(spec or SPEC)

    def start(self, image: str = "pdshub:1") -> ViewContext:
        """A new process of the operator."""
        settings = {"archive": {"allowed": [{"server": "10.0.0.0/8", "exports": ["/"]}]}, "surveyor": {"image": image}}
        self.context = ViewContext(
            cast(Kube, self.kube),
            cast(Helm, None),
            Installation.model_validate(settings),
            BundledChart("/charts/airgap", "0.1.0", "abc"),
            "pdshub-system",
            cast(Any, self.tls),
            surveys=cast(SurveyApi, self.surveys),
        )
        return self.context

    def apply(self, spec: dict[str, Any], **annotations: str) -> None:
        self.generation += 1
        old = self.kube.objects.get(("archiveviews", "", "sbn"), {"metadata": {}})
        meta = {**old["metadata"], "name": "sbn", "generation": self.generation, "annotations": annotations}
        self.kube.put(ARCHIVE_VIEW, {**old, "metadata": meta, "spec": spec})

    def annotate(self, **annotations: str) -> None:
        meta = self.kube.objects[("archiveviews", "", "sbn")]["metadata"]
        meta["annotations"] = {f"pdshub.dev/{key}": text for key, text in annotations.items()}

    def delete(self, servers: int = 0) -> None:
        """Somebody deletes the view, which so many servers have mounted."""
        self.words["targets"] = servers
        self.kube.objects[("archiveviews", "", "sbn")]["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"

    def runs(self) -> None:
        """Kubernetes does its part: an address for the Service, a pod for the Deployment."""
        self.kube.objects[("services", "pdshub-surveyors", "survey-sbn")]["spec"]["clusterIP"] = "10.96.0.7"
        deployment = self.kube.objects[("deployments", "pdshub-surveyors", "survey-sbn")]
        deployment["status"] = {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 1}

    def look(self) -> float | None:
        reports = {"n1": NodeReport("n1", self.report(), time.monotonic())}
        for memory in self.context.views.values():
            memory.objects = None  # a while later
        return asyncio.run(reconcile.reconcile(self.context, "sbn", reports, self.asked))

    def long_ago(self, **what: float) -> None:
        """So many seconds pass for what the operator remembers of its surveyor: told, answer, requests or phase."""
        memory = self.context.view("sbn")
        for name, seconds in what.items():
            known = getattr(memory, name)
            setattr(memory, name, replace(known, at=known.at - seconds))

    def report(self) -> dict[str, Any]:
        words = {"generation": self.generation, "form": "live", "ready": True, "targets": 1, "message": ""}
        source = {"ready": True, "mode": "kernel-nfs", "message": "", **self.source}
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
        mine = ("deployments", "services", "persistentvolumeclaims", "persistentvolumes", "secrets")
        return {f"{plural}/{name}" for plural, _, name in self.kube.objects if plural in mine}


def served(spec: dict[str, Any] | None = None, *names: str) -> Bench:
    bench = Bench(spec)
    for name in names:
        bench.surveys.keep(name)
    bench.serve()
    return bench
