"""The finalizer is set and taken away; those of others stay."""

from __future__ import annotations

import pytest

from pdshub.kube import PDSHUB
from pdshub.reconcile.hub.act import Act
from pdshub.reconcile.hub.act.finalizer import add, drop
from pdshub.render.names import FINALIZER
from tests.unit.reconcile.hub.act.acting import Acting
from tests.unit.reconcile.test_decide import facts


@pytest.mark.parametrize(
    ("act", "before", "after", "writes"),
    [
        (add, [], [FINALIZER], 1),
        (add, ["x"], ["x", FINALIZER], 1),
        (add, [FINALIZER], [FINALIZER], 0),
        (drop, ["x", FINALIZER], ["x"], 1),
        (drop, ["x"], ["x"], 0),
    ],
)
def test_finalizers(act: Act, before: list[str], after: list[str], writes: int) -> None:
    bench = Acting()
    bench.put(PDSHUB, "demo", finalizers=before)
    bench.run(act, facts())
    assert bench.get(PDSHUB, "demo")["metadata"]["finalizers"] == after
    assert len(bench.kube.writes) == writes


def test_a_hub_that_is_dropped_is_forgotten() -> None:
    bench = Acting()
    bench.put(PDSHUB, "demo", finalizers=[FINALIZER])
    bench.context.memory("ns", "demo")
    bench.run(drop, facts())
    assert bench.context.hubs == {}
