"""Mount a generation's catalog: EROFS images joined with the sources by overlayfs. Runs in the worker.

What the kernel can do is found by trying, the best first: an image straight from its file (Linux >= 6.12) or through
a loop device; data-only layers by `datadir+` (6.8), by `::` in the option string (6.5), or as ordinary layers. The
last shows the same, because nothing of a source merges with the catalog's top folder, but `stat` asks the source.

Only copies are ever attached to targets. The images and parts are mounted below the entry's folder for as long as
this takes: overlayfs keeps mounts of its own. Packs (node/pack) come before the sources: what a catalog says is in them
is found there, and nothing else is.

What a source's files were when they were opened is remembered for as long as the catalog is mounted: overlayfs asks
for the blocks of each file whose data it has looked up once, so a `stat` would go to the NAS, and wait for one that
hangs. Each catalog therefore has a file system of its own of each source, which nothing else is read through
(docs/decisions/0010-a-nas-that-hangs.md).
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

from pdshub.node.layout import KEPT
from pdshub.node.mount import distance, mountinfo, syscalls, targets
from pdshub.node.mount.broken_layer import broken_layer
from pdshub.node.mount.loop import loop_device
from pdshub.node.mount.reader import acting

CATALOG, MERGED = "catalog", "catalog-merged"
MOUNT = "mnt"  # in the entry's folder
LABEL = "pdshub-generation:"  # before the generation's digits: a catalog's source in the mount table
COVER = ":cover"  # behind them: without a source that is away, over the same catalog that has it
#: nfs(5): attributes are asked for at each open, and else once in a week. Names that are not there are asked for
#: always: a file that was away for a moment is the generation's again when it is back.
KEPT_OPTIONS = "actimeo=604800,lookupcache=positive"
_OPTIONS: tuple[tuple[str, str | None], ...] = (("ro", None), ("metacopy", "on"), ("redirect_dir", "on"))
_FLAGS = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOATIME
_REFUSED = (errno.EINVAL, errno.ENOSYS, errno.ENOTBLK, errno.EOPNOTSUPP)


class MountNfs(Protocol):
    """worker.mount_nfs."""

    def __call__(
        self, *, server: str, export: str, port: int, version: str, point: str, device: str, more: str,
        read_ahead: int, connections: int,
    ) -> None:  # fmt: skip
        """Mount an export at `point`. Raises OSError."""


class Layer:
    """A source's directory as a data layer: opened as its user. `path` is None while the source is away."""

    def __init__(self, raw: dict[str, Any], stack: ExitStack, place: str, mount_nfs: MountNfs) -> None:
        """`place`: a directory for a mount of the source. Raises OSError."""
        self.source: str = raw["source"]
        self.run_as: tuple[int, int] | None = tuple(raw["runAs"]) if raw.get("runAs") else None
        self.path: str | None = None
        if raw["identity"]:
            directory = self._open(raw["base"], raw["path"], stack)
            found = os.fstat(directory)
            if f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}:{found.st_ino}" != raw["identity"]:
                raise OSError(errno.ESTALE, f"{raw['path']} changed while it was mounted")
            base = _kept(raw["base"], raw.get("nfs"), place, mount_nfs)
            # a helper that was not restarted at an upgrade has no such name
            if base != raw["base"] and (base == place or Path(base).is_dir()):
                directory = self._open(base, raw["path"], stack)
                if os.fstat(directory).st_ino != found.st_ino:
                    raise OSError(errno.ESTALE, f"{raw['path']} changed while it was mounted")
            self.path = f"/proc/self/fd/{directory}"

    def _open(self, base: str, path: str, stack: ExitStack) -> int:
        top = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, top)
        with acting(self.run_as):
            directory = syscalls.open_beneath(top, path)
        stack.callback(os.close, directory)
        return directory


def _kept(base: str, nfs: dict[str, Any] | None, place: str, mount_nfs: MountNfs) -> str:
    """Where the source is mounted for catalogs; local directories have no attributes to keep."""
    there = mountinfo.top(mountinfo.read(), base)
    if nfs is None or there is None:
        return base
    if there.fstype.startswith("nfs"):
        # as the source itself: what it was found to need is kept over renewals and switches
        mount_nfs(
            **nfs, point=place, more=KEPT_OPTIONS,
            read_ahead=distance.of(there.device), connections=distance.connections_of(there.super_options),
        )  # fmt: skip
        return place
    return f"{base}/{KEPT}{uuid.uuid4().hex}"


def build(
    point: str, generation: str, images: list[dict[str, Any]], data: list[dict[str, Any]], nested: bool, top: str,
    empty: str, mount_nfs: MountNfs, cover: bool = False, packs: Sequence[str] = (),
) -> str:  # fmt: skip
    """Mount it; answers CATALOG or MERGED. `images`: {path, source}, `data`: {source, base, path, identity, runAs,
    nfs}, `packs`: files of images of packs.

    Raises OSError; ENODEV where the kernel has no EROFS.
    """
    # the kubelet's directories are root's: as another user relative names are the only way
    os.chdir(Path(point).parent)
    for loop in (False, True):
        try:
            with ExitStack() as stack:
                nothing = os.open(empty, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, nothing)
                layers = [Layer(raw, stack, f"nfs{n}", mount_nfs) for n, raw in enumerate(data)]
                broken = stack.enter_context(broken_layer(_made("broken"))) if any(not x.path for x in layers) else ""
                found = [mount_image(image["path"], f"image{n}", loop) for n, image in enumerate(images)]
                packed = [mount_pack(path, f"pack{n}") for n, path in enumerate(packs)]
                label = LABEL + generation.removeprefix("sha256:") + (COVER if cover else "")
                if nested:
                    owners = [image["source"] for image in images]
                    return _nested(label, found, owners, layers, packed, top, broken, f"/proc/self/fd/{nothing}")
                return _single(label, found, layers, packed, top, broken, f"/proc/self/fd/{nothing}")
        except OSError as error:
            # an image's file counts as a file system below; overlayfs allows two
            if loop or error.errno not in _REFUSED:
                raise
            _unmount_all()
    raise AssertionError


def _unmount_all() -> None:
    for path in Path().iterdir():
        if path.is_dir():
            with suppress(OSError):
                syscalls.umount(str(path), lazy=True)


def _single(
    label: str, images: list[str], layers: list[Layer], packs: list[str], top: str, broken: str, empty: str
) -> str:  # fmt: skip
    users = {layer.run_as for layer in layers if layer.path}
    if len(users) > 1:  # several users: each source is read through an overlay of its own user
        below = [_own(f"data{n}", layer, empty) for n, layer in enumerate(layers) if layer.path]
    else:
        below = [layer.path for layer in layers if layer.path]
    _made("whole")
    with acting(users.pop() if len(users) == 1 else None):
        form = join("whole", label, images, [*packs, *below, *([broken] if broken else [])])
    with syscalls.opened("whole", top) as directory:
        targets.put(directory, _made(MOUNT))
    return form


def _own(place: str, layer: Layer, empty: str) -> str:
    _made(place)
    with acting(layer.run_as):
        overlay(place, "pdshub", [layer.path or empty, empty], [])
    return place


def _nested(
    label: str, images: list[str], owners: list[str], layers: list[Layer], packs: list[str], top: str, broken: str,
    empty: str,
) -> str:  # fmt: skip
    by_source = {layer.source: layer for layer in layers}
    forms, parts = set(), []
    with ExitStack() as stack:
        for n, (image, owner) in enumerate(zip(images, owners, strict=True)):
            layer = by_source[owner]
            _made(f"part{n}")
            with acting(layer.run_as if layer.path else None):
                forms.add(join(f"part{n}", label, [image], [*packs, layer.path or broken]))
            parts.append(f"/proc/self/fd/{stack.enter_context(syscalls.opened(f'part{n}', top))}")
        overlay(MOUNT, label, parts if len(parts) > 1 else [*parts, empty], [])
    return CATALOG if forms == {CATALOG} else MERGED


def _made(path: str) -> str:
    Path(path).mkdir(exist_ok=True)
    return path


def join(place: str, label: str, images: Sequence[str], data: Sequence[str]) -> str:
    """Catalog images over data layers; answers how."""
    try:
        overlay(place, label, images, data)
        return CATALOG
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
    overlay(place, label, [*images, *data], [])
    return MERGED


def overlay(place: str, label: str, lowers: Sequence[str], data: Sequence[str]) -> None:
    """An overlay at `place`, by the new interface or by the old one."""
    point = _made(place)
    options = [("source", label), *_OPTIONS, *(("lowerdir+", x) for x in lowers), *(("datadir+", x) for x in data)]
    try:
        made = syscalls.new_filesystem("overlay", options, syscalls.SAFE)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
    else:
        try:
            syscalls.attach(made, point)
        finally:
            os.close(made)
        return
    words = "metacopy=on,redirect_dir=on,lowerdir=" + ":".join(lowers) + "".join(f"::{x}" for x in data)
    syscalls.mount(label, point, "overlay", _FLAGS, words)


def mount_pack(path: str, place: str) -> str:
    """The image of a pack: squashfs is read from a block device alone."""
    point = _made(place)
    with loop_device(path) as device:
        syscalls.mount(device, point, "squashfs", _FLAGS)
    return point


def mount_image(path: str, place: str, loop: bool) -> str:
    """An EROFS image, straight from its file or through a loop device."""
    point = _made(place)
    if not loop:
        made = syscalls.new_filesystem("erofs", [("source", path), ("ro", None)], syscalls.SAFE)
        try:
            syscalls.attach(made, point)
        finally:
            os.close(made)
        return point
    with loop_device(path) as device:
        syscalls.mount(device, point, "erofs", _FLAGS)
    return point
