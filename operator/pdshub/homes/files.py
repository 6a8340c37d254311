"""The backend `file`: one sparse XFS image for each volume, in a folder of the node.

`volumes/ID.img` is a volume, `checkpoints/ID.img` a checkpoint; a file has its name only once it is whole, so that what
is there is what counts. The small JSON beside each only says what people like to know. What ends in `.partial` or
`.gone` was left by a process that was killed, and is removed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any

from pdshub.files import partial, read_json, sync, write_json
from pdshub.homes import freezing, images, loop, names, xfs
from pdshub.homes.backend import Backend
from pdshub.homes.errors import ArgumentError, FullError, MissingError
from pdshub.homes.model import Checkpoint, Pool, Volume

COPY_MOST = 1 << 30
"""Bytes that are copied at most while a home stands still, where the file system below can't reflink."""


class FileBackend(Backend):
    """Images below ``folder``. ``copy_most``: no checkpoint is made of what would need a longer copy."""

    freezes = True

    def __init__(self, folder: Path, copy_most: int = COPY_MOST) -> None:
        self._folder, self._copy_most = folder, copy_most

    @property
    def _volumes(self) -> Path:
        return self._folder / "volumes"

    @property
    def _checkpoints(self) -> Path:
        return self._folder / "checkpoints"

    def _image(self, volume: str) -> Path:
        return self._volumes / f"{volume}.img"

    def _copy(self, checkpoint: str) -> Path:
        return self._checkpoints / f"{checkpoint}.img"

    def prepare(self) -> None:
        """Make the folders; remove what killed processes have left half done. Raises ArgumentError."""
        for folder in (self._folder, self._volumes, self._checkpoints):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            about = folder.lstat()
            # whoever can put a file here gives root's kernel any file system to mount
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o022:
                raise ArgumentError(f"{folder} must be a folder of root's that nobody else may write")
        for folder in (self._volumes, self._checkpoints):
            for pattern in (".*.partial", ".*.gone"):
                for left in folder.glob(pattern):
                    left.unlink(missing_ok=True)

    def pool(self) -> Pool:
        """The file system below the folder, whoever else has a part of it."""
        about = os.statvfs(self._folder)
        # as df counts: what is kept for root, or not given to this machine, is neither used nor part of the pool
        used = (about.f_blocks - about.f_bfree) * about.f_frsize
        total = used + about.f_bavail * about.f_frsize
        volumes = self.volumes()
        # what reflinks share is counted for each: others seem to have less then, and never more than they do
        ours = sum(v.used for v in volumes) + sum(_taken(self._copy(i)) for i in _ids(self._checkpoints))
        return Pool(total, used, sum(v.size for v in volumes), others=max(0, used - ours))

    def add_disk(self, device: str) -> None:
        """Raises ArgumentError: the file system below has to be enlarged."""
        raise ArgumentError("the backend file has no disks of its own: enlarge the file system that its folder is on")

    def volumes(self) -> list[Volume]:
        """All images that are whole."""
        found = (self.volume(name) for name in _ids(self._volumes) if names.is_volume(name))
        return [volume for volume in found if volume]

    def volume(self, volume: str) -> Volume | None:
        """The image of that id; it is there as soon as it has its name."""
        image = self._image(volume)
        about = _about(image)
        if about is None:
            return None
        label = _beside(image).get("name", "")
        return Volume(volume, about.st_size, about.st_blocks * 512, names.label(str(label)), about.st_mtime)

    def create(self, volume: str, size: int, label: str, source: str = "") -> None:
        """Make an image aside, with a file system or as a copy, and name it."""
        image = self._image(volume)
        new = partial(image)
        if source:
            if not self._copy(source).exists():
                raise MissingError(f"there is no checkpoint {source}")
            images.copy(self._copy(source), new)
        else:
            new.unlink(missing_ok=True)
            new.touch(mode=0o600)
        os.truncate(new, size)
        if not source:
            xfs.make(str(new))
        sync(new)
        write_json(_json(image), {"name": label, "from": source}, durable=True)
        new.replace(image)  # from here on it is there
        sync(self._volumes)

    def delete(self, volume: str) -> None:
        """Remove an image."""
        _remove(self._image(volume))

    def grow(self, volume: str, size: int) -> None:
        """Enlarge an image, and tell the loop device over it."""
        image = self._image(volume)
        file = os.open(image, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if os.fstat(file).st_size < size:
                os.ftruncate(file, size)
                os.fsync(file)
        finally:
            os.close(file)
        loop.refresh(str(image))

    def device(self, volume: str) -> AbstractContextManager[str]:
        """A loop device over an image."""
        return loop.attached(str(self._image(volume)))

    def numbers(self, volume: str) -> frozenset[str]:
        """That of the loop device, where there is one."""
        image = self._copy(volume) if names.is_checkpoint(volume) else self._image(volume)
        try:
            found = loop.number_of(str(image))
        except FileNotFoundError:
            return frozenset()
        return frozenset([found] if found else [])

    def checkpoints(self, volume: str = "") -> list[Checkpoint]:
        """All copies that are whole."""
        ids = (i for i in _ids(self._checkpoints) if names.is_checkpoint(i))
        found = (self._checkpoint(i) for i in ids if not volume or names.volume_of(i) == volume)
        return [checkpoint for checkpoint in found if checkpoint]

    def _checkpoint(self, checkpoint: str) -> Checkpoint | None:
        image = self._copy(checkpoint)
        about = _about(image)
        if about is None:
            return None
        noted = _beside(image)
        created = noted.get("created")
        return Checkpoint(
            checkpoint,
            float(created) if isinstance(created, int | float) else about.st_mtime,
            about.st_size,
            noted.get("daily") is True,
            str(noted.get("how") or images.COPY),
            noted.get("brief") is True,
        )

    def checkpoint(self, checkpoint: str, point: str, now: float, *, daily: bool = False, brief: bool = False) -> None:
        """Copy an image while what is mounted of it stands still. Raises FullError where that took too long."""
        source, image = self._image(names.volume_of(checkpoint)), self._copy(checkpoint)
        if not images.can_clone(self._checkpoints):
            self._may_copy(images.allocated(source))
        new = partial(image)
        with ExitStack() as still:
            if point:
                still.enter_context(freezing.frozen(point))
            how = images.copy(source, new)
        sync(new)
        write_json(_json(image), {"created": now, "daily": daily, "brief": brief, "how": how}, durable=True)
        new.replace(image)
        sync(self._checkpoints)

    def _may_copy(self, size: int) -> None:
        """Raises FullError where a copy would keep a home still for too long, or take the last room."""
        if size > self._copy_most:
            raise FullError(
                f"the file system below can't reflink, and a copy of {size} bytes would keep the home still for too "
                f"long: at most {self._copy_most} are copied. Put the folder on XFS or Btrfs, or use lvm-thin"
            )
        about = os.statvfs(self._folder)
        if about.f_bavail * about.f_frsize < 2 * size:
            raise FullError(f"a copy of {size} bytes would take the last room of the file system below")

    def drop(self, checkpoint: str) -> None:
        """Remove a copy."""
        _remove(self._copy(checkpoint))

    def checkpoint_device(self, checkpoint: str, *, stays: bool = False) -> AbstractContextManager[str]:
        """A loop device over a copy, read-only; it goes with its last mount, whoever asks."""
        return loop.attached(str(self._copy(checkpoint)), read_only=True)


def _about(image: Path) -> os.stat_result | None:
    """None where there is no image: a link is none, wherever it leads."""
    try:
        found = image.lstat()
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _taken(image: Path) -> int:
    try:
        return images.allocated(image)
    except FileNotFoundError:  # it went meanwhile
        return 0


def _json(image: Path) -> Path:
    return image.with_suffix(".json")


def _beside(image: Path) -> dict[str, Any]:
    return read_json(_json(image)) or {}


def _ids(folder: Path) -> Iterator[str]:
    """Names of images that are whole."""
    try:
        found = sorted(os.listdir(folder))  # noqa: PTH208 names only: no call for each
    except OSError as error:
        if error.errno == errno.ENOENT:
            return
        raise
    yield from (name.removesuffix(".img") for name in found if name.endswith(".img") and not name.startswith("."))


def _remove(image: Path) -> None:
    """First its name goes, then its room: a process that is killed between leaves nothing that counts."""
    gone = image.with_name(f".{image.name}.gone")
    with suppress(FileNotFoundError):
        image.replace(gone)
    _json(image).unlink(missing_ok=True)
    gone.unlink(missing_ok=True)
    if image.parent.is_dir():
        sync(image.parent)
