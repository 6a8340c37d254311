"""What a change asks for: which hubs and which views have to be looked at. Pure.

A look costs nothing but time where nothing is to be done; with a hundred hubs of one view it is a hundred looks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import Any

from pdshub.kube import Object
from pdshub.render.names import HUB_LABEL, NAMESPACE_LABEL, Names

HubKey = tuple[str, str]
"""Namespace and name of a hub."""


def hub_key(hub: Object) -> HubKey:
    """Namespace and name of a hub."""
    return str(hub["metadata"]["namespace"]), str(hub["metadata"]["name"])


def shown_view(hub: Object | None) -> str:
    """The view that a hub shows: the one that it refers to, or its own; empty for none."""
    archive = ((hub or {}).get("spec") or {}).get("archive") or {}
    if hub is None or not isinstance(archive, Mapping):
        return ""
    if archive.get("viewRef"):
        return str(archive["viewRef"])
    return Names(*hub_key(hub)).own_view if archive.get("inline") else ""


def lists_of(hub: Object | None) -> frozenset[tuple[str, str]]:
    """Kind and name of each object that a hub's list of people comes from or goes to, and of its keys."""
    if hub is None:
        return frozenset()
    names = Names(*hub_key(hub))
    found = {("ConfigMap", names.people), ("Secret", names.keys)}
    users = (hub.get("spec") or {}).get("users")
    named = users.get("from") if isinstance(users, Mapping) else None
    for item in named if isinstance(named, list) else ():
        for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            where = item.get(field) if isinstance(item, Mapping) else None
            if isinstance(where, Mapping):
                found.add((kind, str(where.get("name"))))
    return frozenset(found)


def owner_of(view: Object | None) -> HubKey | None:
    """The hub that a view was made for, as its labels say."""
    labels = ((view or {}).get("metadata") or {}).get("labels") or {}
    if not labels.get(HUB_LABEL) or not labels.get(NAMESPACE_LABEL):
        return None
    return str(labels[NAMESPACE_LABEL]), str(labels[HUB_LABEL])


def asked_of(item: Object | None) -> Hashable:
    """What people ask of an object: its spec, its deletion, labels and annotations. Status and finalizers are not."""
    if item is None:
        return None
    meta = item["metadata"]
    words = tuple(tuple(sorted((meta.get(part) or {}).items())) for part in ("labels", "annotations"))
    return meta.get("uid"), meta.get("generation"), meta.get("deletionTimestamp"), words


def written(item: Object | None) -> Hashable:
    """Everything of an object but its status, and what the API server counts: of some kinds nothing is counted."""
    if item is None:
        return None
    return asked_of(item), json.dumps({k: item[k] for k in item.keys() - {"status", "metadata"}}, sort_keys=True)


def told_to_hubs(view: Object | None) -> Hashable:
    """What hubs take from a view: what is asked of it, whether it is whole, and the generation that users see.

    How a survey gets on, rows of nodes and candidates are not among it. The message of a view that is whole changes
    while nodes fetch a generation; hubs take it over with their next look.
    """
    if view is None:
        return None
    meta, status = view["metadata"], view.get("status") or {}
    ready: dict[str, Any] = next((c for c in status.get("conditions") or [] if c.get("type") == "Ready"), {})
    return (
        (meta.get("uid"), meta.get("generation"), meta.get("deletionTimestamp"), owner_of(view)),
        (status.get("observedGeneration"), status.get("observedTree")),
        (ready.get("status"), ready.get("reason"), "" if ready.get("status") == "True" else ready.get("message")),
        (status.get("generation") or {}).get("name"),
    )


class ViewIndex:
    """Which hubs show a view, and which hubs share a namespace."""

    def __init__(self) -> None:
        self._views: dict[HubKey, str] = {}
        self._hubs: defaultdict[str, set[HubKey]] = defaultdict(set)
        self._neighbours: defaultdict[str, set[HubKey]] = defaultdict(set)

    def put(self, key: HubKey, hub: Object | None) -> None:
        """Take up a hub as it is now, or that there is none."""
        _leave(self._hubs, self._views.pop(key, ""), key)
        _leave(self._neighbours, key[0], key)
        if hub is not None:
            self._views[key] = shown_view(hub)
            self._hubs[self._views[key]].add(key)
            self._neighbours[key[0]].add(key)

    def hubs(self, name: str, *versions: Object | None) -> set[HubKey]:
        """Hubs that show a view, and those that a version of it says it was made for."""
        owners = {owner for view in versions if (owner := owner_of(view)) is not None}
        return set(self._hubs.get(name, ())) | owners

    def neighbours(self, key: HubKey) -> set[HubKey]:
        """Other hubs of the namespace: only the oldest is installed."""
        return self.of(key[0]) - {key}

    def of(self, namespace: str) -> set[HubKey]:
        """Hubs of a namespace."""
        return set(self._neighbours.get(namespace, ()))

    def of_part(self, old: Object | None, new: Object | None) -> set[HubKey]:
        """Hubs of the namespace of an object that changed, otherwise than by its own controller."""
        if written(old) == written(new):
            return set()
        return set(self._neighbours.get(str((new or old or {})["metadata"]["namespace"]), ()))

    @property
    def namespaces(self) -> set[str]:
        """Namespaces that have a hub."""
        return set(self._neighbours)


def _leave(groups: dict[str, set[HubKey]], name: str, key: HubKey) -> None:
    """Take a hub out of a group, and away a group that is empty."""
    if name in groups:
        groups[name].discard(key)
        if not groups[name]:
            del groups[name]
