"""Figures of people: a changed list until it is in effect, somebody taken out, ten thousand names.

``python -m tests.bench.people OUT_DIR`` on a running cluster (``./hack/bench people``) writes people.json and
people.md. Beside a hub's changes somebody else keeps a kernel's websocket open: connections that break are counted. Two
figures of the hub's package are seconds of the processor, which are the same on a busy machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from traitlets.config import Config

from pdshub_hub.google import PDSHubGoogle
from pdshub_hub.people import PeopleFile, digest
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import demo, namespace, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.e2e.people_hub import PeopleHub

SPACE, HUB, SOURCE = "bench-people", "bench", "more"
ROUNDS, REMOVED, SIGN_INS = 10, 5, 20
NAMES, ASKED = 10_000, 20_000
FIRST = ["ada", "witness", *(f"leaver{n}" for n in range(REMOVED))]
Json = dict[str, Any]


def processor_seconds(work: Callable[[], object]) -> float:
    """Seconds of the processor that something takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def in_the_hub() -> Json:
    """What a list of NAMES costs the hub's process: read anew, and asked for one person."""

    async def ask(authenticator: PDSHubGoogle) -> None:
        user = SimpleNamespace(name="user77@example.org", admin=False)
        for _ in range(ASKED):
            assert await authenticator.refresh_user(user) is True

    body: Json = {
        "version": 1,
        "allowed": [f"user{n}@example.org" for n in range(NAMES)],
        "admins": [],
        "suspended": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.json"
        path.write_text(json.dumps({**body, "digest": digest(body)}))
        authenticator = PDSHubGoogle(config=Config())
        authenticator.people = PeopleFile(path)
        read = processor_seconds(authenticator.people.read)
        asked = processor_seconds(lambda: asyncio.run(ask(authenticator))) / ASKED
    return {"readMilliseconds": round(read * 1e3, 1), "refreshMicroseconds": round(asked * 1e6, 1)}


@dataclass
class Hub(PeopleHub):
    """The hub that is measured."""

    allowed: list[str] = field(default_factory=lambda: list(FIRST))

    def write(self) -> None:
        """Write the names of the spec."""
        self.patch({"spec": {"users": {"allowed": self.allowed}}})


@contextmanager
def hub(cluster: Cluster) -> Iterator[Hub]:
    """A hub of its own, without an archive."""
    sample = demo(cluster)
    made = Hub(cluster, SPACE, HUB, SOURCE)
    namespace(cluster, SPACE)
    try:
        made.write_source("somebody")
        source = [{"configMap": {"name": SOURCE, "key": "list"}}]
        users = {"allowed": made.allowed, "from": source, "shrinkLimit": 100}
        cluster.apply(variant(sample, HUB, SPACE, archive=None, service={"type": "NodePort"}, users=users))
        wait_ready(cluster, HUB, SPACE)
        yield made
    finally:
        cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--ignore-not-found", "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--wait=false")


@contextmanager
def witness(made: Hub) -> Iterator[Json]:
    """Somebody who works all the time: cells that were answered, connections that broke."""
    person = made.sign_in("witness")
    person.start()
    over, seen = threading.Event(), {"cells": 0, "broken": 0}

    def work() -> None:
        try:
            with person.kernel() as kernel:
                while not over.wait(0.2):
                    assert kernel.run("print(6 * 7)").ok() == "42"
                    seen["cells"] += 1
        except Exception as error:
            # a connection that was never made counts, too
            seen["broken"] += 1
            print(f"  the witness: {error!r}", flush=True)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def until(true: Callable[[], bool]) -> float:
    """Seconds until something is so."""
    began = time.monotonic()
    eventually(true, bool, within=120, every=0.1)
    return time.monotonic() - began


def changes(made: Hub) -> Json:
    """A name that comes and goes again, ROUNDS times."""
    came, went = [], []
    for n in range(ROUNDS):
        name = f"new{n}"
        made.allowed.append(name)
        made.write()
        came.append(until(lambda name=name: made.may(name)))  # type: ignore[misc]
        made.allowed.remove(name)
        made.write()
        went.append(until(lambda name=name: not made.may(name)))  # type: ignore[misc]
        print(f"  {n + 1}/{ROUNDS}: in effect after {came[-1]:.1f} s, and back after {went[-1]:.1f} s", flush=True)
    return {"came": came, "went": went}


def removals(made: Hub) -> list[float]:
    """People with a server, a session and a token, until nothing of these is left, one after the other."""
    found = []
    for n in range(REMOVED):
        person = made.sign_in(f"leaver{n}")
        person.start()
        made.allowed.remove(person.name)
        made.write()

        def gone(person: Person = person) -> bool:
            home = person.session.get(person.url("/hub/home"), allow_redirects=False, timeout=30)
            token = person.call("GET", "/hub/api/user")
            return home.status_code == 302 and token.status_code == 403 and not made.pods_of(person.name)

        found.append(until(gone))
        print(f"  removal {n + 1}/{REMOVED}: {found[-1]:.1f} s", flush=True)
    return found


def sign_ins(made: Hub, name: str) -> list[float]:
    """Seconds of sign-ins of somebody."""
    found = []
    for _ in range(SIGN_INS):
        began = time.monotonic()
        made.sign_in(name)
        found.append(time.monotonic() - began)
    return found


def many(made: Hub) -> Json:
    """NAMES names through a ConfigMap, and what a sign-in costs before and with them."""
    before = sign_ins(made, "ada")
    names = [f"{number:05}.{'x' * 22}@example.org" for number in range(NAMES)]
    made.write_source("\n".join(names))
    took = until(lambda: made.may(names[-1]))
    print(f"  {NAMES} names: in effect after {took:.1f} s", flush=True)
    return {"seconds": took, "signInBefore": before, "signInWith": sign_ins(made, "ada")}


def summary(times: list[float]) -> str:
    """Median and worst."""
    return f"{statistics.median(times):.1f} / {max(times):.1f} s"


def page(figures: Json) -> str:
    """people.md: the figures of people.json in words. Pure."""
    run, changed, thousands, inside = (figures[key] for key in ("run", "changes", "many", "inTheHub"))
    before, with_them = (statistics.median(thousands[key]) * 1e3 for key in ("signInBefore", "signInWith"))
    rows = [
        ("a name on the list may sign in, median / worst", summary(changed["came"]), "<= 10 s"),
        ("a name off the list may not", summary(changed["went"]), "<= 10 s"),
        ("taken off: no session, no token, no pod", summary(figures["removals"]), "<= 15 s"),
        (f"{NAMES:,} names through `users.from` in effect", f"{thousands['seconds']:.1f} s", "<= 10 s"),
        ("sign-in before, median", f"{before:.0f} ms", ""),
        (f"sign-in with {NAMES:,} names, median", f"{with_them:.0f} ms", "not slower"),
        ("restarts of the hub and runs of helm, in all of it", str(figures["restarts"]), "0"),
        (
            "somebody else's kernel meanwhile: cells answered / connections broken",
            f"{figures['witness']['cells']} / {figures['witness']['broken']}",
            "0 broken",
        ),
        (f"the hub reads {NAMES:,} names, processor", f"{inside['readMilliseconds']} ms", ""),
        ("the hub asks whether somebody is still on the list, processor", f"{inside['refreshMicroseconds']} µs", ""),
    ]
    load = ", ".join(map(str, run["loadAtTheEnd"]))
    head = (
        f"# Figures of people\n\nWritten by `./hack/bench people` on {run['date']}; raw data in people.json. "
        f"{run['processors']} processors, Linux {run['kernel']}, load at the end {load}. {ROUNDS} changes each way, "
        f"{REMOVED} people with a server, a session and a token taken off; times are from the end of `kubectl` to the "
        "first look that sees it, ten looks a second at most.\n\n"
    )
    return head + "| what | measured | bar |\n|---|---|---|\n" + "".join(f"| {a} | {b} | {c} |\n" for a, b, c in rows)


def main() -> None:
    """Measure and write."""
    out = Path(sys.argv[1])
    figures: Json = {"inTheHub": in_the_hub()}
    with hub(Cluster.load()) as made, witness(made) as seen:
        before = made.unchanged()
        figures |= {"changes": changes(made), "removals": removals(made), "many": many(made)}
        figures["restarts"] = 0 if made.unchanged() == before else 1
        figures["witness"] = seen
        figures["run"] = {
            "date": time.strftime("%Y-%m-%d"),
            "processors": os.cpu_count(),
            "kernel": os.uname().release.partition("-")[0],
            "loadAtTheEnd": [round(value, 1) for value in os.getloadavg()],
        }
    (out / "people.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "people.md").write_text(page(figures))
    print((out / "people.md").read_text())


if __name__ == "__main__":
    main()
