"""Generations on a node, with real mounts; each function is one test of test_generations.py."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.unit.node import scenarios
from tests.unit.node.generations import Release
from tests.unit.node.machine import Machine, eventually

LABEL = "pdshub-generation:"


def catalogs(m: Machine, pod: str = "one") -> list[str]:
    """The catalogs mounted in a target, by generation."""
    return [f"sha256:{x.source.removeprefix(LABEL)}" for x in m.mounts(pod) if x.source.startswith(LABEL)]


def released(m: Machine) -> None:
    """Live until the first release; then the generation and nothing but it, in running pods, too."""
    m.file("main/pds4/a", "one")
    m.file("more/pds3/b", "two")
    view = Release(m, {"pds4": ["main:pds4"], "pds3": ["more:pds3"]}, "main", "more")
    view.release("")
    m.start()
    target = m.publish()
    eventually(lambda: m.health()["ready"])
    assert (target / "sbn/pds4/a").read_text() == "one" and len(m.mounts()) == 3
    assert view.shown() == {"view": "sbn", "folder": "sbn", "generation": None, "form": "live"}
    pod = m.pod(f"i=0; while [ ! -e {m.directory}/stop ]; do cat $A/sbn/pds4/a $A/sbn/pds3/b >/dev/null || echo bad; done",
                stdout=subprocess.PIPE, text=True)  # fmt: skip
    first = view.release(view.survey())
    m.file("main/pds4/later", "not yet")
    eventually(lambda: catalogs(m) == [first] and len(m.mounts()) == 2)
    (m.directory / "stop").touch()
    assert pod.communicate(timeout=20)[0] == "", "no file was away for a moment"
    assert view.shown()["generation"] == first and view.shown()["form"] == "catalog"
    assert view.shown()["counts"]["files"] == 2 and view.shown()["asOf"] == "2026-01-01T00:00:00Z"
    assert sorted(p.name for p in (target / "sbn").rglob("*")) == ["a", "b", "pds3", "pds4"]
    for mount in m.mounts():
        assert {"ro", "nosuid", "nodev"} <= mount.options, mount
    second = view.release(view.survey())
    eventually(lambda: (target / "sbn/pds4/later").read_text() == "not yet")
    eventually(lambda: view.stored() == {second}, text="what nobody needs is dropped")
    assert len(m.mounts()) == 2
    # Back to live, as smoothly.
    view.release("")
    m.file("main/pds4/live", "live")
    eventually(lambda: (target / "sbn/pds4/live").read_text() == "live" and catalogs(m) == [])
    eventually(lambda: len(m.mounts()) == 3 and view.shown()["form"] == "live")
    m.unpublish()
    assert not m.mounts() and not target.exists()


ALL = {f.__name__: f for f in (released,)}


if __name__ == "__main__":
    scenarios.run(ALL[sys.argv[1]])
