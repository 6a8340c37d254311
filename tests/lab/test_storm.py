"""The update storm: the NAS changes in every way while users read and surveys and switches follow; it is paused and cut
off, plugin and surveyor are killed.

Until a change is surveyed a reader can meet an error; each is counted and must be explained by a change of that very
path, or by a fault of that time. After the last survey every byte is the NAS's, and what came about step by step is
what a survey without a memory makes.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from nas import ADDRESS, Nas
from node import PATIENCE, Node, entry, eventually, source
from storm import CACHE_SECONDS, READER, Error, Storm, explain

from pdshub.archive import main as archive
from pdshub.node.mount import mountinfo, worker_main
from pdshub.node.reconcile.observe import generation

READERS = 8
SHORT = int(os.environ.get("LAB_STORM_CHANGES", "300"))
SWITCH_SECONDS = 15.0
FELT_SECONDS = 60.0
"""After a fault: two time-outs of the client, the look that finds the server back, and an emulated machine."""
NO_SOURCE = 4
"""Exit code of a survey whose source cannot be read."""
ALL = "0/1"
"""A survey that looks at every file: directory times do not tell of writes in place."""


class Surveys:
    """Generations of one view, made over an NFS mount of the surveyor's own and handed to the node."""

    def __init__(self, node: Node, folder: Path, name: str, export: str) -> None:
        self.node, self.name = node, name
        self._nas, self._work, self._shelf = folder / "nas", folder / "surveys", folder / "generations"
        self._document = {
            "apiVersion": "pdshub.dev/v1alpha1",
            "kind": "ArchiveView",
            "metadata": {"name": name, "generation": 1},
            "spec": {
                "sources": [source("nas", export)],
                "tree": [entry(".", "nas:.")],
                "authority": {"settleSeconds": 0},
            },
        }
        for path in (self._nas, self._work, self._shelf):
            path.mkdir(exist_ok=True)
        (self._work / "view.yaml").write_text(yaml.safe_dump(self._document))
        worker_main.mount_nfs(ADDRESS, export, 2049, "4.2", str(self._nas), f"{ADDRESS}:{export}")
        self.made: list[tuple[float, float, str]] = []
        """(survey began, seen by pods, generation)."""
        self._last: Path | None = None
        self.target: Path | None = None
        """Where the readers' pod has the view, once it has."""
        self.undone = 0
        """Surveys that met a fault, and were done again."""
        self.felt: Callable[[float, float], bool] = lambda began, ended: False
        """Whether a fault may have been felt in that time."""

    def _plan(self, restat: str, out: Path, fresh: bool = False) -> list[str]:
        words = ["plan", "--source", f"nas={self._nas}", "--view", str(self._work / "view.yaml"), "--out", str(out)]
        words += ["--accept-shrink", "--restat", restat]
        return words + (["--previous", str(self._last)] if self._last and not fresh else [])

    def killed(self) -> None:
        """A surveyor that is killed at its work leaves nothing behind that counts."""
        words = [
            sys.executable,
            "-m",
            "pdshub.archive.main",
            *self._plan(ALL, self._work / f"killed-{uuid.uuid4().hex}"),
        ]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            assert process.stderr and process.stderr.read(1), "it has begun to tell of its work"
            process.kill()

    def survey(self, restat: str, fresh: bool = False) -> tuple[float, str]:
        """Plan and catalog; answers when it began and the generation's name. `fresh`: without a memory."""
        while True:
            began, out = time.monotonic(), self._work / f"g{len(list(self._work.iterdir()))}"
            code = archive.main(self._plan(restat, out, fresh))
            # a survey that meets a server which does not answer is none, and is done again
            if code != NO_SOURCE or not self.felt(began, time.monotonic()):
                break
            self.undone += 1
        assert code == 0
        assert archive.main(["catalog", "--generation", str(out), "--accept-shrink"]) == 0
        name = json.loads((out / "manifest.json").read_text())["generation"]
        place = self._shelf / name.removeprefix("sha256:")
        if not place.exists():
            shutil.copytree(out, place, ignore=shutil.ignore_patterns("plan.json", "*.gz", "findings*"))
        if not fresh:
            self._last = out
        return began, name

    def release(self, began: float, name: str) -> None:
        """What the operator does: the view's status names the generation. Waits until the readers' pod has it."""
        document = {**self._document, "status": {"generation": {"name": name}}}
        new = self.node.views / f".{self.name}.new"
        new.write_text(yaml.safe_dump(document))
        new.rename(self.node.views / f"{self.name}.yaml")
        if self.made:
            self.confirm(name)
        self.made.append((began, time.monotonic(), name))

    def confirm(self, name: str) -> None:
        def shown() -> bool:
            found = self.node.look(self.node.layout.volume_root(self.name)) / ".pdshub/generation.json"
            return name in found.read_text() and self._on_top() in ("", name)

        eventually(f"{name} is shown", shown)

    def _on_top(self) -> str:
        """The generation that the pod itself has: where a switch is late, names of the former one are met for longer
        than what the node tells of the view. Empty without a pod, and below a cover."""
        top = mountinfo.top(self.node.mounts(), str(self.target / self.name)) if self.target else None
        return generation(top) if top else ""

    def since(self, moment: float) -> float:
        """Changes before this can't be met at ``moment``: surveyed, switched to, and out of the client's cache."""
        return max((began for began, seen, _ in self.made if seen <= moment), default=0.0) - CACHE_SECONDS

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", self._nas], check=False)


@pytest.fixture
def folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="storm-", dir="/run/lab"))
    made.chmod(0o755)
    return made


@pytest.fixture
def storm_node(nas: Nas, folder: Path) -> Iterator[Node]:
    (folder / "generations").mkdir()
    options = ("--generations-from", str(folder / "generations"))
    made = Node(folder / "node", (*options, "--hold-seconds", "5"))
    made.start()
    yield made
    made.close()


def differences(server: Path, seen: Path) -> list[str]:
    """Paths that differ in kind, size, or any byte; at most ten. A walk that meets a switch sees both trees."""
    try:
        there, here = ({str(p.relative_to(top)) for p in top.rglob("*")} for top in (server, seen))
    except OSError as error:
        return [f"{error.filename}: {error.strerror}"]
    found = [f"{path} is only {'on the NAS' if path in there else 'in the view'}" for path in sorted(there ^ here)]
    for path in sorted(there & here):
        one, other = server / path, seen / path
        if one.is_dir() or len(found) >= 10:
            continue
        try:
            if one.stat().st_size != other.stat().st_size or one.read_bytes() != other.read_bytes():
                found.append(f"{path} differs")
        except OSError as error:
            found.append(f"{path}: {error.strerror}")
    return found[:10]


def absences(log: str) -> list[tuple[float, float]]:
    """When the plugin took the source for unreachable (an overloaded machine answers its probes late), until it had
    mounted the catalog with it again; monotonic seconds."""
    shift = time.monotonic() - time.time()
    found: list[tuple[float, float]] = []
    began = back = 0.0
    for line in log.splitlines():
        try:
            moment = datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp() + shift
        except ValueError:
            continue
        if " pdshub.node.source.source_mount: source " in line:
            ready = line.endswith(" ready")
            began, back = (began, moment) if ready else (began or moment, 0.0)
        elif began and back and " built " in line:
            found.append((began, moment + SWITCH_SECONDS))
            began = back = 0.0
    return [*found, (began, back + SWITCH_SECONDS if back else float("inf"))] if began else found


class Faults:
    """What goes wrong meanwhile, one after another; `times` has when, and how long readers may feel it."""

    def __init__(self, nas: Nas, node: Node, surveys: Surveys) -> None:
        self._nas, self._node = nas, node
        self.kinds: dict[str, Callable[[], object]] = {
            "paused for 5 s": self._pause, "cut off": self._cut, "plugin killed": self._kill,
            "surveyor killed": surveys.killed,
        }  # fmt: skip
        self._next = itertools.cycle(self.kinds.items())
        self.met: list[str] = []
        self.times: list[tuple[float, float]] = []

    def _pause(self) -> None:
        self._nas.drop()
        try:
            time.sleep(5)
        finally:
            self._nas.reach()

    def _cut(self) -> None:
        """Connections are reset, and new ones refused for a second."""
        self._nas.reset()
        try:
            time.sleep(1)
        finally:
            self._nas.heal()

    def _kill(self) -> None:
        self._node.kill()
        self._node.start()

    def one(self) -> None:
        name, do = next(self._next)
        began = time.monotonic()
        do()
        self.met.append(name)
        self.times.append((began, time.monotonic() + FELT_SECONDS))

    def felt(self, first: float, last: float) -> bool:
        """Whether a fault of before or now may be felt between two moments."""
        return any(began <= last and first <= ended for began, ended in self.times)

    def explain(self, error: Error) -> bool:
        """A server that does not answer: soft mounts end in an error, and a cover may lie over the catalog."""
        return error.kind in ("ENOTCONN", "EIO", "ETIMEDOUT") and self.felt(error.listed, error.ended)


@pytest.mark.parametrize("changes", [SHORT, pytest.param(10_000, marks=pytest.mark.long)])
def test_update_storm(
    nas: Nas, storm_node: Node, folder: Path, kernel: tuple[int, int], changes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    if kernel < (6, 5):
        pytest.skip("data-only layers need Linux 6.5")
    name = f"storm-{changes}"
    server = nas.export(name, {})
    storm = Storm(server, directories=20 if changes < 1000 else 60, files=20)
    surveys = Surveys(storm_node, folder, name, f"/{name}")
    surveys.release(*surveys.survey(ALL))
    target = surveys.target = storm_node.publish(name)
    storm_node.ready(target)
    seen = storm_node.look(target) / name
    eventually("the first generation is whole", lambda: not differences(server, seen))
    stop, ends = folder / "stop", threading.Event()
    logs = [folder / f"reader-{n}.jsonl" for n in range(READERS)]
    readers = []
    for n, log in enumerate(logs):
        with log.open("wb") as out:
            command = storm_node.pod("python3", "-c", READER, str(target / name), str(stop), str(n))
            readers.append(subprocess.Popen(command, stdout=out))
    work = threading.Thread(target=storm.run, args=(10**9, 0.02, ends))
    faults = Faults(nas, storm_node, surveys)
    surveys.felt = faults.felt
    try:
        eventually("all readers read", lambda: all(log.read_text() for log in logs))
        work.start()
        turn = 0
        while storm.counts.total() < changes or len(faults.met) < len(faults.kinds):
            assert work.is_alive()
            surveys.release(*surveys.survey(f"{turn % 4}/4"))
            if turn % max(1, changes // 1000) == 0:
                faults.one()
            turn += 1
        ends.set()
        work.join()
        until = time.monotonic() + PATIENCE
        while True:  # a survey can see what the NFS client remembers: it is followed by another
            surveys.release(*surveys.survey(ALL))
            left = differences(server, seen)
            if not left or time.monotonic() > until:
                break
            time.sleep(1)
        assert not left, left
        assert surveys.survey(ALL, fresh=True)[1] == surveys.made[-1][2], "as a survey without a memory makes it"
    finally:
        ends.set()
        stop.touch()
        for reader in readers:
            reader.wait(60)
        surveys.close()
    errors, totals = _logs(logs)
    away = absences(storm_node.log())
    unexplained = [
        e
        for e in errors
        if not explain(e, storm.log, surveys.since(e.listed))
        and not faults.explain(e)
        and not (e.kind == "ENOTCONN" and any(begin <= e.ended and e.listed <= end for begin, end in away))
    ]
    with capsys.disabled():
        print(
            f"\nstorm: {storm.counts.total()} changes {dict(storm.counts)}; {len(surveys.made)} surveys, {turn} "
            f"during it, {surveys.undone} met a fault and were done again; faults {faults.met}; "
            f"readers: {dict(totals)}; {len(away)} times without its source; errors, "
            f"all explained but {len(unexplained)}: "
            f"{dict(Counter(e.kind for e in errors))}"
        )
    assert storm.counts.total() >= changes
    assert totals["readers"] == READERS, "each reader reached its end"
    assert not unexplained, unexplained[:10]
    storm_node.unpublish(name, target)
    assert not [m for m in storm_node.mounts() if m.point.startswith(str(target))]


def _logs(logs: list[Path]) -> tuple[list[Error], Counter[str]]:
    errors: list[Error] = []
    totals: Counter[str] = Counter()
    for log in logs:
        for line in log.read_text().splitlines()[1:]:
            found = json.loads(line)
            if isinstance(found, dict):
                totals.update({**found, "readers": 1})
            else:
                errors.append(Error(*found))
    return errors, totals
