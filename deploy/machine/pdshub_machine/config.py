"""Settings: one TOML file, of which everything has a default that fits a machine made by kubeadm."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .trouble import failed

FILE = Path("/etc/pdshub-machine.toml")
_PERCENT = range(1, 100)


@dataclass(frozen=True)
class Etcd:
    """Section ``[etcd]``."""

    data_dir: Path = Path("/var/lib/etcd")
    manifests: Path = Path("/etc/kubernetes/manifests")
    """The kubelet's folder of static pods."""
    endpoint: str = "https://127.0.0.1:2379"
    cacert: Path = Path("/etc/kubernetes/pki/etcd/ca.crt")
    cert: Path = Path("/etc/kubernetes/pki/etcd/healthcheck-client.crt")
    key: Path = Path("/etc/kubernetes/pki/etcd/healthcheck-client.key")
    """The three are used with an ``https`` endpoint only."""
    keep_last: int = 3
    keep_daily: int = 7
    keep_weekly: int = 4
    keep_free_percent: int = 10
    """Of the file system of snapshots: a snapshot that would leave less is not made."""
    old_after_hours: int = 36
    timeout_seconds: int = 1800
    """For one snapshot, and for one look at it."""
    start_seconds: int = 300
    """How long a restored etcd may take to answer, and one that is stopped to end."""


@dataclass(frozen=True)
class Root:
    """Section ``[root]``."""

    volume: str = "auto"
    """``VG/LV``; ``auto``: what is mounted at /; ``none``: this machine's root has no checkpoints."""
    boot: Path = Path("/boot")
    """Where kernels are: not part of a checkpoint where the root is in a thin pool."""
    keep_last: int = 3
    keep_daily: int = 7
    keep_weekly: int = 0
    pool_percent: int = 80
    """Of the pool's data or metadata: above it the oldest checkpoints go, and no new one is made."""
    old_after_hours: int = 36


@dataclass(frozen=True)
class Config:
    """The whole file."""

    state: Path = Path("/var/lib/pdshub-machine")
    """Snapshots of etcd are in its folder ``etcd``; locks are beside it."""
    metrics: str = "/var/lib/prometheus/node-exporter"
    """The folder of node_exporter's textfile collector; empty for none."""
    etcd: Etcd = field(default_factory=Etcd)
    root: Root = field(default_factory=Root)

    @property
    def snapshots(self) -> Path:
        """Where snapshots of etcd are."""
        return self.state / "etcd"


def load(file: Path | None) -> Config:
    """The settings; the defaults where no file is named and :data:`FILE` is not there. Raises Trouble."""
    try:
        return parse((file or FILE).read_text())
    except FileNotFoundError:
        if file:
            raise failed(f"{file}: no such file") from None
        return Config()
    except ValueError as error:
        raise failed(f"{file or FILE}: {error}") from None


def parse(text: str) -> Config:
    """Settings from TOML. Raises ValueError that names the key which is unknown or wrong."""
    wire = tomllib.loads(text)
    etcd = Etcd(**_checked(Etcd(), wire.pop("etcd", {}), "etcd."))
    root = Root(**_checked(Root(), wire.pop("root", {}), "root."))
    if root.volume not in ("auto", "none") and not all(root.volume.partition("/")):
        raise ValueError(f"root.volume is {root.volume!r}: want VG/LV, auto or none")
    return Config(**_checked(Config(), wire, ""), etcd=etcd, root=root)


def _checked(defaults: Any, wire: Any, at: str) -> dict[str, Any]:
    """Arguments of a section's class: every key known, of its default's type and in its range."""
    if not isinstance(wire, dict):
        raise ValueError(f"{at.rstrip('.')} is no section")
    known = {f.name: getattr(defaults, f.name) for f in fields(defaults)}
    made: dict[str, Any] = {}
    for name, value in wire.items():
        if name not in known:
            raise ValueError(f"{at}{name} is no setting: want one of {', '.join(sorted(known))}")
        if not _fits(known[name], name, value):
            raise ValueError(f"{at}{name} is {value!r}: want {_wanted(known[name], name)}")
        made[name] = Path(value) if isinstance(known[name], Path) else value
    return made


def _fits(usual: object, name: str, value: object) -> bool:
    if isinstance(usual, Path):
        return isinstance(value, str) and value.startswith("/")
    return type(value) is type(usual) and (not isinstance(value, int) or value in _range(name))


def _range(name: str) -> range:
    if name.endswith("_percent"):
        return _PERCENT
    return range(0 if name.startswith("keep_") else 1, 1_000_000)


def _wanted(usual: object, name: str) -> str:
    if isinstance(usual, Path):
        return "an absolute path"
    if isinstance(usual, int):
        return f"a number from {_range(name)[0]} to {_range(name)[-1]}"
    return "a text"
