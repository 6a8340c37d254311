"""What Helm would get for a hub, and why the installation refuses it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Installation, egress_refusal
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.hub.judge_tls import REFUSED, tls_refusal
from pdshub.render import chart, hub_release, isolation, network, signin_rules, values
from pdshub.render.archive import ViewRef
from pdshub.render.chart import ChartRef
from pdshub.render.names import Names
from pdshub.render.signin_rules import Verdict


@dataclass(frozen=True)
class JudgedValues:
    """Chart and values of a hub, judged as Helm would get them: what the spec says with ``spec.values`` over it."""

    chart: ChartRef
    values: dict[str, Any]
    sign_in: Verdict
    """What the values make of sign-in."""
    refused: tuple[str, str] = ("", "")
    """Why they are not installed: the condition's reason, and a message that says what to do."""

    @property
    def digest(self) -> str:
        """Digest of chart and values."""
        return chart.digest(self.chart, self.values)

    @property
    def has_database(self) -> bool:
        """Whether the chart keeps the hub's database in a claim of its own."""
        hub = self.values.get("hub")
        database = hub.get("db") if isinstance(hub, dict) else None
        return isinstance(database, dict) and str(database.get("type")) == "sqlite-pvc"


def judge_values(
    spec: PDSHubSpec,
    names: Names,
    view: ViewRef | None,
    installation: Installation,
    bundled: BundledChart,
    development: bool,
) -> JudgedValues:
    """Chart and values that a spec asks for. ``development``: whether the namespace is labelled for it.

    Raises nothing.
    """
    defaults = installation.defaults
    carried = (bundled.path, bundled.version, bundled.digest)
    ref = chart.choose(spec.chart, defaults.chart, *carried, development=development)
    where = (view.name, view.folder) if view else ("", "")
    rendered = values.rendered(spec, defaults, ref, names, *where, installation.sign_in.google)
    wanted = values.laid_over(rendered, spec, ref, names)
    verdict = signin_rules.judge(rendered, wanted, ref)
    refused = ("", "")
    contrary = network.values_trouble(spec.values) or isolation.trouble(spec, wanted)
    if trouble := values.template_trouble(wanted) or contrary:
        refused = "ValuesRefused", trouble
    elif closed := egress_refusal(spec.network.cidrs, installation):
        refused = "EgressNotAllowed", closed
    elif verdict.open and not development:
        refused = signin_rules.OPEN, verdict.open
    elif verdict.refused:
        refused = "ValuesRefused", verdict.refused
    elif unfit := tls_refusal(spec, names, defaults, wanted, development):
        refused = REFUSED, unfit
    elif old := hub_release.outdated(ref, wanted):
        refused = "HubOutdated", old
    return JudgedValues(ref, wanted, verdict, refused)
