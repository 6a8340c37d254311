"""Why no node of the cluster can run a Job: its claims lie on nodes that take none, or on different ones. Pure.

The scheduler knows the same and says it to nobody who waits: its pod would be pending until somebody gives it up, ten
minutes for each home of a node that is being mended. In doubt nothing is said, and the scheduler decides.

Source: Kubernetes API, VolumeNodeAffinity, NodeSelectorTerm; Kubernetes, Safely Drain a Node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pdshub.kube import Object
from pdshub.reconcile.hub.backup.facts import Facts, Node, nodes_of

AWAY, APART, IN_USE = "NodeAway", "Apart", "InUse"
"""Reasons: the node where a claim lies takes no pods; two claims lie on different nodes; somebody else has it."""
_CORDONED = {"key": "node.kubernetes.io/unschedulable", "value": "", "effect": "NoSchedule"}
_NAMED = 3


def _tolerates(tolerations: Iterable[Mapping[str, Any]], taint: Mapping[str, str]) -> bool:
    for each in tolerations:
        if each.get("effect") not in (None, "", taint["effect"]):
            continue
        if each.get("operator") == "Exists":
            if each.get("key") in (None, "", taint["key"]):
                return True
        elif each.get("key") == taint["key"] and (each.get("value") or "") == taint["value"]:
            return True
    return False


def node(item: Object, tolerations: Sequence[Mapping[str, Any]] = ()) -> Node:
    """A node as it is for Jobs with these tolerations."""
    meta = item["metadata"]
    labels = {str(key): str(value) for key, value in (meta.get("labels") or {}).items()}
    ready = [c for c in (item.get("status") or {}).get("conditions") or [] if c.get("type") == "Ready"]
    if ready and ready[0].get("status") != "True":
        return Node(labels, "is not ready")
    if (item.get("spec") or {}).get("unschedulable") and not _tolerates(tolerations, _CORDONED):
        return Node(labels, f"is cordoned (kubectl uncordon {meta['name']})")
    return Node(labels)


def _holds(wanted: Mapping[str, Any], have: str | None) -> bool:
    """Whether a requirement of a selector holds for a value; one that is not known counts as held."""
    operator, values = wanted.get("operator"), [str(value) for value in wanted.get("values") or []]
    if operator in ("In", "NotIn"):
        return (have in values) is (operator == "In")
    if operator in ("Exists", "DoesNotExist"):
        return (have is not None) is (operator == "Exists")
    if operator in ("Gt", "Lt"):
        try:
            left, right = int(have or ""), int(values[0])
        except (ValueError, IndexError):
            return False
        return left > right if operator == "Gt" else left < right
    return True


def _terms(volume: Object | None) -> list[Mapping[str, Any]]:
    """The terms of a volume's node affinity, one of which a node has to meet; none: every node can mount it."""
    affinity = ((volume or {}).get("spec") or {}).get("nodeAffinity") or {}
    return list((affinity.get("required") or {}).get("nodeSelectorTerms") or [])


def _meets(term: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> bool:
    of_labels, of_fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not of_labels and not of_fields:
        return False
    return all(_holds(each, labels.get(str(each.get("key")))) for each in of_labels) and all(
        _holds(each, name) for each in of_fields if each.get("key") == "metadata.name"
    )


def mounts(facts: Facts, claim: str) -> frozenset[str] | None:
    """The nodes that can mount a claim; None where every one can, or nobody knows."""
    terms = _terms(facts.volumes.get(claim))
    if not terms or not facts.nodes:
        return None
    return frozenset(
        name for name, known in facts.nodes.items() if any(_meets(term, name, known.labels) for term in terms)
    )


def _named(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMED])
    return f"node {shown}" if len(names) == 1 else f"nodes {shown}" + (" and others" if len(names) > _NAMED else "")


def unreachable(facts: Facts, claims: Iterable[str], held: Collection[str] = ()) -> tuple[str, str]:
    """Reason and words of why no pod can have these claims; empty where one can. ``held``: nodes that have one of them
    mounted which no other node can have at the same time."""
    left, first = frozenset[str](), ""
    for claim in dict.fromkeys(claims):
        here = mounts(facts, claim)
        if here is None:
            continue
        if not here:
            return AWAY, f"no node of the cluster has the volume of claim {claim}: its node is gone"
        if first and not left & here:
            return APART, f"claim {first} lies on {_named(left)}, claim {claim} on {_named(here)}: no pod has both"
        left, first = (left & here if first else here), claim
    if held:
        if first and not left & set(held):
            return APART, f"claim {first} lies on {_named(left)}, what else is needed is in use on {_named(held)}"
        left = frozenset(held)
    what = f"claim {first} lies on" if first else "what is needed is in use on"
    away = [facts.nodes[name].away if name in facts.nodes else "is gone" for name in sorted(left)]
    if not facts.nodes or not away or not all(away):
        return "", ""
    return AWAY, f"{what} {_named(left)}, which {away[0]}"


def nowhere(facts: Facts, mounted: Sequence[str], beside: Iterable[str] = ()) -> tuple[str, str]:
    """Reason and words of why a Job that mounts these claims can not run; empty where it can.

    ``beside``: claims that it does not mount, and whose nodes it needs: of homes of which it sees a checkpoint.
    """
    held, why = nodes_of(facts, mounted)
    return (IN_USE, why) if why else unreachable(facts, [*beside, *mounted], held)
