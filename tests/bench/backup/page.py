"""backup.md: the figures of backup.json beside their bars. Pure."""

from __future__ import annotations

import statistics
from typing import Any

Json = dict[str, Any]
MOVED, FILE_SECONDS, SPAWN, RECOVERY_SECONDS = 0.05, 20.0, 1.2, 600.0
FEW = 5
"""Servers beside a run from which on their median is held against the bar."""


def share(figures: Json) -> float:
    """What the second run moved, of what the first did."""
    return float(figures["second"]["movedBytes"] / figures["first"]["movedBytes"])


def slower(spawns: Json) -> float:
    """How much longer a server takes beside a run, median against median."""
    return statistics.median(spawns["beside"]) / statistics.median(spawns["alone"])


def missed(figures: Json) -> list[str]:
    """The bars that were not met, in words."""
    said = []
    if share(figures) > MOVED:
        said.append(f"the second run moves {share(figures):.1%}")
    if max(figures["restoreSeconds"]) > FILE_SECONDS:
        said.append(f"one file takes {max(figures['restoreSeconds'])} s")
    spawns = figures["spawnSeconds"]
    if len(spawns["beside"]) >= FEW and slower(spawns) > SPAWN:
        said.append(f"a server beside a run takes {slower(spawns):.2f} times as long")
    recovery = figures["recovery"]
    if recovery and recovery["backSeconds"] > RECOVERY_SECONDS:
        said.append(f"a hub from the repository takes {recovery['backSeconds']} s")
    return said


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _run(one: Json) -> str:
    between = (one["seconds"] - one["resticSeconds"]) / one["items"]
    return (
        f"{one['seconds']:.0f} s, of which restic {one['resticSeconds']:.0f} s; {one['items']} items, each "
        f"{between:.1f} s for its Job; {_gigabytes(one['movedBytes'])} to the service"
    )


def _two(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} / {max(times):.1f} s"


def rows(figures: Json) -> list[tuple[str, str, str]]:
    """What, measured, bar."""
    first, second, spawns = figures["first"], figures["second"], figures["spawnSeconds"]
    recovery, changed = figures["recovery"], figures["changedBytes"] / figures["filledBytes"]
    beside, alone = spawns["beside"], spawns["alone"]
    found = [
        (
            f"first run: {figures['homes']} homes, {_gigabytes(figures['filledBytes'])}, {first['files']:,} files",
            _run(first),
            "",
        ),
        (f"second run, {figures['changedFiles']:,} files ({changed:.1%} of the bytes) written anew", _run(second), ""),
        ("what the second moves, of what the first did", f"{share(figures):.1%}", f"<= {MOVED:.0%}"),
        (
            f"one file of one user back, from command to file, {len(figures['restoreSeconds'])} times: median / worst",
            _two(figures["restoreSeconds"]),
            f"<= {FILE_SECONDS:.0f} s",
        ),
        (f"a server starts, {len(alone)} times alone: median / worst", _two(alone), ""),
        (f"a server starts, {len(beside)} times beside a run: median / worst", _two(beside), ""),
        ("median beside a run against alone", f"{slower(spawns):.2f}", f"<= {SPAWN}"),
    ]
    if recovery:
        size = recovery["filledBytes"] // recovery["homes"]
        what = f"a hub with {recovery['homes']} homes of {_gigabytes(size)} from S3 alone"
        found += [
            (f"{what}: the hub is Ready", f"{recovery['readySeconds']:.0f} s", ""),
            (
                f"{what}: every home is back, {recovery['compared']} of them compared",
                f"{recovery['backSeconds']:.0f} s",
                f"<= {RECOVERY_SECONDS:.0f} s",
            ),
        ]
    else:
        found.append(("a hub from S3 alone", "not measured: this PDSHub has no spec.bootstrap", "<= 600 s"))
    return found


def page(figures: Json) -> str:
    """The whole page."""
    run = figures["run"]
    load = ", ".join(map(str, run["loadAtTheEnd"]))
    head = (
        f"# Figures of backups\n\nWritten by `./hack/bench backup` on {run['date']}; raw data in backup.json. "
        f"{run['processors']} processors, Linux {run['kernel']}, load at the end {load}. Homes, hub, restic and the S3 "
        "service (versitygw) share this machine and its disk. Files are of random bytes: nothing is compressed, and "
        "what is equal is never met twice. Bytes to the service are those of objects that were not there before. The "
        "hub from S3 alone begins with its namespace, volumes and Secrets deleted; images and PDSHub are on the node."
        "\n\n"
    )
    table = "".join(f"| {a} | {b} | {c} |\n" for a, b, c in rows(figures))
    return f"{head}| what | measured | bar |\n|---|---|---|\n{table}"
