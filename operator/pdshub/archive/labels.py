"""Opens dataset labels, and remembers what they said."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pdshub.archive.datasets import DATASET_CLASSES, Facts
from pdshub.archive.directory import TICK_NS
from pdshub.archive.file_system import FileSystem
from pdshub.archive.label_error import LabelError, TooCostly
from pdshub.archive.label_pds3 import read_volume
from pdshub.archive.label_pds4 import read_label
from pdshub.archive.record import Labels, Quarantined
from pdshub.archive.synced_stat import retry_stale
from pdshub.archive.walk import RACY_NS, Counters, Scan, SourceError

NO_FILE = frozenset({errno.ELOOP, errno.EISDIR, errno.ENOTDIR, errno.ENXIO, errno.ENODEV, errno.ENAMETOOLONG})
"""What opening a label answers that has become a link, a directory or a device since it was listed."""


@dataclass(slots=True)
class LabelReader:
    """Opens dataset labels, each once as long as its directory's record stays."""

    roots: Mapping[str, Path]
    fs: FileSystem
    counters: Counters
    old: Labels
    scans: Mapping[str, Scan]
    old_scans: Mapping[str, Scan]
    racy_ns: int = RACY_NS
    """A label that had changed this shortly before it was read is read again with its directory."""
    progress: Callable[[str], None] = lambda text: None
    """Told before each label: whoever waits knows that the survey goes on."""
    now: Labels = field(default_factory=dict)
    unread: set[tuple[str, str]] = field(default_factory=set)  # could not be opened: another survey tries again
    _newest: dict[str, int] = field(default_factory=dict)  # the latest time that each source showed

    def opener(self, source: str) -> Callable[[str, str, int, int], Facts]:
        """The function that reads labels of one source, re-using what a former survey read of an unchanged file."""
        scan, former = self.scans[source].dirs, self.old_scans.get(source, Scan(source, "")).dirs

        def open_label(directory: str, name: str, size: int, mtime: int) -> Facts:
            path = f"{directory}/{name}" if directory else name
            key = (source, path)
            kept = directory in former and scan[directory].sizes is former[directory].sizes
            old, now = self.old.get(key), self.now.get(key)
            if not kept and now is not None and now[:2] == (size, mtime):
                said = now  # looked at already
            else:
                # A directory that was listed anew may hold another label of the same size and time.
                ctime = old[2] if kept and old is not None else self._ctime(key)
                if old is not None and old[:3] == (size, mtime, ctime) and (kept or ctime):
                    said = old
                    self.counters.labels_reused += now is None
                else:
                    self.counters.labels_opened += 1
                    self.progress(f"reading labels: {self.counters.labels_opened}")
                    began = self.fs.time_ns()
                    said = (size, mtime, self._proven(key[0], ctime, began), self._read(key))
            self.now[key] = said
            facts = said[3]
            if isinstance(facts, Quarantined):
                raise TooCostly(str(facts))
            if isinstance(facts, str):
                raise LabelError(facts)
            return facts

        return open_label

    def _ctime(self, key: tuple[str, str]) -> int:
        try:
            return self.fs.lstat(str(self.roots[key[0]] / key[1])).st_ctime_ns
        except OSError:
            return 0

    def _proven(self, source: str, ctime: int, now: int) -> int:
        """The ctime, or 0 where another label of this size may come under it: it is of the tick of the reading.

        By this machine's clock, and by the source's own, which may differ by anything.
        """
        if source not in self._newest:
            self._newest[source] = max((d.youngest for d in self.scans[source].dirs.values()), default=0)
        racy = abs(now - ctime) <= self.racy_ns or ctime > self._newest[source] - TICK_NS
        return 0 if racy else ctime

    def _read(self, key: tuple[str, str]) -> Facts | str:
        file = self.roots[key[0]] / key[1]

        def read() -> Facts:
            with self.fs.open(str(file)) as stream:
                if file.name.lower().startswith("voldesc."):
                    return read_volume(stream)
                return read_label(stream, DATASET_CLASSES)

        self.unread.discard(key)
        try:
            return retry_stale(read)
        except TooCostly as error:
            return Quarantined(error)
        except LabelError as error:
            return str(error)
        except (PermissionError, FileNotFoundError) as error:
            self.unread.add(key)
            return f"can not be opened: {error.strerror}"
        except OSError as error:
            if error.errno in NO_FILE:
                self.unread.add(key)
                return f"can not be opened: {error.strerror}"
            raise SourceError(f"source {key[0]}: {file}: {error.strerror}") from error

    def known(self) -> Labels:
        """What all labels said, for the record that the next survey reads."""
        return {key: said for key, said in self.now.items() if key not in self.unread}
