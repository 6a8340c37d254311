"""The control plane as static pods: their manifests taken out of the kubelet's folder and put back, and what the
manifest says of etcd."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .programs import synced
from .trouble import failed, refused

ETCD = "etcd.yaml"
PODS = ("kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml", ETCD)
"""What kubeadm makes, in the order in which they are stopped. All of them: what the API server and the controllers
remember of an etcd that went back is wrong."""
_FLAG = re.compile(r"""^\s*-\s*["']?--([a-z-]+)=([^"'\s]*)["']?\s*$""", re.MULTILINE)
_EVERY = 1.0


def aside(manifests: Path) -> Path:
    """Where manifests are while their pods are stopped: beside the kubelet's folder, which it does not look into."""
    return manifests.with_name(f"{manifests.name}-stopped-by-pdshub-machine")


def stopped(manifests: Path) -> list[str]:
    """Names of manifests that were taken out and not put back."""
    folder = aside(manifests)
    return [name for name in PODS if (folder / name).exists()]


def stop(manifests: Path) -> None:
    """Take the manifests out; the kubelet ends their pods. Those that are out already stay there."""
    folder = aside(manifests)
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in PODS:
        if (manifests / name).exists():
            (manifests / name).replace(folder / name)
    synced(folder)
    synced(manifests)


def start(manifests: Path) -> None:
    """Put them back, etcd first; the kubelet starts their pods. One that somebody wrote anew meanwhile stays."""
    folder = aside(manifests)
    for name in reversed(PODS):
        if (folder / name).exists() and not (manifests / name).exists():
            (folder / name).rename(manifests / name)
    synced(manifests)


def wait(what: str, met: Callable[[], bool], seconds: float) -> None:
    """Return when it is so. Raises Trouble when it is not after ``seconds``."""
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            raise failed(f"{what}: not within {seconds:.0f} s")
        time.sleep(_EVERY)


@dataclass(frozen=True)
class Member:
    """What an etcd is started with: flags of the same names."""

    name: str
    initial_cluster: str
    initial_advertise_peer_urls: str
    initial_cluster_token: str
    data_dir: str

    @property
    def arguments(self) -> list[str]:
        """For ``etcdutl snapshot restore``: the restored etcd is the one that the manifest starts."""
        return [
            f"--name={self.name}",
            f"--initial-cluster={self.initial_cluster}",
            f"--initial-advertise-peer-urls={self.initial_advertise_peer_urls}",
            f"--initial-cluster-token={self.initial_cluster_token}",
        ]


def member(manifests: Path) -> Member:
    """From etcd's manifest, whether it is in place or taken out. Raises Trouble."""
    for file in (manifests / ETCD, aside(manifests) / ETCD):
        if file.exists():
            return parse(file.read_text(), file)
    raise refused(f"no {ETCD} in {manifests}: this restores an etcd that kubeadm made, a static pod of one machine")


def parse(text: str, file: Path) -> Member:
    """What a manifest says. Raises Trouble: REFUSED when it is about more than one member, or does not say enough."""
    flags = dict(_FLAG.findall(text))
    wanted = ("name", "initial-cluster", "initial-advertise-peer-urls", "data-dir")
    if missing := [flag for flag in wanted if not flags.get(flag)]:
        raise refused(f"{file} does not say --{', --'.join(missing)}: an etcd as kubeadm makes it has them")
    if len({part.partition("=")[0] for part in flags["initial-cluster"].split(",")}) != 1:
        raise refused(f"{file} is about several members: restore them as etcd's own documentation says, all at once")
    name, cluster, peers, data_dir = (flags[flag] for flag in wanted)
    return Member(name, cluster, peers, flags.get("initial-cluster-token") or "etcd-cluster", data_dir)
