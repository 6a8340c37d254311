"""Loading an image into the node of which most layers are there already: only the others are packed and read.

podman writes images as OCI layouts and leaves out the layers whose files are there already. So it is given a layout in
which the node's layers stand as empty files of the right size, and what it adds is all that the node needs: containerd
has the other layers by the same digests (OCI Image Format, "Image Layout": blobs are named by their digest).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from .cluster import NODE_IMAGES
from .engine import Engine
from .run import run
from .settings import Paths

CONTENT = "/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256"
"""Where containerd keeps blobs on the node."""
FOLDER = "thin"


def sizes(listed: str) -> dict[str, int]:
    """Digest (hexadecimal) -> bytes, of lines ``DIGEST SIZE``."""
    pairs = (line.split() for line in listed.splitlines() if line.strip())
    return {name: int(size) for name, size in pairs}


def load(paths: Paths, engine: Engine, ref: str) -> int:
    """Import podman's image ``ref`` into the node; returns the bytes that were packed for it. Raises StepFailed."""
    node = paths.node_container
    have = sizes(engine.output("exec", node, "find", CONTENT, "-type", "f", "-printf", "%f %s\\n"))
    diff_ids = json.loads(engine.output("image", "inspect", ref))[0]["RootFS"]["Layers"]
    work, name = paths.cache / f".thin-{paths.cluster_name}", f"{FOLDER}-{paths.cluster_name}.tar"
    shutil.rmtree(work, ignore_errors=True)
    try:
        there = prepare(work, [d.removeprefix("sha256:") for d in diff_ids], have)
        engine.run("push", "--quiet", ref, f"oci:{work}:{ref}")
        paths.images.mkdir(parents=True, exist_ok=True)
        unpack_layers(work, [d.removeprefix("sha256:") for d in diff_ids])
        packed = pack(work, ref, there, paths.images / name)
        argv = ["exec", node, "ctr", "-n", "k8s.io", "images", "import", "--all-platforms", f"{NODE_IMAGES}/{name}"]
        run([engine.name, *argv], env=engine.env)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        (paths.images / name).unlink(missing_ok=True)
    return packed


def prepare(work: Path, layers: list[str], have: Mapping[str, int]) -> set[str]:
    """Make a layout's folder with an empty file of the right size for each layer that the node has; those layers."""
    blobs = work / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    there = {d for d in layers if d in have}
    for layer in there:
        (blobs / layer).touch()
        os.truncate(blobs / layer, have[layer])  # takes no room on the disk
    return there


def unpack_layers(work: Path, layers: list[str]) -> None:
    """Replace compressed layers of the layout's only manifest by what is in them: ``layers``, by their own digests.

    An archive of hack/up has them so too. Compressed they would be other blobs, which the next image doesn't share.
    """
    blobs = work / "blobs" / "sha256"
    index = json.loads((work / "index.json").read_text())
    (entry,) = index["manifests"]
    old = blobs / entry["digest"].removeprefix("sha256:")
    manifest = json.loads(old.read_text())
    for layer, diff_id in zip(manifest["layers"], layers, strict=True):
        if layer["mediaType"].endswith("+gzip"):
            packed = blobs / layer["digest"].removeprefix("sha256:")
            with gzip.open(packed) as source, (blobs / diff_id).open("wb") as target:
                shutil.copyfileobj(source, target)
            packed.unlink()
            layer["mediaType"] = layer["mediaType"].removesuffix("+gzip")
        layer |= {"digest": f"sha256:{diff_id}", "size": (blobs / diff_id).stat().st_size}
    text = json.dumps(manifest).encode()
    old.unlink()
    name = hashlib.sha256(text).hexdigest()
    (blobs / name).write_bytes(text)
    entry |= {"digest": f"sha256:{name}", "size": len(text)}
    (work / "index.json").write_text(json.dumps(index))


def pack(work: Path, ref: str, there: set[str], out: Path) -> int:
    """Write the layout at ``work`` to the archive ``out`` without the layers ``there``; returns the archive's bytes.

    The image is named ``ref`` by an annotation of containerd's, which otherwise puts a name of its own before it.
    """
    index = json.loads((work / "index.json").read_text())
    for manifest in index["manifests"]:
        manifest.setdefault("annotations", {})["io.containerd.image.name"] = ref
    (work / "index.json").write_text(json.dumps(index))
    with tarfile.open(out, "w") as tar:
        for file in sorted(p for p in work.rglob("*") if p.is_file() and p.name not in there):
            tar.add(file, str(file.relative_to(work)), recursive=False)
    return out.stat().st_size
