"""The child process that touches sources and overlays: whatever may hang on a dead NAS hangs here.

One JSON object a line on standard input, one JSON answer a line on standard output: {"ok": …} or
{"error": text, "errno": number}. The parent kills it when it takes too long (worker.py). It imports
nothing but the standard library, files.py, syscalls.py, reader.py, nfs_versions.py, distance.py and targets.py, so that
it starts within some 30 ms.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pdshub.files import partial, write_json
from pdshub.node import nfs_versions
from pdshub.node.mount import distance, syscalls
from pdshub.node.mount.reader import acting
from pdshub.node.mount.targets import attach, detach, put, switch

#: Bounded waiting: 5 s, then 10 s, then an error to the reader (nfs(5): timeo in tenths of a second).
NFS_OPTIONS = "soft,timeo=50,retrans=2,proto=tcp,nosharecache,sec=sys"
#: The server does not speak this version; the kernel does not (EINVAL: one that was built without it).
_OTHER_VERSION = (errno.EPROTONOSUPPORT, errno.EINVAL)


def reach(server: str, port: int, seconds: float, what: str = "NFS server") -> str:
    """Connect to the server by TCP; answers its address. The error names server and port."""
    try:
        with socket.create_connection((server, port), timeout=seconds) as connection:
            return str(connection.getpeername()[0])
    except OSError as error:
        text = "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error))
        raise OSError(error.errno or errno.EHOSTUNREACH, f"{what} {server} port {port}: {text}") from None


def mount_nfs(
    server: str, export: str, port: int, version: str, point: str, device: str, more: str = "",
    read_ahead: int = 0, connections: int = 0,
) -> None:  # fmt: skip
    """Kernel NFS with the newest version, up to `version`, that kernel and server both speak.

    mount(2) takes a version as it is: going down is for its caller (as mount.nfs does). ENODEV where the kernel has
    no client for it. `more`: further options, as in nfs(5). `read_ahead` in bytes and `connections`: 0 for what fits
    the server's distance.
    """
    address = reach(server, port, 4)
    if not (read_ahead and connections):
        seconds = distance.round_trip(address, port)
        read_ahead = read_ahead or distance.read_ahead(seconds)
        connections = connections or distance.connections(seconds)
    if connections > 1:
        more = f"{more and f'{more},'}nconnect={connections}"
    Path(point).mkdir(parents=True, exist_ok=True)
    flags = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOATIME
    versions = nfs_versions.up_to(version)
    for number, tried in enumerate(versions, 1):
        options = f"vers={tried},addr={address},port={port},{NFS_OPTIONS}{more and f',{more}'}"
        if tried == "4.0":
            options += ",clientaddr=0.0.0.0"
        try:
            syscalls.mount(device, point, "nfs", flags, options)
            with suppress(OSError):  # a kernel's own read-ahead shows the same
                tune(point, read_ahead)
            return
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise
            if error.errno in _OTHER_VERSION and number < len(versions):
                continue
            text = os.strerror(error.errno or 0)
            raise OSError(error.errno, f"mount of {device} (NFS {', '.join(versions[:number])}): {text}") from None


def tune(point: str, read_ahead: int) -> None:
    """Set the read-ahead in bytes of what is mounted at a point. Raises OSError."""
    found = Path(point).stat().st_dev
    distance.put(f"{os.major(found)}:{os.minor(found)}", read_ahead)


def _open_local(prefix: str, path: str) -> int:
    base = os.open(prefix, os.O_PATH | os.O_DIRECTORY)
    try:
        return syscalls.open_beneath(base, os.path.relpath(path, prefix))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EXDEV):
            text = "a symbolic link below the allowed prefix is refused"
            raise OSError(error.errno, f"local path {path}: {text}") from None
        raise OSError(error.errno, f"local path {path}: {os.strerror(error.errno or 0)}") from None
    finally:
        os.close(base)


def mount_local(prefix: str, path: str, point: str) -> None:
    """A read-only copy of a local directory's mount."""
    directory = _open_local(prefix, path)
    Path(point).mkdir(parents=True, exist_ok=True)
    put(directory, point)


def identity(stat: os.stat_result) -> str:
    """What a directory is known by: major:minor:inode. Another directory in its place has another one."""
    return f"{os.major(stat.st_dev)}:{os.minor(stat.st_dev)}:{stat.st_ino}"


def probe(
    point: str, layers: list[str], server: str = "", port: int = 0, local: str = "", prefix: str = "",
    what: str = "NFS server",
) -> Any:  # fmt: skip
    """Does the source answer, and which directories are its layers? -> {path: identity or null if absent}.

    `roundTrip`: seconds that connecting to the server took.
    """
    seconds = 0.0
    if server:
        began = time.monotonic()
        reach(server, port, 3, what)
        seconds = time.monotonic() - began
    base = os.open(point, os.O_PATH | os.O_DIRECTORY)
    try:
        os.statvfs(base)  # always a call to the server
        if local:
            original = _open_local(prefix, local)
            same = os.path.samestat(os.fstat(original), os.fstat(base))
            os.close(original)
            if not same:
                return {"replaced": True, "layers": {}, "roundTrip": seconds}
        found: dict[str, str | None] = {}
        for path in layers:
            try:
                directory = syscalls.open_beneath(base, path)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.EACCES):
                    raise
                found[path] = None
                continue
            found[path] = identity(os.fstat(directory))
            os.close(directory)
        return {"layers": found, "roundTrip": seconds}
    finally:
        os.close(base)


def build(layers: list[Any], point: str, empty: str, note: dict[str, Any]) -> str:
    """Mount an entry's content at `point`; answers "bind" or "overlay".

    `layers`: where the source is mounted, the directory in it, that directory's identity, and uid and gid that read it
    or null. One layer that nobody is named for is its source's directory itself: no overlay, so that a file replaced
    on the NAS is simply seen (an overlay answers ESTALE for it). Layers are opened without following links, then given
    to overlayfs as /proc/self/fd/N, so nobody on the NAS can swap one for a link in between, and nothing needs
    escaping. Whoever creates an overlay is who reads its layers, so layers of several readers get one each, below.
    """
    bases = [os.open(base, os.O_PATH | os.O_DIRECTORY) for base, *_ in layers]
    empty_fd = os.open(empty, os.O_PATH | os.O_DIRECTORY)
    Path(point).mkdir(parents=True, exist_ok=True)
    folder = Path(point).parent
    folder.joinpath("entry.json").write_text(json.dumps(note))
    os.chdir(folder)  # the kubelet's directories are root's: as another user relative names are the only way
    opened, readers = [], [tuple(run_as) if run_as else None for *_, run_as in layers]
    for base, reader, (_, path, expected, _) in zip(bases, readers, layers, strict=True):
        with acting(reader):
            directory = syscalls.open_beneath(base, path)
        if identity(os.fstat(directory)) != expected:
            raise OSError(errno.ESTALE, f"layer {path} changed while it was mounted")
        opened.append(directory)
    if readers == [None]:
        put(opened[0], point)
        return "bind"
    name, nothing = Path(point).name, f"/proc/self/fd/{empty_fd}"
    lowers = [f"/proc/self/fd/{directory}" for directory in opened]
    if len(set(readers)) == 1:
        _overlay(name, [*lowers, nothing], readers[0])
        return "overlay"
    parts = [f"reader{number}" for number in range(len(lowers))]
    try:
        for part, reader, lower in zip(parts, readers, lowers, strict=True):
            Path(part).mkdir(exist_ok=True)
            _overlay(part, [lower, nothing], reader)
        _overlay(name, [*parts, nothing], None)
    finally:
        for part in parts:
            unmount(part)
    return "overlay"


def _overlay(place: str, lowers: list[str], reader: tuple[int, ...] | None) -> None:
    """An overlay at the directory `place`, read as uid and gid `reader`, or as root."""
    with acting(reader):
        made = _new_overlay(lowers)
        if made is None:
            flags = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOATIME
            syscalls.mount("pdshub", place, "overlay", flags, "redirect_dir=nofollow,lowerdir=" + ":".join(lowers))
            return
        try:
            syscalls.attach(made, place)
        finally:
            os.close(made)


def _new_overlay(lowers: list[str]) -> int | None:
    """The new way (Linux >= 6.8: `lowerdir+`); None where the kernel only knows the option string."""
    options: list[tuple[str, str | None]] = [("source", "pdshub"), ("ro", None), ("redirect_dir", "nofollow")]
    try:
        return syscalls.new_filesystem(
            "overlay", [*options, *(("lowerdir+", lower) for lower in lowers)], syscalls.SAFE
        )
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS):
            return None
        raise


def listing(point: str, directories: list[str]) -> dict[str, list[str]]:
    """The directories in some directories of a catalog, which asks no source. A link of the catalog leads nowhere."""
    found: dict[str, list[str]] = {}
    top = os.open(point, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for directory in directories:
            try:
                opened = syscalls.open_beneath(top, directory, listed=True)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise
                found[directory] = []
                continue
            try:
                with os.scandir(opened) as entries:
                    found[directory] = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
            finally:
                os.close(opened)
    finally:
        os.close(top)
    return found


def unmount(point: str) -> None:
    """Take all mounts of a point away and remove its directory."""
    while True:
        try:
            syscalls.umount(point, lazy=True)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                break
            raise
    with suppress(FileNotFoundError):
        Path(point).rmdir()


def clear(folder: str) -> None:
    """Take away all that is mounted on the directories of an entry's folder, and these."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        # by the folder's own listing: what is mounted there may be dead, and a stat of it an error
        for path in sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False)):
            unmount(path)


def drop(point: str) -> None:
    """Remove an entry's mount and directory; copies in targets live on."""
    folder = Path(point).parent
    clear(str(folder))
    for path in (folder / "entry.json", partial(folder / "entry.json")):
        path.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        folder.rmdir()


def build_catalog(point: str, note: dict[str, Any], **arguments: Any) -> str:
    """Mount a generation's catalog at `point`: see catalog.build. Answers its form, which the note keeps, too."""
    from pdshub.node.mount import catalog

    folder = Path(point).parent
    clear(str(folder))  # of one that was killed
    folder.mkdir(parents=True, exist_ok=True)
    note_file = folder / "entry.json"  # not forced to the disk: it goes with the mount
    write_json(note_file, {**note, "form": ""}, durable=False)  # first: a mount without a note would tell nothing
    try:
        form = catalog.build(point, **arguments, mount_nfs=mount_nfs)
    finally:
        for path in folder.iterdir():
            if path.is_dir() and path != Path(point):
                unmount(str(path))
    write_json(note_file, {**note, "form": form}, durable=False)
    return form


def ready() -> bool:
    """The process has started."""
    return True


OPERATIONS: dict[str, Callable[..., Any]] = {
    name.__name__: name
    for name in (
        ready, mount_nfs, mount_local, tune, probe, build, build_catalog, listing, attach, switch, detach, drop,
        unmount,
    )
}  # fmt: skip


def serve(operations: Mapping[str, Callable[..., Any]]) -> None:
    """Answer requests on standard input until it ends; `operations` by the name that a request has in "do"."""
    os.umask(0o022)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": operations[request.pop("do")](**request)}
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            answer = {"error": f"{error.strerror or error}{where}", "errno": error.errno or errno.EIO}
        print(json.dumps(answer), flush=True)


def main() -> None:
    """The child process of worker.py: every operation that mounts, probes or takes away."""
    serve(OPERATIONS)
