"""Helm under a limit of memory of its own: what it is given to read may be made to need too much.

Helm unpacks every revision of a release, and a Secret of 1 MB may unpack to hundreds. Without a limit the kernel ends
some process of the operator's container; with it, helm ends, and says why. ``ulimit -d`` bounds what a program has
written to; a limit of addresses would not do, as Go reserves far more than it uses. Source: setrlimit(2), RLIMIT_DATA,
Linux 4.7 and later.
"""

from __future__ import annotations

from typing import Any

import pyhelm3

MEMORY_MIB = 320
"""For one run of helm: with the operator's own 120 MiB it stays below its limit of 512 MiB (charts/pdshub).

Measured with helm 3.22: no run begins below 100, as Go's own tables count; a release of 700 MiB in one Secret of 714 kB
takes 2.5 GiB without a limit, and ends helm at 364 MiB resident with this one (decisions/0014).
"""
_COLLECT_MIB = 240
"""From here on Go collects garbage before it takes more."""
_LIMITED = f'ulimit -d {MEMORY_MIB * 1024} && export GOMEMLIMIT={_COLLECT_MIB}MiB && exec "$@"'


class LimitedCommand(pyhelm3.Command):  # type: ignore[misc]  # pyhelm3 has no types
    """The helm program, ended when it needs more than MEMORY_MIB."""

    def __init__(self, *, executable: str = "helm", **settings: Any) -> None:
        """``executable`` is the helm program; the rest is pyhelm3's."""
        super().__init__(executable="/bin/sh", **settings)
        self._helm = executable

    async def run(self, command: list[Any], input: bytes | None = None) -> bytes:
        """Run helm with these arguments; returns what it printed. Raises pyhelm3.Error."""
        answer: bytes = await super().run(["-c", _LIMITED, "sh", self._helm, *command], input)
        return answer
