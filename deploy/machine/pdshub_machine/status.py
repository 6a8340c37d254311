"""How the machine stands: for a person, for a program, and for Prometheus (node_exporter's textfile collector)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from . import etcd_restore, points, root, static_pods, store
from .config import Config
from .programs import Programs
from .trouble import Code, Trouble

METRICS = {
    "pdshub_machine_last_good_timestamp_seconds": "When the newest good one was taken (Unix time); 0 if there is none.",
    "pdshub_machine_kept": "How many good ones there are.",
    "pdshub_machine_bytes": "What they take on this machine's disk.",
    "pdshub_machine_pool_used_ratio": "What is used of the root's thin pool, data or metadata, whichever is more.",
    "pdshub_machine_last_run_timestamp_seconds": "When one was last to be made (Unix time).",
    "pdshub_machine_last_run_ok": "1 if it was made, 0 if not.",
}
"""Name -> help. Each is a gauge and has the label ``what``: etcd or root."""


@dataclass(frozen=True)
class Kind:
    """One of the two. ``absent``: why there is none on this machine; ``extra``: more of it, for ``status``."""

    what: str
    taken: tuple[datetime, ...] = ()
    size: int | None = None
    old_after_hours: int = 0
    absent: str = ""
    pool_used: float | None = None
    extra: Mapping[str, Any] | None = None

    def newest(self, now: datetime) -> datetime | None:
        """The newest good one."""
        return points.newest(self.taken, now)

    def old(self, now: datetime) -> bool:
        """Whether somebody has to look."""
        newest = self.newest(now)
        return not self.absent and (newest is None or now - newest > timedelta(hours=self.old_after_hours))

    def wire(self, now: datetime) -> dict[str, Any]:
        """As JSON."""
        if self.absent:
            return {"absent": self.absent}
        newest = self.newest(now)
        return {
            "lastGood": newest.strftime("%Y-%m-%dT%H:%M:%SZ") if newest else None,
            "ageSeconds": round((now - newest).total_seconds()) if newest else None,
            "old": self.old(now),
            "kept": len(self.taken),
            **(self.extra or {}),
        }


def of_etcd(config: Config) -> Kind:
    """What there is of etcd."""
    known = store.everything(config)
    whole = {one.name for one in known}
    size = sum(one.facts.size for one in known)
    extra: dict[str, Any] = {
        "bytes": size,
        "broken": [name for name in store.all_names(config) if name not in whole],
        "damaged": sorted(folder.name for folder in config.snapshots.glob(f"*{store.DAMAGED}")),
        "stoppedManifests": static_pods.stopped(config.etcd.manifests),
        "before": [str(folder) for folder in etcd_restore.before(config.etcd)],
    }
    return Kind("etcd", tuple(one.taken for one in known), size, config.etcd.old_after_hours, extra=extra)


def of_root(config: Config, programs: Programs) -> Kind:
    """What there is of the root. Raises Trouble when LVM does not say."""
    try:
        found = root.look(programs, config.root)
    except Trouble as error:
        if error.code is not Code.REFUSED:
            raise
        return Kind("root", absent=str(error))
    extra: dict[str, Any] = {
        "volume": found.origin.full_name,
        "waitsForBoot": found.waiting or None,
        "filesOnly": [one.name for one in found.checkpoints if not one.restorable],
        "pool": found.pool.full_name,
        "poolDataPercent": found.pool.data,
        "poolMetadataPercent": found.pool.metadata,
    }
    taken = tuple(one.taken for one in found.checkpoints if one.restorable)
    return Kind("root", taken, None, config.root.old_after_hours, pool_used=found.fill / 100, extra=extra)


def words(kinds: Iterable[Kind], now: datetime) -> list[str]:
    """For a person: a line for each, and one for each thing that somebody should know."""
    lines: list[str] = []
    for kind in kinds:
        if kind.absent:
            lines.append(f"{kind.what}: {kind.absent}")
            continue
        newest = kind.newest(now)
        age = f"{(now - newest) / timedelta(hours=1):.1f} h ago" if newest else "never"
        lines.append(f"{kind.what}: last good {age}{', OLD' if kind.old(now) else ''}; {len(kind.taken)} kept")
        lines += [f"  {name}: {value}" for name, value in (kind.extra or {}).items() if value not in (None, [])]
    return lines


def state_metrics(kind: Kind, now: datetime) -> str:
    """What there is, in Prometheus' text format. Times, not ages: an age would stand still together with who writes
    it."""
    newest = kind.newest(now)
    values = {
        "pdshub_machine_last_good_timestamp_seconds": newest.timestamp() if newest else 0,
        "pdshub_machine_kept": len(kind.taken),
        "pdshub_machine_bytes": kind.size,
        "pdshub_machine_pool_used_ratio": kind.pool_used,
    }
    return _text(kind.what, values)


def run_metrics(what: str, now: datetime, ok: bool) -> str:
    """How the last attempt to make one ended."""
    values = {"pdshub_machine_last_run_timestamp_seconds": int(now.timestamp()), "pdshub_machine_last_run_ok": int(ok)}
    return _text(what, values)


def _text(what: str, values: Mapping[str, float | None]) -> str:
    lines: list[str] = []
    for name, value in values.items():
        if value is not None:
            lines += [f"# HELP {name} {METRICS[name]}", f"# TYPE {name} gauge", f'{name}{{what="{what}"}} {value:.15g}']
    return "".join(f"{line}\n" for line in lines)


def publish(config: Config, name: str, text: str) -> None:
    """Write ``pdshub-machine-NAME.prom``, whole at every moment. Nothing without a folder for it. Raises OSError."""
    folder = Path(config.metrics)
    if not config.metrics or not folder.is_dir():
        return
    new = folder / f".pdshub-machine-{name}.{os.getpid()}"
    new.write_text(text)
    new.chmod(0o644)
    new.replace(folder / f"pdshub-machine-{name}.prom")


def tell(config: Config, what: str, look: Callable[[], Kind], now: datetime, ok: bool | None) -> None:
    """Tell Prometheus what there is, and how an attempt to make one ended (None: there was no attempt).

    Where LVM does not even say what there is, nothing is good. Raises OSError.
    """
    try:
        kind = look()
    except Trouble:
        kind = Kind(what)
    if kind.absent:
        return
    publish(config, what, state_metrics(kind, now))
    if ok is not None:
        publish(config, f"{what}-run", run_metrics(what, now, ok))
