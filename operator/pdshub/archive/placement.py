"""Where each directory of each layer is shown, following the decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pdshub.api.authority import Authority
from pdshub.archive.datasets import Dataset, LayerDatasets
from pdshub.archive.decision import Decision
from pdshub.archive.findings import Findings


@dataclass(slots=True)
class Contribution:
    """A directory of a source that puts files into one directory of the view; lesser order wins."""

    order: tuple[int, int, str]
    layer: int  # index into the survey's layers
    path: str  # in the source
    dataset: int | None


@dataclass(slots=True)
class Placement:
    """Where datasets are shown; None for hidden ones."""

    datasets: Sequence[Dataset]
    decisions: Sequence[Decision]
    authority: Authority
    _known: dict[int, str | None] = field(default_factory=dict)
    _renames: list[tuple[str, str]] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for rule in self.authority.rules:
            if rule.rename:
                self._renames.append((rule.rename.from_.strip("/"), rule.rename.to.strip("/")))
        self._renames.sort(key=lambda r: (-len(r[0]), r))

    def renamed(self, place: str) -> str:
        """``place`` after the rename rules: the longest matching one, once."""
        for old, new in self._renames:
            if place == old or place.startswith(old + "/"):
                self._used.add(old)
                return new + place[len(old) :]
        return place

    def unused_renames(self) -> list[str]:
        """The places in rename rules that nothing was at, sorted."""
        return sorted(old for old, _ in self._renames if old not in self._used)

    def of(self, index: int) -> str | None:
        """The directory of the view that shows the dataset, before renaming."""
        if index not in self._known:
            self._known[index] = self._without_others(index) if self._asks_itself(index) else self._find(index)
        return self._known[index]

    def _asked(self, index: int) -> int | None:
        """The one dataset whose place decides on a dataset's own: the one it lost to, or the one that holds it."""
        dataset, decision = self.datasets[index], self.decisions[index]
        if decision.state == "hidden":
            return None
        return decision.winner if self._by_winner(index) else dataset.parent

    def _by_winner(self, index: int) -> bool:
        decision = self.decisions[index]
        by = decision.state == "merged" or (decision.state == "sibling" and decision.by != "inherited")
        return by and decision.winner is not None

    def _asks_itself(self, index: int) -> bool:
        """Whether a place depends on itself: where a dataset lost to one that lies inside it, directly or by others."""
        passed: set[int] = set()
        asked = self._asked(index)
        while asked is not None and asked not in passed:
            if asked == index:
                return True
            passed.add(asked)
            asked = self._asked(asked)
        return False

    def _without_others(self, index: int) -> str | None:
        """The place of a dataset that depends on itself: by where datasets lie, whatever is asked for first."""
        dataset, decision = self.datasets[index], self.decisions[index]
        if not self._by_winner(index) or decision.winner is None:
            return dataset.place
        place = self.datasets[decision.winner].place
        return place if decision.state == "merged" else self._beside(place, dataset)

    def _find(self, index: int) -> str | None:
        dataset, decision = self.datasets[index], self.decisions[index]
        if decision.state == "hidden":
            return None
        if self._by_winner(index) and decision.winner is not None:
            place = self.of(decision.winner)
            return place if place is None or decision.state == "merged" else self._beside(place, dataset)
        if dataset.parent is not None:
            above = self.of(dataset.parent)
            if above is not None:
                return _join(above, _below(dataset.root, self.datasets[dataset.parent].root))
        return dataset.place

    @staticmethod
    def _beside(place: str, dataset: Dataset) -> str:
        return f"{place}::{dataset.version_text or dataset.layer.source}"


def _below(path: str, root: str) -> str:
    return path[len(root) + 1 :] if root else path


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def contributions(
    layers: Sequence[LayerDatasets], datasets: Sequence[Dataset], placement: Placement, findings: Findings
) -> dict[str, list[Contribution]]:
    """For each directory of the view what fills it, best first."""
    result: dict[str, list[Contribution]] = {}
    for number, found in enumerate(layers):
        layer = found.layer
        for path, owner in found.owners.items():
            if owner is None:
                place: str | None = layer.place(path)
            else:
                home = placement.of(owner)
                place = None if home is None else _join(home, _below(path, datasets[owner].root))
            if place is None:
                continue
            order = (layer.rank, layer.entry, layer.place(path))
            result.setdefault(placement.renamed(place), []).append(Contribution(order, number, path, owner))
    for place in placement.unused_renames():
        findings.add("warning", "rule-without-effect", f"rename: nothing is at {place}")
    for filled in result.values():
        if len(filled) > 1:
            filled.sort(key=lambda c: c.order)
    return result


def with_parents(places: dict[str, list[Contribution]]) -> Iterator[tuple[str, list[Contribution]]]:
    """Directories in order, parents first; those that no source has (above an entry, a renamed one) are empty."""
    have = set(places)
    for place in list(places):
        while place:
            place = place.rpartition("/")[0]
            if place in have:
                break
            have.add(place)
    have.add("")
    for place in sorted(have, key=lambda p: p.split("/") if p else []):
        yield place, places.get(place, [])
