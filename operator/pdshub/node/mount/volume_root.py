"""The small directory that is a pod's /archive: mount points, and plain files that say how the archive is.

One tmpfs per view and node, writable only here; each target gets a read-only copy of the mount in a
propagation group of its own, so that what is mounted in one target is seen by its pods and by no other.
Everything in here is on tmpfs: no call can hang.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pdshub.files import write_text
from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo, syscalls

log = logging.getLogger(__name__)
_making = threading.Lock()

UNAVAILABLE = "ARCHIVE-UNAVAILABLE.txt"
GENERATION = ".pdshub/generation.json"
#: What generation.json is a link into. A target that does not show what the others do has a folder of GENERATIONS
#: mounted here: all targets are one tmpfs, and a file that is a mount point could not be replaced.
SHOWN, GENERATIONS = ".pdshub/.shown", ".pdshub/.generations"


def label(view: str) -> str:
    """The tmpfs' source in the mount table: how a root and its targets are recognised."""
    return f"pdshub:{view}"


def is_volume_root(mount: mountinfo.Mount, view: str | None = None) -> bool:
    """Whether a mount is a view's volume root or a target's copy of it; of `view`, where it is given."""
    if mount.fstype != "tmpfs" or mount.root != "/":
        return False
    return mount.source == label(view) if view else mount.source.startswith("pdshub:")


def targets(mounts: Iterable[mountinfo.Mount], layout: Layout) -> dict[str, str]:
    """Published targets and their views, from the mount table alone: a restart forgets nothing."""
    plugin = f"{layout.plugin}/"
    inside = f"{layout.kubelet}/"
    return {
        mount.point: mount.source.removeprefix("pdshub:")
        for mount in mounts
        if is_volume_root(mount) and mount.point.startswith(inside) and not mount.point.startswith(plugin)
    }


def ensure(layout: Layout, view: str) -> Path:
    """The view's root, mounted. One that was lost is taken back from a target that still shows it.

    Called by a publish and by the reconciler, in threads: of two that find none, only one may make it, or targets
    would show a tmpfs of their own, into which nothing is ever mounted.
    """
    with _making:
        return _ensure(layout, view)


def _ensure(layout: Layout, view: str) -> Path:
    path = layout.volume_root(view)
    mounts = mountinfo.read()
    shown = [point for point, of in targets(mounts, layout).items() if of == view]
    known = {mount.content for point in shown if (mount := mountinfo.top(mounts, point))}
    for present in reversed(mountinfo.stack(mounts, str(path))):
        if not is_volume_root(present, view):
            raise OSError(errno.EEXIST, f"{path} is a mount of {present.source}, not PDSHub's")
        if not known or present.content in known:
            return path
        log.warning("view %s: its root is one that no target shows; it is taken away", view)
        syscalls.umount(str(path), lazy=True)
    path.mkdir(parents=True, exist_ok=True)
    if shown:
        copy = syscalls.clone(shown[0])
        syscalls.set_attributes(copy, clear=syscalls.ATTR_RDONLY, propagation=syscalls.MS_PRIVATE)
    else:
        options = [("source", label(view)), ("size", "4m"), ("nr_inodes", "4k"), ("mode", "0755")]
        copy = syscalls.new_filesystem(
            "tmpfs", options, syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV | syscalls.ATTR_NOEXEC
        )
    try:
        syscalls.attach(copy, str(path))
    finally:
        os.close(copy)
    return path


def publish(layout: Layout, view: str, target: str) -> None:
    """Show the root at `target`, read-only, as a shared mount with no peers but the host's own copy."""
    copy = syscalls.clone(str(layout.volume_root(view)))
    try:
        syscalls.set_attributes(copy, add=syscalls.SAFE, propagation=syscalls.MS_PRIVATE)
        syscalls.set_attributes(copy, propagation=syscalls.MS_SHARED)
        syscalls.attach(copy, target)
    finally:
        os.close(copy)


def unpublish(target: str) -> None:
    """Take the target with all below it away and remove its directory. Idempotent; never waits for a NAS."""
    for _ in range(64):
        if mountinfo.top(mountinfo.read(), target) is None:
            break
        with suppress(FileNotFoundError):
            syscalls.umount(target, lazy=True)
    with suppress(FileNotFoundError):
        Path(target).rmdir()


def write(path: Path, text: str) -> None:
    """Write a file at once, and only if it says something new."""
    try:
        if path.read_text() == text:
            return
    except OSError:
        pass
    write_text(path, text, durable=False, mode=0o644)


def arrange(root: Path, points: Collection[str], view: Any, health: Any, unavailable: str) -> None:
    """Directories for the mount points, the two JSON files, and the notice while something is missing."""
    notes = root / ".pdshub"
    notes.mkdir(exist_ok=True)
    for point in points:
        (root / point).mkdir(parents=True, exist_ok=True)
    _prune(root, root, {"/".join(point.split("/")[: i + 1]) for point in points for i in range(point.count("/") + 1)})
    write(notes / "view.json", json.dumps(view, indent=1) + "\n")
    write(notes / "health.json", json.dumps(health, indent=1) + "\n")
    if unavailable:
        write(root / UNAVAILABLE, unavailable)
    else:
        (root / UNAVAILABLE).unlink(missing_ok=True)


def say_generation(root: Path, current: Any, others: Mapping[str, Any]) -> None:
    """generation.json, and the same for what some targets show instead (by the folder's name below GENERATIONS)."""
    (root / SHOWN).mkdir(parents=True, exist_ok=True)
    (root / GENERATIONS).mkdir(exist_ok=True)
    write(root / SHOWN / "generation.json", json.dumps(current, indent=1) + "\n")
    if not (root / GENERATION).is_symlink():
        (root / GENERATION).symlink_to(f"{Path(SHOWN).name}/generation.json")
    for name, document in others.items():
        (root / GENERATIONS / name).mkdir(exist_ok=True)
        write(root / GENERATIONS / name / "generation.json", json.dumps(document, indent=1) + "\n")
    for path in (root / GENERATIONS).iterdir():
        if path.name not in others:
            for file in path.iterdir():
                file.unlink()
            path.rmdir()


def _prune(top: Path, directory: Path, keep: Collection[str]) -> None:
    """Remove mount points of former specs, unless something is still mounted on them (EBUSY)."""
    for path in sorted(directory.iterdir()):
        name = str(path.relative_to(top))
        if name == ".pdshub" or not path.is_dir() or path.is_symlink():
            continue
        _prune(top, path, keep)
        if name not in keep:
            with suppress(OSError):
                path.rmdir()
