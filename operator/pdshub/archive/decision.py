"""What happens to one dataset, and the order of precedence between two. Who wins: authority.py and versions.py."""

from __future__ import annotations

from dataclasses import dataclass

from pdshub.archive.datasets import Dataset

Rank = tuple[int, int, str, str]


@dataclass(slots=True)
class Decision:
    """What happens to one dataset."""

    state: str = "shown"  # shown, merged (into the home of ``winner``), hidden, sibling
    by: str = ""  # rule, version, precedence, inherited; "" when nothing was to decide
    reason: str = ""
    winner: int | None = None  # the dataset that it lost to or was merged into
    final: bool = False  # an explicit rule decided: nothing later may change it
    superseded: bool = False  # lost to a newer one, so that it may be kept as a sibling

    @property
    def visible(self) -> bool:
        """Whether users see the dataset, at its own place or elsewhere."""
        return self.state != "hidden"


def rank(dataset: Dataset) -> Rank:
    """Precedence: earlier layers of an entry win, then earlier entries, then shorter and lesser paths."""
    layer = dataset.layer
    return (layer.rank, layer.entry, f"{len(dataset.place):06d}{dataset.place}", dataset.label)
