"""Compares a copy of a source with what a generation shows of it: sizes, then every byte. It goes on where it was."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pdshub.archive.beneath import open_regular
from pdshub.archive.label_error import LabelError
from pdshub.archive.label_pds4 import read_label
from pdshub.archive.plan import Json, Plan
from pdshub.archive.synced_stat import retry_stale
from pdshub.surveyor.sample import digests

EXAMPLES = 20
_LABEL = re.compile(r"\.(xml|lblx)$", re.IGNORECASE)


@dataclass
class Compared:
    """What was found. ``wrong``: files that differ; ``newest``: the latest time of a file of the copy, nanoseconds."""

    files: int = 0
    bytes: int = 0
    by_label: int = 0
    by_sample: int = 0
    by_source: int = 0
    by_size: int = 0
    labels_wrong: int = 0
    """Labels that are wrong about their file in the source, too."""
    wrong: int = 0
    newest: int = 0
    examples: list[str] = field(default_factory=list)

    def differ(self, path: str, why: str) -> None:
        """One file that is not what it has to be."""
        self.wrong += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{path}: {why}")

    def wire(self) -> Json:
        """For programs."""
        return {
            "files": self.files, "bytes": self.bytes, "byLabel": self.by_label, "bySample": self.by_sample,
            "bySource": self.by_source, "bySize": self.by_size, "labelsWrong": self.labels_wrong, "wrong": self.wrong,
            "examples": list(self.examples),
        }  # fmt: skip

    def add(self, other: Json) -> None:
        """What an earlier run found in a directory."""
        self.files += int(other["files"])
        self.bytes += int(other["bytes"])
        self.by_label += int(other["byLabel"])
        self.by_sample += int(other["bySample"])
        self.by_source += int(other["bySource"])
        self.labels_wrong += int(other["labelsWrong"])


@dataclass
class Comparing:
    """``sample``: by path in the source, items of proof.json. ``key``: what the journal has to be about."""

    plan: Plan
    source: str
    original: Path
    copy: Path
    sample: Mapping[str, Json]
    journal: Path
    key: str
    quick: bool = False

    def run(self, say: Callable[[str], None]) -> Compared:
        """Compares all. What differs in size is told before any byte is read. Raises OSError."""
        found = Compared()
        folders = dict[str, dict[str, int]]()
        for directory, names in self._shown():
            folders.setdefault(directory, {}).update(names)
        for directory, names in folders.items():
            self._sizes(directory, names, found)
            say(f"sizes of {found.files} files")
        if found.wrong:
            return found
        whole = Compared(newest=found.newest)
        done = {} if self.quick else self._known()
        with self.journal.open("a", encoding="utf-8") as journal:
            if not done and not self.quick:
                journal.truncate(0)
                journal.write(json.dumps({"key": self.key}) + "\n")
            for directory, names in folders.items():
                state = self._state(directory, names)
                if (known := done.get(directory)) and known.get("state") == state:
                    whole.add(known)
                    continue
                one = Compared()
                self._bytes(directory, names, one)
                if not one.wrong and not self.quick:
                    journal.write(json.dumps({"at": directory, "state": state, **one.wire()}) + "\n")
                    journal.flush()
                whole.add(one.wire())
                whole.by_size += one.by_size
                for example in one.examples:
                    whole.differ(*example.split(": ", 1))
                whole.wrong += one.wrong - len(one.examples)
                say(f"compared {whole.files} of {found.files} files, {whole.bytes >> 20} MiB")
        return whole

    def _shown(self) -> Iterator[tuple[str, dict[str, int]]]:
        number = self.plan.sources.index(self.source)
        for directory in self.plan.tree():
            for group in directory.get("groups", ()):
                if group["source"] == number:
                    yield group["path"], dict(zip(group["names"], group["sizes"], strict=True))

    def _sizes(self, directory: str, names: Mapping[str, int], found: Compared) -> None:
        for name, size in names.items():
            path = _path(directory, name)
            found.files += 1
            try:
                st = retry_stale(partial(os.lstat, self.copy / path))
            except (FileNotFoundError, NotADirectoryError):
                found.differ(path, "is not there")
                continue
            found.newest = max(found.newest, st.st_mtime_ns)
            if not stat.S_ISREG(st.st_mode):
                found.differ(path, "is no file")
            elif st.st_size != size:
                found.differ(path, f"has {st.st_size} bytes instead of {size}")

    def _state(self, directory: str, names: Mapping[str, int]) -> str:
        """Changes when a file of the directory is replaced in the copy."""
        return str(max((os.lstat(self.copy / _path(directory, name)).st_mtime_ns for name in names), default=0))

    def _bytes(self, directory: str, names: Mapping[str, int], found: Compared) -> None:
        said = {} if self.quick else self._labels(directory, names, found)
        for name, size in names.items():
            path = _path(directory, name)
            item = self.sample.get(path)
            found.files += 1
            if self.quick and item is None:
                found.by_size += 1
                continue
            try:
                sha256, md5, read = digests(self.copy, path)
                found.bytes += read
                if read != size:
                    found.differ(path, f"has {read} bytes instead of {size}")
                elif said.get(name) == md5:
                    found.by_label += 1
                elif item is not None and name not in said:
                    good = item.get("sha256", sha256) == sha256 and item.get("md5", md5) == md5
                    found.by_sample += good
                    if not good:
                        found.differ(path, "has other bytes than the generation's sample")
                else:
                    self._with_source(path, sha256, name in said, found)
            except OSError as error:
                found.differ(path, f"can not be read: {error.strerror or error}")

    def _with_source(self, path: str, sha256: str, labelled: bool, found: Compared) -> None:
        if digests(self.original, path)[0] == sha256:
            found.by_source += 1
            found.labels_wrong += labelled
        else:
            found.differ(path, "has other bytes than the source" + (", and than its label says" if labelled else ""))

    def _labels(self, directory: str, names: Mapping[str, int], found: Compared) -> dict[str, str]:
        """MD5 of files by the labels of their directory, as the copy has them."""
        said: dict[str, str] = {}
        for name in names:
            if not _LABEL.search(name):
                continue
            try:
                with open_regular(str(self.copy), _path(directory, name)) as stream:
                    said.update({file: md5.lower() for file, md5 in read_label(stream).files if md5 and file in names})
            except LabelError:
                continue  # broken in the source, too, or its bytes differ and are told
            except OSError as error:
                found.differ(_path(directory, name), f"can not be read: {error.strerror or error}")
        return said

    def _known(self) -> dict[str, dict[str, Any]]:
        """What an earlier run compared whole; nothing where it was about something else, or can not be read."""
        try:
            with self.journal.open(encoding="utf-8") as lines:
                if json.loads(lines.readline()).get("key") != self.key:
                    return {}
                found = {}
                for line in lines:
                    if line.endswith("\n"):
                        item = json.loads(line)
                        found[str(item["at"])] = item
                return found
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def _path(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
