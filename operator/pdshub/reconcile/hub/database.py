"""The claim of the hub's database: whether it is this hub's, and how it becomes so again after it was brought back."""

from __future__ import annotations

from dataclasses import dataclass

from pdshub.kube import Object
from pdshub.reconcile.common.objects import Step
from pdshub.render.names import HUB_LABEL, NAMESPACE_LABEL, Names

MANAGED_BY = "app.kubernetes.io/managed-by"
RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
"""The marks by which Helm knows its objects. Source: Helm 3, pkg/action/validate.go (checkOwnership)."""


@dataclass(frozen=True)
class Database:
    """What the claim of the database asks for."""

    steps: tuple[Step, ...] = ()
    """The step that gives the claim to the hub's release."""
    conflict: str = ""
    """Why the chart cannot have this claim, and what to do."""
    unprotected: tuple[str, ...] = ()
    """The claim's volume, while it would go with its claim or lacks the hub's marks."""


def bound_volume(claim: Object | None, volume: Object | None) -> Object | None:
    """The volume, if it is the one that belongs to the claim.

    Whoever makes a claim may write any volume's name into it; only the volume's claimRef tells whose it is.
    """
    if claim is None or volume is None:
        return None
    ref, meta = volume["spec"].get("claimRef") or {}, claim["metadata"]
    wanted = {"namespace": meta.get("namespace"), "name": meta["name"], "uid": meta.get("uid")}
    return volume if all(ref.get(key) in (None, value) for key, value in wanted.items()) else None


def _foreign(names: Names, labels: dict[str, str]) -> str:
    """Whose marks these are, where they are not this hub's."""
    hub, namespace = labels.get(HUB_LABEL, names.name), labels.get(NAMESPACE_LABEL, names.namespace)
    return "" if (hub, namespace) == (names.name, names.namespace) else f"PDSHub {namespace}/{hub}"


def judge_database(names: Names, claim: Object | None, volume: Object | None, installed: bool) -> Database:
    """Compare the database's claim with what Helm and the marks ask for.

    ``installed``: a release of this hub is there, which has the claim in its manifest.
    """
    if claim is None:
        return Database()
    meta = claim["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    bound = bound_volume(claim, volume)
    marks = ((bound or {}).get("metadata") or {}).get("labels") or {}
    unprotected = _unprotected(names, bound)
    title = f"PersistentVolumeClaim {meta['name']} in namespace {names.namespace}"
    whose = _foreign(names, labels) or _foreign(names, marks)
    if whose:
        return Database(conflict=f"{title} holds the database of {whose}: {_elsewhere(names)}")
    helm = (annotations.get(RELEASE_NAME, ""), annotations.get(RELEASE_NAMESPACE, names.namespace))
    if helm[0] and helm != (names.name, names.namespace):
        return Database(conflict=f"{title} belongs to Helm release {helm[0]} of {helm[1]}: {_elsewhere(names)}")
    if helm[0] and annotations.get(RELEASE_NAMESPACE) and labels.get(MANAGED_BY) == "Helm":
        return Database(unprotected=unprotected)
    if HUB_LABEL in labels or HUB_LABEL in marks:
        return Database(steps=(_adoption(names, claim),), unprotected=unprotected)
    if installed:
        return Database(unprotected=unprotected)
    return Database(
        conflict=f"{title} has no mark that says whose database it holds: if it is this hub's, kubectl label pvc "
        f"{meta['name']} -n {names.namespace} {HUB_LABEL}={names.name}; if not, {_elsewhere(names)}"
    )


def _elsewhere(names: Names) -> str:
    return f"leave it as it is, and move PDSHub {names.name} to a namespace of its own"


def _adoption(names: Names, claim: Object) -> Step:
    meta = claim["metadata"]
    body = {
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": meta["name"],
            "namespace": names.namespace,
            # what was judged is what is adopted
            "resourceVersion": meta["resourceVersion"],
            "labels": {MANAGED_BY: "Helm", HUB_LABEL: names.name, "component": "hub"},
            "annotations": {RELEASE_NAME: names.name, RELEASE_NAMESPACE: names.namespace},
        },
    }
    return Step(f"claim {meta['name']}, which was brought back, is taken over", body, "adopt")


def _unprotected(names: Names, volume: Object | None) -> tuple[str, ...]:
    if volume is None:
        return ()
    labels = volume["metadata"].get("labels") or {}
    marked = (labels.get(HUB_LABEL), labels.get(NAMESPACE_LABEL)) == (names.name, names.namespace)
    going = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    return () if marked and not going else (str(volume["metadata"]["name"]),)
