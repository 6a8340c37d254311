"""docs/comparison.md, out of the figures of a run. Pure: every number and every yes and no is of that run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from tests.bench.compare import upkeep
from tests.bench.compare.parts import HUBS, INSTALLATION, PLATFORM

NAME = "comparison.md"
ATTEMPTS = {
    "files": "reads a file of somebody else's home",
    "tmp": "reads a file that somebody else left in `/tmp`",
    "names": "learns who else is there, from the machine",
    "processes": "sees processes that are not theirs",
    "people": "gets the list of people from the hub's API",
    "server": "connects to somebody else's server",
    "proxy": "connects to the API of the proxy",
    "machine": "connects to a service of the machine's own",
    "nas": "connects to the NAS",
    "cluster": "connects to the cluster's API",
    "sudo": "becomes root by `sudo`",
    "setuid": "gets rights from a setuid program",
    "namespace": "is root in a user namespace of its own",
    "engine": "reaches the container engine's socket",
    "memory": "has memory without a limit",
    "room": "has the whole disk for a home",
}
"""What the probe tries, by its key."""
PARTS = {
    HUBS: "hub and proxy, nobody there",
    INSTALLATION: "what the project adds for all hubs of a cluster",
    PLATFORM: "what it runs on: engine, systemd, or Kubernetes",
}


HEAD = """# Why this and not that

The same hub in three ways: by [Compose and DockerSpawner](compose.md), as the first deployment was; by
[The Littlest JupyterHub](https://tljh.jupyter.org) (TLJH), a service on one machine; and as a PDSHub on Kubernetes.
Each was started for real on one machine, and the same steps were taken in each, in turns. Nothing on this page is
written by hand: `./hack/bench compare` writes it.

Measured on {date}: {processors} processors, Linux {kernel}, load at the end {load}. Raw data in
`benchmarks/compare.json`.
"""
MEMORY = """## Memory
Megabytes, as the kernel shares them out among processes (Pss); of servers the median of those that started at once.
"""
REACHES = """## What a user reaches
One program, `tests/bench/compare/probe.py`, as a cell in one user's server while another is at work. *No* to an
address counts only if somebody answers there. A hub's own address and its API are open to its servers in each of the
three: they need both.
"""
UPKEEP = """## Upkeep
Commands that somebody types, once it was set up and images are in a registry; what a program does by itself is none.
An asterisk: less comes of it, as said below. The first line was done in each, and is timed above.
"""
LIMITS = """## What this does not compare
- **TLJH's own installer was not run.** It fetches itself and miniforge from GitHub, and packages from conda-forge,
  none of which the machines of this project reach. What it installs (commit `{commit}`) was put where it puts it, from
  PyPI and Debian: JupyterHub, SystemdSpawner, traefik of its version, with its units and settings. Users have a venv
  with its packages instead of a conda environment; limits of memory and CPU were set.
- **Its machine is a container** with systemd, as the cluster's node is one: nothing here is about starting machines.
- TLJH shows its users no archive; the other two show one of the same NAS. Its servers run its own packages, those of
  the other two the project's image of planetary science.
- Kubernetes is counted with all that runs on this cluster's node for it. It serves any number of hubs and nodes; the
  other two serve one machine.
- Who runs the machine reaches everything in each of the three. Admins of TLJH have `sudo` by design; they were not
  asked.

What ran:

{versions}"""


def page(figures: Mapping[str, Any]) -> str:
    """The page."""
    run, found = figures["run"], figures["ways"]
    ways = {name: found[name] for name in upkeep.WAYS if name in found}
    load = ", ".join(map(str, run["loadAtTheEnd"]))
    head = HEAD.format(date=run["date"], processors=run["processors"], kernel=run["kernel"], load=load)
    return "\n".join([head, _spawn(run, ways), _memory(ways), _isolation(ways), _upkeep(ways), _limits(run, ways)])


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _seconds(times: list[float]) -> str:
    return f"{statistics.median(times):.1f}, {max(times):.1f}"


def _spawn(run: Mapping[str, Any], ways: Mapping[str, Any]) -> str:
    rows = [
        [f"one after another, {run['serial']} times", *(_seconds(ways[name]["serial"]) for name in ways)],
        [
            f"{run['together']} at once, {run['rounds']} times",
            *(_seconds(ways[name]["together"]) for name in ways),
        ],
        ["somebody new: from the first command until they are in", *(f"{ways[name]['new']:.1f}" for name in ways)],
    ]
    said = "Seconds from the request until JupyterLab's server answers: median, worst. Images and packages are there.\n"
    return f"## A server starts\n{said}\n{_table(['', *ways], rows)}"


def _mb(number: int | None) -> str:
    return f"{number / 1e6:.0f}" if number is not None else ""


def _memory(ways: Mapping[str, Any]) -> str:
    rows = [
        [words, *(_mb(ways[name]["idle"].get(part)) for name in ways)]
        for part, words in PARTS.items()
        if any(part in ways[name]["idle"] for name in ways)
    ]
    rows += [
        [f"each server, {state}", *(_mb(ways[name]["server"].get(state)) for name in ways)]
        for state in ("started", "with a kernel")
    ]
    return f"{MEMORY}\n{_table(['', *ways], rows)}"


def answer(found: Mapping[str, Any] | None) -> str:
    """What the page says of an attempt."""
    if found is None:
        return "is none"
    if not found["valid"]:
        return "nobody answers there"
    return "**yes**" if found["reached"] else "no"


def _isolation(ways: Mapping[str, Any]) -> str:
    tried = [key for key in ATTEMPTS if any(key in ways[name]["probe"] for name in ways)]
    unknown = {key for name in ways for key in ways[name]["probe"]} - ATTEMPTS.keys()
    if unknown:
        raise ValueError(f"attempts without words: {sorted(unknown)}")
    rows = [[ATTEMPTS[key], *(answer(ways[name]["probe"].get(key)) for name in ways)] for key in tried]
    sums = [str(sum(found["reached"] for found in ways[name]["probe"].values())) for name in ways]
    return f"{REACHES}\n{_table(['a user', *ways], [*rows, ['**of these**', *sums]])}"


def _upkeep(ways: Mapping[str, Any]) -> str:
    rows = [
        [task, *(_count(upkeep.of(task, name)) for name in ways)]
        for task in upkeep.TASKS
    ]  # fmt: skip
    listed = []
    for task in upkeep.TASKS:
        for name in ways:
            work = upkeep.of(task, name)
            if work.commands:
                listed.append(f"**{name}, {task}:**\n\n```\n" + "".join(f"{one}\n" for one in work.commands) + "```\n")
    lacks = sorted({(w.task, w.way, w.lacks) for w in upkeep.WORK if w.lacks and w.way in ways})
    notes = "".join(f"- *{way}, {task}*: without {what}.\n" for task, way, what in lacks)
    return f"{UPKEEP}\n{_table(['', *ways], rows)}\n{notes}\n### The commands\n" + "\n".join(listed)


def _count(work: upkeep.Work) -> str:
    return str(len(work.commands)) + ("\\*" if work.lacks else "")


def _limits(run: Mapping[str, Any], ways: Mapping[str, Any]) -> str:
    versions = "".join(
        f"- {name}: {', '.join(f'{what} {which}' for what, which in sorted(ways[name]['versions'].items()))}\n"
        for name in ways
    )
    return LIMITS.format(commit=run["tljhCommit"][:12], versions=versions)
