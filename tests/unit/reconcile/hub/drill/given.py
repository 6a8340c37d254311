"""Hubs whose backups are drilled, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pdshub import rfc3339
from pdshub.reconcile.hub.drill.facts import Facts
from pdshub.reconcile.hub.drill.record import Drills
from tests.unit.reconcile.hub.backup import given
from tests.unit.reconcile.hub.backup.given import NAMES, backup, run

NOW = "2026-03-16T12:00:00Z"
S3: dict[str, Any] = {
    "repository": {"s3": {"endpoint": "https://s3.example.org", "bucket": "vault", "secretRef": "s3-keys"}}
}
SITE = "pdshub-drill"


def saved(*items: str, started: str = "2026-03-16T02:30:05Z", **sizes: int) -> Any:
    """A run that saved these items; each snapshot is named after its item."""
    rows = [
        {
            "item": item,
            "phase": "Completed",
            "snapshot": item.encode().hex().ljust(64, "0")[:64],
            "sizeBytes": sizes.get(item, 1000),
        }
        for item in items
    ]
    return run("auto", given.done(started=started, snapshots=len(rows)) | {"items": rows}, trigger="Schedule")


ALL = ("home/ada", "home/bela", "home/carl", "home/dora", "database", "keys", "objects")


def facts(
    drills: Drills | None = None, now: str = NOW, runs: Any = None, jobs: Any = (), pods: Any = (), **more: Any
) -> Facts:
    drill = {"schedule": "0 4 * * 1", "sample": 2, **more.pop("drill", {})}
    fields = {key: more.pop(key) for key in ("refused", "key", "place") if key in more}
    found = given.facts(now, backup(**S3, drill=drill), runs=(saved(*ALL),) if runs is None else runs, **fields)
    made = Facts(found, drills or Drills(), SITE, "hub:1", {j["metadata"]["name"]: j for j in jobs}, tuple(pods))
    return replace(made, **more)


def at(moment: str) -> float:
    return rfc3339.seconds(moment)


__all__ = ["ALL", "NAMES", "NOW", "SITE", "at", "facts", "saved"]
