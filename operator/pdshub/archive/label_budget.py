"""How much of a source's labels one survey reads. Pure: by their listed sizes, in the order of their paths.

No clock decides, so that the same sources always give the same generation. A label that is not read is a finding, and
its dataset is one without a readable label; every other dataset is read as ever.
"""

from __future__ import annotations

from dataclasses import dataclass

from pdshub.archive.label_error import TooCostly
from pdshub.archive.label_pds3 import MAX_BYTES as MAX_PDS3
from pdshub.archive.label_pds4 import MAX_LABEL_BYTES as MAX_PDS4

ORDINARY = 64 << 10
"""Bytes: labels up to this size are always read. Nearly all are smaller."""
DIRECTORY = 64 << 20
"""Bytes of larger labels that are read in one directory."""
SOURCE = 1 << 30
"""Bytes of larger labels that are read of one source for one layer."""


@dataclass(slots=True)
class LabelBudget:
    """What is left of the bounds while one layer is looked through."""

    source: int = SOURCE
    directory: int = DIRECTORY

    def enter(self) -> None:
        """Another directory begins."""
        self.directory = DIRECTORY

    def spend(self, name: str, size: int) -> None:
        """A label of this name and listed size is about to be read. Raises TooCostly where it may not be."""
        most = MAX_PDS3 if name.lower().startswith("voldesc.") else MAX_PDS4
        if size > most:
            raise TooCostly(f"larger than {most >> 10} KiB")
        if size <= ORDINARY:
            return
        if size > self.directory:
            raise TooCostly(f"the large labels of its directory have more than {DIRECTORY >> 20} MiB together")
        if size > self.source:
            raise TooCostly(f"the large labels of its source have more than {SOURCE >> 20} MiB together")
        self.directory -= size
        self.source -= size
