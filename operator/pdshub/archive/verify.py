"""Whether the sources still hold what a generation shows: sizes and times of every visible file."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pdshub.archive.findings import Findings
from pdshub.archive.plan import Plan
from pdshub.archive.synced_stat import retry_stale


def verify(plan: Plan, roots: Mapping[str, Path], findings: Findings) -> int:
    """Compares; returns the number of files looked at. Drift is one finding a directory and kind."""
    seen = 0
    for directory in plan.tree():
        for group in directory.get("groups", ()):
            source = plan.sources[group["source"]]
            base = roots[source] / group["path"]
            gone: list[str] = []
            drifted: list[str] = []
            for name, size, mtime in zip(group["names"], group["sizes"], group["mtimes"], strict=True):
                seen += 1
                try:
                    st = retry_stale(partial(os.lstat, base / name))
                except (FileNotFoundError, NotADirectoryError):
                    gone.append(name)
                    continue
                if not stat.S_ISREG(st.st_mode) or st.st_size != size or st.st_mtime_ns != mtime:
                    drifted.append(name)
            if gone:
                findings.add("error", "gone", f"{source}:{group['path']}: files are gone since the survey", gone)
            if drifted:
                findings.add("warning", "drifted", f"{source}:{group['path']}: files changed since the survey", drifted)
    return seen
