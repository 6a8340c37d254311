"""What a settled cluster costs: requests of a look, and looks for what happens to a view."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from typing import Any

import pytest

from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    HUB_BACKUP,
    JOB,
    PDSHUB,
    POD,
    SECRET,
    SERVICE,
    STORAGE_CLASS,
    Kube,
)
from pdshub.loops import Operator
from pdshub.reconcile.hub import reconcile as hub
from pdshub.reconcile.hub.backup import reconcile as backup
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.decide import Kind, decide
from pdshub.reconcile.hub.people import reconcile as people
from pdshub.reconcile.hub.reconcile import look
from pdshub.reconcile.view import reconcile as view
from tests.unit.reconcile import views
from tests.unit.reconcile.fakes import merged
from tests.unit.settled import SURVEYORS, Cluster, at_rest, eventually, heard, no_look, running

A, B = ("sha256:" + letter * 64 for letter in "ab")


def asked_of_the_api_server(cluster: Cluster) -> list[str]:
    """Requests but watches. How the hub is, is asked of the hub: outside a cluster the API server passes it on."""
    return [request for request in cluster.server.requests() if not request.endswith("/proxy/hub/health")]


async def settled(cluster: Cluster, operator: Operator, namespaces: list[str]) -> None:
    """Until every hub is installed and has nothing to do."""

    def installed() -> bool:
        cluster.bind()
        return all(
            any(
                (c["type"], c["status"]) == ("Ready", "True")
                for c in (cluster.server.objects[PDSHUB.path(n, "hub")].get("status") or {}).get("conditions", [])
            )
            for n in namespaces
        )

    for namespace in namespaces:
        operator.hubs.enqueue((namespace, "hub"))
    while not installed():
        for namespace in namespaces:
            operator.hubs.enqueue((namespace, "hub"))
        await at_rest(operator)
        await asyncio.sleep(0.05)
    await heard(cluster, operator)


def one_hub(cluster: Cluster) -> None:
    cluster.view(A)
    cluster.hub("ns")


def test_a_look_at_a_settled_hub_asks_the_api_server_nothing() -> None:
    """Before: 16 requests a look, and lists of nodes and storage classes once a minute."""

    async def main() -> None:
        async with running(before=one_hub) as (cluster, operator):
            await settled(cluster, operator, ["ns"])
            cluster.server.asked.clear()
            cluster.looks.clear()
            copies = [copy.deepcopy(i.objects) for i in operator.informers.caches]
            await operator.resync()
            await at_rest(operator)
            await eventually("the resync leads to a look", lambda: cluster.looks["ns", "hub"] == 1)
            assert asked_of_the_api_server(cluster) == [
                f"GET {PDSHUB.path()}",
                f"GET {ARCHIVE_VIEW.path()}",
                "GET /api/v1/namespaces/ns/persistentvolumeclaims",
            ], "the resync's own lists"
            assert copies == [i.objects for i in operator.informers.caches], "nobody changes what is shared"
            cluster.server.asked.clear()
            await hub.reconcile(operator.hub_context.live(), "ns", "hub")
            assert len(asked_of_the_api_server(cluster)) >= 16, "the same look without informers"

    asyncio.run(main())


def a_list_of_people(cluster: Cluster) -> None:
    one_hub(cluster)
    known = cluster.server.objects[PDSHUB.path("ns", "hub")]
    users = {"allowed": ["ada"], "from": [{"configMap": {"name": "staff", "key": "list"}}]}
    cluster.put(PDSHUB, {**known, "spec": {**known["spec"], "users": users}})
    cluster.put(CONFIG_MAP, {"metadata": {"name": "staff", "namespace": "ns"}, "data": {"list": "bela"}})


def test_a_list_of_people_that_stays_costs_nothing_and_a_changed_source_acts_at_once() -> None:
    """By the watch: no resync and nobody else asks for a look."""

    def allowed(cluster: Cluster) -> list[str]:
        found = cluster.server.objects.get(CONFIG_MAP.path("ns", "hub-people"))
        return list(json.loads(found["data"]["people.json"])["allowed"]) if found else []

    async def main() -> None:
        async with running(before=a_list_of_people, look_at_people=people.reconcile) as (cluster, operator):
            await settled(cluster, operator, ["ns"])
            await eventually("the list is there", lambda: allowed(cluster) == ["ada", "bela"])
            await eventually("nothing is due", lambda: operator.people.queue.idle)
            await people.reconcile(operator.people.context, "ns", "hub")
            cluster.server.asked.clear()
            await people.reconcile(operator.people.context, "ns", "hub")
            assert asked_of_the_api_server(cluster) == []
            cluster.put(CONFIG_MAP, {"metadata": {"name": "else", "namespace": "ns"}, "data": {"list": "cleo"}})
            cluster.put(CONFIG_MAP, {"metadata": {"name": "staff", "namespace": "ns"}, "data": {"list": "bela\ncleo"}})
            await eventually("the source acts", lambda: allowed(cluster) == ["ada", "bela", "cleo"])

    asyncio.run(main())


def test_a_copy_that_is_behind_brings_no_old_list_back() -> None:
    async def main() -> None:
        async with running(before=a_list_of_people, look_at_people=people.reconcile) as (cluster, operator):
            await settled(cluster, operator, ["ns"])
            path = CONFIG_MAP.path("ns", "hub-people")
            await eventually("the list is there", lambda: path in cluster.server.objects)
            await eventually("nothing is due", lambda: operator.people.queue.idle)
            cluster.server.silent = True
            before = cluster.server.objects[path]["data"]
            (copy_of_hubs,) = operator.informers.of(PDSHUB, "")
            known = copy_of_hubs.objects["ns", "hub"]
            users = {**known["spec"]["users"], "allowed": ["mallory"]}
            copy_of_hubs.objects["ns", "hub"] = {**known, "spec": {**known["spec"], "users": users}}
            await people.reconcile(operator.people.context, "ns", "hub")
            assert cluster.server.objects[path]["data"] == before

    asyncio.run(main())


def a_hub_with_backups(cluster: Cluster) -> None:
    one_hub(cluster)
    known = cluster.server.objects[PDSHUB.path("ns", "hub")]
    what = {"homes": False, "database": False, "keys": False}
    saved = {"repository": {"claim": {"name": "vault"}}, "suspend": True, "what": what}
    cluster.put(PDSHUB, {**known, "spec": {**known["spec"], "backup": saved}})
    cluster.put(CLAIM, {"metadata": {"name": "vault", "namespace": "ns"}, "spec": {"accessModes": ["ReadWriteMany"]}})


def run_jobs(cluster: Cluster) -> None:
    """Kubernetes runs the Jobs of backups that are there, each with success."""
    for path, item in list(cluster.server.objects.items()):
        if not path.startswith("/apis/batch/") or (item.get("status") or {}).get("conditions"):
            continue
        name = item["metadata"]["name"]
        asked = json.loads(cluster.server.objects[CONFIG_MAP.path("ns", name)]["data"]["request.json"])
        row = {"item": asked.get("item"), "phase": "Completed", "snapshot": "ab" * 32}
        said = json.dumps({"ok": True, **({"item": row} if asked["action"] == "backup" else {})})
        ended = {"name": "backup", "state": {"terminated": {"exitCode": 0, "message": said}}}
        owner = {"kind": "Job", "name": name, "uid": item["metadata"]["uid"], "controller": True}
        meta = {"name": f"{name}-x", "namespace": "ns", "ownerReferences": [owner]}
        meta["labels"] = item["spec"]["template"]["metadata"]["labels"]
        cluster.put(POD, {"metadata": meta, "status": {"phase": "Succeeded", "containerStatuses": [ended]}})
        done = {"conditions": [{"type": "Complete", "status": "True", "reason": "x"}]}
        cluster.put(JOB, {**item, "status": done})


def test_backups_at_rest_ask_nothing_and_a_run_that_is_asked_for_is_heard_and_made() -> None:
    """With the rights of the chart, and Jobs and ConfigMaps as the namespace's account."""
    path = HUB_BACKUP.path("ns", "one")

    def phase(cluster: Cluster) -> str:
        return str((cluster.server.objects[path].get("status") or {}).get("phase"))

    async def main() -> None:
        async with running(before=a_hub_with_backups, look_at_backups=backup.reconcile) as (cluster, operator):
            await settled(cluster, operator, ["ns"])
            key = SECRET.path("ns", "hub-backup-key")
            await eventually("the key is made", lambda: key in cluster.server.objects)
            await eventually("nothing is due", lambda: operator.backups.queue.idle)
            await backup.reconcile(operator.backups.context, "ns", "hub")
            cluster.server.asked.clear()
            await backup.reconcile(operator.backups.context, "ns", "hub")
            assert asked_of_the_api_server(cluster) == []
            conditions = cluster.server.objects[PDSHUB.path("ns", "hub")]["status"]["conditions"]
            assert {"BackedUp", "KeyEscrowed", "Ready"} <= {c["type"] for c in conditions}
            meta = {"name": "one", "namespace": "ns", "creationTimestamp": "2026-01-02T00:00:00Z"}
            cluster.put(HUB_BACKUP, {"metadata": meta, "spec": {"hub": "hub"}})
            await eventually("it is heard", lambda: phase(cluster) == "Running")

            def done() -> bool:
                run_jobs(cluster)
                operator.backups.queue.enqueue(("ns", "hub"))
                return phase(cluster) == "Completed"

            await eventually("it ends", done)
            status = cluster.server.objects[path]["status"]
            assert [item["item"] for item in status["items"]] == ["objects"] and status["snapshots"] == 1
            assert not [p for p in cluster.server.objects if p.startswith("/apis/batch/")]
            acted = {a.acting for a in cluster.server.asked if "/batch/" in a.path}
            assert acted == {"system:serviceaccount:ns:pdshub-helm"}

    asyncio.run(main())


def hub_with_google(cluster: Cluster) -> None:
    one_hub(cluster)
    known = cluster.server.objects[PDSHUB.path("ns", "hub")]
    google = {"clientId": "x", "clientSecretRef": {"name": "oauth", "key": "k"}}
    cluster.put(PDSHUB, {**known, "spec": {**known["spec"], "signIn": {"google": google}, "hostname": "hub.example"}})
    oauth(cluster, "secret words")


def oauth(cluster: Cluster, words: str) -> None:
    data = {"k": base64.b64encode(words.encode()).decode()}
    cluster.put(SECRET, {"metadata": {"name": "oauth", "namespace": "ns"}, "data": data})


def test_a_secret_of_people_is_read_when_it_changed_and_its_content_is_not_remembered() -> None:
    async def main() -> None:
        async with running(before=hub_with_google) as (cluster, operator):
            await settled(cluster, operator, ["ns"])
            read = f"GET {SECRET.path('ns', 'oauth')}"
            memory = operator.hub_context.memory("ns", "hub")
            assert memory.sign_in is not None and oauth_content(cluster) not in str(memory.sign_in)
            cluster.server.asked.clear()
            await hub.reconcile(operator.hub_context, "ns", "hub")
            assert asked_of_the_api_server(cluster) == []
            oauth(cluster, "  ")
            version = cluster.server.objects[SECRET.path("ns", "oauth")]["metadata"]["resourceVersion"]
            (secrets,) = operator.informers.of(SECRET, "ns")
            await eventually(
                "it is heard", lambda: secrets.objects["ns", "oauth"]["metadata"]["resourceVersion"] == version
            )
            cluster.server.asked.clear()
            await hub.reconcile(operator.hub_context, "ns", "hub")
            await hub.reconcile(operator.hub_context, "ns", "hub")
            assert asked_of_the_api_server(cluster).count(read) == 1
            conditions = cluster.server.objects[PDSHUB.path("ns", "hub")]["status"]["conditions"]
            assert "SecretMissing" in {c["reason"] for c in conditions}

    asyncio.run(main())


def oauth_content(cluster: Cluster) -> str:
    return str(cluster.server.objects[SECRET.path("ns", "oauth")]["data"]["k"])


def view_and_hub(cluster: Cluster) -> None:
    cluster.put(ARCHIVE_VIEW, {"metadata": {"name": "sbn"}, "spec": views.SPEC})
    cluster.hub("ns")
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    cluster.put(STORAGE_CLASS, {"metadata": {"name": "standard", "annotations": default}})


async def surveyed(cluster: Cluster, operator: Operator) -> None:
    """Until the view has a surveyor and a generation; its loop has ended then."""
    operator.reports.asked = True
    objects = cluster.server.objects
    cluster.surveys.keep(A)
    service, deployment = SERVICE.path(SURVEYORS, "survey-sbn"), DEPLOYMENT.path(SURVEYORS, "survey-sbn")
    await eventually("its surveyor is made", lambda: service in objects and deployment in objects)
    cluster.put(SERVICE, {**objects[service], "spec": {"clusterIP": "10.96.0.7"}})
    serving = {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 1}
    cluster.put(DEPLOYMENT, {**objects[deployment], "status": {"observedGeneration": 9, **serving}})

    def released() -> bool:
        operator.views.enqueue("sbn")
        return bool((objects[ARCHIVE_VIEW.path(None, "sbn")].get("status") or {}).get("generation"))

    await eventually("a generation is released", released)
    await heard(cluster, operator)
    await operator.views.close(10.0)


def test_a_look_at_a_settled_view_asks_the_api_server_nothing() -> None:
    """Before: 2 requests a look and, every 10 s, 5 for the surveyor's objects; a look a second while a survey runs."""

    async def main() -> None:
        async with running(no_look, view.reconcile, view_and_hub) as (cluster, operator):
            await surveyed(cluster, operator)
            for context, few, many in ((operator.view_context, 0, 0), (operator.view_context.live(), 8, 9)):
                context.view("sbn").objects = None  # a while later
                cluster.server.asked.clear()
                await view.reconcile(context, "sbn", {}, True)
                assert few <= len(asked_of_the_api_server(cluster)) <= many, cluster.server.requests()

    asyncio.run(main())


@pytest.mark.parametrize(
    "old",
    [
        {"metadata": {"deletionTimestamp": "2026", "annotations": {"pdshub.dev/confirm-delete": "sbn"}}},
        {"spec": {**views.SPEC, "form": "live"}},
    ],
    ids=["a view that was going", "a view that had no surveyor"],
)
def test_what_is_taken_from_a_view_is_decided_from_the_api_server(old: dict[str, Any]) -> None:
    """A copy that is behind still has the view from before: the surveyor of the one that there is stays."""

    async def main() -> None:
        async with running(no_look, view.reconcile, view_and_hub) as (cluster, operator):
            await surveyed(cluster, operator)
            cluster.server.silent = True
            (copy_of_views,) = operator.informers.of(ARCHIVE_VIEW, "")
            copy_of_views.objects["", "sbn"] = merged(copy_of_views.objects["", "sbn"], old)
            before = sorted(cluster.server.objects)
            assert any("survey-sbn" in path for path in before)
            await view.reconcile(operator.view_context, "sbn", {}, True)
            assert sorted(cluster.server.objects) == before

    asyncio.run(main())


def test_a_part_of_a_hub_that_somebody_takes_away_is_put_back_at_once() -> None:
    """By the watch: nothing else asks for a look. A part whose status changes asks for none."""

    async def main() -> None:
        async with running(before=one_hub) as (cluster, operator):
            await settled(cluster, operator, ["ns"])
            cluster.looks.clear()
            path = DEPLOYMENT.path("ns", "proxy")
            known = cluster.server.objects[path]
            cluster.put(DEPLOYMENT, {**known, "status": {**known["status"], "readyReplicas": 1}})
            await heard(cluster, operator)
            assert cluster.looks["ns", "hub"] == 0
            runs = list(cluster.helm.runs)
            cluster.server.remove(DEPLOYMENT, "proxy", "ns")
            await eventually("it is back", lambda: path in cluster.server.objects)
            assert cluster.server.objects[path]["spec"] == known["spec"] and cluster.helm.runs == runs

    asyncio.run(main())


def test_contents_of_secrets_are_not_kept() -> None:
    async def main() -> None:
        async with running(before=one_hub) as (cluster, operator):
            await settled(cluster, operator, ["ns"])
            (secrets,) = operator.informers.of(SECRET, "ns")
            assert len(secrets.objects) >= 3
            assert {key for item in secrets.objects.values() for key in item} == {"metadata"}
            # nor in what a release is remembered by
            remembered = operator.hub_context.memory("ns", "hub").releases
            made = [text for _, found in remembered.values() for text in getattr(found, "made", ())]
            assert made and not any('"data"' in text and '"Secret"' in text for text in made)
            assert all(
                "as=PartialObjectMetadata" in a.accept
                for a in cluster.server.asked
                if a.watches and "secrets" in a.path
            )

    asyncio.run(main())


def test_a_release_is_one_look_at_each_hub_that_shows_the_view() -> None:
    """With all that a look at a hub writes: the notice, the pod's annotation, the status."""

    async def main() -> None:
        names = ["ns1", "ns2", "ns3"]

        def hubs(cluster: Cluster) -> None:
            cluster.view(A)
            cluster.view(A, name="other")
            for name in names:
                cluster.hub(name, view="other" if name == "ns3" else "sbn")

        async with running(before=hubs) as (cluster, operator):
            await settled(cluster, operator, names)
            cluster.looks.clear()
            for number in range(5):
                cluster.view(A, f"survey: {number} files")
            cluster.view(B, "survey: done")
            await heard(cluster, operator)
            assert {key: n for key, n in cluster.looks.items() if key[1] == "hub"} == {
                ("ns1", "hub"): 1,
                ("ns2", "hub"): 1,
            }
            for name, shown in zip(names, (B, B, A), strict=True):
                notice = cluster.server.objects[f"/api/v1/namespaces/{name}/configmaps/hub-notice"]
                assert shown in notice["data"]["notice.json"]

    asyncio.run(main())


async def taking_up(context: HubContext, namespace: str, name: str) -> float:
    """A look that takes over the view's generation and writes the hub's status, as real looks do."""
    found = await context.kube.get(PDSHUB, name, namespace)
    view = await context.kube.get(ARCHIVE_VIEW, "sbn")
    if found and view:
        said = (view["status"].get("generation") or {}).get("name")
        if (found.get("status") or {}).get("address") != said:
            await context.kube.patch(PDSHUB, name, {"status": {"address": said}}, namespace, "status")
    return 3600.0


def test_a_hundred_hubs_of_a_view_that_is_surveyed() -> None:
    """Before: a look at every hub for each write of the view's status, and at every view for each look's write."""

    async def main() -> None:
        names = [f"ns{number}" for number in range(100)]

        def hubs(cluster: Cluster) -> None:
            cluster.view(A)
            for name in names:
                cluster.hub(name)

        async def looks(cluster: Cluster, operator: Operator, generations: list[str]) -> set[int]:
            """How often each hub was looked at while the view's status was written so often."""
            cluster.looks.clear()
            for number, generation in enumerate(generations):
                cluster.view(generation, f"survey: {number} files")
                await asyncio.sleep(0)
            await heard(cluster, operator)
            return {cluster.looks[name, "hub"] for name in names}

        async with running(taking_up, before=hubs) as (cluster, operator):
            await eventually("every hub is known", lambda: len(cluster.looks) >= 101)
            await heard(cluster, operator)
            assert await looks(cluster, operator, [A] * 60) == {0}
            assert await looks(cluster, operator, [A] * 30 + [B] * 30) == {1}
            shown = {cluster.server.objects[PDSHUB.path(name, "hub")]["status"]["address"] for name in names}
            assert shown == {B}

    asyncio.run(main())


def test_what_a_view_writes_of_itself_leads_to_no_look_at_it() -> None:
    """A running survey writes every 5 s; the view's loop looks every second by itself."""

    async def main() -> None:
        surveys: list[str] = []

        async def look(context: Any, name: str, *_: Any) -> float:
            kube: Kube = context.kube
            if name == "sbn" and surveys and len(surveys) < 5:
                surveys.append(f"{len(surveys)} files")
                await kube.patch(ARCHIVE_VIEW, name, {"status": {"survey": {"message": surveys[-1]}}}, None, "status")
            return 3600.0

        async with running(taking_up, look, one_hub) as (cluster, operator):
            await eventually("the view is looked at", lambda: cluster.looks["sbn"])
            await heard(cluster, operator)
            cluster.looks.clear()
            surveys.append("it begins")
            operator.views.enqueue("sbn")
            await eventually("its look has written", lambda: len(surveys) > 1)
            await heard(cluster, operator)
            assert cluster.looks["sbn"] == 1

    asyncio.run(main())


def test_a_deletion_is_decided_from_the_api_server() -> None:
    """A copy that is behind says that a hub which was made anew is still going: nothing of it may be taken away."""

    async def main() -> None:
        async with running(before=one_hub) as (cluster, operator):
            await settled(cluster, operator, ["ns"])
            cluster.server.silent = True
            known = cluster.server.objects[PDSHUB.path("ns", "hub")]
            (copy_of_hubs,) = operator.informers.of(PDSHUB, "")
            going = {**known["metadata"], "deletionTimestamp": "2026-01-02T00:00:00Z"}
            copy_of_hubs.objects["ns", "hub"] = {**known, "metadata": going}
            before = sorted(cluster.server.objects)
            cluster.helm.runs.clear()
            await hub.reconcile(operator.hub_context, "ns", "hub")
            assert cluster.helm.runs == [] and sorted(cluster.server.objects) == before

    asyncio.run(main())


def test_the_own_view_that_a_hub_no_longer_shows_is_taken_away_only_where_the_api_server_has_it() -> None:
    """A copy that is behind has the hub's own view; by now another of that name is there, which is somebody else's."""

    async def main() -> None:
        async with running(before=one_hub) as (cluster, operator):
            await settled(cluster, operator, ["ns"])
            cluster.server.silent = True
            theirs = cluster.put(ARCHIVE_VIEW, {"metadata": {"name": "ns-hub"}, "spec": {}})
            (copy_of_views,) = operator.informers.of(ARCHIVE_VIEW, "")
            marks = {"pdshub.dev/hub": "hub", "pdshub.dev/namespace": "ns"}
            copy_of_views.objects["", "ns-hub"] = {**theirs, "metadata": {**theirs["metadata"], "labels": marks}}
            cached = await look(operator.hub_context, "ns", "hub")
            assert cached[1] is not None and decide(cached[1]).kind is Kind.COLLECT_STALE
            await hub.reconcile(operator.hub_context, "ns", "hub")
            assert ARCHIVE_VIEW.path(None, "ns-hub") in cluster.server.objects

    asyncio.run(main())
