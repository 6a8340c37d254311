"""Whether a hub would run a JupyterHub with known holes because nobody named an image of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdshub.render.chart import ChartRef

LEAST = "5.5.1"
"""The oldest JupyterHub without known holes. Source: its changelog, 5.5.1 of 2026-08-10, a security release."""
CARRIED: Mapping[str, str] = {"4.4.0": "5.5.0"}
"""Version of zero-to-jupyterhub -> JupyterHub in the image that it names. Older charts carry older ones."""


def _numbers(version: str) -> tuple[int, ...]:
    """The three numbers of a version; what comes before a release counts as it."""
    plain = version.removeprefix("v").partition("+")[0].partition("-")[0]
    return tuple(int(part) for part in plain.split("."))


def outdated(chart: ChartRef, values: Mapping[str, Any]) -> str:
    """Why the hub's own image is not taken, and what to do; empty where an image is named or the chart's will do.

    A chart that is newer than all that are known here is taken to be up to date.
    """
    hub = values.get("hub")
    image = hub.get("image") if isinstance(hub, Mapping) else None
    named = isinstance(image, Mapping) and bool(image.get("name") or image.get("tag"))
    if chart.source != "Repository" or named:
        return ""
    known = [hub_version for version, hub_version in CARRIED.items() if _numbers(chart.version) <= _numbers(version)]
    if not known or _numbers(min(known, key=_numbers)) >= _numbers(LEAST):
        return ""
    return (
        f"{chart.title} runs JupyterHub {min(known, key=_numbers)} or older by itself, which has known holes: name an "
        f"image with {LEAST} or newer in defaults.images.hub of the pdshub chart (./hack/images builds one)"
    )
