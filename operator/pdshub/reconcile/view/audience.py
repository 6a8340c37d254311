"""In which namespaces a view's selector lets it be shown: the nodes, which enforce it, read no namespaces. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pdshub.api.namespaces import AllowedNamespaces, SelectedNamespaces
from pdshub.kube import Object


def namespaces_of(view: str, hubs: Iterable[Object]) -> list[str]:
    """Namespaces of the hubs that refer to a view: no others can have a volume of it."""
    shown = (h for h in hubs if ((h.get("spec") or {}).get("archive") or {}).get("viewRef") == view)
    return sorted({str(hub["metadata"]["namespace"]) for hub in shown})


def selected(allowed: AllowedNamespaces | None, labels: Mapping[str, Mapping[str, str]]) -> SelectedNamespaces | None:
    """What the nodes are told of a selector; None where there is none. ``labels``: of each namespace with a hub."""
    if allowed is None or allowed.selector is None:
        return None
    names = [name for name in sorted(labels) if allowed.selects(labels[name])]
    return SelectedNamespaces(match_labels=allowed.selector.match_labels, names=names)
