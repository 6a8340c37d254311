"""The node's image store, filled once per set of images.

A fresh kind node would have to import and unpack every image of the project again: 2.5 GB read, hashed, and written
twice, most of a minute. So containerd's folder is prepared beside the cluster and kept in the cache; a new node gets
a copy of it made of hard links, in seconds. That is safe because containerd never writes into a blob or a committed
snapshot, it only removes them; its databases are copied for real.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from .app_images import IN_CLUSTER, archive_name
from .artefact import Artefact, digest, files_digest
from .engine import Engine
from .machine import unmount_below
from .node_image import KUBE_ROUTER_IMAGE, LOCAL_PATH_IMAGE
from .run import run
from .settings import Paths

FOLDER = "containerd"

# $1: what the images of the project are called; the rest: archives to import. Images of the same names that were
# cloned from an older store go first, so that the store does not grow with every change.
FILL = r"""
mkdir -p /store/containerd
[ -e /store/seeded ] || { cp -a /var/lib/containerd/. /store/containerd/; touch /store/seeded; }
mount --bind /store/containerd /var/lib/containerd
containerd >/tmp/containerd.log 2>&1 & pid=$!
for i in $(seq 120); do ctr version >/dev/null 2>&1 && break; sleep 0.25; done
wanted=$1; shift
for ref in $(ctr -n k8s.io images ls -q | grep ^localhost/pdshub/); do
  case " $wanted " in *" $ref "*) ;; *) ctr -n k8s.io images rm --sync "$ref" ;; esac
done
for archive in "$@"; do ctr -n k8s.io images import --all-platforms "$archive"; done
kill $pid; wait $pid || true
umount /var/lib/containerd
"""


def store(
    paths: Paths, engine: Engine, node_ref: str, control_plane: Path | None, images: Mapping[str, str]
) -> Artefact:
    """``containerd``: the store of a node made of ``node_ref``, with ``images`` (name -> reference) in it.

    ``control_plane`` is the folder with the archive of kubeadm's images if they were built here: unpacking them
    beforehand saves time too.
    """
    mine = {n: r for n, r in images.items() if n in IN_CLUSTER}
    script = files_digest([Path(__file__)])
    key = digest([node_ref, script, *(f"{n}={r}" for n, r in sorted(mine.items()))])

    def build(work: Path) -> None:
        previous = newest(work.parent, node_ref)
        have: set[str] = set()
        if previous:
            clone(previous / FOLDER, work / FOLDER)
            (work / "seeded").touch()
            have = set((previous / "images").read_text().split())
        archives = [f"/pdshub-images/{archive_name(n, r)}" for n, r in mine.items() if r not in have]
        mounts = ["-v", f"{work}:/store", "-v", f"{paths.images}:/pdshub-images:ro"]
        if control_plane and not previous:
            mounts += ["-v", f"{control_plane}:/control-plane:ro"]
            archives.insert(0, "/control-plane/images.tar")
        name = f"pdshub-store-{paths.cluster_name}"
        engine.remove(name)
        try:
            engine.run(
                *("run", "-d", "--name", name, "--privileged", "--network", "none", *mounts),
                *("--entrypoint", "sleep", node_ref, "infinity"),
            )
            kept = " ".join([*mine.values(), KUBE_ROUTER_IMAGE, LOCAL_PATH_IMAGE])
            engine.run("exec", name, "bash", "-euc", FILL, "fill", kept, *archives)
        finally:
            engine.remove(name)
            unmount_below(work)
        (work / "images").write_text("\n".join(mine.values()) + "\n")
        (work / "node").write_text(node_ref)

    return Artefact("node-store", key, build, keep=1)


def newest(stores: Path, node_ref: str) -> Path | None:
    """The last finished store of the same node image."""
    done = [
        p
        for p in stores.iterdir()
        if not p.name.startswith(".") and (p / "node").exists() and (p / "node").read_text() == node_ref
    ]
    return max(done, key=lambda p: p.stat().st_mtime, default=None)


def clone(source: Path, target: Path) -> None:
    """Copy a store that nobody has open: files as hard links, databases as files of their own."""
    if target.exists():
        unmount_below(target)
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "-al", source, target])
    for database in target.glob("*/*.db"):
        own = database.with_suffix(".own")
        shutil.copy2(database, own)
        own.replace(database)
