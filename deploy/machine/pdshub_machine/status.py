"""How the machine stands: for a person, for a program, and for Prometheus (node_exporter's textfile collector)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
    "pdshub_machine_last_run_timestamp_seconds": "When one was last to be made (Unix time).",
    "pdshub_machine_last_run_ok": "1 if it was made, 0 if not.",
    "pdshub_machine_pool_used_ratio": "What is used of the root's thin pool, data or metadata, whichever is more.",
}
"""Name -> help. Each has the label ``what``: etcd or root."""


@dataclass(frozen=True)
class Kind:
    """One of the two. ``absent``: why there is none on this machine; ``extra``: more of it, for ``status``."""

    what: str
    taken: tuple[datetime, ...] = ()
    size: int | None = None
    old_after_hours: int = 0
    absent: str = ""
    pool_used: float | None = None
    extra: dict[str, Any] | None = None

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
            "lastGood": newest.isoformat().replace("+00:00", "Z") if newest else None,
            "ageSeconds": round((now - newest).total_seconds()) if newest else None,
            "old": self.old(now),
            "kept": len(self.taken),
            **(self.extra or {}),
        }


def etcd(config: Config) -> Kind:
    """What there is of etcd."""
    known = store.everything(config)
    whole = {one.name for one in known}
    extra = {
        "bytes": sum(one.facts.size for one in known),
        "broken": [name for name in store.all_names(config) if name not in whole],
        "damaged": sorted(f.name for f in config.snapshots.glob(f"*{store.DAMAGED}")),
        "stoppedManifests": static_pods.stopped(config.etcd.manifests),
        "before": [str(folder) for folder in etcd_restore.before(config.etcd)],
    }
    taken = tuple(one.taken for one in known)
    return Kind("etcd", taken, extra["bytes"], config.etcd.old_after_hours, extra=extra)


def of_root(config: Config, programs: Programs) -> Kind:
    """What there is of the root. Raises Trouble when LVM does not say."""
    try:
        found = root.look(programs, config.root)
    except Trouble as error:
        if error.code is not Code.REFUSED:
            raise
        return Kind("root", absent=str(error))
    extra = {
        "volume": found.origin.full_name,
        "waitsForBoot": found.waiting or None,
        "pool": found.pool.full_name,
        "poolDataPercent": found.pool.data,
        "poolMetadataPercent": found.pool.metadata,
    }
    taken = tuple(one.taken for one in found.checkpoints)
    return Kind("root", taken, None, config.root.old_after_hours, pool_used=found.fill / 100, extra=extra)


def metrics(kind: Kind, now: datetime, run_ok: bool) -> str:
    """Prometheus' text format. Times, not ages: an age would stand still together with who writes it."""
    newest = kind.newest(now)
    values: dict[str, float | None] = {
        "pdshub_machine_last_good_timestamp_seconds": newest.timestamp() if newest else 0,
        "pdshub_machine_kept": len(kind.taken),
        "pdshub_machine_bytes": kind.size,
        "pdshub_machine_last_run_timestamp_seconds": int(now.timestamp()),
        "pdshub_machine_last_run_ok": int(run_ok),
        "pdshub_machine_pool_used_ratio": kind.pool_used,
    }
    lines: list[str] = []
    for name, value in values.items():
        if value is not None:
            lines += [f"# HELP {name} {METRICS[name]}", f"# TYPE {name} gauge", f'{name}{{what="{kind.what}"}} {value:.15g}']
    return "".join(f"{line}\n" for line in lines)


def publish(config: Config, what: str, text: str) -> None:
    """Write ``pdshub-machine-WHAT.prom``, whole at every moment. Nothing without a folder for it. Raises OSError."""
    folder = Path(config.metrics)
    if not config.metrics or not folder.is_dir():
        return
    new = folder / f".pdshub-machine-{what}.{os.getpid()}"
    new.write_text(text)
    new.chmod(0o644)
    new.replace(folder / f"pdshub-machine-{what}.prom")


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


def after(config: Config, what: str, look: Callable[[], Kind], now: datetime, run_ok: bool) -> None:
    """Tell Prometheus how a run ended; where LVM does not even say what there is, that there is nothing good."""
    try:
        kind = look()
    except Trouble:
        kind = Kind(what)
    if not kind.absent:
        publish(config, what, metrics(kind, now.astimezone(UTC), run_ok))
