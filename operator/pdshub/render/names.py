"""Names of what the operator makes for a hub, and the labels by which it is found again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pdshub.wellknown import BACKUP_KEY_SUFFIX, GROUP, MANAGER

FINALIZER = f"{GROUP}/finalizer"
VIEW_FINALIZER = f"{GROUP}/view"
HUB_LABEL = f"{GROUP}/hub"
NAMESPACE_LABEL = f"{GROUP}/namespace"
VIEW_LABEL = f"{GROUP}/view"
ENVIRONMENT_LABEL = f"{GROUP}/environment"
REPOSITORY_LABEL = f"{GROUP}/repository"
"""Of volume and claim of a repository of backups."""
RUN_LABEL = f"{GROUP}/run"
"""Of a backup Job and its pod: the HubBackup or HubRestore that it is part of."""
NOTICE_ANNOTATION = f"{GROUP}/notice"
PEOPLE_ANNOTATION = f"{GROUP}/people"
"""Of a hub's pod: digest of the list that its kubelet was told to look for. Of a ConfigMap: digest of its content."""
HOME_CLAIM = "claim-{user_server}"
"""What claims of homes are called, as KubeSpawner writes names."""
DATABASE_CLAIM = "hub-db-dir"
"""The claim of the hub's database, as the zero-to-jupyterhub chart names it."""
HOME_LABELS = {"component": "singleuser-storage"}
SERVER_LABELS = {"component": "singleuser-server"}
BACKUP_LABELS = {"component": "backup"}
RECOVERY_LABELS = {"component": "recovery"}
"""Of Jobs that bring a hub back, and their pods."""
COPY_LABELS = {"component": "database-copy"}
"""Of a Job that copies a hub's database or puts a copy in place, and its pod."""
RECORD_LABEL = f"{GROUP}/revision"
"""Of a Secret with a release that a hub can go back to: its revision."""


def short(*parts: str, limit: int = 63) -> str:
    """Parts joined by dashes; where that is too long, its beginning and a digest, so that it stays unique."""
    name = "-".join(parts)
    if len(name) <= limit:
        return name
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:10]
    return f"{name[: limit - 11].rstrip('-')}-{digest}"


@dataclass(frozen=True)
class Names:
    """Every derived name of the hub ``name`` in ``namespace``. The Helm release has the hub's own name."""

    namespace: str
    name: str

    @property
    def keys(self) -> str:
        """Secret with cookie secret and CryptKeeper keys; lives as long as the database."""
        return short(self.name, "keys")

    @property
    def sign_in(self) -> str:
        """Secret with the development password, where the operator makes one."""
        return short(self.name, "sign-in")

    @property
    def notice(self) -> str:
        """ConfigMap with what the hub's pages say about the archive."""
        return short(self.name, "notice")

    @property
    def door(self) -> str:
        """Everything of the hub's front door: Deployment, Service, ConfigMap, claim, Secret; Ingress and HTTPRoute."""
        return short(self.name, "door")

    @property
    def backup_key(self) -> str:
        """Secret with the key of the hub's backups; kept whatever happens to the hub."""
        return f"{short(self.name, limit=63 - len(BACKUP_KEY_SUFFIX))}{BACKUP_KEY_SUFFIX}"

    @property
    def copies(self) -> str:
        """PersistentVolumeClaim with copies of the hub's database."""
        return short(self.name, "copies")

    def record(self, copy: str) -> str:
        """Secret with the release that a copy of the database belongs to."""
        return short(self.name, "release", copy)

    def repository(self, share: str) -> str:
        """PersistentVolumeClaim of an NFS share that is the repository of the hub's backups: each has its own."""
        return short(self.name, "backups", hashlib.sha256(share.encode()).hexdigest()[:6])

    def repository_volume(self, share: str) -> str:
        """PersistentVolume behind ``repository``."""
        return short("pdshub", self.namespace, self.repository(share))

    @property
    def people(self) -> str:
        """ConfigMap with the list of who may sign in."""
        return short(self.name, "people")

    @property
    def census(self) -> str:
        """ConfigMap with users and homes as they were found last."""
        return short(self.name, "census")

    @property
    def homes(self) -> str:
        """ConfigMap with which claim is whose home."""
        return short(self.name, "homes")

    @property
    def recovery(self) -> str:
        """ConfigMap with what was chosen of a backup that the hub comes back from, and how far that is."""
        return short(self.name, "recovery")

    @property
    def server_quota(self) -> str:
        """ResourceQuota of what servers use together."""
        return short(self.name, "servers")

    @property
    def storage_quota(self) -> str:
        """ResourceQuota of the namespace's volumes."""
        return short(self.name, "storage")

    @property
    def limit_range(self) -> str:
        """LimitRange for containers that name no bounds."""
        return short(self.name, "defaults")

    @property
    def own_view(self) -> str:
        """ArchiveView that the operator keeps for an inline archive."""
        return short(self.namespace, self.name)

    def claim(self, view: str) -> str:
        """PersistentVolumeClaim of a view: another view gets another claim, so that running pods keep theirs."""
        if view == self.own_view:
            return short(self.name, "archive")
        return short(self.name, "archive", hashlib.sha256(view.encode()).hexdigest()[:6])

    def volume(self, view: str) -> str:
        """PersistentVolume behind ``claim``."""
        return short("pdshub", self.namespace, self.claim(view))

    @property
    def labels(self) -> dict[str, str]:
        """Labels of everything that the operator makes for this hub."""
        return {
            "app.kubernetes.io/managed-by": MANAGER,
            HUB_LABEL: self.name,
            NAMESPACE_LABEL: self.namespace,
        }
