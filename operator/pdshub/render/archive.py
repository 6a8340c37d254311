"""Objects of a hub's archive: the view of an inline archive, and the static volume through which pods see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.render.names import DRIVER, VIEW_LABEL, Names

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
    return {
        "apiVersion": "pdshub.dev/v1alpha1",
        "kind": "ArchiveView",
        "metadata": {"name": names.own_view, "labels": names.labels},
        "spec": body,
    }


def volume(names: Names, view: str) -> dict[str, Any]:
    """The PersistentVolume of a view for one hub. The driver knows the rest by the view's name."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": names.volume(view), "labels": {**names.labels, VIEW_LABEL: view}},
        "spec": {
            "capacity": {"storage": CAPACITY},
            "accessModes": ["ReadOnlyMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": names.namespace,
                "name": names.claim(view),
            },
            "csi": {
                "driver": DRIVER,
                "volumeHandle": f"{names.namespace}.{names.name}.{view}",
                "readOnly": True,
                "volumeAttributes": {"view": view},
            },
        },
    }


def claim(names: Names, view: str) -> dict[str, Any]:
    """The PersistentVolumeClaim that binds ``volume`` and nothing else."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": names.claim(view),
            "namespace": names.namespace,
            "labels": {**names.labels, VIEW_LABEL: view},
        },
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": "",
            "volumeName": names.volume(view),
            "resources": {"requests": {"storage": CAPACITY}},
        },
    }
