"""Where everything of the node plugin lies, below the kubelet's directory.

All of it is under /var/lib/kubelet, which the pod has with Bidirectional propagation: a mount made here is
the host's too and outlives the plugin's process.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pdshub.wellknown import DRIVER

KEPT = ".pdshub-kept-"
"""Before any letters, in the root of a mount of the helper, and listed nowhere: the whole export once more, for one
catalog. What files of it are is asked for when they are opened, and remembered from then on."""


@dataclass(frozen=True)
class Layout:
    """Paths of the node plugin, all derived from the kubelet's directory."""

    kubelet: Path
    keys: Path = Path("/run/pdshub-keys")
    """Keys of sources in S3, in memory: plugin and helper share this directory of the node, and nobody else has it."""

    def keys_of(self, digest: str) -> Path:
        """The keys of the source of this digest."""
        return self.keys / digest

    @property
    def plugin(self) -> Path:
        """The plugin's own directory, which holds everything but the registration socket."""
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
        """Where the driver listens."""
        return self.plugin / "csi.sock"

    @property
    def registration_socket(self) -> Path:
        """Where the kubelet finds the driver."""
        return self.kubelet / "plugins_registry" / f"{DRIVER}-reg.sock"

    @property
    def empty(self) -> Path:
        """An empty directory: overlayfs wants at least two lower layers."""
        return self.plugin / "empty"

    @property
    def generations(self) -> Path:
        """Generations that were fetched: see store/generations.py."""
        return self.plugin / "generations"

    @property
    def packs(self) -> Path:
        """Images of packs: see store/contents.py."""
        return self.plugin / "packs"

    @property
    def cache(self) -> Path:
        """The views as the API server had them last: see store/informer.py."""
        return self.plugin / "cache"

    @property
    def helper(self) -> Path:
        """Requests to, and answers of, the user-space NFS helper."""
        return self.plugin / "helper"

    def source(self, digest: str) -> Path:
        """Where the source of this digest is mounted (spec.Source.digest)."""
        return self.plugin / "sources" / digest

    @property
    def views(self) -> Path:
        """One directory for each view that is known or published."""
        return self.plugin / "views"

    def volume_root(self, view: str) -> Path:
        """Where the small directory of a view is mounted that pods see as /archive: see mount/volume_root.py."""
        return self.views / view / "front"

    def entries(self, view: str) -> Path:
        """The contents that are mounted for a view, one directory each."""
        return self.views / view / "entries"

    def entry(self, view: str, key: str) -> Path:
        """Where one content of a view is mounted; `key` names it (plan.Want.key)."""
        return self.entries(view) / key / "mnt"

    def prepare(self) -> None:
        """Make the directories that must exist. Raises OSError."""
        folders = (self.plugin, self.registration_socket.parent, self.empty, self.cache, self.helper, self.generations)
        for path in folders:
            path.mkdir(parents=True, exist_ok=True)
        for path in (self.plugin / "sources", self.views):
            path.mkdir(exist_ok=True)
