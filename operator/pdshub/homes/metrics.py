"""Prometheus metrics of a node's homes. docs/storage.md explains each. No label names a user or a volume."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pdshub.files import write_text
from pdshub.homes.model import Checkpoint, Pool, Volume
from pdshub.node.report import metrics

log = logging.getLogger(__name__)

PREFIX = "pdshub_homes_"


@dataclass(frozen=True)
class Seen:
    """What the last look at the disk found. ``dropped``: checkpoints that went, by why; ``problems``: of that look."""

    pool: Pool
    volumes: tuple[Volume, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    problems: int = 0


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=labels)


def families(seen: Seen) -> Iterator[Metric]:
    """All metrics of one look."""
    size = _gauge("pool_bytes", "The pool: its size, what is used of it, what is promised to homes.", "kind")
    for kind, value in (("total", seen.pool.total), ("used", seen.pool.used), ("promised", seen.pool.promised)):
        size.add_metric([kind], float(value))
    yield size
    metadata = _gauge("pool_metadata_ratio", "The part of a thin pool's metadata that is used, 0 to 1.")
    metadata.add_metric([], seen.pool.metadata)
    yield metadata
    fill = _gauge("pool_fill_ratio", "How full the pool is, 0 to 1: data or metadata, whichever is nearer to its end.")
    fill.add_metric([], seen.pool.fill)
    yield fill
    volumes = _gauge("volumes", "Volumes of homes.")
    volumes.add_metric([], float(len(seen.volumes)))
    yield volumes
    checkpoints = _gauge("checkpoints", "Checkpoints by how they were made.", "how")
    for how in sorted({c.how for c in seen.checkpoints}):
        checkpoints.add_metric([how], float(sum(c.how == how for c in seen.checkpoints)))
    yield checkpoints
    newest = _gauge("newest_checkpoint_timestamp_seconds", "Unix time of the newest checkpoint; 0: there is none.")
    newest.add_metric([], max((c.created for c in seen.checkpoints), default=0.0))
    yield newest
    dropped = CounterMetricFamily(
        PREFIX + "checkpoints_dropped", "Checkpoints that went, since the start: by age, or for room.", labels=["why"]
    )
    for why, count in sorted(seen.dropped.items()):
        dropped.add_metric([why], float(count))
    yield dropped
    problems = _gauge("problems", "Checkpoints that could not be made, and looks that failed, at the last look.")
    problems.add_metric([], float(seen.problems))
    yield problems


async def write(path: Path, seen: Callable[[], Seen | None]) -> None:
    """Write the metrics into a file for ever, once there are any; exposition.py of the node serves it."""
    while True:
        now = seen()
        if now is not None:
            try:
                write_text(path, metrics.text(lambda: families(now)).decode(), durable=False, mode=0o644)  # noqa: B023
            except OSError as error:
                log.warning("%s: %s", path, error)
        await asyncio.sleep(metrics.EVERY)
