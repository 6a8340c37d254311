"""A view and the news of its sources -> what shall be mounted where, and what to tell people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pdshub.api.view import Layer, TreeEntry
from pdshub.mount_rules import NOBODY
from pdshub.node.reconcile.for_users import REFUSED_VIEW, UNMOUNTABLE, no_directory, source_words
from pdshub.node.reconcile.plan import LayerAt, Want
from pdshub.node.source.source_mount import State
from pdshub.node.spec import View, digest


def want(view: View, entry: TreeEntry, states: Mapping[str, State]) -> Want:
    """`states` by the source's name. A layer that is not there makes the entry unknown: what would be seen
    without it is not what was decided."""
    layers: list[LayerAt] = []
    reasons: list[str] = []
    told: list[str] = []
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
            told.append(source_words(source.name, state))
        identity = state.layers.get(layer.path)
        if identity is None:
            if state.ready and layer.path in state.layers:
                pending = False
                reasons.append(f"source {source.name}: {source.device_name} has no directory {layer.path}")
                told.append(no_directory(source.name, layer.path))
            elif state.ready:
                reasons.append(f"source {source.name}: {layer.path} not looked at yet")
                told.append(f"source {source.name}: {layer.path} not looked at yet")
            continue
        layers.append(LayerAt(source.digest, layer.path, identity, source.run_as))
    reason, for_users = ("; ".join(dict.fromkeys(texts)) for texts in (reasons, told))
    if len(layers) != len(wanted):
        return Want(None, healthy=False, reason=reason, told=for_users, pending=pending)
    if len(layers) == 1 and _as_it_is(view, entry.layers[0].source, states):
        layers = [replace(layers[0], run_as=None)]
    key = digest([[layer.source, layer.path, layer.identity, layer.run_as] for layer in layers])
    return Want(key, tuple(layers), healthy, reason, told=for_users)


def _as_it_is(view: View, name: str, states: Mapping[str, State]) -> bool:
    """Whether an entry of one layer is its source's directory itself: then a file that is replaced on the NAS is seen
    at once, where an overlay answers ESTALE, or goes on with the old one.

    The surveyor's pod is nobody in particular, as the default is: it reads as itself.
    """
    source, state = view.source(name), states.get(name, State())
    return state.direct or (view.shows_sources and not source.names_reader and source.run_as == NOBODY)


def wants(view: View, states: Mapping[str, State]) -> dict[str, Want]:
    """Mount point relative to /archive -> what shall be seen there, for a view that is shown from its sources."""
    return {view.at(entry): want(view, entry, states) for entry in view.tree}


_MOUNTING = "being mounted"


@dataclass(frozen=True)
class Story:
    """`message`: for administrators and data managers, in one line. `told`: the same for users, who read no names of
    servers, exports and ids; `notice`: the text of ARCHIVE-UNAVAILABLE.txt (empty: none)."""

    ready: bool
    message: str
    notice: str
    pending: bool = False
    """Nothing is wrong: what is missing is on its way."""
    told: str = ""


def tell(
    name: str,
    wanted: Mapping[str, Want],
    problem: str,
    mounted: frozenset[str],
    failed: Mapping[str, str],
    refused: bool = False,
) -> Story:
    """`problem`: why the view is not known; `refused`: because its spec is, with words of it in the problem. `mounted`:
    mount points that have what is wanted in every target; `failed`: key -> why it can't be built."""
    if problem:
        told = REFUSED_VIEW if refused else problem
        return Story(False, problem, _notice(name, [told]), told=told)
    lines, reasons, words_told, pending = [], [], [], True
    for at, one in wanted.items():
        build = "" if at in mounted else failed.get(one.key or "", _MOUNTING)
        reason = one.reason or build
        if reason:
            reasons.append(reason)
            pending = pending and (one.pending or (not one.reason and reason == _MOUNTING))
            words = one.told or (build if build in ("", _MOUNTING) else UNMOUNTABLE)
            words_told.append(words)
            lines.append(f"/{at} {_how(one, at in mounted)}: {words}")
    if not lines:
        return Story(True, "", "")
    unique = dict.fromkeys(reasons)
    return Story(False, "; ".join(unique), _notice(name, lines), pending, "; ".join(dict.fromkeys(words_told)))


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
