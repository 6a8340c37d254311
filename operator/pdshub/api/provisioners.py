"""What is known of storage by its provisioner: whether a volume has an end of its own."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from pdshub.wellknown import HOMES_DRIVER

LOOSE = ("rancher.io/local-path", "*hostpath*", "*nfs*", "efs.csi.aws.com", "kubernetes.io/no-provisioner")
"""Provisioners whose volumes are directories of something larger."""
STRICT = (
    HOMES_DRIVER,
    "ebs.csi.aws.com",
    "fsx.openzfs.csi.aws.com",
    "pd.csi.storage.gke.io",
    "disk.csi.azure.com",
    "cinder.csi.openstack.org",
    "csi.vsphere.vmware.com",
    "driver.longhorn.io",
    "topolvm.io",
    "*.rbd.csi.ceph.com",
    "*.cephfs.csi.ceph.com",
    "zfs.csi.openebs.io",
    "local.csi.openebs.io",
)
"""Provisioners whose volumes have an end of their own."""
_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def is_default(storage_class: Mapping[str, Any]) -> bool:
    """Whether a StorageClass is the one of claims that name none."""
    return (storage_class["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"


def holds_to_size(provisioner: str) -> bool | None:
    """Whether volumes of a provisioner are held to their size; None where that is not known."""
    if any(fnmatch.fnmatchcase(provisioner, known) for known in STRICT):
        return True
    return False if any(fnmatch.fnmatchcase(provisioner, known) for known in LOOSE) else None
