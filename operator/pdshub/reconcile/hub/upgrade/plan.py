"""What a step needs, decided before it is done; and what counts as an upgrade. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.trust import Trust
from pdshub.reconcile.hub.upgrade.record import About, Record
from pdshub.reconcile.hub.upgrade.seen import Seen
from pdshub.render.database_job import Order
from pdshub.render.merge import same
from pdshub.render.names import Names, short


@dataclass(frozen=True)
class Plan:
    """What one step works with."""

    seen: Seen
    order: Order | None = None
    about: About | None = None
    """The record that is to be written."""
    sealed: str = ""
    """The release Secret whose content goes into it; empty where it is not the operator's own work."""
    job: str = ""
    """The Job that goes."""
    run: str = ""
    """The HubBackup that is made, or goes."""
    beyond: tuple[Record, ...] = ()
    """Records that go."""


def dig(values: Any, *path: str) -> Any:
    """A value within values; None where there is none."""
    for part in path:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def image_of(values: Mapping[str, Any]) -> str:
    """The hub's image that values name; empty where the chart's own is taken."""
    image = dig(values, "hub", "image")
    name, tag = dig(image, "name"), dig(image, "tag")
    return f"{name or ''}:{tag}" if tag else str(name or "")


def _identity(values: Mapping[str, Any]) -> Any:
    return dig(values, "custom", "pdshub", "chart")


def _image(values: Mapping[str, Any]) -> dict[str, Any]:
    found = dig(values, "hub", "image")
    return {k: v for k, v in found.items() if k != "pullPolicy"} if isinstance(found, Mapping) else {}


def in_claim(values: Mapping[str, Any]) -> bool:
    """Whether the hub of these values has its database in the claim that is copied."""
    return bool(dig(values, "hub", "db", "type") == "sqlite-pvc")


def migrates(facts: Facts) -> bool:
    """Whether what is to be installed can change the database's tables: another chart, or another image of the hub.

    The whole of ``hub.image`` counts but when it is pulled; limits, lists and texts do not.
    """
    release = facts.release
    if release is None or release.owner != facts.names.name or facts.chart is None or facts.chart.trouble:
        return False
    if not in_claim(release.values):
        return False
    if _identity(release.values) != facts.chart.identity or release.version != facts.chart.version:
        return True
    return not same(_image(release.values), _image(facts.values))


def target(facts: Facts) -> str:
    """From which revision to which chart and image: a change of a list while a copy is made asks for no other copy."""
    chart, release = facts.chart, facts.release
    wanted = [chart.identity, chart.version] if chart else []
    return json.dumps([release.revision if release else 0, wanted, _image(facts.values)], sort_keys=True)


def token(text: str) -> str:
    """A short name for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def run_name(names: Names, facts: Facts) -> str:
    """The HubBackup that belongs to an upgrade."""
    return short(names.name, "pre-upgrade", token(target(facts)))


def about(facts: Facts, seen_digest: str, size: int, copy: str, taken: str, **more: Any) -> About:
    """The record of a copy of the database of what runs."""
    release = facts.release
    assert release is not None  # noqa: S101 - decided before
    return About(
        copy_id=copy,
        revision=release.revision,
        digest=seen_digest,
        size_bytes=size,
        taken=taken,
        version=f"{release.chart}-{release.version}"[:128],
        image=image_of(release.values)[:512],
        identity=str(_identity(release.values) or "")[:1024],
        **more,
    )


def own_secret(facts: Facts) -> str:
    """The Secret of the release that runs, where the operator sealed it."""
    return facts.release.secret if facts.release is not None and facts.trust is Trust.SEALED else ""
