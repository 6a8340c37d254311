"""Which chart a hub is installed from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pdshub.api.hub_chart import Chart
from pdshub.installation import ChartDefaults

AIRGAP_PATH = "/usr/share/pdshub/charts/jupyterhub-airgap"


@dataclass(frozen=True)
class ChartRef:
    """A chart that Helm can find: ``ref`` in ``repository``, or the folder ``ref`` where there is none."""

    source: Literal["Repository", "Airgap"]
    ref: str
    repository: str | None
    version: str
    identity: str
    """Changes whenever the chart's content may have changed."""
    trouble: str = ""
    """Why there is no such chart, or why it is not taken, where that is known without asking Helm."""
    reason: str = "ChartNotFound"
    """Of the trouble, as one word."""
    digest: str = ""
    """sha256:… of the packaged chart, where one is asked for."""
    origin: str = ""
    """Where it comes from, in words; empty: the repository, or the operator's image."""

    @property
    def title(self) -> str:
        """The chart in an admin's words."""
        where = self.origin or (f"repository {self.repository}" if self.repository else "the operator's image")
        return f"chart {self.ref.rsplit('/', 1)[-1]} {self.version} of {where}"


def choose(
    asked: Chart,
    defaults: ChartDefaults,
    airgap: str,
    airgap_version: str,
    airgap_digest: str,
    development: bool = False,
) -> ChartRef:
    """The chart that a spec asks for; what it leaves out is the installation's.

    ``airgap`` is the folder of the chart that the operator carries; it has one version only. ``development``: whether
    the hub is one to try things, so that a chart may come over plain HTTP.
    """
    source = asked.source or ("Repository" if asked.repository else defaults.source)
    if source == "Airgap":
        trouble = ""
        if asked.version and asked.version.removeprefix("v") != airgap_version:
            trouble = (
                f"the operator's image carries version {airgap_version} of the airgap chart, not {asked.version}: "
                f"correct spec.chart.version or leave it out"
            )
        elif asked.digest:
            trouble = "spec.chart.digest is of a packaged chart, and the airgap chart is none: leave it out"
        identity = f"airgap/{asked.version or airgap_version}/{airgap_digest}"
        return ChartRef("Airgap", airgap, None, airgap_version, identity, trouble=trouble)
    repository = asked.repository or defaults.repository
    version = asked.version or defaults.version
    wanted = asked.digest or ""
    if (repository, version) == (defaults.repository, defaults.version):
        wanted = wanted or defaults.digest
    identity = f"{repository}@{version}" + (f"@{wanted}" if wanted else "")
    ref = ChartRef("Repository", "jupyterhub", repository, version, identity, reason="ChartNotAllowed", digest=wanted)
    known = {one.rstrip("/") for one in (defaults.repository, *defaults.allowed_repositories)}
    if repository.rstrip("/") not in known:
        trouble = (
            f"spec.chart.repository: {repository} is not allowed by this installation: leave it out, or add it to "
            f"defaults.chart.allowedRepositories of the pdshub chart"
        )
        return replace(ref, trouble=trouble)
    if not development and not repository.startswith("https://"):
        trouble = (
            f"spec.chart.repository: {repository} is plain HTTP, where anybody on the way can change the chart: use "
            f"https, or label the namespace for development (pdshub.dev/environment=development)"
        )
        return replace(ref, trouble=trouble)
    return ref


def digest(chart: ChartRef, values: Mapping[str, Any]) -> str:
    """A short digest of chart and values: the same attempt has the same one."""
    text = json.dumps([chart.identity, values], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
