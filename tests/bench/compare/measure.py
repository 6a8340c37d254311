"""What is measured of each of the three, by the same steps, in turns: a drift of the machine meets all of them."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.compare.parts import SERVER
from tests.bench.compare.places import Way
from tests.bench.compare.processes import running, shared
from tests.e2e.cluster import eventually
from tests.e2e.hubclient import Person

OWN, OTHER, NEW = "ada", "bela", "cyd"
PROBE = Path(__file__).with_name("probe.py")
SECRET = "private.txt"
LEAVES = f"""
import pathlib
for folder in (pathlib.Path.home(), pathlib.Path("/tmp")):
    (folder / {SECRET!r}).write_text("nobody else's")
"""
"""What somebody has that nobody else should read."""
ADDRESS = """
import os, socket
from urllib.parse import urlsplit
url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
host = url.hostname or ""
print(socket.gethostbyname(socket.gethostname()) if host in ("", "0.0.0.0", "::") else host, url.port)
"""
"""Where somebody's server listens."""


@dataclass(frozen=True)
class Plan:
    """How much: one after another, together, rounds of the latter, and seconds of quiet before idle is measured."""

    serial: int = 12
    together: int = 4
    rounds: int = 3
    quiet: float = 60.0

    @property
    def crowd(self) -> tuple[str, ...]:
        """Names of those who start together."""
        return tuple(f"user{n}" for n in range(self.together))

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who is on the list from the beginning."""
        return (OWN, OTHER, *self.crowd)


QUICK = Plan(serial=2, together=2, rounds=1, quiet=5.0)


def memory(ways: list[Way]) -> dict[str, dict[str, int]]:
    """Bytes of each part of each way, all seen in the same moment."""
    classifiers = {way.name: way.parts() for way in ways}
    every = running()
    return {name: shared(every, part) for name, part in classifiers.items()}


def turns(ways: list[Way], number: int) -> list[Way]:
    """The ways, each first as often as the others."""
    start = number % len(ways)
    return ways[start:] + ways[:start]


def one_after_another(ways: list[Way], plan: Plan) -> dict[str, list[float]]:
    """Seconds of each start; the first of each is not counted, as it warms up."""
    people = {way.name: way.person(OWN) for way in ways}
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(plan.serial + 1):
        for way in turns(ways, number):
            seconds = people[way.name].start(within=600)
            people[way.name].stop()
            if number:
                times[way.name].append(seconds)
        print(
            f"  {number}/{plan.serial}: " + ", ".join(f"{k} {v[-1]:.1f} s" for k, v in times.items() if v), flush=True
        )
    return times


def together(ways: list[Way], plan: Plan) -> tuple[dict[str, list[float]], dict[str, dict[str, int]]]:
    """Seconds of each start of several at once, and memory for each of their servers: started, and with a kernel."""
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    sizes: dict[str, dict[str, int]] = {way.name: {} for way in ways}
    for number in range(plan.rounds):
        for way in turns(ways, number):
            crowd = [way.person(name) for name in plan.crowd]
            with ThreadPoolExecutor(len(crowd)) as pool:
                times[way.name] += list(pool.map(lambda someone: someone.start(within=900), crowd))
            if number == plan.rounds - 1:
                sizes[way.name] = {"started": of_servers(way, plan), "with a kernel": with_kernels(way, crowd, plan)}
            for someone in crowd:
                someone.stop()
            print(f"  {len(crowd)} at once, {way.name}: {max(times[way.name]):.1f} s at worst", flush=True)
    return times, sizes


def of_servers(way: Way, plan: Plan) -> int:
    """Bytes for each server of the crowd, in the middle."""
    found = memory([way])[way.name]
    return int(statistics.median(found[SERVER + name] for name in plan.crowd))


def with_kernels(way: Way, crowd: list[Person], plan: Plan) -> int:
    """The same while each has a kernel that has done something."""
    kernels = [someone.kernel() for someone in crowd]
    try:
        for kernel in kernels:
            kernel.run("import json; 6 * 7").ok()
        return of_servers(way, plan)
    finally:
        for kernel in kernels:
            kernel.close()


def somebody_new(way: Way) -> float:
    """Seconds from the first thing that is done by hand until they are signed in."""
    began = time.monotonic()
    way.add(NEW)
    eventually(lambda: way.person(NEW), within=300, every=0.5, what=f"{NEW} signs in at {way.name}")
    return time.monotonic() - began


def reached(way: Way) -> dict[str, dict[str, Any]]:
    """What the probe in one server reached, while somebody else is at work: by attempt."""
    own, other = way.person(OWN), way.person(OTHER)
    for someone in (own, other):
        someone.start(within=600)
    try:
        with other.kernel() as kernel:
            kernel.run(LEAVES).ok()
            host, port = kernel.run(ADDRESS).ok().split()
        tcp = {"server": (host, int(port)), **way.targets()}
        answered = {name: way.reaches(*address) for name, address in tcp.items()}
        with own.kernel() as kernel:
            said = kernel.run(program(tcp, way.home_bytes)).ok()
    finally:
        for someone in (own, other):
            someone.stop()
    return results(said, answered)


def program(tcp: dict[str, tuple[str, int]], home_bytes: int) -> str:
    """The probe as a cell."""
    targets = {"own": OWN, "other": OTHER, "tcp": tcp, "secret": SECRET, "declared": home_bytes}
    return f"TARGETS = {targets!r}\n{PROBE.read_text()}"


def results(said: str, answered: dict[str, bool]) -> dict[str, dict[str, Any]]:
    """What the probe said last. An address at which nobody answers even its owner proves nothing: ``answered``."""
    found = {}
    for attempt, got, detail in json.loads(said.splitlines()[-1]):
        found[str(attempt)] = {
            "reached": bool(got),
            "detail": str(detail),
            "valid": answered.get(attempt, True) or bool(got),
        }
    return found


def all_of_it(ways: list[Way], plan: Plan, wait: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Everything, by name of the way."""
    wait(plan.quiet)
    idle = memory(ways)
    serial = one_after_another(ways, plan)
    at_once, sizes = together(ways, plan)
    return {
        way.name: {
            "versions": way.versions,
            "idle": idle[way.name],
            "serial": serial[way.name],
            "together": at_once[way.name],
            "server": sizes[way.name],
            "probe": reached(way),
            "new": somebody_new(way),
        }
        for way in ways
    }
