"""Objects of a hub's archive: the view of an inline archive, and the static volume through which pods see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.render.names import VIEW_LABEL, Names
from pdshub.wellknown import API_VERSION, DRIVER

CAPACITY = "1Ti"
"""A read-only volume has no size of its own; Kubernetes asks for one all the same."""


@dataclass(frozen=True)
class ViewRef:
    """The view that a hub shows."""

    name: str
    folder: str
    owned: bool


def view_of(spec: PDSHubSpec, names: Names, referred_folder: str = "") -> ViewRef | None:
    """The view that a spec asks for; ``referred_folder`` is spec.folder of a view that it refers to."""
    if spec.archive is None:
        return None
    if spec.archive.view_ref:
        return ViewRef(spec.archive.view_ref, referred_folder or spec.archive.view_ref, owned=False)
    assert spec.archive.inline is not None  # noqa: S101 - HubArchive refuses such a spec
    return ViewRef(names.own_view, spec.archive.inline.folder or names.name, owned=True)


def own_view(spec: PDSHubSpec, names: Names) -> dict[str, Any]:
    """The ArchiveView of an inline archive. Cluster-scoped: a namespaced owner would never be collected, so labels."""
    assert spec.archive is not None and spec.archive.inline is not None  # noqa: S101 - the caller asked view_of
    body = spec.archive.inline.wire()
    body["folder"] = body.get("folder") or names.name
    # what is written inside of a hub is that hub's: others show it where it says so
    allowed = body.get("allowedNamespaces") or {}
    body["allowedNamespaces"] = {**allowed, "names": sorted({*allowed.get("names", ()), names.namespace})}
    return {
        "apiVersion": API_VERSION,
        "kind": "ArchiveView",
        "metadata": {"name": names.own_view, "labels": names.labels},
        "spec": body,
    }


def static_volume(
    metadata: dict[str, Any], namespace: str, claim: str, handle: str, attributes: dict[str, str]
) -> dict[str, Any]:
    """A PersistentVolume of the project's driver that one claim alone can bind. ``handle`` differs for each volume."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": metadata,
        "spec": {
            "capacity": {"storage": CAPACITY},
            "accessModes": ["ReadOnlyMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": namespace,
                "name": claim,
            },
            "csi": {"driver": DRIVER, "volumeHandle": handle, "readOnly": True, "volumeAttributes": attributes},
        },
    }


def static_claim(metadata: dict[str, Any], volume: str) -> dict[str, Any]:
    """The PersistentVolumeClaim that binds ``volume`` and nothing else."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": "",
            "volumeName": volume,
            "resources": {"requests": {"storage": CAPACITY}},
        },
    }


def volume(names: Names, view: str) -> dict[str, Any]:
    """The PersistentVolume of a view for one hub. The driver knows the rest by the view's name."""
    metadata = {"name": names.volume(view), "labels": {**names.labels, VIEW_LABEL: view}}
    handle = f"{names.namespace}.{names.name}.{view}"
    return static_volume(metadata, names.namespace, names.claim(view), handle, {"view": view})


def claim(names: Names, view: str) -> dict[str, Any]:
    """The PersistentVolumeClaim that binds ``volume`` and nothing else."""
    labels = {**names.labels, VIEW_LABEL: view}
    metadata = {"name": names.claim(view), "namespace": names.namespace, "labels": labels}
    return static_claim(metadata, names.volume(view))
