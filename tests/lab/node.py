"""A node of the lab: a mount namespace with a kubelet's directory, the node plugin in it, and pods.

The namespace belongs to a process of its own, as it belongs to the host in a cluster: killing the plugin
takes no mount away, closing the node takes all of them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import yaml
import zstandard
from nas import ADDRESS

from pdshub.archive.content import document
from pdshub.node._proto import csi_pb2 as csi
from pdshub.node._proto import csi_pb2_grpc as services
from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo
from pdshub.surveyor.content import step as read_content

PATIENCE = 900.0
"""Seconds for anything that has to happen by itself. An emulated machine with busy neighbours is slow: a NAS that does
not answer within the plugin's own 20 s is asked again later, and not one time only."""
_HOLD = 'mount --bind "$0" "$0"; mount --make-rshared "$0"; echo ready; exec sleep infinity'
_USER = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--no-new-privs", "--bounding-set=-all")


def eventually(what: str, check: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first true answer of ``check``; errors of the file system count as not yet."""
    deadline = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < deadline:
        try:
            last = check()
        except OSError as error:
            last = error
        else:
            if last:
                return last
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds:g} s; last: {last!r}")


def source(name: str, export: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "nfs": {"server": ADDRESS, "export": export}, **more}


def entry(path: str, *layers: str) -> dict[str, Any]:
    """A tree entry; a layer is written source:path."""
    pairs = [layer.partition(":") for layer in layers]
    return {"path": path, "layers": [{"source": s, "path": p or "."} for s, _, p in pairs]}


class Node:
    def __init__(self, folder: Path, options: tuple[str, ...] = ()) -> None:
        self.layout = Layout(folder / "kubelet")
        self.views = folder / "views"
        self.generations = folder / "generations"
        self._log = folder / "plugin.log"
        self._options, self._folder = options, folder
        self._generations: dict[str, int] = {}
        self._plugin: subprocess.Popen[bytes] | None = None
        self._pods = 0
        self._surveys = 0
        for path in (self.layout.kubelet, self.views, self.generations):
            path.mkdir(parents=True)
        rule = {"server": ADDRESS, "exports": ["/"], "runAs": ["1-65534", "users"]}
        (folder / "installation.yaml").write_text(yaml.safe_dump({"archive": {"allowed": [rule]}}))
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _HOLD, self.layout.kubelet],
            stdout=subprocess.PIPE,
        )
        if not self._holder.stdout or self._holder.stdout.readline() != b"ready\n":
            raise AssertionError("no mount namespace")

    # the plugin

    def start(self) -> None:
        """Start the plugin and wait until it answers."""
        command = [sys.executable, "-m", "pdshub.node.main", "--kubelet-dir", str(self.layout.kubelet)]
        command += ["--views-from", str(self.views), "--installation", str(self._folder / "installation.yaml")]
        # an emulated machine that gets a tenth of a processor needs seconds to start a probe
        command += ["--probe-seconds", "40"]
        command += ["--generations-from", str(self.generations)]
        command += ["--report-port", "0", "--node-name", "lab", *self._options]
        with self._log.open("ab") as log:
            self._plugin = subprocess.Popen(self.inside(*command), stdout=log, stderr=log)
        eventually("the plugin answers", self._answers)

    def _answers(self) -> bool:
        if self._plugin and self._plugin.poll() is not None:
            raise AssertionError(f"the plugin ended with {self._plugin.returncode}:\n{self.log()}")
        try:
            with self.channel() as channel:
                services.IdentityStub(channel).Probe(csi.ProbeRequest(), timeout=5)
        except grpc.RpcError:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, as if the node had run out of memory."""
        if self._plugin:
            self._plugin.kill()
            self._plugin.wait()

    def log(self) -> str:
        return self._log.read_text()

    def close(self) -> None:
        self.kill()
        self._holder.kill()
        self._holder.wait()

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        options = [("grpc.default_authority", "localhost")]
        with grpc.insecure_channel(f"unix://{self.layout.csi_socket}", options=options) as channel:
            yield channel

    # views and volumes

    def view(
        self,
        name: str,
        sources: list[dict[str, Any]],
        tree: list[dict[str, Any]],
        generation: str = "",
        content: str = "",
    ) -> None:
        """Create or change an ArchiveView; `generation` is released, and `content` travels with it."""
        self._generations[name] = self._generations.get(name, 0) + 1
        status: dict[str, Any] = {"generation": {"name": generation}} if generation else {}
        if content:
            status["generation"]["content"] = {"digest": content}
            status["surveyor"] = {"address": "127.0.0.1:1"}  # nobody asks there: generations come from a directory
        document = {
            "apiVersion": "pdshub.dev/v1alpha1",
            "kind": "ArchiveView",
            "metadata": {"name": name, "generation": self._generations[name]},
            "spec": {"sources": sources, "tree": tree},
            "status": status,
        }
        new = self.views / f".{name}.new"
        new.write_text(yaml.safe_dump(document))
        new.rename(self.views / f"{name}.yaml")

    def survey(self, name: str, roots: dict[str, Path], tree: list[dict[str, Any]]) -> str:
        """Make a generation of the sources' directories, as a surveyor does; answers its name."""
        self._surveys += 1
        work = self._folder / f"survey-{self._surveys}"
        sources = [{"name": source, "local": {"path": f"/{source}"}} for source in roots]
        spec = {"sources": sources, "tree": tree}
        view = self._folder / f"survey-{self._surveys}.yaml"
        view.write_text(yaml.safe_dump({"kind": "ArchiveView", "metadata": {"name": name}, "spec": spec}))
        given = [word for source, root in roots.items() for word in ("--source", f"{source}={root}")]
        for words in (
            ["plan", *given, "--view", view, "--out", work, "--settle", "0"],
            ["catalog", "--generation", work],
        ):
            command = [sys.executable, "-m", "pdshub.archive.main", *map(str, words)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        found = str(json.loads((work / "manifest.json").read_text())["generation"])
        place = self.generations / found.removeprefix("sha256:")
        if not place.exists():
            work.rename(place)
        return found

    def content(self, generation: str, roots: dict[str, Path], **rules: Any) -> str:
        """Read the files that travel with a generation, as a surveyor does; answers the digest of these."""
        place = self.generations / generation.removeprefix("sha256:")
        work, sources = self._folder / "content", self._folder / "content-sources"
        for path in (work, sources, self._folder / "none"):
            path.mkdir(exist_ok=True)
        for source, root in roots.items():
            with suppress(FileExistsError):
                (sources / source).symlink_to(root)
        task = {
            "generation": str(place), "generations": str(self._folder / "none"), "work": str(work), "rate": 0,
            "sources": str(sources), "store": str(self.generations), "budget": 1 << 30, "seconds": 600,
            "rules": {"labels": True, "maxFileSize": 0, "include": [], "exclude": [], **rules},
        }  # fmt: skip
        read_content(task, lambda text: None)
        found = document.parse((work / document.FILE).read_bytes())
        for image in found.images:
            packed = (work / "images" / f"{image.digest.removeprefix('sha256:')}.zst").read_bytes()
            (place / image.name).write_bytes(zstandard.decompress(packed))
        (work / document.FILE).replace(place / document.FILE)
        shutil.rmtree(work)
        return found.digest

    def target(self) -> Path:
        """Where the kubelet would ask for the volume of a new pod."""
        self._pods += 1
        pod = self.layout.kubelet / "pods" / f"pod-{self._pods}"
        target = pod / "volumes" / "kubernetes.io~csi" / "archive" / "mount"
        target.parent.mkdir(parents=True)
        return target

    def publish(self, view: str, target: Path | None = None) -> Path:
        target = target or self.target()
        mode = csi.VolumeCapability.AccessMode
        capability = csi.VolumeCapability(
            mount=csi.VolumeCapability.MountVolume(), access_mode=mode(mode=mode.MULTI_NODE_READER_ONLY)
        )
        request = csi.NodePublishVolumeRequest(
            volume_id=f"lab.{view}",
            target_path=str(target),
            volume_capability=capability,
            readonly=True,
            volume_context={"view": view},
        )
        with self.channel() as channel:
            services.NodeStub(channel).NodePublishVolume(request, timeout=60)
        return target

    def unpublish(self, view: str, target: Path) -> None:
        request = csi.NodeUnpublishVolumeRequest(volume_id=f"lab.{view}", target_path=str(target))
        with self.channel() as channel:
            services.NodeStub(channel).NodeUnpublishVolume(request, timeout=60)

    # what is to be seen

    def look(self, path: Path) -> Path:
        """``path`` as the node's processes see it."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def health(self, target: Path) -> dict[str, Any]:
        found = json.loads(self.look(target / ".pdshub/health.json").read_text())
        assert isinstance(found, dict)
        return found

    def told(self, target: Path) -> str:
        """What the kubelet is told of the volume's condition: the words for administrators."""
        request = csi.NodeGetVolumeStatsRequest(volume_id="lab", volume_path=str(target))
        with self.channel() as channel:
            answer = services.NodeStub(channel).NodeGetVolumeStats(request, timeout=60)
        return str(answer.volume_condition.message)

    def ready(self, target: Path) -> dict[str, Any]:
        """Wait until the view is complete; answers its health."""

        def check() -> dict[str, Any] | None:
            health = self.health(target)
            return health if health["ready"] else None

        try:
            found = eventually(f"{target} is ready", check)
        except AssertionError as error:
            with suppress(OSError):
                error.add_note(json.dumps(self.health(target)))
            error.add_note(self.log()[-3000:])
            raise
        assert isinstance(found, dict)
        return found

    def mounts(self) -> list[mountinfo.Mount]:
        """The node's mounts below the kubelet's directory (not that directory's own)."""
        found = mountinfo.read(f"/proc/{self._holder.pid}/mountinfo")
        return [m for m in found if m.point.startswith(f"{self.layout.kubelet}/")]

    # pods

    def inside(self, *argv: str) -> list[str]:
        """``argv`` as a process of the node."""
        return ["nsenter", f"--target={self._holder.pid}", "--mount", *argv]

    def pod(self, *argv: str) -> list[str]:
        """``argv`` as a container's process: a namespace that gets the node's mounts, an unprivileged user."""
        return self.inside("unshare", "--mount", "--propagation", "slave", *_USER, *argv)

    def in_pod(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.pod(*argv), capture_output=True, text=True, timeout=120)
