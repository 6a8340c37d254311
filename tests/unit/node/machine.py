"""A node in miniature for real-mount tests: a kubelet directory in a mount namespace of its own, the plugin as
a process in another one that shares its mounts (as a pod with Bidirectional propagation does), and pods that
only receive them (HostToContainer)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import yaml

from pdshub.node._proto import csi_pb2 as csi
from pdshub.node._proto import csi_pb2_grpc as services
from pdshub.node.mount import mountinfo

ROOT = Path(__file__).resolve().parents[3]


def eventually(what: Callable[[], Any], seconds: float = 15, text: str = "") -> Any:
    """Wait until `what()` is true; the last error otherwise."""
    end = time.monotonic() + seconds
    while True:
        error: Exception | None = None
        try:
            if value := what():
                return value
        except (OSError, AssertionError, ValueError) as failure:
            error = failure
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {text or what}") from error
        time.sleep(0.05)


class Machine:
    """Make one only inside `unshare -m`: it mounts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.kubelet = directory / "kubelet"
        for path in (self.kubelet, directory / "views", directory / "nas"):
            path.mkdir()
        subprocess.run(["mount", "--bind", self.kubelet, self.kubelet], check=True)
        subprocess.run(["mount", "--make-rshared", self.kubelet], check=True)
        self.allow()
        self._processes: list[subprocess.Popen[Any]] = []
        self.plugin: subprocess.Popen[Any] | None = None
        self.options: tuple[str, ...] = ()
        self.pods = 0

    def allow(
        self, prefixes: list[str] | None = None, servers: list[str] | None = None, exports: tuple[str, ...] = ("/",)
    ) -> None:
        archive = {
            "allowedLocalPrefixes": [str(self.directory / "nas")] if prefixes is None else prefixes,
            "allowed": [{"server": server, "exports": [*exports]} for server in servers or ["127.0.0.1"]],
        }
        new = self.directory / "new"
        new.write_text(yaml.safe_dump({"archive": archive}))
        new.rename(self.directory / "installation.yaml")

    def command(self, *more: str) -> list[str]:
        return [
            "unshare", "-m", "--propagation", "unchanged", sys.executable, "-m", "pdshub.node.main",
            "--kubelet-dir", str(self.kubelet), "--views-from", str(self.directory / "views"),
            "--installation", str(self.directory / "installation.yaml"), "--node-name", "test",
            "--generations-from", str(self.directory / "generations"), "--surveyor-namespace", "pdshub-surveyors",
            "--report-port", "0", "--hold-seconds", "3",
            *self.options, *more,
        ]  # fmt: skip

    def spawn(self, *command: str, **options: Any) -> subprocess.Popen[Any]:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
        process = subprocess.Popen(command, env=environment, start_new_session=True, **options)
        self._processes.append(process)
        return process

    def start(self) -> None:
        self.plugin = self.spawn(*self.command())
        self.answering()

    def answering(self) -> None:
        """Until a plugin serves the socket."""
        options = [("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1)]

        def answers() -> bool:
            self.channel = grpc.insecure_channel(f"unix://{self.socket}", options)
            self.node = services.NodeStub(self.channel)
            try:
                self.node.NodeGetInfo(csi.NodeGetInfoRequest(), timeout=2)
            except grpc.RpcError:
                self.channel.close()
                return False
            return True

        eventually(answers, 30)

    def name(self) -> str:
        """Of the node, as the plugin that answers has it."""
        answer: str = self.node.NodeGetInfo(csi.NodeGetInfoRequest(), timeout=20).node_id
        return answer

    @property
    def socket(self) -> Path:
        return self.kubelet / "plugins/archive.pdshub.dev/csi.sock"

    def kill(self) -> None:
        assert self.plugin
        self.channel.close()
        self.plugin.kill()
        self.plugin.wait()

    def stop(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes:
            process.wait(20)

    def file(self, path: str, text: str) -> None:
        target = self.directory / "nas" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def view(
        self, tree: dict[str, list[str]], name: str = "sbn", status: Any = None, live: tuple[str, ...] = (),
        allowed: Any = None, **sources: Any,
    ) -> None:  # fmt: skip
        """`tree`: path -> layers as "source" or "source:path". `sources`: name -> local path below nas/, or spec.
        `live`: paths of the tree that are shown live. `allowed`: spec.allowedNamespaces."""
        document = {
            "apiVersion": "pdshub.dev/v1alpha1",
            "kind": "ArchiveView",
            "metadata": {"name": name, "generation": 1},
            "spec": {
                **({} if allowed is None else {"allowedNamespaces": allowed}),
                "sources": [
                    {"name": key, **({"local": {"path": str(self.directory / "nas" / v)}} if isinstance(v, str) else v)}
                    for key, v in sources.items()
                ],
                "tree": [
                    {
                        "path": path,
                        "live": path in live,
                        "layers": [
                            {"source": layer.partition(":")[0], "path": layer.partition(":")[2] or "."}
                            for layer in layers
                        ],
                    }
                    for path, layers in tree.items()
                ],
            },
            "status": status,
        }
        new = self.directory / "new"
        new.write_text(yaml.safe_dump(document))
        new.rename(self.directory / "views" / f"{name}.yaml")

    def target(self, pod: str = "one") -> Path:
        return self.kubelet / "pods" / pod / "volumes/kubernetes.io~csi/archive/mount"

    def publish(
        self, pod: str = "one", view: str = "sbn", mode: str = "MULTI_NODE_READER_ONLY", namespace: str = "users",
        **context: str,
    ) -> Path:  # fmt: skip
        target = self.target(pod)
        target.parent.mkdir(parents=True, exist_ok=True)
        capability = csi.VolumeCapability(
            mount=csi.VolumeCapability.MountVolume(),
            access_mode=csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.Mode.Value(mode)),
        )
        request = csi.NodePublishVolumeRequest(
            volume_id=f"{pod}.{view}", target_path=str(target), volume_capability=capability, readonly=True,
            volume_context={
                "view": view, "csi.storage.k8s.io/pod.name": pod, "csi.storage.k8s.io/pod.namespace": namespace,
                **context,
            },
        )  # fmt: skip
        self.node.NodePublishVolume(request, timeout=20)
        return target

    def unpublish(self, pod: str = "one") -> None:
        request = csi.NodeUnpublishVolumeRequest(volume_id="v", target_path=str(self.target(pod)))
        self.node.NodeUnpublishVolume(request, timeout=20)

    def stats(self, pod: str = "one") -> Any:
        request = csi.NodeGetVolumeStatsRequest(volume_id="v", volume_path=str(self.target(pod)))
        return self.node.NodeGetVolumeStats(request, timeout=20)

    def told(self, pod: str = "one") -> str:
        """What the kubelet is told of the volume's condition: the words for administrators."""
        return str(self.stats(pod).volume_condition.message)

    def pod(self, script: str, pod: str = "one", **options: Any) -> subprocess.Popen[Any]:
        """A shell whose /archive ($A) is the target, in a namespace that only receives mounts."""
        return self.spawn(
            "unshare", "-m", "--propagation", "slave", "sh", "-c", f"A={self.target(pod)}; {script}", **options
        )

    def mounts(self, pod: str = "one") -> list[mountinfo.Mount]:
        return [m for m in mountinfo.read() if m.point.startswith(str(self.target(pod)))]

    def health(self, view: str = "sbn") -> Any:
        path = self.kubelet / f"plugins/archive.pdshub.dev/views/{view}/front/.pdshub/health.json"
        return json.loads(path.read_text())
