"""A view and the news of its sources -> what shall be mounted where, and what to tell people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pdshub.api.view import Layer, TreeEntry
from pdshub.node.reconcile.plan import LayerAt, Want
from pdshub.node.source.source_mount import State
from pdshub.node.spec import View, digest


def want(view: View, entry: TreeEntry, states: Mapping[str, State]) -> Want:
    """`states` by the source's name. A layer that is not there makes the entry unknown: what would be seen
    without it is not what was decided."""
    layers: list[LayerAt] = []
    reasons: list[str] = []
    healthy, pending = True, True
    # The same directory twice says nothing more, and overlayfs refuses it (ELOOP).
    wanted: dict[tuple[str, str], Layer] = {}
    for layer in entry.layers:
        wanted.setdefault((view.source(layer.source).digest, layer.path), layer)
    for layer in wanted.values():
        source, state = view.source(layer.source), states.get(layer.source, State())
        if not state.ready:
            healthy = pending = False
            reasons.append(f"source {source.name}: {state.message}")
        identity = state.layers.get(layer.path)
        if identity is None:
            if state.ready and layer.path in state.layers:
                pending = False
                reasons.append(f"source {source.name}: {source.device_name} has no directory {layer.path}")
            elif state.ready:
                reasons.append(f"source {source.name}: {layer.path} not looked at yet")
            continue
        layers.append(LayerAt(source.digest, layer.path, identity))
    reason = "; ".join(dict.fromkeys(reasons))
    if len(layers) != len(wanted):
        return Want(None, healthy=False, reason=reason, pending=pending)
    run_as = next((view.source(layer.source).run_as for layer in entry.layers), None)
    key = digest([[layer.source, layer.path, layer.identity] for layer in layers] + [run_as])
    return Want(key, tuple(layers), run_as, healthy, reason)


def wants(view: View, states: Mapping[str, State]) -> dict[str, Want]:
    """Mount point relative to /archive -> what shall be seen there, for a view that is shown from its sources."""
    return {view.at(entry): want(view, entry, states) for entry in view.tree}


_MOUNTING = "being mounted"


@dataclass(frozen=True)
class Story:
    """What people read: `message` in one line, `notice` the text of ARCHIVE-UNAVAILABLE.txt (empty: none)."""

    ready: bool
    message: str
    notice: str
    pending: bool = False
    """Nothing is wrong: what is missing is on its way."""


def tell(
    name: str, wanted: Mapping[str, Want], problem: str, mounted: frozenset[str], failed: Mapping[str, str]
) -> Story:
    """`mounted`: mount points that have what is wanted in every target; `failed`: key -> why it can't be built."""
    if problem:
        return Story(False, problem, _notice(name, [problem]))
    lines, reasons, pending = [], [], True
    for at, one in wanted.items():
        reason = one.reason or ("" if at in mounted else failed.get(one.key or "", _MOUNTING))
        if reason:
            reasons.append(reason)
            pending = pending and (one.pending or (not one.reason and reason == _MOUNTING))
            lines.append(f"/{at} {_how(one, at in mounted)}: {reason}")
    if not lines:
        return Story(True, "", "")
    unique = dict.fromkeys(reasons)
    return Story(False, "; ".join(unique), _notice(name, lines), pending=pending)


def _how(one: Want, mounted: bool) -> str:
    if one.generation and mounted:
        return "lists all its files, but some can't be read now"
    return "is still shown from before" if mounted else "is not there"


def _notice(name: str, lines: list[str]) -> str:
    text = "\n".join(f"- {line}" for line in lines)
    return (
        f"The archive ({name}) is not completely available on this machine right now.\n\n{text}\n\n"
        "Nothing needs to be done here: what is missing appears by itself, in running notebooks too,\n"
        "as soon as it is back. Details: .pdshub/health.json beside this file.\n"
    )
