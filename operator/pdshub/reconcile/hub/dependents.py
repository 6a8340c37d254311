"""What a deleted hub leaves behind and Helm does not know: found here, removed by act/clean.py."""

from __future__ import annotations

from pdshub.api.hub import DeletionPolicy, PDSHubSpec
from pdshub.kube import ARCHIVE_VIEW, CLAIM, CONFIG_MAP, POD, SECRET, VOLUME, Object
from pdshub.reconcile.hub.context import HubContext
from pdshub.render.names import (
    DATABASE_CLAIM,
    HOME_LABELS,
    HUB_LABEL,
    NAMESPACE_LABEL,
    SERVER_LABELS,
    VIEW_LABEL,
    Names,
)

RESOURCES = {
    "pod": POD,
    "claim": CLAIM,
    "data": CLAIM,
    "volume": VOLUME,
    "configmap": CONFIG_MAP,
    "secret": SECRET,
    "view": ARCHIVE_VIEW,
}
"""``data`` is a claim whose content is to go too; ``claim`` is one that only points to the archive."""


def _labels(**pairs: str) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs.items())


async def find(context: HubContext, names: Names, spec: PDSHubSpec | None) -> tuple[tuple[str, str], ...]:
    """Objects of the hub that are not going yet. A spec that cannot be read keeps all data."""
    kube, mine = context.kube, f"{HUB_LABEL}={names.name}"
    policy = spec.deletion_policy if spec else DeletionPolicy()
    found: list[tuple[str, list[Object]]] = [
        ("pod", await kube.items(POD, names.namespace, labels=f"{mine},{_labels(**SERVER_LABELS)}")),
        ("claim", await kube.items(CLAIM, names.namespace, labels=f"{mine},{VIEW_LABEL}")),
        ("volume", await kube.items(VOLUME, labels=f"{mine},{NAMESPACE_LABEL}={names.namespace},{VIEW_LABEL}")),
    ]
    single = [("configmap", names.notice)]
    if policy.database == "Delete":
        single += [("data", DATABASE_CLAIM), ("secret", names.keys), ("secret", names.sign_in)]
    for kind, name in single:
        item = await kube.get(RESOURCES[kind], name, names.namespace)
        found.append((kind, [item] if item else []))
    if policy.homes == "Delete":
        found.append(("data", await kube.items(CLAIM, names.namespace, labels=f"{mine},{_labels(**HOME_LABELS)}")))
    view = await kube.get(ARCHIVE_VIEW, names.own_view)
    # only one that the operator made for this very hub: names can meet
    labels = ((view or {}).get("metadata") or {}).get("labels") or {}
    owned = labels.get(HUB_LABEL) == names.name and labels.get(NAMESPACE_LABEL) == names.namespace
    found.append(("view", [view] if view and owned else []))
    return tuple(
        (kind, str(item["metadata"]["name"]))
        for kind, items in found
        for item in items
        if not item["metadata"].get("deletionTimestamp")
    )
