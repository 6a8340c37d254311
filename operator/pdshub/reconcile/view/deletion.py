"""Whether a view that was deleted may go: not while somebody reads it, unless a person confirms. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pdshub.kube import Object
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.render.names import HUB_LABEL, NAMESPACE_LABEL, Names

CONFIRM = "pdshub.dev/confirm-delete"
"""Annotation of a view: with the view's own name a deletion waits for nobody."""
_FEW = 5


@dataclass(frozen=True)
class Users:
    """Who reads a view: hubs as namespace/name, and servers by node."""

    hubs: tuple[str, ...] = ()
    servers: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anybody reads the view."""
        return bool(self.hubs or self.servers)


def users(view: Object, hubs: Iterable[Object], reports: Mapping[str, NodeReport]) -> Users:
    """Hubs that show the view and are not going themselves, and servers that have it mounted.

    The servers of a view that was written inside of a hub are that hub's: they end with it.
    """
    name = str(view["metadata"]["name"])
    found = []
    for hub in hubs:
        meta, archive = hub["metadata"], (hub.get("spec") or {}).get("archive") or {}
        names = Names(str(meta["namespace"]), str(meta["name"]))
        own = bool(archive.get("inline")) and names.own_view == name
        if (archive.get("viewRef") == name or own) and not meta.get("deletionTimestamp"):
            found.append(f"{names.namespace}/{names.name}")
    return Users(tuple(sorted(found)), {} if inline(view) else _servers(name, reports))


def inline(view: Object) -> bool:
    """Whether a view was written inside of a hub: its hub makes it again, or goes with it."""
    labels = view["metadata"].get("labels") or {}
    return bool(labels.get(HUB_LABEL) and labels.get(NAMESPACE_LABEL))


def _servers(name: str, reports: Mapping[str, NodeReport]) -> dict[str, int]:
    """A node that is silent has what it said last: who holds the view open may still be there."""
    said = {node: answer.parsed.view(name) for node, answer in sorted(reports.items())}
    return {node: view.targets for node, view in said.items() if view and view.targets > 0}


def confirmed(view: Object) -> bool:
    """Whether somebody said that the deletion is meant."""
    meta = view["metadata"]
    return bool((meta.get("annotations") or {}).get(CONFIRM) == meta["name"])


def _some(items: Iterable[str]) -> str:
    every = list(items)
    return ", ".join(every[:_FEW]) + (f" and {len(every) - _FEW} more" if len(every) > _FEW else "")


def in_use_message(name: str, found: Users) -> str:
    """Who is in the way, and what to do."""
    who = []
    if found.hubs:
        who.append(f"PDSHub {_some(found.hubs)} show{'s' if len(found.hubs) == 1 else ''} it")
    if found.servers:
        who.append(f"servers have it mounted on {_some(f'{node} ({count})' for node, count in found.servers.items())}")
    todo = "take it out of spec.archive there and stop the servers" if found.hubs else "stop the servers"
    return (
        f"the deletion waits, and users go on reading: {' and '.join(who)}. To let it go {todo}, or confirm: "
        f"kubectl annotate av {name} {CONFIRM}={name}"
    )
