"""Which generation each target shows, and as which mounts. Pure.

A catalog holds a view's whole tree and is one mount at the view's folder, so a target changes from one generation to
the next at once. Only where entries are live it is shown in parts, beside these
(docs/decisions/0004-generations-on-nodes.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from pdshub.api.view import TreeEntry
from pdshub.node.reconcile.desired import want, wants
from pdshub.node.reconcile.for_users import no_directory, source_words
from pdshub.node.reconcile.plan import LayerAt, Want
from pdshub.node.source.source_mount import State
from pdshub.node.spec import View, digest
from pdshub.node.store.generations import Generation

LIVE = "live"
"""What a target shows that shows no generation."""
Children = Mapping[str, tuple[str, ...]]  # directory of a catalog -> the directories in it


@dataclass(frozen=True)
class Built:
    """A catalog that is mounted on this node: what its note says."""

    generation: str
    layers: tuple[LayerAt, ...]
    form: str = ""  # catalog | catalog-merged
    cover: bool = False
    content: str = ""  # digest of what travels with it, of that time


@dataclass(frozen=True)
class Decision:
    """`wants` for everybody but the targets in `own` (see plan). `generation`: what `wants` show, LIVE, or empty."""

    wants: Mapping[str, Want]
    generation: str = LIVE
    own: Mapping[str, Mapping[str, Want] | None] = field(default_factory=dict)

    def all(self) -> list[tuple[str, Want]]:
        """Every (mount point, want) of some target."""
        wanted = (self.wants, *(one for one in self.own.values() if one is not None))
        return list(dict.fromkeys(item for one in wanted for item in one.items()))

    def keys(self, *, catalogs: bool = False) -> set[str]:
        """What has to be built, or stay so; or of that only the catalogs."""
        wanted = [want for _, want in self.all() if want.generation or not catalogs]
        return {key for want in wanted for key in (want.key, want.covers) if key}


@dataclass(frozen=True)
class Known:
    """What there is to decide from. `shown`: target -> a generation, LIVE, or empty while nothing is there yet."""

    states: Mapping[str, State] = field(default_factory=dict)  # by the source's name
    connecting: Collection[str] = ()
    stored: Mapping[str, Generation] = field(default_factory=dict)
    contents: Mapping[str, str] = field(
        default_factory=dict
    )  # generation -> digest of what travels with it, if it is here
    built: Mapping[str, Built] = field(default_factory=dict)  # by key
    children: Mapping[str, Children] = field(default_factory=dict)  # by key
    shown: Mapping[str, str] = field(default_factory=dict)
    within_grace: bool = False  # a source that is away has not been so for long
    worn: Collection[str] = ()  # keys of catalogs that shall be mounted anew
    renewals: int = 0  # how often that was so
    last: str = ""  # what new targets got before
    fetching: str = ""  # how far the released generation is


def catalog(view: View, generation: Generation, known: Known) -> Want:
    """The catalog of a generation over those of its sources that are there.

    Names need no source, so one that is away is left out of a new mount; it is mounted anew when the source is back.
    A mount that has the source stays: it heals by itself. While an NFS server is away a *cover* lies over it: the same
    catalog without that source, which answers at once where the other would wait for the server.
    """
    found = _layers(view, generation, known)
    layers = [one.at for one in found]
    reason = "; ".join(dict.fromkeys(one.reason for one in found if one.reason))
    told = "; ".join(dict.fromkeys(one.told for one in found if one.told))
    content = known.contents.get(generation.name, "")
    built = {key: one for key, one in known.built.items() if key not in known.worn and one.content == content}
    more = [content] if content else []

    def fitting(cover: bool) -> str:
        keys = [k for k, one in built.items() if one.cover is cover and _fits(one, generation, found)]
        return max(keys, key=lambda key: (sum(bool(at.identity) for at in built[key].layers), key), default="")

    def waits(of: Iterable[LayerAt]) -> bool:
        return known.within_grace and not all(at.identity for at in of)

    whole, cover = fitting(False), fitting(True)
    sure = any(one.away or (one.lacking and not whole) for one in found)
    # after a restart nothing is sure, and a cover that is there stays
    if sure or (cover and not all(one.certain for one in found)):
        key = cover or digest([generation.name, "cover", [[at.source, at.path, at.identity] for at in layers], *more])
        below = tuple(built[cover].layers) if cover else tuple(layers)
        return Want(
            key, below, True, reason, generation.name,
            waits=not whole and waits(below), cover=True, covers=whole, told=told, content=content,
        )  # fmt: skip
    if whole:
        layers = list(built[whole].layers)
        waiting = waits(layers)
        return Want(whole, tuple(layers), True, reason, generation.name, waits=waiting, told=told, content=content)
    if any(one.unknown for one in found):
        pending = all(one.unknown for one in found if one.reason)
        return Want(None, healthy=False, reason=reason, pending=pending, generation=generation.name, told=told)
    key = digest([generation.name, known.renewals, [[at.source, at.path, at.identity] for at in layers], *more])
    waiting = waits(layers)
    return Want(key, tuple(layers), True, reason, generation.name, waits=waiting, told=told, content=content)


@dataclass(frozen=True)
class _Found:
    """One layer as it is now. `told`: the reason, as users read it. `certain`: it has been looked at; `unknown`: it
    will be; `lacking`: its NFS server gave no answer; `away`: nor when asked again."""

    at: LayerAt
    reason: str = ""
    told: str = ""
    certain: bool = False
    unknown: bool = False
    lacking: bool = False
    away: bool = False


def _layers(view: View, generation: Generation, known: Known) -> list[_Found]:
    found: list[_Found] = []
    lost = _lost(view, known)
    for layer in generation.data:
        source = next((s for s in view.sources if s.name == layer.source), None)
        if source is None:
            reason = f"the view has no source {layer.source} any more"
            found.append(_Found(LayerAt(layer.source, layer.path, ""), reason, reason))
            continue
        state = known.states.get(source.name, State())
        looked = state.ready and layer.path in state.layers
        if state.at < lost.get((source.server, source.port), 0.0):
            # it may hang as well, and so would who mounts it now: first it has to answer once more
            looked = False
        identity = (state.layers[layer.path] or "") if looked else ""
        reason = told = ""
        if not state.ready:
            reason, told = f"source {source.name}: {state.message}", source_words(source.name, state)
        elif not looked:
            reason = told = f"source {source.name}: {layer.path} not looked at yet"
        elif not identity:
            reason = f"source {source.name}: {source.device_name} has no directory {layer.path}"
            told = no_directory(source.name, layer.path)
        unknown = not looked and (state.ready or source.name in known.connecting or state == State())
        at = LayerAt(source.digest, layer.path, identity)
        lacking = bool(source.server) and not looked and not unknown
        found.append(_Found(at, reason, told, looked, unknown, lacking, state.away))
    return found


def _lost(view: View, known: Known) -> dict[tuple[str, int], float]:
    """When the servers that are away were asked in vain first."""
    lost: dict[tuple[str, int], float] = {}
    for source in view.sources:
        state = known.states.get(source.name, State())
        if state.away:
            at = (source.server, source.port)
            lost[at] = max(lost.get(at, 0.0), state.at)
    return lost


def _fits(one: Built, generation: Generation, found: list[_Found]) -> bool:
    """Whether a catalog that is mounted shows the same; what is not certain is taken as it was then, but a cover has
    nothing of a source that is away, nor does without one that is there."""
    return (
        one.generation == generation.name
        and len(one.layers) == len(found)
        and all(_same(had, now, one.cover) for had, now in zip(one.layers, found, strict=True))
    )


def _same(had: LayerAt, now: _Found, cover: bool) -> bool:
    return had == now.at or (not now.certain and not (cover and now.away and had.identity))


def above(entries: Iterable[TreeEntry]) -> tuple[str, ...]:
    """The directories that hold live entries, at any depth; the view's folder is ""."""
    found = {""} if (paths := [entry.path for entry in entries if entry.live]) else set()
    for path in paths:
        parts = path.split("/")
        found |= {"/".join(parts[:n]) for n in range(1, len(parts))}
    return tuple(sorted(found))


def place(view: View, one: Want, children: Children | None) -> dict[str, Want]:
    """Where a catalog is mounted: at the view's folder; with live entries, every directory beside these."""
    directories = above(view.tree)
    if not directories or one.key is None:
        return {view.folder: one}
    if children is None:
        return {view.folder: replace(one, placed=False)}
    taken = {*directories, *(entry.path for entry in view.tree if entry.live)}
    paths = [f"{top}/{name}".lstrip("/") for top in directories for name in children.get(top, ())]
    return {f"{view.folder}/{path}": replace(one, sub=path) for path in paths if path not in taken}


def choose(view: View, known: Known) -> str:
    """The generation for new targets: the released one; until that is here, what was shown before. Empty: none."""
    if view.released is None:
        return LIVE
    for name in (view.released.name, known.last):
        if name in known.stored:
            return name
    own = [g for g in known.stored.values() if g.view == view.name]
    mounted = [g for g in own if any(one.generation == g.name for one in known.built.values())]
    return max(mounted or own, key=lambda g: (g.as_of, g.name)).name if own else ""


def decide(view: View, known: Known) -> Decision:
    """What everybody shall see, and the targets that keep what they began with."""
    plain = wants(view, known.states)
    live = {view.at(entry): want(view, entry, known.states) for entry in view.tree if entry.live}

    def frames(name: str) -> dict[str, Want]:
        if name == LIVE:
            return plain
        one = catalog(view, known.stored[name], known)
        return {**place(view, one, known.children.get(one.key or "")), **live}

    name = choose(view, known)
    if name:
        default = frames(name)
    else:
        coming = "its generation is being fetched"
        absent = Want(None, healthy=False, reason=known.fetching or coming, told=coming)
        default = {view.folder: absent, **live}
    own: dict[str, Mapping[str, Want] | None] = {}
    for target, showing in known.shown.items():
        if showing and showing != name and view.keeps_generation(target):
            own[target] = frames(showing) if showing == LIVE or showing in known.stored else None
    return Decision(default, name, own)
