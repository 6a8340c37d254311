"""Who learns at the hub of manifests/samples/practice.yaml, and what happens around them: scenes of docs/onboarding."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import ROOT, person
from tests.e2e.hubclient import Kernel, Person
from tests.e2e.sop_scenes import void

SPACE, HUB, VIEW = "practice", "school", "onboarding"
"""As the pages and the sample have them."""
SAMPLE = ROOT / "manifests/samples/practice.yaml"
NOTES = "notes.txt"
IN_A_TERMINAL = """
import pathlib, subprocess
_done = subprocess.run(["bash", "-euo", "pipefail", "-c", {text!r}], cwd=pathlib.Path.home(), text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
print(_done.returncode, _done.stdout, sep="\\n", end="")
"""
"""A terminal of the server: commands that JupyterLab's would be given, from a cell."""
Answer = tuple[int, str]


class Work:
    """A cell every few seconds, by one websocket that stays open: for another one the hub is asked, which may be
    down. ``trouble``: what ended it before its time."""

    trouble: Exception | None = None

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self._over = kernel, threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def _go_on(self) -> None:
        is_last = False
        while not (is_last or self.trouble):
            is_last = self._over.wait(5)
            try:
                assert self.kernel.run("print(6 * 7)", within=120).ok() == "42"
            except Exception as error:
                self.trouble = error

    def end(self) -> None:
        """One more cell, and no other."""
        self._over.set()
        self._thread.join(150)


@dataclass
class School:
    """The practice hub. ``at_work``, ``open``: ada and her notebook, once a scene has brought them."""

    cluster: Cluster
    folder: Path = field(default_factory=Path)
    at_work: Person | None = None
    open: Kernel | None = None
    work: Work | None = None

    def environ(self) -> dict[str, str]:
        """The names that pages take from whoever follows them."""
        return {
            "NAMESPACE": SPACE, "HUB": HUB, "VIEW": VIEW, "NAS_IP": self.cluster.facts["NAS_IP"],
            "NAS_DATA": str(self.cluster.nas_data), "SAMPLES": str(SAMPLE.parent),
        }  # fmt: skip

    def scenes(self) -> dict[str, Callable[[], None]]:
        """Every scene of the pages."""
        return {
            "ada has a notebook": self._notebook,
            "ada stops her server and starts it again": self._again,
            "ada writes notes.txt": self._writes,
            "ada deletes notes.txt": self._deletes,
            "ada has notes.txt again": self._has_again,
            "ada goes on working": self._goes_on,
            "people sign in": lambda: void(self._sign_in("bela")),
        }

    def notebook(self, text: str) -> Answer:
        """A cell of ada's notebook."""
        assert self.open, "no scene has opened a notebook"
        cell = self.open.run(text)
        return (1, f"{cell.text}{cell.error}\n") if cell.error else (0, f"{cell.text.rstrip()}\n")

    def terminal(self, text: str) -> Answer:
        """A terminal in ada's server."""
        assert self.open, "no scene has opened a terminal"
        code, _, said = self.open.run(IN_A_TERMINAL.format(text=text)).ok().partition("\n")
        return int(code), f"{said}\n"

    def contents(self, method: str, path: str = "", **body: Any) -> requests.Response:
        """What ada's file browser asks for."""
        assert self.at_work
        return self.at_work.call(method, f"/user/{self.at_work.slug}/api/contents/{path}", json=body or None)

    def _sign_in(self, name: str) -> Person:
        found: Person = eventually(lambda: person(self.cluster, name, HUB, SPACE), within=180, what=f"{name} signs in")
        return found

    def _server(self) -> Person:
        if not self.at_work:
            self.at_work = self._sign_in("ada")
        eventually(self.at_work.start, lambda _: True, within=400, every=5, what="ada has a server")
        return self.at_work

    def _notebook(self) -> None:
        self.close()
        who = self._server()
        assert who.call("GET", f"/user/{who.slug}/lab").status_code == 200, "JupyterLab opens"
        self.open = who.kernel()

    def _again(self) -> None:
        self.close()
        assert self.at_work
        self.at_work.stop()
        self._notebook()

    def _writes(self) -> None:
        self._server()
        reply = self.contents("PUT", NOTES, type="file", format="text", content="written on my first day\n")
        assert reply.status_code in (200, 201), reply.text

    def _deletes(self) -> None:
        assert self.contents("DELETE", NOTES).status_code == 204

    def _has_again(self) -> None:
        names = [one["name"] for one in self.contents("GET").json()["content"]]
        (folder,) = [name for name in names if name.startswith("restored-")]
        found = self.contents("GET", f"{folder}/{NOTES}").json()["content"]
        assert found == "written on my first day\n" and NOTES not in names
        self._notebook()
        assert self.open
        self.work = Work(self.open)

    def _goes_on(self) -> None:
        assert self.work
        self.work.end()
        assert not self.work.trouble, f"ada's notebook runs while the hub is down: {self.work.trouble!r}"

    def close(self) -> None:
        """Nobody has a notebook open."""
        if self.work:
            self.work.end()
        self.work = None
        if self.open:
            with suppress(Exception):  # its server may be gone
                self.open.close()
        self.open = None

    def forget(self) -> None:
        """As somebody new begins: signed in nowhere, nothing open."""
        self.close()
        self.at_work = None

    def made(self) -> None:
        """The practice hub, as its administrator and the data manager make it."""
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": {
            "pdshub.dev/hubs": "allowed", "pdshub.dev/environment": "development",
            "pod-security.kubernetes.io/enforce": "restricted"}}}  # fmt: skip
        self.cluster.apply(space)
        text = SAMPLE.read_text().replace("nas.example.org", self.cluster.facts["NAS_IP"])
        self.cluster.kubectl("apply", "-n", SPACE, "-f", "-", stdin=text)
        ready = ("--for=condition=Ready", f"pdshub/{HUB}", "-n", SPACE, "--timeout=600s")
        self.cluster.kubectl("wait", *ready, timeout=610)

        def generation() -> str:
            return str(self.cluster.get("archiveview", VIEW)["status"]["generation"]["name"])

        eventually(generation, within=300, what="users see a generation")

    def volumes(self) -> list[str]:
        """Volumes that belong, or belonged, to the practice hub."""
        found = self.cluster.items("pv")
        return [v["metadata"]["name"] for v in found if (v["spec"].get("claimRef") or {}).get("namespace") == SPACE]

    def gone(self) -> None:
        """Everything that the pages make, in whatever state a page that stopped half-way left it."""
        self.forget()
        for export in ("pds-main", "pds-mission"):
            for name in ("practice", "practice-on-its-way"):
                shutil.rmtree(self.cluster.nas_data / export / name, ignore_errors=True)
        run = self.cluster.kubectl
        run("delete", "pdshub", HUB, "-n", SPACE, "--ignore-not-found", "--timeout=300s", timeout=310)
        with suppress(CommandFailed):  # it is not there
            run("annotate", "--overwrite", "archiveview", VIEW, f"pdshub.dev/confirm-delete={VIEW}")
        run("delete", "archiveview", VIEW, "--ignore-not-found", "--timeout=300s", timeout=310)
        run("delete", "namespace", SPACE, "--ignore-not-found", "--timeout=300s", timeout=310)
        for volume in self.volumes():
            body = json.dumps({"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
            with suppress(CommandFailed):  # it went meanwhile
                run("patch", "pv", volume, "--type=merge", "-p", body)


@contextmanager
def school(cluster: Cluster) -> Iterator[School]:
    """A cluster without the practice hub, which pages make; without it again in the end."""
    found = School(cluster)
    found.gone()
    try:
        yield found
    finally:
        found.gone()


def names() -> set[str]:
    """Every scene that there is."""
    return {*School(Cluster({})).scenes()}
