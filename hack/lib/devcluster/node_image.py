"""The kind node image, built from Debian packages and Go modules where no registry has one.

The steps are those of kind's own images/base/Dockerfile; the files it copies in come from kind's module.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from . import golang
from .artefact import Artefact, digest, files_digest
from .engine import Engine
from .machine import debian_mirror, debootstrap, install_packages, unmount_below
from .oci import Image, file_layer, write_archive
from .run import StepFailed, output, run
from .settings import (
    COREDNS_IMAGE_TAG,
    ETCD_IMAGE_TAG,
    KIND,
    KUBERNETES,
    NODE_SUITE,
    PAUSE_IMAGE_TAG,
    ROOT,
    Paths,
)

KIND_FILES = ROOT / "hack" / "kind"
ENTRYPOINT = ("/usr/local/bin/entrypoint", "/sbin/init")
KUBE_ROUTER_IMAGE = "localhost/pdshub/kube-router:node"
LOCAL_PATH_IMAGE = "localhost/pdshub/local-path:node"

BASE_PACKAGES = ("iptables", "nftables", "ipset", "iproute2", "conntrack", "kmod", "procps")
"""What kube-proxy and kube-router call."""
NODE_PACKAGES = (
    *("systemd", "ethtool", "util-linux", "mount", "libseccomp2", "pigz", "nfs-common", "e2fsprogs", "bash"),
    *("ca-certificates", "curl", "jq", "containerd", "runc", "containernetworking-plugins", "socat", "fuse3"),
    *BASE_PACKAGES,
)

# What kind's Dockerfile does inside the image. Service files of the distribution that make no sense in a
# container go; kubelet and containerd are enabled; pods get kind's hook that hides the host's product files.
SETUP = r"""
rm -f /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
  /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
  /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
  /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >> /etc/systemd/journald.conf
ln -sf /usr/lib/systemd/systemd /sbin/init
systemctl -q enable kubelet.service containerd.service undo-mount-hacks.service
systemctl -q mask systemd-binfmt.service
mkdir -p /etc/kubernetes/manifests /opt/cni/bin
cp /usr/lib/cni/* /opt/cni/bin/
ctr oci spec | jq '.hooks.createContainer[.hooks.createContainer|length] |= . +
  {"path": "/kind/bin/mount-product-files.sh"} | del(.process.rlimits)' > /etc/containerd/cri-base.json
rm -rf /var/cache/apt/* /var/lib/apt/lists/* /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
"""


def _own() -> str:
    return files_digest([Path(__file__)])


def rootfs(paths: Paths) -> Artefact:
    """``root.tar``: Debian with what a node needs, set up as kind wants it, without Kubernetes."""

    def build(work: Path) -> None:
        install_packages(["tar"])
        root = work / "root"
        try:
            debootstrap(root, NODE_SUITE, NODE_PACKAGES)
            _set_up(paths, root)
            run(["tar", "--numeric-owner", "--sort=name", "-C", root, "-cf", work / "root.tar", "."])
        finally:
            unmount_below(root)
        shutil.rmtree(root)

    inputs = [SETUP, repr(NODE_PACKAGES), NODE_SUITE, KIND, PAUSE_IMAGE_TAG, debian_mirror()]
    return Artefact("node-rootfs", digest(inputs), build)


def _set_up(paths: Paths, root: Path) -> None:
    source = golang.module_dir(paths, f"sigs.k8s.io/kind@v{KIND}") / "images" / "base" / "files"
    run(["cp", "-r", f"{source}/.", f"{root}/"])
    run(["chmod", "-R", "u+w", root / "etc", root / "kind", root / "usr/local/bin"])
    scripts = [*(root / "kind/bin").iterdir(), *(root / "usr/local/bin").iterdir()]
    for path in (root / "kind", root / "kind/bin", *scripts):
        path.chmod(0o755)
    _replace(root / "etc/systemd/system/containerd.service", "/usr/local/bin/containerd", "/usr/bin/containerd")
    (root / "lib/systemd/system/containerd.service").unlink(missing_ok=True)
    config = root / "etc/containerd/config.toml"
    # without CAP_SYS_RESOURCE on the host no process may lower its oom_score_adj
    _replace(config, "restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
    _replace(config, 'pause:3.10"', f'pause:{PAUSE_IMAGE_TAG}"')
    run(["chroot", root, "/bin/bash", "-euc", SETUP])


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    if old not in text and new not in text:
        raise StepFailed(f"kind {KIND}: {file.name} has no {old!r} any more; adapt node_image.py")
    file.write_text(text.replace(old, new))


def small_base() -> Artefact:
    """``root.tar``: a small Debian for kube-proxy, kube-router and the volume helper."""

    def build(work: Path) -> None:
        root = work / "root"
        try:
            debootstrap(root, NODE_SUITE, BASE_PACKAGES)
            for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
                shutil.rmtree(root / waste, ignore_errors=True)
            run(["tar", "--numeric-owner", "--sort=name", "-C", root, "-cf", work / "root.tar", "."])
        finally:
            unmount_below(root)
        shutil.rmtree(root)

    return Artefact("node-small-base", digest([repr(BASE_PACKAGES), NODE_SUITE, debian_mirror()]), build)


def control_plane(paths: Paths) -> Artefact:
    """``images.tar``: every image that kubeadm names, kube-router, and the volume provisioner."""
    names = ("kubernetes", "etcd", "coredns", "pause", "kube-router", "local-path-provisioner")
    tools = {n: golang.tool(paths, n) for n in names}
    base = small_base()

    def build(work: Path) -> None:
        root = base.ensure(paths)[0] / "root.tar"

        def layer(name: str, command: str = "") -> Path:
            binary = golang.program(paths, name, command)
            return file_layer({f"usr/local/bin/{binary.name}": binary}, work / f"{binary.name}.tar")

        def kubernetes(command: str, *below: Path) -> Image:
            layers = (*below, layer("kubernetes", command))
            return Image((f"registry.k8s.io/{command}:v{KUBERNETES}",), layers)

        def single(ref: str, name: str, *below: Path) -> Image:
            return Image((ref,), (*below, layer(name)), entrypoint=(f"/usr/local/bin/{name}",))

        images = [
            kubernetes("kube-apiserver"),
            kubernetes("kube-controller-manager"),
            kubernetes("kube-scheduler"),
            kubernetes("kube-proxy", root),
            Image((f"registry.k8s.io/etcd:{ETCD_IMAGE_TAG}",), (layer("etcd"),)),
            single(f"registry.k8s.io/coredns/coredns:{COREDNS_IMAGE_TAG}", "coredns"),
            single(f"registry.k8s.io/pause:{PAUSE_IMAGE_TAG}", "pause"),
            single(KUBE_ROUTER_IMAGE, "kube-router", root),
            Image((LOCAL_PATH_IMAGE,), (root, layer("local-path-provisioner"))),
        ]
        write_archive(images, work / "images.tar")
        for file in work.glob("*.tar"):
            if file.name != "images.tar":
                file.unlink()

    parts = [base.key, *(t.key for t in tools.values()), _own(), files_digest([Path(__file__).parent / "oci.py"])]
    return Artefact("control-plane-images", digest(parts), build)


def node_image(paths: Paths, engine: Engine) -> Artefact:
    """``ref``: the name of the node image, which is in the engine and as ``node.tar`` beside it."""
    root, images = rootfs(paths), control_plane(paths)
    kubernetes = golang.tool(paths, "kubernetes")
    own_files = {
        "kind/10-pdshub.conflist": KIND_FILES / "10-pdshub.conflist",
        "kind/manifests/default-storage.yaml": KIND_FILES / "storage.yaml",
    }
    key = digest([root.key, images.key, kubernetes.key, files_digest(own_files.values()), _own()])
    ref = f"localhost/pdshub/node:{key}"

    def build(work: Path) -> None:
        version = work / "version"
        version.write_text(f"v{KUBERNETES}\n")
        files = {"kind/version": version, **own_files}
        files |= {f"usr/bin/{c}": golang.program(paths, "kubernetes", c) for c in ("kubelet", "kubeadm", "kubectl")}
        layers = (root.ensure(paths)[0] / "root.tar", file_layer(files, work / "files.tar"))
        base = Image(
            (f"localhost/pdshub/node-base:{key}",),
            layers,
            entrypoint=ENTRYPOINT,
            env=("container=docker",),
            stop_signal="SIGRTMIN+3",
        )
        write_archive([base], work / "base.tar")
        engine.run("load", "-i", work / "base.tar")
        _bake(engine, base.refs[0], images.ensure(paths)[0], ref)
        engine.run("save", "-o", work / "node.tar", ref)
        engine.ok("rmi", base.refs[0])
        (work / "base.tar").unlink()
        (work / "files.tar").unlink()
        version.unlink()
        (work / "ref").write_text(ref)

    return Artefact("node-image", key, build)


def _bake(engine: Engine, base: str, images: Path, ref: str) -> None:
    """Import the images of the archive in ``images`` into containerd's store of ``base``; commit as ``ref``."""
    name = "pdshub-bake"
    engine.ok("rm", "-f", name)
    mount = f"{images}:/pdshub-images:ro"
    engine.run("run", "-d", "--name", name, "--privileged", "-v", mount, "--entrypoint", "sleep", base, "infinity")
    script = r"""
      containerd >/tmp/containerd.log 2>&1 & pid=$!
      for i in $(seq 60); do ctr version >/dev/null 2>&1 && break; sleep 0.5; done
      ctr -n k8s.io images import --all-platforms --no-unpack /pdshub-images/images.tar
      kill $pid; wait $pid || true; rm -rf /run/containerd /tmp/containerd.log"""
    try:
        engine.run("exec", name, "bash", "-euc", script)
        engine.run("stop", "-t", "0", name)
        changes = ["--change", f'ENTRYPOINT ["{ENTRYPOINT[0]}","{ENTRYPOINT[1]}"]']
        engine.run("commit", *changes, name, ref)
    finally:
        engine.ok("rm", "-f", name)


def ensure_node_image(paths: Paths, engine: Engine) -> tuple[str, bool]:
    """The node image's name, present in the engine, and whether it had to be built."""
    folder, built = node_image(paths, engine).ensure(paths)
    ref = (folder / "ref").read_text()
    if not engine.has_image(ref):
        engine.run("load", "-i", folder / "node.tar")
    return ref, built


def kubeadm_images(paths: Paths) -> list[str]:
    """What kubeadm itself lists; a test holds control_plane against it."""
    kubeadm = golang.program(paths, "kubernetes", "kubeadm")
    return output([kubeadm, "config", "images", "list", f"--kubernetes-version=v{KUBERNETES}"]).split()
