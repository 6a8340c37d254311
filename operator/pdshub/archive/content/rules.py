"""Which files of a view travel with a generation: labels, what indexes them, and files that are small.

Pure: by path and size, as the survey found them. Names are those of the standards: PDS4 Standards Reference 1.22
(labels .xml and .lblx, inventories of collections), PDS3 Standards Reference 3.8, chapters 10 and 19 (labels .lbl,
structure files .fmt, catalog files .cat, VOLDESC, and tables below INDEX directories).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pdshub.archive.glob import Pattern, glob

MAX_LABEL = 16 << 20
"""Bytes of the largest label that goes in: what is larger is data under a label's name."""
MAX_TABLE = 64 << 20
"""Bytes of the largest inventory or index table that goes in."""
MAX_PATH = 4096
"""Bytes of a path, as the kernel has it."""

_LABEL = re.compile(r"\.(xml|lblx|lbl|fmt|cat)$|^voldesc\.sfd$", re.IGNORECASE)
_TABLE = re.compile(r"\.(csv|tab)$", re.IGNORECASE)
_INVENTORY = re.compile(r"collection|inventory", re.IGNORECASE)
_INDEX = re.compile(r"(^|/)(cumindex|[a-z]*index)(/|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rules:
    """``spec.survey.content``. ``exclude`` is asked first, then ``include``; patterns are of paths in the view."""

    labels: bool = True
    max_file_size: int = 0
    """Bytes: files up to this size go in whatever they are; 0 for none."""
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    _in: tuple[Pattern, ...] = field(init=False, repr=False, compare=False)
    _out: tuple[Pattern, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_in", tuple(glob(pattern) for pattern in self.include))
        object.__setattr__(self, "_out", tuple(glob(pattern) for pattern in self.exclude))

    def travels(self, directory: str, name: str, size: int) -> bool:
        """Whether a file goes in. ``directory``: its path in the view, "" for the top; ``size`` in bytes."""
        path = f"{directory}/{name}" if directory else name
        if any(pattern.fullmatch(path) for pattern in self._out):
            return False
        if self.max_file_size and size <= self.max_file_size:
            return True
        if size <= MAX_TABLE and any(pattern.fullmatch(path) for pattern in self._in):
            return True
        return self.labels and _describes(directory, name, size)


def _describes(directory: str, name: str, size: int) -> bool:
    """Whether a file says what others are: a label, an inventory, an index."""
    if _LABEL.search(name):
        return size <= MAX_LABEL
    if not _TABLE.search(name):
        return False
    return size <= MAX_TABLE and bool(_INVENTORY.search(name) or _INDEX.search(directory))
