"""What a plan's header says of datasets, as the objects that the survey decided with. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pdshub.api.authority import Authority
from pdshub.archive.datasets import Dataset
from pdshub.archive.decision import Decision
from pdshub.archive.placement import Placement
from pdshub.archive.view import PlacedLayer, SurveyedView

Json = dict[str, Any]
Origin = tuple[PlacedLayer, str]
"""A layer, and a path of its source."""


def covers(top: str, path: str) -> bool:
    """Whether ``path`` is ``top`` or lies below it."""
    return not top or path == top or path.startswith(top + "/")


def below(top: str, path: str) -> str:
    """``path`` counted from ``top``, which covers it."""
    return path[len(top) :].strip("/") if top else path


def join(*parts: str) -> str:
    """Parts of a path, of which any may be empty."""
    return "/".join(part for part in parts if part)


def view_of(header: Json) -> SurveyedView:
    """The view that a plan was made for."""
    trees = list(dict.fromkeys(item["tree"] for item in header["layers"]))
    layers = tuple(
        PlacedLayer(trees.index(i["tree"]), i["rank"], i["tree"], i["source"], i["path"]) for i in header["layers"]
    )
    authority = Authority.model_validate(header["authority"])
    sources = tuple(source["name"] for source in header["sources"])
    return SurveyedView(header["view"], sources, layers, authority, tuple(header.get("live", ())))


class Decided:
    """The datasets of a plan, and where its decisions put each path of a source."""

    def __init__(self, header: Json) -> None:
        self.view = view_of(header)
        self.datasets = [self._dataset(number, item) for number, item in enumerate(header["datasets"])]
        self.decisions = [
            Decision(d["state"], d.get("by", ""), d.get("reason", ""), d.get("winner")) for d in header["datasets"]
        ]
        self.placement = Placement(self.datasets, self.decisions, self.view.authority)
        self._roots = {(d.layer, d.root): d.index for d in self.datasets}
        self._renames = [
            (rule.rename.from_.strip("/"), rule.rename.to.strip("/"))
            for rule in self.view.authority.rules
            if rule.rename
        ]

    def _dataset(self, number: int, item: Json) -> Dataset:
        of = [la for la in self.view.layers if la.source == item["source"] and la.holds(item["root"])]
        layer = next((la for la in of if la.place(item["root"]) == item["place"]), None)
        return Dataset(
            layer or PlacedLayer(0, 0, item["place"], item["source"], item["root"]),
            item["kind"], item["root"], item["key"],
            version_text=item["version"], parent=item.get("parent"), index=number,
        )  # fmt: skip

    def owner(self, layer: PlacedLayer, directory: str) -> int | None:
        """The innermost dataset of the layer that holds a directory of its source."""
        while layer.holds(directory):
            if (found := self._roots.get((layer, directory))) is not None:
                return found
            if not directory:
                break
            directory = directory.rpartition("/")[0]
        return None

    def place(self, layer: PlacedLayer, directory: str) -> str | None:
        """Where a directory of a source is shown; None where its dataset is hidden."""
        owner = self.owner(layer, directory)
        if owner is None:
            return self.placement.renamed(layer.place(directory))
        home = self.placement.of(owner)
        return None if home is None else self.placement.renamed(join(home, below(self.datasets[owner].root, directory)))

    def origins(self, path: str) -> list[Origin]:
        """Every place in a source from which something could be shown at ``path``, or would be without a decision."""
        found: dict[Origin, None] = {}
        before = [path, *(join(old, below(new, path)) for old, new in self._renames if covers(new, path))]
        for place in before:
            for layer in self.view.layers:
                if covers(layer.tree, place):
                    found[layer, join(layer.path, below(layer.tree, place))] = None
            for dataset in self.datasets:
                for home in self._heads(dataset.index):
                    if covers(home, place):
                        found[dataset.layer, join(dataset.root, below(home, place))] = None
        return list(found)

    def _heads(self, index: int) -> Iterator[str]:
        home = self.placement.of(index)
        winner = self.decisions[index].winner
        if home is None and winner is not None:
            home = self.placement.of(winner)  # of a loser: who misses a file looks where the winner is
        if home is not None:
            yield home
