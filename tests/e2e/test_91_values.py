"""Texts that hide an object, in a hub's values: offline in each, by the API server where a chart does not quote.

``--chart CHART.tgz`` attacks that zero-to-jupyterhub, without it the chart of this project is attacked, which
``tests/unit/test_hostile_values.py`` does offline.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdshub.helm import Helm, HelmError
from pdshub.reconcile.hub.manifest.rules import judge, of_release
from pdshub.render.chart import ChartRef
from pdshub.render.names import Names
from pdshub.render.values import template_trouble
from pdshub.tenant_kubeconfig import Kubeconfigs
from tests import records
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, variant, wait_ready
from tests.e2e.test_90_tenant import outside
from tests.hostile_values.attack import Attack, Case, Outcome
from tests.hostile_values.charts import HubChart, airgap, packaged
from tests.hostile_values.places import Place, put
from tests.hostile_values.rendering import foreign

pytestmark = [pytest.mark.long, pytest.mark.alone]  # all objects of the cluster are compared

SPACE, HUB = "e2e-values", "values"
NAMES = Names(SPACE, HUB)
TEXTS = ("an object", "an object of the cluster", "a namespace of the same object", "U+2028")
DRY_RUNS = 120
"""At most; of the rest of the places one in so many is left out that the first and the last are tried."""
APPLIED = 20
"""Places that are tried in a PDSHub, too."""


@pytest.fixture(scope="module")
def attacked(cluster: Cluster, request: pytest.FixtureRequest) -> HubChart:
    """The chart of this run."""
    given = request.config.getoption("--chart")
    return packaged(Path(given)) if given else airgap()


@pytest.fixture(scope="module")
def attack(cluster: Cluster, attacked: HubChart) -> Attack:
    """All attacks, offline."""
    made = Attack(attacked)
    made.all()
    return made


@pytest.fixture(scope="module")
def values(cluster: Cluster, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A hub of its own, without an archive."""
    namespace(cluster, SPACE)
    made = variant(sample, HUB, SPACE, archive=None)
    try:
        cluster.apply(made)
        wait_ready(cluster, HUB, SPACE)
        yield made
    finally:
        cluster.kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--timeout=240s", timeout=250)


def some(cases: list[Case], most: int) -> list[Case]:
    """At most so many of them, from the first to the last at even distances."""
    if len(cases) <= most:
        return cases
    return [cases[number * (len(cases) - 1) // (most - 1)] for number in range(most)]


def unquoted(attack: Attack) -> list[Place]:
    """Where a text stands in the manifest without quotes, or was refused by the look."""
    looked = {place for (place, _), how in attack.report.outcomes.items() if how is Outcome.LOOK}
    return [place for place in attack.places if place in attack.report.unquoted or place.title in looked]


def test_no_value_of_the_schema_becomes_an_object(attack: Attack, attacked: HubChart) -> None:
    print(attack.report.line)
    assert attack.report.escaped == []
    assert attack.report.counts[Outcome.DATA] > 1000
    # the chart of this project quotes whatever it prints: nothing is left for the look
    assert attack.report.counts[Outcome.LOOK] > 50 or attacked.name == airgap().name


def test_the_api_server_is_asked_and_the_look_refuses_the_same(
    cluster: Cluster, attack: Attack, attacked: HubChart, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the operator's own door: helm's dry run as the account of the namespace, then the rules."""
    places = unquoted(attack)
    cases = [Case(place, text, f"evil{number}z") for number, place in enumerate(places) for text in TEXTS]
    # the operator looks for the login of its pod first
    environ = {key: value for key, value in cluster.environ.items() if key != "KUBERNETES_SERVICE_HOST"}
    kubeconfigs = Kubeconfigs(environ)
    monkeypatch.setenv("PATH", cluster.environ["PATH"])
    helm = Helm(kubeconfigs.path)
    chart = ChartRef("Airgap", str(attacked.where), None, "", "x")
    before = outside(cluster, SPACE)
    counts: dict[str, int] = {}
    for case in some(cases, DRY_RUNS):
        given = put(attacked.base(case.place.path, plain=True), (case.place, case.text))
        if template_trouble(given):
            how = "operator"
        else:
            try:
                planned = asyncio.run(helm.preview(HUB, SPACE, chart, given))
            except HelmError as error:
                # what helm cannot have read because it was not there says nothing
                assert error.reason in ("ValuesRefused", "Forbidden", "NotOurs"), f"{case.place.title}: {error}"
                how = "helm"
            else:
                found = judge(planned.manifest, of_release(planned), NAMES, given)
                if found is None:
                    texts = [planned.manifest, *(hook.manifest for hook in of_release(planned))]
                    assert not foreign("\n---\n".join(texts), SPACE), f"{case.place.title}: {case.payload}"
                how = "look" if found else "text"
        counts[how] = counts.get(how, 0) + 1
    print(f"dry runs by the API server of {attacked.name}: {sum(counts.values())}, of which {counts}")
    records.keep("dry runs", attacked.name, counts)
    assert sorted(outside(cluster, SPACE) ^ before) == []


def test_the_values_of_a_hub_write_nothing_outside(
    cluster: Cluster, attack: Attack, attacked: HubChart, values: dict[str, Any]
) -> None:
    """The same places in a PDSHub, one after the other: it settles or stalls, and nothing outside has changed."""
    cases = [Case(place, "an object", f"evil{number}z") for number, place in enumerate(unquoted(attack))]
    before = outside(cluster, SPACE)
    stalled = 0
    for case in some(cases, APPLIED):
        # without the other parts switched on: what a tenant writes is this value alone
        given = put({}, (case.place, case.text))
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps({**values, "spec": {**values["spec"], "values": given}}))
        generation = cluster.get("pdshub", HUB, SPACE)["metadata"]["generation"]
        eventually(
            lambda: cluster.condition("pdshub", HUB, "Reconciling", SPACE),
            # a value that is a text to the chart may still keep pods from starting: Helm has done what it does by then
            lambda c, g=generation: (  # type: ignore[misc]
                c.get("observedGeneration") == g and (c["status"] == "False" or c["reason"] == "Starting")
            ),
            within=240,
            what=f"the hub settles or stalls with {case.place.title}",
        )
        stalled += cluster.condition("pdshub", HUB, "Stalled", SPACE).get("status") == "True"
    print(f"values of a PDSHub: {len(some(cases, APPLIED))}, of which refused {stalled}")
    assert sorted(outside(cluster, SPACE) ^ before) == []
    assert stalled > 0 or attacked.name == airgap().name
    cluster.apply(values)
    wait_ready(cluster, HUB, SPACE)
