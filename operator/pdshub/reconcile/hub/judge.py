"""An observation and the installation's settings to Facts: pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pydantic import ValidationError

from pdshub.api.hub import PDSHubSpec, PDSHubStatus
from pdshub.api.hub_tls import mode_of
from pdshub.installation import Installation, namespace_refusal
from pdshub.kube import Object
from pdshub.reconcile.common.conditions import VIEW_NOT_ALLOWED
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.common.objects import Step, filled
from pdshub.reconcile.hub import front_door, recovering
from pdshub.reconcile.hub.archive_state import (
    archive_state,
    not_allowed,
)
from pdshub.reconcile.hub.bounds import judge_bounds
from pdshub.reconcile.hub.database import judge_database
from pdshub.reconcile.hub.dependents import RELEASED, judge_dependents
from pdshub.reconcile.hub.facts import ArchiveState, Attempt, Facts
from pdshub.reconcile.hub.judge_archive import taken_name, with_archive
from pdshub.reconcile.hub.judge_values import judge_values
from pdshub.reconcile.hub.network_state import judge_network, judge_policies
from pdshub.reconcile.hub.observation import Observation, terminating
from pdshub.render import (
    address,
    archive,
    homes,
    isolation,
    keys,
    network,
    signin,
)
from pdshub.render.merge import same
from pdshub.render.names import ENVIRONMENT_LABEL, FINALIZER, NOTICE_ANNOTATION, Names
from pdshub.wellknown import PROBE_LABEL


def parse_status(hub: Object) -> PDSHubStatus:
    """The status as it was written last; an unreadable one counts as none."""
    try:
        return PDSHubStatus.model_validate(hub.get("status") or {})
    except ValidationError:
        return PDSHubStatus()


def conflicting_hub(hub: Object, others: tuple[Object, ...]) -> str:
    """The oldest hub of the namespace, if that is another one."""

    def age(item: Object) -> tuple[str, str]:
        return str(item["metadata"].get("creationTimestamp", "")), str(item["metadata"]["name"])

    oldest = min([*others, hub], key=age)["metadata"]["name"]
    return "" if oldest == hub["metadata"]["name"] else str(oldest)


def basics(hub: Object) -> Facts:
    """What the PDSHub alone tells, without anything that was made for it."""
    meta = hub["metadata"]
    return Facts(
        names=Names(str(meta["namespace"]), str(meta["name"])),
        generation=int(meta.get("generation", 0)),
        status=parse_status(hub),
        deleting=bool(meta.get("deletionTimestamp")),
        finalizer=FINALIZER in (meta.get("finalizers") or []),
    )


def judge(seen: Observation, installation: Installation, bundled: BundledChart, own: Collection[str] = ()) -> Facts:
    """What an observation means under the settings of the installation. ``own``: the installation's namespaces."""
    facts = replace(
        basics(seen.hub),
        conflicting_hub=conflicting_hub(seen.hub, seen.neighbours),
        spec=seen.spec,
        invalid=seen.invalid,
    )
    if facts.conflicting_hub:
        return facts
    labels = ((seen.namespace or {}).get("metadata") or {}).get("labels") or {}
    facts = replace(
        facts,
        terminating=terminating(seen.namespace),
        barred=namespace_refusal(facts.names.namespace, labels, installation.hubs, own),
        granted=seen.granted,
        development=labels.get(ENVIRONMENT_LABEL) == "development",
    )
    if facts.deleting and facts.terminating:
        return replace(facts, dependents=judge_dependents(facts.names, facts.spec, seen.left))
    if not facts.granted:
        return facts
    facts = replace(
        facts,
        release=seen.release.newest,
        unreadable_release=seen.release.unreadable,
        trust=seen.release.trust,
        seal_key=seen.release.seal_key,
        drift=seen.drift,
    )
    if facts.deleting:
        return _going(facts, seen)
    if seen.spec is not None:
        facts = _wanted(facts, seen, seen.spec, installation, bundled)
    return _serving(facts, seen)


def installed(facts: Facts) -> bool:
    """Whether the release of this hub's name is this hub's. Where it cannot be read, the last status tells."""
    if facts.release is not None:
        return facts.release.owner == facts.names.name
    return facts.unreadable_release is not None and (facts.status.revision > 0 or facts.status.releasing > 0)


def _going(facts: Facts, seen: Observation) -> Facts:
    """A hub that is being deleted: which release Helm can remove, and what has to go without Helm."""
    read, left = seen.release, dict(seen.left)
    # the newest revision that can be read is the one that Helm removes the release by
    facts = replace(facts, release=read.newest or read.older)
    ours, broken = installed(facts), read.broken
    if facts.release is not None and ours:
        return replace(facts, broken_revisions=broken, dependents=judge_dependents(facts.names, facts.spec, left))
    if not ours:
        # neither the objects nor the records of a release that this hub never installed are its own
        broken, left = (), {role: items for role, items in left.items() if role not in RELEASED}
    secrets = tuple(("secret", name) for name in broken)
    return replace(facts, dependents=(*judge_dependents(facts.names, facts.spec, left), *secrets))


def _wanted(
    facts: Facts, seen: Observation, spec: PDSHubSpec, installation: Installation, bundled: BundledChart
) -> Facts:
    """Everything that only matters for a hub that is to run."""
    names, defaults = facts.names, installation.defaults
    referred = bool(spec.archive and spec.archive.view_ref)
    folder = str(((seen.view or {}).get("spec") or {}).get("folder") or "") if referred else ""
    view = archive.view_of(spec, names, folder)
    state = ArchiveState()
    if view is not None and spec.archive is not None:
        state = archive_state(view, seen.view, spec.archive.inline, installation)
    facts = replace(facts, guard=seen.guard, view=view, archive=state, certificate=seen.certificate)
    if conflict := taken_name(facts, seen):
        return replace(facts, archive=ArchiveState(), refused=("NameTaken", conflict))
    if view is not None and (refused := not_allowed(view, seen.view, seen.namespace, names)):
        why = ArchiveState(False, VIEW_NOT_ALLOWED, refused)
        return replace(facts, archive=why, refused=(why.reason, refused))
    found = judge_values(spec, names, view, installation, bundled, facts.development)
    facts = replace(facts, sign_in=found.sign_in, sign_in_attempt=seen.sign_in_attempt)
    if found.refused[0]:
        return replace(facts, archive=ArchiveState(), refused=found.refused)
    facts = with_archive(facts, seen, spec)
    bounds = judge_bounds(spec, names, seen.storage_classes, seen.quotas, seen.limit_ranges)
    uid = str(seen.hub["metadata"].get("uid", ""))
    policies = network.policies(spec, names, uid, installation, seen.api_server)
    release, key = facts.release, f"{facts.generation}-{found.digest}"
    ours = release is not None and release.owner == names.name
    opened = front_door.judge(spec, names, uid, defaults, facts.status.front_door, seen.front_door)
    database = judge_database(names, seen.database_claim, seen.database_volume, ours)
    first = release is None and facts.unreadable_release is None
    held = recovering.holds(spec, facts.status) if first else ""
    # the keys come back, too: new ones would fit nothing
    new_secrets = () if held else _new_secrets(spec, names, seen)
    return replace(
        facts,
        recovering=held,
        missing_secret=_secret_trouble(spec, names, seen.sign_in_secret),
        new_secrets=(*new_secrets, *((names.door,) if opened.lacks_secret else ())),
        front_door=opened,
        chart=found.chart,
        values=found.values,
        resumed=seen.resumed,
        in_sync=release is not None and same(dict(release.values), found.values),
        key=key,
        attempt=_attempt(seen.attempt, facts.status),
        # the policies first: no pod is there before them
        steps=(
            *judge_policies(policies, seen.policies),
            *(database.steps if found.has_database else ()),
            *bounds,
            *_lacking_token(names, seen.keys_secret),
            *facts.steps,
        ),
        database_conflict=database.conflict if found.has_database else "",
        unprotected=database.unprotected if release else (),
        network=judge_network(names.namespace, policies, seen.probes),
        isolation=isolation.judge(found.values),
        homes=homes.enforcement(
            spec.server.home.storage_class_name,
            spec.server.home.size,
            seen.storage_classes,
            defaults.enforces_home_size,
        ),
    )


def _secret_trouble(spec: PDSHubSpec, names: Names, secret: Object | None) -> str:
    """Why the sign-in Secret is of no use; empty when it is. One that the operator makes is never missing."""
    name, key = signin.required_secret(spec, names)
    if name == names.sign_in:
        return ""
    if secret is None:
        return f"Secret {name} does not exist: create it with key {key} in namespace {names.namespace}"
    if not filled((secret.get("data") or {}).get(key, "")):
        return f"Secret {name} has no key {key}, or it is empty: add it"
    return ""


def _new_secrets(spec: PDSHubSpec, names: Names, seen: Observation) -> tuple[str, ...]:
    """Secrets that the operator makes and that are missing."""
    missing = [names.keys] if seen.keys_secret is None else []
    wanted, _ = signin.required_secret(spec, names)
    if wanted == names.sign_in and seen.sign_in_secret is None:
        missing.append(wanted)
    return tuple(missing)


def _lacking_token(names: Names, secret: Object | None) -> tuple[Step, ...]:
    """The step that adds the operator's token to keys of a hub that was installed without it. No key is replaced."""
    if secret is None or filled((secret.get("data") or {}).get(keys.TOKEN_KEY)):
        return ()
    meta = {"name": names.keys, "namespace": names.namespace, "resourceVersion": secret["metadata"]["resourceVersion"]}
    return (Step(f"Secret {names.keys} gets the operator's token", {"kind": "Secret", "metadata": meta}, "key"),)


def _attempt(remembered: Attempt, status: PDSHubStatus) -> Attempt:
    """Failed tries as remembered, or after a restart of the operator as the status says."""
    if remembered.key or not status.attempted_digest:
        return remembered
    released = next((c for c in status.conditions if c.type == "Released"), None)
    return replace(
        remembered,
        key=status.attempted_digest,
        failures=status.failures,
        reason=released.reason if released else "HelmFailed",
        message=released.message if released else "helm failed",
    )


def _serving(facts: Facts, seen: Observation) -> Facts:
    """Pods, health and address of what runs, whatever the spec says now."""
    if not installed(facts):
        return facts
    hostname = facts.spec.hostname if facts.spec and mode_of(facts.spec.tls) != "None" else None
    pod = ""
    for item in seen.hub_pods:
        if PROBE_LABEL in (item["metadata"].get("labels") or {}):
            continue
        # a pod that was told nothing has what was there at its start; mostly that is nothing to tell
        told = (item["metadata"].get("annotations") or {}).get(NOTICE_ANNOTATION, keys.digest(""))
        if not item["metadata"].get("deletionTimestamp") and told != keys.digest(facts.notice):
            pod = str(item["metadata"]["name"])
    return replace(
        facts,
        hub=seen.hub_workload,
        proxy=seen.proxy_workload,
        unhealthy=facts.unhealthy if seen.health is None else seen.health,
        address=address.address(hostname, seen.service, list(seen.nodes), facts.names.namespace),
        notice_pod=pod,
    )
