"""All reads of one look at a PDSHub, gathered into Facts. Writes nothing."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from pdshub import hub_api
from pdshub.api.hub import PDSHubSpec, PDSHubStatus
from pdshub.api.refusal import refusal_words
from pdshub.api.view import ArchiveViewSpec
from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    CONFIG_MAP,
    NAMESPACE,
    PDSHUB,
    POD,
    SECRET,
    SERVICE,
    VOLUME,
    Object,
)
from pdshub.reconcile.common import workloads
from pdshub.reconcile.common.objects import Step
from pdshub.reconcile.hub import dependents, observe_archive
from pdshub.reconcile.hub.context import HubContext, HubMemory
from pdshub.reconcile.hub.facts import ArchiveState, Attempt, Facts
from pdshub.reconcile.hub.release import Release, decode, newest
from pdshub.render import address, archive, chart, homes, keys, notice, signin, values
from pdshub.render.merge import same
from pdshub.render.names import DATABASE_CLAIM, ENVIRONMENT_LABEL, FINALIZER, NOTICE_ANNOTATION, Names


def parse_status(hub: Object) -> PDSHubStatus:
    """The status as it was written last; an unreadable one counts as none."""
    try:
        return PDSHubStatus.model_validate(hub.get("status") or {})
    except ValidationError:
        return PDSHubStatus()


def conflicting_hub(hub: Object, others: list[Object]) -> str:
    """The oldest hub of the namespace, if that is another one."""

    def age(item: Object) -> tuple[str, str]:
        return str(item["metadata"].get("creationTimestamp", "")), str(item["metadata"]["name"])

    oldest = min([*others, hub], key=age)["metadata"]["name"]
    return "" if oldest == hub["metadata"]["name"] else str(oldest)


async def release_of(context: HubContext, names: Names, memory: HubMemory) -> Release | None:
    """The newest revision of the hub's release; its Secret is read only when it changed."""
    labels = f"owner=helm,name={names.name}"
    last = newest(await context.kube.metadata(SECRET, names.namespace, labels=labels))
    if last is None:
        memory.release = None
        return None
    name, version = last["metadata"]["name"], last["metadata"]["resourceVersion"]
    if memory.release and memory.release[:2] == (name, version):
        return memory.release[2]
    secret = await context.kube.get(SECRET, name, names.namespace)
    if secret is None:
        return None
    found = decode(secret)
    memory.release = (name, version, found)
    return found


async def _secret_trouble(context: HubContext, spec: PDSHubSpec, names: Names) -> str:
    """Why the sign-in Secret is of no use; empty when it is. One that the operator makes is never missing."""
    name, key = signin.required_secret(spec, names)
    if name == names.sign_in:
        return ""
    secret = await context.kube.get(SECRET, name, names.namespace)
    if secret is None:
        return f"Secret {name} does not exist: create it with key {key} in namespace {names.namespace}"
    if not base64.b64decode((secret.get("data") or {}).get(key, "")).strip():
        return f"Secret {name} has no key {key}, or it is empty: add it"
    return ""


async def _own_secrets(context: HubContext, spec: PDSHubSpec, names: Names) -> list[Step]:
    """Secrets that the operator makes and that are missing."""
    steps = []
    if await context.kube.get(SECRET, names.keys, names.namespace) is None:
        steps.append(Step(f"Secret {names.keys} is made", keys.hub_keys(names)))
    wanted, _ = signin.required_secret(spec, names)
    if wanted == names.sign_in and await context.kube.get(SECRET, wanted, names.namespace) is None:
        steps.append(Step(f"Secret {wanted} is made", keys.password(names)))
    return steps


async def _unprotected(context: HubContext, names: Names) -> tuple[str, ...]:
    """The database's volume, while deleting its claim would delete it too."""
    claim = await context.kube.get(CLAIM, DATABASE_CLAIM, names.namespace)
    bound = ((claim or {}).get("spec") or {}).get("volumeName")
    volume = await context.kube.get(VOLUME, bound) if bound else None
    if volume and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        return (str(bound),)
    return ()


def _attempt(memory: HubMemory, status: PDSHubStatus) -> Attempt:
    """Failed tries as remembered, or after a restart of the operator as the status says."""
    known = memory.attempt
    if not known.key and status.attempted_digest:
        said = next((c for c in status.conditions if c.type == "Released"), None)
        known = Attempt(
            key=status.attempted_digest,
            failures=status.failures,
            reason=said.reason if said else "HelmFailed",
            message=said.message if said else "helm failed",
        )
        memory.attempt = known
    return replace(known, wait=max(0.0, memory.retry_at - time.monotonic()))


async def observe(context: HubContext, hub: Object) -> Facts:
    """One look at a hub. Raises KubeError when the API server does not answer."""
    meta = hub["metadata"]
    names = Names(str(meta["namespace"]), str(meta["name"]))
    memory = context.memory(names.namespace, names.name)
    others = [h for h in await context.kube.items(PDSHUB, names.namespace) if h["metadata"]["name"] != names.name]
    facts = Facts(
        names=names,
        generation=int(meta.get("generation", 0)),
        status=parse_status(hub),
        deleting=bool(meta.get("deletionTimestamp")),
        finalizer=FINALIZER in (meta.get("finalizers") or []),
        conflicting_hub=conflicting_hub(hub, others),
    )
    try:
        facts = replace(facts, spec=PDSHubSpec.model_validate(hub.get("spec") or {}))
    except ValidationError as error:
        facts = replace(facts, invalid=refusal_words(error))
    if facts.conflicting_hub:
        return facts
    facts = replace(facts, release=await release_of(context, names, memory))
    if facts.deleting:
        return replace(facts, dependents=await dependents.find(context, names, facts.spec))
    if facts.spec is None:
        return await _serving(context, facts)
    return await _wanted(context, facts, facts.spec, memory)


async def _wanted(context: HubContext, facts: Facts, spec: PDSHubSpec, memory: HubMemory) -> Facts:
    """Everything that only matters for a hub that is to run."""
    names, kube = facts.names, context.kube
    namespace = await kube.get(NAMESPACE, names.namespace) or {}
    labels = (namespace.get("metadata") or {}).get("labels") or {}
    facts = replace(
        facts,
        terminating=(namespace.get("status") or {}).get("phase") == "Terminating",
        development=labels.get(ENVIRONMENT_LABEL) == "development",
    )
    seen, state, view_steps = None, facts.archive, list[Step]()
    settling, stale = "", tuple[tuple[str, str], ...]()
    if spec.archive is not None:
        referred = spec.archive.view_ref
        seen = await kube.get(ARCHIVE_VIEW, referred or names.own_view)
        folder = str(((seen or {}).get("spec") or {}).get("folder") or "") if referred else ""
        view = archive.view_of(spec, names, folder)
        assert view is not None  # noqa: S101 - the spec has an archive
        facts = replace(facts, view=view)
        state = observe_archive.state(view, seen, spec.archive.inline, context.installation)
        taken = observe_archive.taken("ArchiveView", seen, names) if view.owned else ""
        if taken:
            return await _serving(context, replace(facts, refused=("NameTaken", taken)))
        if view.owned and _view_differs(spec, names, seen):
            view_steps = [Step(f"ArchiveView {view.name} is written", archive.own_view(spec, names), "apply")]
    volumes = await observe_archive.volumes(kube, names, facts.view)
    if volumes.taken:
        return await _serving(context, replace(facts, refused=("NameTaken", volumes.taken)))
    settling, stale = volumes.settling, volumes.stale
    if volumes.unbound and state.ready is not False:
        state = ArchiveState(None, "Binding", volumes.unbound)
    said = observe_archive.sentence(state) if facts.view else ""
    shown = observe_archive.generation(seen) if facts.view else ""
    wanted_notice = notice.config_map(names, said, shown)
    have = await kube.get(CONFIG_MAP, names.notice, names.namespace)
    notice_steps = (
        []
        if have and have.get("data") == wanted_notice["data"]
        else [Step("the notice of the hub's pages is written", wanted_notice, "apply")]
    )
    bundled = context.chart
    ref = chart.choose(
        spec.chart,
        context.installation.defaults.chart,
        bundled.path,
        bundled.version,
        bundled.digest,
    )
    where = (facts.view.name, facts.view.folder) if facts.view else ("", "")
    wanted: dict[str, Any] = values.values(spec, context.installation.defaults, ref, names, *where)
    if trouble := values.template_trouble(wanted):
        return await _serving(context, replace(facts, refused=("ValuesRefused", trouble)))
    release = facts.release
    in_sync = release is not None and same(dict(release.values), wanted)
    facts = replace(
        facts,
        missing_secret=await _secret_trouble(context, spec, names),
        chart=ref,
        values=wanted,
        in_sync=in_sync,
        key=f"{facts.generation}-{chart.digest(ref, wanted)}",
        attempt=_attempt(memory, facts.status),
        steps=(*await _own_secrets(context, spec, names), *view_steps, *volumes.steps, *notice_steps),
        settling=settling,
        stale=stale,
        archive=state,
        notice=notice.content(said, shown) if said or shown else "",
        homes=homes.enforcement(
            spec.server.home.storage_class_name,
            spec.server.home.size,
            await context.storage_classes(),
            context.installation.defaults.enforces_home_size,
        ),
        unprotected=await _unprotected(context, names) if release else (),
    )
    return await _serving(context, facts)


def _view_differs(spec: PDSHubSpec, names: Names, seen: Object | None) -> bool:
    if seen is None:
        return True
    wanted = archive.own_view(spec, names)
    # what a data manager decided about the view is not the hub's to take back
    have = {key: value for key, value in seen["spec"].items() if key not in ("pin", "approved", "rejected")}
    try:
        return ArchiveViewSpec.model_validate(have) != ArchiveViewSpec.model_validate(wanted["spec"])
    except ValidationError:
        return True


async def _serving(context: HubContext, facts: Facts) -> Facts:
    """Pods, health and address of what runs, whatever the spec says now."""
    names, kube = facts.names, context.kube
    if facts.release is None or facts.release.owner != names.name:
        return facts
    hub, proxy = await workloads.look(kube, names.namespace)
    service = await kube.get(SERVICE, hub_api.PROXY_SERVICE, names.namespace)
    base = str((facts.release.values.get("hub") or {}).get("baseUrl") or "/")
    unhealthy = facts.unhealthy
    if hub.available and proxy.available:
        unhealthy = await hub_api.healthy(kube, names.namespace, base)
    url = address.address(facts.spec.hostname if facts.spec else None, service, await context.nodes(), names.namespace)
    pod = ""
    if facts.view and hub.available:
        for item in await kube.items(POD, names.namespace, labels="component=hub"):
            # a pod that was told nothing has what was there at its start; mostly that is nothing to tell
            told = (item["metadata"].get("annotations") or {}).get(NOTICE_ANNOTATION, keys.digest(""))
            if not item["metadata"].get("deletionTimestamp") and told != keys.digest(facts.notice):
                pod = str(item["metadata"]["name"])
    return replace(facts, hub=hub, proxy=proxy, unhealthy=unhealthy, address=url, notice_pod=pod)
