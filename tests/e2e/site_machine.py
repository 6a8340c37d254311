"""Bare machines for tests of ansible/: Debian with systemd and Python, in containers beside the cluster's node.

They are made as hack/lib/devcluster makes its node: debootstrap, and what kind adds so that a container can be a
machine (its entrypoint and hooks). Nothing of Kubernetes, containerd or Apache is in them: Ansible brings that.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from devcluster import build_settings, golang
from devcluster.artefact import Artefact, digest, files_digest
from devcluster.engine import LABEL, NETWORK, Engine
from devcluster.machine import debian_mirror, debootstrap, unmount_below
from devcluster.oci import Image, write_archive
from devcluster.run import output, run
from devcluster.settings import KIND, NODE_SUITE, Paths

PACKAGES = (
    *("systemd", "systemd-sysv", "mount", "util-linux", "procps", "kmod", "iproute2", "iptables", "bash", "jq"),
    *("ca-certificates", "python3", "python3-apt"),
)
"""What an installed Debian has, and what kind's entrypoint calls."""
FROM_KIND = (
    "kind",
    "usr/local/bin/entrypoint",
    "etc/sysctl.d",
    "etc/default/kubelet",
    "etc/systemd/system/undo-mount-hacks.service",
    "etc/systemd/system/kubelet.slice",
    "etc/systemd/system/kubelet.service.d/11-kind.conf",
)
"""kind's files that make a container a machine; none of them starts anything of Kubernetes."""
SLICE = "[Service]\nSlice=kubelet.slice\n"
SET_UP = r"""
rm -f /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
  /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
  /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
  /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >> /etc/systemd/journald.conf
systemctl -q enable undo-mount-hacks.service
systemctl -q mask systemd-binfmt.service
rm -rf /var/cache/apt/* /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/*
"""
ENTRYPOINT = ("/usr/local/bin/entrypoint", "/sbin/init")


def image(paths: Paths) -> Artefact:
    """``image.tar`` of such a machine, and ``ref``, its name."""
    proxies = build_settings.apt_conf(output(["apt-config", "dump", "Acquire"]))
    made_of = [
        *PACKAGES,
        *FROM_KIND,
        SLICE,
        SET_UP,
        NODE_SUITE,
        KIND,
        debian_mirror(),
        proxies,
        files_digest([Path(__file__)]),
    ]
    key = digest(made_of)

    def build(work: Path) -> None:
        root = work / "root"
        source = golang.module_dir(paths, f"sigs.k8s.io/kind@v{KIND}") / "images/base/files"
        try:
            debootstrap(root, NODE_SUITE, PACKAGES)
            for name in FROM_KIND:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                run(["cp", "-r", "--no-preserve=mode", source / name, (root / name).parent])
            for script in (*(root / "kind/bin").iterdir(), root / "usr/local/bin/entrypoint"):
                script.chmod(0o755)
            (root / "etc/systemd/system/kubelet.service.d/12-slice.conf").write_text(SLICE)
            if proxies:
                (root / "etc/apt/apt.conf.d/90proxies").write_text(proxies)
            run(["chroot", root, "/bin/bash", "-euc", SET_UP])
            run(["tar", "--numeric-owner", "--sort=name", "-C", root, "-cf", work / "root.tar", "."])
        finally:
            unmount_below(root)
        shutil.rmtree(root)
        ref = f"localhost/pdshub/site-machine:{key}"
        layers = (work / "root.tar",)
        made = Image((ref,), layers, entrypoint=ENTRYPOINT, env=("container=docker",), stop_signal="SIGRTMIN+3")
        write_archive([made], work / "image.tar")
        (work / "root.tar").unlink()
        (work / "ref").write_text(ref)

    return Artefact("site-machine", key, build)


@dataclass(frozen=True)
class Machine:
    """A running one."""

    engine: Engine
    name: str
    address: str

    def run(self, *words: str, timeout: float = 300) -> str:
        """What a command prints there, with the cluster of that machine where it has one."""
        settings = ("env", "KUBECONFIG=/etc/kubernetes/admin.conf")
        return self.engine.output("exec", self.name, *settings, *words, timeout=timeout)


def start(paths: Paths, engine: Engine, name: str, *mounts: str) -> Machine:
    """A new machine of this name; one that a killed run left goes before."""
    folder, _ = image(paths).ensure(paths)
    ref = (folder / "ref").read_text()
    if not engine.has_image(ref):
        engine.run("load", "-i", folder / "image.tar", timeout=600)
    remove(engine, name)
    options = "" if engine.name == "docker" else ":suid,exec,dev"
    docker = ("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--init=false")
    engine.run(
        *("run", "--detach", "--tty", "--name", name, "--hostname", name, "--net", NETWORK, "--label", LABEL),
        *("-e", f"container={engine.name}", "--cgroupns=private", "--privileged"),
        *(docker if engine.name == "docker" else ()),
        *("--tmpfs", "/tmp", "--tmpfs", "/run"),
        *("--volume", f"{name}-var:/var{options}", "--volume", "/lib/modules:/lib/modules:ro"),
        *(word for mount in mounts for word in ("--volume", mount)),
        ref,
    )
    state = json.loads(engine.output("container", "inspect", name))[0]
    address = state["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    machine = Machine(engine, name, address)
    until = time.monotonic() + 180
    while True:
        # "degraded" is a machine that runs, less a unit that makes no sense in a container
        said = engine.ok("exec", name, "sh", "-c", "systemctl is-system-running | grep -qE 'running|degraded'")
        if said:
            return machine
        if time.monotonic() > until:
            raise AssertionError(f"{name} does not start:\n{engine.output('logs', name)[-4000:]}")
        time.sleep(1)


def remove(engine: Engine, name: str) -> None:
    """Take it away, with its disk."""
    engine.remove(name, timeout=180)
    engine.ok("volume", "rm", "-f", f"{name}-var")
