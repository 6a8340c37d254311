"""The NAS hangs, is cut off, and changes in every way under readers, over the client that this cluster has: names list,
opens fail at once, and after the last survey every file is shown with the bytes it has."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from websocket import WebSocketException

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import ROOT, SURVEYORS, namespace, person, variant, wait_ready
from tests.e2e.hubclient import Kernel, Person
from tests.e2e.test_50_failures import kill, plugin_ready
from tests.lab.storm import READER, Storm
from tests.lab.walks import READ, WALK

pytestmark = pytest.mark.alone  # the NAS hangs for everybody
VIEW, SPACE, HUB = "e2e-nas", "e2e-nas", "nas"
TOP = "/archive/nas"
NOTICED, AT_ONCE = 30.0, 5.0  # seconds: see tests/lab/test_hanging.py
LABELLED = ("pds4", "orex")  # of the development archive: bundles that are delivered anew during the storm


@dataclass
class Nas:
    """The view's directory on the NAS, its hub, and the people who work there."""

    cluster: Cluster
    folder: Path
    spec: dict[str, Any]

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.get("archiveview", VIEW).get("status", {})
        return found

    @property
    def shown(self) -> str:
        return str((self.status.get("generation") or {}).get("name", ""))

    def storm(self, directories: int) -> Storm:
        """Files of ten to a directory, made anew."""
        root = self.folder / "storm"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        return Storm(root, directories=directories, files=10)

    def survey(self) -> None:
        """Ask for one, as the manual says without the plugin."""
        stamp = f"pdshub.dev/refresh={time.time()}"
        self.cluster.kubectl("annotate", "archiveview", VIEW, stamp, "--overwrite")

    def settled(self, *words: str) -> None:
        """A survey that began from now on is shown by every node, or there was nothing new."""
        self.cluster.run("kubectl", "pdshub", "archive", "refresh", VIEW, "--wait", *words, timeout=300)
        name = self.shown
        eventually(lambda: all(n.get("generation") == name for n in self.status["nodes"]), what=f"nodes show {name}")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The server is there and answers nothing."""
        self.cluster.engine("kill", "--signal", "STOP", self.cluster.facts["NAS_CONTAINER"])
        try:
            yield
        finally:
            self.cluster.engine("kill", "--signal", "CONT", self.cluster.facts["NAS_CONTAINER"])

    def covers(self) -> int:
        table = self.cluster.node("cat", "/proc/1/mountinfo").splitlines()
        return sum(line.split()[4].endswith("/mount/nas") and ":cover " in line for line in table)

    def fresh(self, tmp_path: Path) -> str:
        """The generation that a first survey of the NAS's own directory makes: its name."""
        view = tmp_path / "view.yaml"
        view.write_text(yaml.safe_dump({"kind": "ArchiveView", "metadata": {"name": VIEW}, "spec": self.spec}))
        out = tmp_path / f"fresh-{time.monotonic_ns()}"
        source = f"main={self.cluster.nas_data / 'pds-main'}"
        for words in (["plan", "--source", source, "--view", view, "--out", out], ["catalog", "--generation", out]):
            command = [sys.executable, "-m", "pdshub.archive.main", *map(str, words)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "operator")
            assert done.returncode == 0, done.stderr
        return str(json.loads((out / "manifest.json").read_text())["generation"])


@pytest.fixture(scope="module")
def nas(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Nas]:
    folder = cluster.nas_data / "pds-main/e2e-nas"
    shutil.rmtree(folder, ignore_errors=True)
    for name in LABELLED:
        shutil.copytree(cluster.nas_data / "pds-main" / name, folder / "labelled" / name)
    spec = {
        "folder": "nas",
        "sources": [{"name": "main", "nfs": {"server": cluster.facts["NAS_IP"], "export": "/pds-main"}}],
        "tree": [{"path": "data", "layers": [{"source": "main", "path": "e2e-nas"}]}],
        "authority": {"settleSeconds": 1, "shrinkThresholdPercent": 100},
        "survey": {"intervalSeconds": 3600, "storage": "1Gi"},
    }
    namespace(cluster, SPACE)
    kind = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView"}
    cluster.apply({**kind, "metadata": {"name": VIEW}, "spec": spec})
    users = {"allowed": ["ada", "bela", "carl"], "admins": []}
    cluster.apply(variant(sample, HUB, SPACE, archive={"viewRef": VIEW}, users=users))
    try:
        wait_ready(cluster, HUB, SPACE)
        yield Nas(cluster, folder, spec)
    finally:
        cluster.dismiss(SPACE, HUB, VIEW)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def people(cluster: Cluster, nas: Nas) -> dict[str, Person]:
    """Ada and Bela have a server, Carl starts his when he needs it."""
    found = {name: person(cluster, name, HUB, SPACE) for name in ("ada", "bela", "carl")}
    with ThreadPoolExecutor() as both:
        list(both.map(lambda name: found[name].start(), ("ada", "bela")))
    return found


def run(kernel: Kernel, code: str, within: float = 180) -> str:
    """What a cell prints. A channel that nobody read for long is closed by the server: then by another one."""
    try:
        return kernel.run(code, within).ok()
    except (WebSocketException, OSError, ValueError):  # an empty message is a channel that ends
        kernel.connect()
        return kernel.run(code, within).ok()


def script(kernel: Kernel, code: str) -> Any:
    """What a script prints about the view, run as a program of its own in the server."""
    program = f"[sys.executable, '-c', {code!r}, {TOP!r}]"
    call = f"import subprocess, sys; print(subprocess.check_output({program}, text=True))"
    return json.loads(run(kernel, call, within=560))


HOLD = f"""
import mmap, os
os.chdir('{TOP}/data/storm/d1')
file = open('000.dat', 'rb')
mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
before = mapped[:]
"""
HELD = "print(file.read() == mapped[:] == before, os.getcwd(), len(os.listdir('.')), open('001.dat').read(3))"


def test_a_nas_that_hangs(nas: Nas, people: dict[str, Person]) -> None:
    nas.storm(directories=8)
    nas.settled()
    with people["ada"].kernel() as idle, people["bela"].kernel() as holding:
        eventually(
            lambda: idle.run("print(open('/archive/.pdshub/generation.json').read())").ok(),
            lambda said: nas.shown in said and '"form": "catalog' in said,
            what="the catalog is shown",
        )
        local = script(idle, WALK)
        files, _, _ = script(idle, READ)
        assert len(files) > 90 and script(holding, READ)[0] == files
        holding.run(HOLD).ok()
        with nas.frozen():
            began = time.monotonic()
            eventually(nas.covers, lambda count: count >= 2, every=0.5, what="both servers' views are covered")
            noticed = time.monotonic() - began
            time.sleep(max(0.0, NOTICED - noticed))
            took = people["carl"].start()
            with people["carl"].kernel() as late:
                walks = {}
                for name, kernel in {"idle": idle, "holding": holding, "late": late}.items():
                    walks[name] = script(kernel, WALK)
                    found, errors, seconds = script(kernel, READ)
                    assert not found, f"{name}: bytes from nowhere"
                    slowest = max(seconds for _, seconds in errors.values())
                    assert len(errors) == len(files) and slowest < AT_ONCE, (name, slowest)
                    walks[name]["opens"] = seconds
                print(
                    f"noticed after {noticed:.1f} s, a server started in {took:.1f} s; local: {local}; frozen: {walks}"
                )
                for walk in walks.values():
                    for way in ("walk", "ls", "find"):
                        assert (way, *walk[way][1:]) == (way, len(files), [])
        eventually(nas.covers, lambda count: not count, what="the covers are gone")
        for name in ("ada", "bela", "carl"):
            with people[name].kernel() as again:
                assert script(again, READ)[:2] == [files, {}], name
        assert run(holding, HELD).startswith(f"True {TOP}/data/storm/d1 10 f")


READERS = f"""
import collections, json, os, subprocess, sys
stop = '/tmp/stop-the-readers'
if os.path.exists(stop): os.unlink(stop)
readers = [subprocess.Popen([sys.executable, '-c', {READER!r}, '{TOP}/data/storm', stop, str(n)],
                            stdout=open(f'/tmp/reader-{{n}}', 'w')) for n in range(2)]
"""
RESULTS = """
open(stop, 'w').close()
for reader in readers: reader.wait(200)
errors, totals = collections.Counter(), collections.Counter()
for n in range(len(readers)):
    for line in open(f'/tmp/reader-{n}').read().splitlines()[1:]:
        one = json.loads(line)
        if isinstance(one, dict): totals.update({**one, 'readers': 1})
        else: errors[one[0]] += 1
print(json.dumps([totals, errors]))
"""


def deliver(labelled: Path, originals: Path, dice: random.Random) -> None:
    """Bundles are delivered anew, under the eyes of whoever reads them: away whole, back file by file or at once."""
    name = dice.choice(LABELLED)
    aside = labelled / f".{name}.gone"
    (labelled / name).rename(aside)
    if dice.random() < 0.5:
        aside.rename(labelled / name)
        return
    shutil.rmtree(aside)
    shutil.copytree(originals / name, labelled / name, copy_function=dice.choice((shutil.copy, shutil.copy2)))


def faults(nas: Nas) -> dict[str, Callable[[], object]]:
    def paused() -> None:
        with nas.frozen():
            time.sleep(5)

    def surveyor() -> None:
        nas.cluster.kubectl(
            "delete", "pod", "-n", SURVEYORS, "-l", f"pdshub.dev/view={VIEW}", "--grace-period=0", "--force",
        )  # fmt: skip

    def helper() -> None:
        """Its pod goes, too: the kubelet would wait longer and longer before it starts a container again."""

        def killed() -> str:
            pods = nas.cluster.plugin_pods("nfs-helper")
            assert len(pods) == 1, "the one before has not gone yet"
            kill(nas.cluster, "nfs-helper")
            return str(pods[0]["metadata"]["name"])

        name = eventually(killed, what="a helper runs")
        nas.cluster.kubectl("delete", "pod", name, "-n", "pdshub-system", "--grace-period=0", "--force")

    address = nas.cluster.facts["NAS_IP"]
    return {
        "connections cut": lambda: nas.cluster.node("sh", "-c", f"ss -K dst {address} dport = 2049 || true"),
        "paused for 5 s": paused,
        "helper killed": helper,
        "surveyor killed": surveyor,
    }


@pytest.mark.parametrize("seconds", [20, pytest.param(600, marks=pytest.mark.long)])
def test_a_storm(nas: Nas, people: dict[str, Person], tmp_path: Path, seconds: int) -> None:
    dice, ends = random.Random(seconds), threading.Event()
    storm = nas.storm(directories=20)
    nas.settled()
    with people["ada"].kernel() as one, people["bela"].kernel() as other:
        for kernel in (one, other):
            kernel.run(READERS).ok()
        work = threading.Thread(target=storm.run, args=(10**9, 0.05, ends))
        work.start()
        met: list[str] = []
        try:
            plan, rounds = list(faults(nas).items()), max(1, seconds // 60)
            for turn in range(rounds):
                dice.shuffle(plan)
                for name, fault in plan:
                    nas.survey()
                    deliver(nas.folder / "labelled", nas.cluster.nas_data / "pds-main", dice)
                    fault()
                    met.append(name)
                    if turn == 0 and len(met) == 2:
                        people["carl"].stop()
                        people["carl"].start()
                    ends.wait(seconds / rounds / len(plan))
        finally:
            ends.set()
            work.join()
        ended = time.monotonic()
        plugin_ready(nas.cluster)
        results = []
        for kernel in (one, other):
            results.append(json.loads(run(kernel, RESULTS, within=300)))

        def differences() -> list[str]:
            """Of everybody's view from the NAS."""
            there = digests(nas.folder)
            found = []
            for who, kernel in (("ada", one), ("bela", other)):
                here = {k.removeprefix("data/"): v for k, v in script(kernel, READ)[0].items()}
                found += [
                    f"{who}: {path}" for path in sorted(there.keys() | here.keys()) if there.get(path) != here.get(path)
                ]
            return found

        surveys: list[str] = []

        def true() -> bool:
            # what was written in place, in a directory whose times stand still, an ordinary survey reads some day
            surveys.append("--full" if len(surveys) > 1 else "")
            nas.settled(*filter(None, surveys[-1:]))
            left = differences()
            assert not left, left[:10]
            return True

        eventually(true, within=240, every=2, what="every file is shown, every byte is the NAS's")
        print(
            f"storm: {storm.counts.total()} changes {dict(storm.counts)}, faults {met}; readers and errors: {results};"
            f" after {len(surveys)} surveys (the last {surveys[-1] or 'an ordinary one'}) all was true"
            f" {time.monotonic() - ended:.0f} s after the last change"
        )
        assert all(totals["readers"] == 2 for totals, _ in results), "each reader reached its end"
        # what came about step by step, through every fault, is what a first survey of the same directory makes
        assert nas.shown == nas.fresh(tmp_path)
        eventually(lambda: nas.cluster.condition("archiveview", VIEW, "Ready")["status"], lambda s: s == "True")
        assert nas.cluster.condition("archiveview", VIEW, "Released")["status"] == "True"
    with people["carl"].kernel() as late:
        here = {k.removeprefix("data/"): v for k, v in script(late, READ)[0].items()}
        assert here == digests(nas.folder), "who started meanwhile sees the same"


def digests(folder: Path) -> dict[str, str]:
    done = subprocess.run([sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=True)
    found, errors, _ = json.loads(done.stdout)
    assert not errors
    return dict(found)
