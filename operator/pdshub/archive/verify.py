"""Whether the sources still hold what a generation shows: sizes and times of every visible file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pdshub.archive.findings import Findings
from pdshub.archive.plan import Plan
from pdshub.archive.synced_stat import retry_stale


@dataclass(frozen=True)
class Compared:
    """One directory of a source that a generation shows, compared with what the source holds now."""

    source: str
    directory: str
    """Path in the source; "" for its root."""
    files: int
    """Files that were compared."""
    gone: tuple[str, ...] = ()
    """Names of files that are not there any more."""
    changed: tuple[str, ...] = ()
    """Names of files of another size or time, or that are no regular files any more."""


def compare(plan: Plan, roots: Mapping[str, Path]) -> Iterator[Compared]:
    """Compares each directory of a plan with its source below ``roots``.

    Raises OSError where a file cannot be looked at for another reason than that it is gone.
    """
    for directory in plan.tree():
        for group in directory.get("groups", ()):
            source = plan.sources[group["source"]]
            base = roots[source] / group["path"]
            gone: list[str] = []
            changed: list[str] = []
            for name, size, mtime in zip(group["names"], group["sizes"], group["mtimes"], strict=True):
                try:
                    st = retry_stale(partial(os.lstat, base / name))
                except (FileNotFoundError, NotADirectoryError):
                    gone.append(name)
                    continue
                if not stat.S_ISREG(st.st_mode) or st.st_size != size or st.st_mtime_ns != mtime:
                    changed.append(name)
            yield Compared(source, group["path"], len(group["names"]), tuple(gone), tuple(changed))


def verify(plan: Plan, roots: Mapping[str, Path], findings: Findings) -> int:
    """Compares; returns the number of files looked at. Drift is one finding a directory and kind. Raises OSError."""
    seen = 0
    for found in compare(plan, roots):
        seen += found.files
        place = f"{found.source}:{found.directory}"
        if found.gone:
            findings.add("error", "gone", f"{place}: files are gone since the survey", found.gone)
        if found.changed:
            findings.add("warning", "drifted", f"{place}: files changed since the survey", found.changed)
    return seen
