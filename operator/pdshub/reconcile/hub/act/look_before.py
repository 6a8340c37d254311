"""Looks at what Helm would apply, and says which value made what it must not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pdshub.helm import HelmError
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.manifest import blame
from pdshub.reconcile.hub.manifest.rules import Violation, judge, judge_rendered, of_release

_ABOUT_VALUES = ("ValuesRefused", "Forbidden", "NotOurs")
"""What Helm may say where a value became an object of its own, or part of one."""


async def look_before(context: HubContext, facts: Facts) -> None:
    """Nothing, where Helm may apply what the chart makes of the values. Raises HelmError where it may not."""
    assert facts.chart is not None  # noqa: S101 - decide never installs without a spec
    names = facts.names
    try:
        planned = await context.helm.preview(names.name, names.namespace, facts.chart, facts.values)
    except HelmError as error:
        if error.reason not in _ABOUT_VALUES:
            raise
        raise await _named(context, facts, error) from error
    found = await asyncio.to_thread(judge, planned.manifest, of_release(planned), names, facts.values)
    if found is not None:
        raise HelmError("ValuesRefused", _plain(await _explained(context, facts, found)), permanent=True)


async def _named(context: HubContext, facts: Facts, error: HelmError) -> HelmError:
    """Helm's refusal with the value that led to it, where it is one that begins another object; else as it was."""
    names, asked = facts.names, facts.spec.values if facts.spec else {}
    assert facts.chart is not None  # noqa: S101 - see above
    try:
        text = await context.helm.render(names.name, names.namespace, facts.chart, facts.values)
    except HelmError:
        value = blame.by_text(asked, Violation("", ""))
        why = f"{value} is refused: a line in it begins another object: correct that value. {error}"
        return HelmError("ValuesRefused", _plain(why), permanent=True) if value else error
    found = await asyncio.to_thread(judge_rendered, text, names, facts.values)
    if found is None:
        return error
    return HelmError("ValuesRefused", _plain(await _explained(context, facts, found)), permanent=True)


async def _explained(context: HubContext, facts: Facts, found: Violation) -> str:
    """The sentence about what must not be applied, and which value made it."""
    asked = facts.spec.values if facts.spec else {}
    value = blame.by_text(asked, found)
    if not value:
        value = await _by_leaving_out(context, facts, asked)
    if not value and facts.spec is not None:
        fields = facts.spec.model_dump(mode="json", by_alias=True, exclude={"values"})
        value = blame.by_text(fields, found).replace("spec.values.", "spec.", 1)
    if value:
        return f"{value} is refused: with it the chart makes {found.words}: correct that value"
    return (
        f"the chart makes {found.words}. No single value of spec.values leads to it: correct spec.values, or take "
        f"another version of the chart"
    )


async def _by_leaving_out(context: HubContext, facts: Facts, asked: Mapping[str, Any]) -> str:
    """The value without which the chart makes nothing of the kind; empty where none is found."""
    names, chart = facts.names, facts.chart
    assert chart is not None  # noqa: S101 - see above

    async def tries(values: Mapping[str, Any]) -> Violation | None:
        text = await context.helm.render(names.name, names.namespace, chart, values)
        return await asyncio.to_thread(judge_rendered, text, names, values)

    try:
        return await blame.by_leaving_out(asked, facts.values, tries)
    except HelmError:
        return ""  # the chart cannot do without one of them


def _plain(text: str) -> str:
    """Without control characters: it goes into conditions, events and logs."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:1500]
