"""What is promised of archive views, and whether the figures keep it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    what: str
    bar: str
    figure: str
    met: bool


def ratio(one: float, other: float) -> float:
    return one / other if other else float("inf")


def _work(found: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The part of a delay's figures whose title begins or ends like ``name``; None if it was not measured."""
    return next((v for k, v in found.items() if name in k and "catalog" in v), None)


def of_views(views: Figures) -> Iterator[Bar]:
    """Of what ran in the lab's machine; what was not measured has no row."""
    for delay, found in sorted(views["views"].items()):
        calls = {
            name: work["catalog"]["calls"] for name in ("find", "ls -lR", "os.walk") if (work := _work(found, name))
        }
        if calls:
            text = ", ".join(f"{k} {v}" for k, v in calls.items())
            yield Bar(f"NFS calls through a catalog, cold, {delay} ms", "0", text, not any(calls.values()))
    two = views["views"].get("2", {})
    if walk := _work(two, "os.walk"):
        for other, least in (("NFS", 5), ("mergerfs", 10)):
            if other in walk:
                faster = ratio(walk[other]["seconds"], walk["catalog"]["seconds"])
                yield Bar(
                    f"cold `os.walk` + `stat`, 2 ms: faster than {other}", f">= {least}x", f"{faster:.1f}x",
                    faster >= least,
                )  # fmt: skip
    for delay, found in sorted(views["views"].items()):
        if work := _work(found, "sequential, cold"):
            mine, plain = work["catalog"], work["NFS"]
            text = f"{mine['reads']} and {plain['reads']} calls, {mine['bytesRead']:,} and {plain['bytesRead']:,} bytes"
            yield Bar(
                f"sequential, cold, {delay} ms: READ calls and bytes of catalog and NFS", "equal", text,
                mine["reads"] == plain["reads"] and mine["bytesRead"] == plain["bytesRead"],
            )  # fmt: skip
    for what, pair in views["pairs"].items():
        if what.endswith("small files, cold"):
            more = ratio(1, pair["median"])
            yield Bar(
                f"{what}, 0.5 ms: time as a multiple of NFS's, {pair['pairs']} pairs", "<= 1.3x", f"{more:.2f}x",
                more <= 1.3,
            )  # fmt: skip
        else:
            high = pair["bounds95"][1]
            yield Bar(
                f"{what}: speed as a share of NFS's, {pair['pairs']} pairs", "median >= 0.9, upper 95% bound >= 0.97",
                f"{pair['median']:.3f}, {high:.3f}", pair["pairs"] >= 15 and pair["median"] >= 0.9 and high >= 0.97,
            )  # fmt: skip
    for delay, found in sorted(views["views"].items()):
        if work := _work(found, "small files, cold"):
            calls_, seconds = (ratio(work["catalog"][k], work["NFS"][k]) for k in ("calls", "seconds"))
            yield Bar(
                f"small files, cold, {delay} ms: calls and time as multiples of NFS's", "<= 1.3x",
                f"{calls_:.2f}x, {seconds:.2f}x", max(calls_, seconds) <= 1.3,
            )  # fmt: skip
    if node := views.get("node"):
        worst = node["switchSeconds"]["worst"] * 1000
        median = node["switchSeconds"]["median"] * 1000
        yield Bar(
            f"switch of {node['targets']} published targets, {len(node['switchSeconds']['runs'])} times",
            "<= 200 ms",
            f"median {median:.0f} ms, worst {worst:.0f} ms",
            worst <= 200 and node["switchResults"] == ["switched"],
        )
        yield Bar(
            f"kernel memory (slab) with {node['targets']} walkers over as many targets, one walker = 1", "<= 1.1x",
            f"{node['memoryRatio']:.2f}x ({node['memoryKB']['fifty']['slab']:,} and "
            f"{node['memoryKB']['one']['slab']:,} kB)", node["memoryRatio"] <= 1.1,
        )  # fmt: skip


SEQUENTIAL = {"0.5": 1.0, "2": 1.5, "20": 6.0}
"""Delay in milliseconds -> how many times as fast as a default mount."""


def of_local(local: Figures) -> Iterator[Bar]:
    """Of what travels, and of distances; what was not measured has no row."""
    for what, found in local.items():
        if what.endswith("labels read"):
            mine, plain = found["content"], found["NFS"]
            share = ratio(mine["seconds"], plain["seconds"])
            yield Bar(
                f"{what}, cold, 2 ms: calls, and time as a share of NFS's", "0, <= 0.05",
                f"{mine['calls']}, {share:.3f}", not mine["calls"] and share <= 0.05,
            )  # fmt: skip
        elif what.startswith("grep"):
            mine = found["content"]
            yield Bar(
                f"`{what}`, cold: calls, time", "0, <= 10 s for 100,000", f"{mine['calls']}, {mine['seconds']:.1f} s",
                not mine["calls"] and mine["seconds"] <= 10,
            )  # fmt: skip
        elif " products by " in what:
            share = ratio(found["content"]["seconds"], found["NFS"]["seconds"])
            yield Bar(
                f"{what}, cold, 2 ms: time as a share of NFS's", "<= 0.7", f"{share:.2f}, {found['content']['calls']} "
                f"and {found['NFS']['calls']} calls", share <= 0.7,
            )  # fmt: skip
        elif " sequential, " in what:
            least = SEQUENTIAL[what.rpartition(", ")[2].removesuffix(" ms")]
            faster = ratio(found["default"]["seconds"], found["catalog"]["seconds"])
            yield Bar(f"{what}: faster than a default mount", f">= {least}x", f"{faster:.2f}x", faster >= least)
        elif what.endswith(" ms"):
            mine, plain = found["catalog"], found["default"]
            bytes_, seconds = (ratio(mine[key], plain[key]) for key in ("bytesRead", "seconds"))
            yield Bar(
                f"{what}: bytes and time as multiples of a default mount's", "<= 1.05x, <= 1.1x",
                f"{bytes_:.2f}x, {seconds:.2f}x", bytes_ <= 1.05 and seconds <= 1.1,
            )  # fmt: skip


SURVEY: tuple[tuple[str, str, str, float], ...] = (
    ("surveySeconds", "survey from a warm local tree", "s", 1),
    ("imageSeconds", "image", "s", 1),
    ("imageBytes", "size of the image", "MB", 1e-6),
    ("surveyPeakBytes", "memory of the survey", "MB", 1e-6),
    ("imagePeakBytes", "memory of writing the image", "MB", 1e-6),
    ("labelsOpenedShare", "files opened by the authority pass", "%", 100),
    ("againReadShare", "second survey, one dataset of 1,000 changed: directories read", "%", 100),
)


def of_survey(survey: Figures, bars: dict[str, float]) -> Iterator[Bar]:
    for key, what, unit, factor in SURVEY:
        yield Bar(
            f"{survey['entries']:,} entries: {what}", f"<= {bars[key] * factor:g} {unit}",
            f"{survey[key] * factor:.3g} {unit}", survey[key] <= bars[key],
        )  # fmt: skip
