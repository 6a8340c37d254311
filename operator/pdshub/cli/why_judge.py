"""Why somebody's server does not start, or died: what is known of it to reasons, the likeliest first. Pure.

What hinders a start, and in which words, is said in pdshub.server_trouble, which the hub's pages speak by too. Here is
what an administrator looks at, and what no page can know: the list, the node, the quota, the hub's log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pdshub.api.base import parse_quantity
from pdshub.cli import words
from pdshub.server_trouble.failures import Evidence, explain
from pdshub.server_trouble.trouble import Kind, Trouble
from pdshub.wellknown import HOMES_NODE, RECOVERING

Json = Mapping[str, Any]
HOSTNAME = "kubernetes.io/hostname"
NOT_LISTED, SUSPENDED, HUB, FORMER = "NotListed", "UserSuspended", "HubNotReady", "Former"
LOOK: Mapping[Kind, str] = {
    Kind.QUOTA: "spec.quota of the hub, and who runs servers: kubectl describe quota -n {namespace}",
    Kind.HOMES_FULL: "spec.quota.storage of the hub, and homes that nobody needs: kubectl pdshub homes",
    Kind.NO_ROOM: "what nodes have free: kubectl describe nodes; lower server.resources guarantees, or add a node",
    Kind.UNSCHEDULABLE: "taints and selectors: kubectl describe nodes, spec.server of the hub",
    Kind.HOME_PENDING: "kubectl describe pvc {claim} -n {namespace}; the StorageClass of homes and its provisioner",
    Kind.HOME_AWAY: "the node that has the home: kubectl get nodes; the server starts by itself after kubectl uncordon",
    Kind.HOME_BUSY: "the pod that still has the home: kubectl describe pvc {claim} -n {namespace}",
    Kind.HOME_RETURNS: "condition Recovered of the hub: the home is still to come from the backup",
    Kind.HOME_NOT_MOUNTED: "kubectl describe pvc {claim} -n {namespace}, and the log of its CSI driver on that node",
    Kind.ARCHIVE_NOT_MOUNTED: "ArchiveReady of the hub, its view, and the node plugin on that node",
    Kind.IMAGE: "the image's name, the registry, a pull secret (values: imagePullSecrets)",
    Kind.MEMORY: "server.resources.memory.limit of the hub, or of the profile; what the user ran",
    Kind.EVICTED: "the node: its disk and memory: kubectl describe node {node}",
    Kind.CRASHED: "kubectl logs -n {namespace} {pod} --previous: the image, or what the user installed at home "
    "(kubectl pdshub homes reset {user})",
    Kind.CONTAINER: "what Kubernetes says above: an image without jupyterhub-singleuser, a volume, a security rule",
    Kind.NODE: "kubectl describe node {node}; a pod on a node that is gone goes by kubectl delete pod {pod} -n "
    "{namespace} --force",
    Kind.REFUSED: "what Kubernetes says above: an admission webhook, Pod Security, a LimitRange",
    Kind.DELETED: "who deleted the pod: the API server's audit log",
    Kind.SILENT: "kubectl logs -n {namespace} {pod}: the image, or what the user installed at home",
    Kind.SLOW: "server.startTimeoutSeconds of the hub; an image that is fetched for the first time",
    Kind.KUBERNETES: "whether the hub reaches the API server: network.apiServer of the installation",
    Kind.UNKNOWN: "the hub's log: kubectl logs -n {namespace} deployment/hub",
}
"""What an administrator looks at; the hub's pages tell users something else."""


@dataclass(frozen=True)
class Seen:
    """What is known. None: not there, or not to be read."""

    user: str
    namespace: str
    hub: Json
    listed: bool | None = None
    suspended: bool = False
    pods: Sequence[Json] = ()
    """Pods of the user's servers."""
    pod_name: str = ""
    """What the pod is called, also while there is none."""
    events: Sequence[Json] = ()
    """Of the pod, also of one that is gone, oldest first."""
    claim: Json | None = None
    claim_name: str = ""
    claim_events: Sequence[Json] = ()
    volume: Json | None = None
    nodes: Mapping[str, Json] | None = None
    quotas: Sequence[Json] = ()
    log: Sequence[tuple[str, Trouble]] = ()
    """Starts of this user that failed, as the hub's log has them, oldest first."""
    view: Json | None = None
    """The hub's archive view, where there is a server."""


@dataclass(frozen=True)
class Reason:
    """One thing that is in the way."""

    kind: str
    why: str
    look: str
    detail: str = ""
    at: str = ""

    def wire(self) -> dict[str, Any]:
        """The same for programs. Keys are always the same."""
        return {"kind": self.kind, "why": self.why, "detail": self.detail or None, "look": self.look,
                "at": self.at or None}  # fmt: skip


@dataclass
class Verdict:
    """``state``: none, starting, running, failed or stopping; ``reasons``: the likeliest first."""

    state: str
    reasons: list[Reason] = field(default_factory=list)


def judge(seen: Seen) -> Verdict:
    """Why, from all that is known."""
    state = _state(seen)
    verdict = Verdict(state)
    for found in (*_access(seen), *_of_pod(seen, state), *_of_node(seen), *_of_home(seen), *_of_quota(seen, state),
                  *_of_log(seen, state)):  # fmt: skip
        if found.kind not in {known.kind for known in verdict.reasons}:
            verdict.reasons.append(found)
    return verdict


def _reason(seen: Seen, trouble: Trouble, at: str = "", node: str = "") -> Reason:
    pod = next((str(one["metadata"]["name"]) for one in seen.pods), seen.pod_name)
    look = LOOK[trouble.kind].format(
        namespace=seen.namespace, claim=seen.claim_name or "CLAIM", pod=pod or "POD", user=seen.user,
        node=node or _node(seen) or "NODE",
    )  # fmt: skip
    return Reason(str(trouble.kind), trouble.why, look, trouble.detail, at)


def _node(seen: Seen) -> str:
    return next((str(name) for one in seen.pods if (name := (one.get("spec") or {}).get("nodeName"))), "")


def _state(seen: Seen) -> str:
    if not seen.pods:
        return "none"
    pod = seen.pods[0]
    status = pod.get("status") or {}
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return "stopping"
    if status.get("phase") in ("Failed", "Succeeded"):
        return "failed"
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions") or [])
    return "running" if ready else "starting"


def _access(seen: Seen) -> Iterator[Reason]:
    """What keeps somebody out before any server is thought of."""
    at = f"kubectl pdshub users list --hub {seen.namespace}/{seen.hub['metadata']['name']}"
    if seen.suspended:
        yield Reason(SUSPENDED, f"{seen.user} is suspended.", f"kubectl pdshub users suspend {seen.user} --undo")
    elif seen.listed is False:
        yield Reason(NOT_LISTED, f"{seen.user} is on no list of this hub.", f"the name to the letter: {at}")
    ready = words.condition(seen.hub, "Ready")
    if ready.get("status") == "False":
        name = seen.hub["metadata"]["name"]
        yield Reason(HUB, "The hub itself is not ready.", f"kubectl pdshub status --hub {seen.namespace}/{name}",
                     str(ready.get("message") or ready.get("reason") or ""))  # fmt: skip


def _of_pod(seen: Seen, state: str) -> Iterator[Reason]:
    """What pod and events say. Of a server that runs: only what ended it before."""
    if state == "running":
        trouble = explain(Evidence(pod=_ended_before(seen.pods[0])))
        if trouble.kind is not Kind.UNKNOWN:
            yield _reason(seen, trouble)
        return
    trouble = explain(Evidence(events=tuple(seen.events), pod=seen.pods[0] if seen.pods else None))
    if trouble.kind is not Kind.UNKNOWN and state != "stopping":
        yield _reason(seen, trouble, _at(seen.events[-1]) if seen.events else "")


def _ended_before(pod: Json) -> Json:
    """The pod as it was when a container of it ended last."""
    listed = (pod.get("status") or {}).get("containerStatuses") or []
    before = [{"name": one.get("name"), "state": one.get("lastState") or {}} for one in listed]
    return {"status": {"containerStatuses": before}}


def _at(event: Json) -> str:
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")


def _condition(node: Json, kind: str) -> str:
    return str(words.condition(node, kind).get("status") or "")


def _of_node(seen: Seen) -> Iterator[Reason]:
    name = _node(seen)
    if seen.nodes is None or not name:
        return
    node = seen.nodes.get(name)
    if node is None:
        yield _reason(seen, Trouble(Kind.NODE, f"node {name} is gone"))
    elif _condition(node, "Ready") != "True":
        ready = words.condition(node, "Ready")
        yield _reason(seen, Trouble(Kind.NODE, f"node {name}: {ready.get('message') or ready.get('reason') or ''}"))
    else:
        for pressure in ("MemoryPressure", "DiskPressure", "PIDPressure"):
            if _condition(node, pressure) == "True":
                yield _reason(seen, Trouble(Kind.EVICTED, f"node {name} has {pressure}"))


def _of_home(seen: Seen) -> Iterator[Reason]:
    claim = seen.claim
    if claim is None:
        return
    if RECOVERING in ((claim.get("metadata") or {}).get("annotations") or {}):
        yield _reason(seen, Trouble(Kind.HOME_RETURNS))
        return
    phase = (claim.get("status") or {}).get("phase")
    warned = [one for one in seen.claim_events if one.get("type") == "Warning"]
    said = str(warned[-1].get("message") or "") if warned else ""
    if phase == "Lost":
        yield _reason(seen, Trouble(Kind.HOME_NOT_MOUNTED, f"claim {seen.claim_name} has lost its volume"))
    elif phase == "Pending" and warned:
        yield _reason(seen, Trouble(Kind.HOME_PENDING, said), _at(warned[-1]))
    elif homes := _nodes_of(seen.volume):
        away = [name for name in homes if not _takes_pods((seen.nodes or {}).get(name))]
        if seen.nodes is not None and len(away) == len(homes):
            which = ", ".join(sorted(away)[:5])
            yield _reason(seen, Trouble(Kind.HOME_AWAY, f"the home lies on {which}"), node=away[0])


def _takes_pods(node: Json | None) -> bool:
    if node is None or (node.get("spec") or {}).get("unschedulable"):
        return False
    return _condition(node, "Ready") == "True"


def _nodes_of(volume: Json | None) -> list[str]:
    """Nodes by name that a volume is bound to; none where it is not, or not by name."""
    affinity = ((((volume or {}).get("spec") or {}).get("nodeAffinity")) or {}).get("required") or {}
    found: list[str] = []
    for term in affinity.get("nodeSelectorTerms") or []:
        for rule in term.get("matchExpressions") or []:
            if rule.get("key") in (HOSTNAME, HOMES_NODE) and rule.get("operator") == "In":
                found += [str(value) for value in rule.get("values") or []]
    return found


def full(quota: Json) -> list[str]:
    """Resources of a ResourceQuota of which nothing is left, in words."""
    status, found = quota.get("status") or {}, list[str]()
    for resource, hard in (status.get("hard") or {}).items():
        used = (status.get("used") or {}).get(resource)
        try:
            if used is not None and parse_quantity(str(used)[:40]) >= parse_quantity(str(hard)[:40]):
                found.append(f"{resource}: {used} of {hard}")
        except (ValueError, ArithmeticError):
            continue
    return found


def _of_quota(seen: Seen, state: str) -> Iterator[Reason]:
    """A quota that is used up, where there is no pod: it is refused, and leaves no event."""
    if state != "none":
        return
    for quota in seen.quotas:
        for text in full(quota):
            storage = "storage" in text or "persistentvolumeclaims" in text
            detail = f"quota {quota['metadata']['name']}: {text}"
            if not storage:
                yield _reason(seen, Trouble(Kind.QUOTA, detail))
            elif seen.claim is None:
                yield _reason(seen, Trouble(Kind.HOMES_FULL, detail))


def _of_log(seen: Seen, state: str) -> Iterator[Reason]:
    """The last start that failed, as the hub's log has it; of no meaning where a server runs since."""
    if seen.log and state in ("none", "failed"):
        at, trouble = seen.log[-1]
        yield _reason(seen, trouble, at)
