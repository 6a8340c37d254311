"""Every metric that PDSHub's programs write, read from the programs, with the labels of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pdshub import metrics as operator
from pdshub.homes.metrics import families as of_homes
from pdshub.node.report import metrics as node
from pdshub.surveyor import metrics as surveyor
from pdshub.surveyor.server import Handlers
from tests.unit.archive.archive_support import build
from tests.unit.homes.test_metrics import SEEN
from tests.unit.node.test_metrics import SAID
from tests.unit.surveyor.support import Bench, names
from tests.unit.test_metrics import FACTS, HUB

SHOWN = {
    "metadata": {"namespace": "hub", "name": "sbn"},
    "status": {"certificate": {}, "conditions": [{"type": "RestoreVerified", "status": "True"}]},
    "spec": {"backup": {"x": 1}},
}
"""A hub with everything that a metric speaks of."""
PLACED = {"job", "instance", "node"}
"""Labels that Prometheus adds: by itself, and by charts/pdshub and role monitoring."""


def _read(text: bytes) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def of_surveyor(folder: Path) -> dict[str, set[str]]:
    """Of one that has surveyed, audited, and verified a pinned generation."""
    bench, found = Bench(folder), {}
    build(bench.sources / "main", {"x/data/broken.xml": "<Product_Observational"})  # for the audit to find

    async def story() -> None:
        bench.put()
        await bench.turn()
        (first,) = names(await bench.checked())
        bench.put(pin=first, keep=[first])
        for _ in range(2):
            await bench.turn(after=90_000)
            await bench.checked()
        registry = CollectorRegistry()
        registry.register(surveyor.Surveys(Handlers(bench.surveyor)))
        found.update(_read(generate_latest(registry)))

    bench.run(story)
    return found


def everything(folder: Path) -> dict[str, set[str]]:
    """Metric -> its labels."""
    return {
        **_read(operator.text(replace(FACTS, hubs=[HUB, SHOWN]))),
        **_read(node.text(lambda: node.families(SAID, {}))),
        **_read(node.text(lambda: of_homes(SEEN))),
        **of_surveyor(folder),
    }
