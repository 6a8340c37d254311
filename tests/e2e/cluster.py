"""The cluster that ``hack/up`` made, as tests use it: kubectl, helm, the engine, the NAS's files."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


class CommandFailed(AssertionError):
    """A command ended with an error; carries what it printed."""

    def __init__(self, argv: list[str], code: int, out: str, err: str) -> None:
        super().__init__(f"{shlex.join(argv)} -> {code}\n{out}\n{err}")
        self.err, self.out, self.code = err, out, code


def eventually(
    probe: Callable[[], Any],
    accept: Callable[[Any], object] = bool,
    within: float = 120.0,
    every: float = 1.0,
    what: str = "",
) -> Any:
    """Poll until a probe's answer is accepted; an exception of the probe counts as not yet.

    The bound only ends a hopeless wait: no test measures with it.
    """
    deadline = time.monotonic() + within
    last: Any = None
    while time.monotonic() < deadline:
        try:
            last = probe()
            if accept(last):
                return last
        except (AssertionError, OSError, KeyError, ValueError) as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"{what or 'condition'} not met within {within:.0f} s; last seen: {last!r}")


NO_HANDSHAKE = "Unable to connect to the server: net/http: TLS handshake timeout"
"""What kubectl says when the API server took more than 10 s to greet it."""


@dataclass(frozen=True)
class Cluster:
    """Handles on the running cluster; every field comes from the env file that ``hack/up`` wrote."""

    facts: dict[str, str]
    environ: dict[str, str] = field(default_factory=dict)
    _leaving: list[tuple[str, str, str]] = field(default_factory=list)
    """Namespace, hub and view that were told to go; the view may be empty."""

    @classmethod
    def load(cls) -> Cluster:
        """Read ``$PDSHUB_CACHE/cluster/<name>/env``. Raises FileNotFoundError when there is no cluster."""
        cache = Path(os.environ.get("PDSHUB_CACHE", Path.home() / ".cache" / "pdshub"))
        name = os.environ.get("PDSHUB_CLUSTER", "pdshub")
        text = (cache / "cluster" / name / "env").read_text()
        facts = dict(line.split("=", 1) for line in shlex.split(text) if "=" in line)
        environ = {**os.environ, "KUBECONFIG": facts["KUBECONFIG"], "PATH": f"{facts['BIN']}:{os.environ['PATH']}"}
        if "CONTAINERS_CONF" in facts:
            environ["CONTAINERS_CONF"] = facts["CONTAINERS_CONF"]
        return cls(facts, environ)

    @property
    def airgap(self) -> bool:
        """No chart repository and no registry: hubs use the chart and images that were built here."""
        return self.facts.get("AIRGAP") == "true"

    @property
    def nas_data(self) -> Path:
        """What the NAS exports, on this machine's disk."""
        return Path(self.facts["NAS_DATA"])

    def run(self, *argv: str, stdin: str | None = None, timeout: float = 120.0) -> str:
        """Run a command; returns its standard output. Raises CommandFailed."""
        done = subprocess.run(
            list(argv), input=stdin, env=self.environ, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise CommandFailed(list(argv), done.returncode, done.stdout, done.stderr)
        return done.stdout

    def kubectl(self, *argv: str, stdin: str | None = None, timeout: float = 120.0) -> str:
        """kubectl on this cluster."""
        for _ in range(5):
            try:
                return self.run("kubectl", *argv, stdin=stdin, timeout=timeout)
            except CommandFailed as error:
                # on a busy machine: its request was never sent, and it does not try again itself
                if NO_HANDSHAKE not in error.err:
                    raise
        return self.run("kubectl", *argv, stdin=stdin, timeout=timeout)

    def engine(self, *argv: str, timeout: float = 180.0) -> str:
        """The container engine that runs the node and the NAS."""
        return self.run(self.facts["ENGINE"], *argv, timeout=timeout)

    def node(self, *argv: str, timeout: float = 120.0) -> str:
        """A command inside the cluster's node."""
        return self.engine("exec", self.facts["NODE_CONTAINER"], *argv, timeout=timeout)

    def apply(self, *documents: dict[str, Any]) -> str:
        """kubectl apply of plain objects."""
        return self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """One object. Raises CommandFailed when it is absent."""
        scope = ["-n", namespace] if namespace else []
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, *scope, "-o", "json"))
        return found

    def items(self, kind: str, namespace: str | None = None, selector: str = "") -> list[dict[str, Any]]:
        """All objects of a kind, in one namespace or everywhere."""
        scope = ["-n", namespace] if namespace else ["-A"]
        chosen = ["-l", selector] if selector else []
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, *scope, *chosen, "-o", "json"))["items"]
        return found

    def condition(self, kind: str, name: str, condition: str, namespace: str | None = None) -> dict[str, Any]:
        """A condition of an object's status; empty when it has none of that type."""
        status = self.get(kind, name, namespace).get("status", {})
        return next((c for c in status.get("conditions", []) if c["type"] == condition), {})

    def plugin_pods(self, component: str) -> list[dict[str, Any]]:
        """Pods of PDSHub's own installation by component: operator, node, nfs-helper."""
        return self.items("pods", "pdshub-system", f"app.kubernetes.io/component={component}")

    def mounts(self) -> list[str]:
        """Mount points of the archive on the node, one line each as the kernel lists them."""
        table = self.node("cat", "/proc/1/mountinfo")
        return [line for line in table.splitlines() if "archive.pdshub.dev" in line or "pdshub~archive" in line]

    def volumes_of(self, namespace: str) -> list[str]:
        """Volumes that belong, or belonged, to claims of a namespace."""
        return [
            str(volume["metadata"]["name"])
            for volume in self.items("pv")
            if (volume["spec"].get("claimRef") or {}).get("namespace") == namespace
        ]

    def let_go(self, volume: str) -> None:
        """A volume that is kept goes with its data, as soon as no claim has it."""
        going = json.dumps({"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
        self.kubectl("patch", "pv", volume, "--type=merge", "-p", going)

    def give_up(self, volume: str) -> None:
        """The same, and wait until it has gone."""
        self.let_go(volume)
        self.kubectl("wait", "--for=delete", f"pv/{volume}", "--timeout=120s", timeout=130)

    def dismiss(self, namespace: str, hub: str, view: str = "") -> None:
        """Tell a hub and its view to go; they go while other tests run, and ``see_off`` waits for them."""
        self.kubectl("delete", "pdshub", hub, "-n", namespace, "--ignore-not-found", "--wait=false")
        if view and f"/{view}\n" in self.kubectl("get", "archiveviews", "-o", "name"):
            self.kubectl("annotate", "archiveview", view, f"pdshub.dev/confirm-delete={view}", "--overwrite")
            self.kubectl("delete", "archiveview", view, "--ignore-not-found", "--wait=false")
        self._leaving.append((namespace, hub, view))

    def see_off(self) -> None:
        """Wait until everything that was dismissed is gone, then delete its namespaces. Raises CommandFailed."""
        for namespace, hub, view in self._leaving:
            parts = [(f"pdshub/{hub}", ("-n", namespace)), *([(f"archiveview/{view}", ())] if view else [])]
            for what, scope in parts:
                self.kubectl("wait", "--for=delete", what, *scope, "--timeout=180s", timeout=190)
            self.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
        self._leaving.clear()
