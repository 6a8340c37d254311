"""Where everything of the node plugin lies, below the kubelet's directory.

All of it is under /var/lib/kubelet, which the pod has with Bidirectional propagation: a mount made here is
the host's too and outlives the plugin's process.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DRIVER = "archive.pdshub.dev"
KEPT = ".pdshub-kept-"
"""Before any letters, in the root of a mount of the helper, and listed nowhere: the whole export once more, for one
catalog. What files of it are is asked for when they are opened, and remembered from then on."""


@dataclass(frozen=True)
class Layout:
    kubelet: Path

    @property
    def plugin(self) -> Path:
        return self.kubelet / "plugins" / DRIVER

    @property
    def plugin_lock(self) -> Path:
        """Held by the plugin that runs."""
        return self.plugin / "lock"

    @property
    def helper_lock(self) -> Path:
        """Held by the helper that runs."""
        return self.helper / "lock"

    @property
    def csi_socket(self) -> Path:
        return self.plugin / "csi.sock"

    @property
    def registration_socket(self) -> Path:
        return self.kubelet / "plugins_registry" / f"{DRIVER}-reg.sock"

    @property
    def empty(self) -> Path:
        """An empty directory: overlayfs wants at least two lower layers."""
        return self.plugin / "empty"

    @property
    def generations(self) -> Path:
        return self.plugin / "generations"

    @property
    def cache(self) -> Path:
        return self.plugin / "cache"

    @property
    def helper(self) -> Path:
        """Requests to, and answers of, the user-space NFS helper."""
        return self.plugin / "helper"

    def source(self, digest: str) -> Path:
        return self.plugin / "sources" / digest

    @property
    def views(self) -> Path:
        return self.plugin / "views"

    def volume_root(self, view: str) -> Path:
        return self.views / view / "front"

    def entries(self, view: str) -> Path:
        return self.views / view / "entries"

    def entry(self, view: str, key: str) -> Path:
        return self.entries(view) / key / "mnt"

    def prepare(self) -> None:
        folders = (self.plugin, self.registration_socket.parent, self.empty, self.cache, self.helper, self.generations)
        for path in folders:
            path.mkdir(parents=True, exist_ok=True)
        for path in (self.plugin / "sources", self.views):
            path.mkdir(exist_ok=True)
