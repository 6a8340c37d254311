"""Image archives written directly: for an image that is one binary, no engine is needed to build it.

The format is that of ``docker save``: layers, one configuration per image, and manifest.json. docker, podman
and containerd all read it, and several images in one archive share their layers.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EPOCH = "2025-01-01T00:00:00Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """An image: its names, its layers (uncompressed tar files, lowest first) and what it runs."""

    refs: tuple[str, ...]
    layers: tuple[Path, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    stop_signal: str = ""


def file_layer(files: Mapping[str, Path], out: Path) -> Path:
    """A layer with ``files`` (path in the image -> source), owned by root; equal files give an equal layer."""
    with tarfile.open(out, "w") as tar:
        for name, source in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = source.stat().st_size
            info.mode = 0o755 if os.access(source, os.X_OK) else 0o644
            with source.open("rb") as f:
                tar.addfile(info, f)
    return out


def config(image: Image, diff_ids: Sequence[str]) -> dict[str, object]:
    """The image's configuration document."""
    settings: dict[str, object] = {"Env": [PATH, *image.env]}
    if image.entrypoint:
        settings["Entrypoint"] = list(image.entrypoint)
    if image.command:
        settings["Cmd"] = list(image.command)
    if image.stop_signal:
        settings["StopSignal"] = image.stop_signal
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    return {
        "architecture": machine,
        "os": "linux",
        "created": EPOCH,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{d}" for d in diff_ids]},
        "history": [{"created": EPOCH, "created_by": "hack/up"} for _ in diff_ids],
    }


def write_archive(images: Sequence[Image], out: Path) -> None:
    """Write ``images`` into one archive; a layer that several have is in it once."""
    digests: dict[Path, str] = {}
    for layer in dict.fromkeys(p for i in images for p in i.layers):
        with layer.open("rb") as f:
            digests[layer] = hashlib.file_digest(f, "sha256").hexdigest()
    manifest = []
    with tarfile.open(out, "w") as tar:
        for layer, sha in digests.items():
            tar.add(layer, f"{sha}.tar", recursive=False)
        for image in images:
            text = json.dumps(config(image, [digests[p] for p in image.layers]), sort_keys=True).encode()
            name = f"{hashlib.sha256(text).hexdigest()}.json"
            if name not in tar.getnames():
                _add(tar, name, text)
            layers = [f"{digests[p]}.tar" for p in image.layers]
            manifest.append({"Config": name, "RepoTags": list(image.refs), "Layers": layers})
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))
