"""Restores an item, or one file or folder of it: beside what is there, or in its place.

The snapshot has to be one of this hub and of the very item that the request names; another one is not found, whatever
its id. Before anything is written its listing says how much it is, and whether the home has room for that.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable

from pdshub import rfc3339
from pdshub.api.backup_job import JobAnswer
from pdshub.archive.beneath import open_below
from pdshub.backup import listing
from pdshub.backup.home import Home, Note, Unplaced
from pdshub.backup.job import Job
from pdshub.backup.listing import Contents, Node
from pdshub.backup.look import told
from pdshub.backup.restic import Restic
from pdshub.backup.snapshots import Snapshot
from pdshub.backup.unpack import Unpacked, at, finish, unpack, write
from pdshub.backup.verdict import Failed

SLACK = 1 << 20
"""Bytes that stay free."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


def written(error: OSError, what: str) -> Failed:
    """An error of the place that is restored into."""
    if error.errno in _FULL:
        return Failed("Full", f"{what} is full: nothing was changed; make room and try again")
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV):
        return Failed("Failed", f"a link or a file is in the way of {error.filename!r} in {what}")
    return Failed("Failed", f"{what} cannot be written to: {error.strerror} ({error.filename!r})")


def fetch(
    restic: Restic,
    snapshot: Snapshot,
    source: str,
    path: str,
    node: Node,
    root: int,
    *,
    known: Contents,
    keep_modes: bool,
    check: Callable[[], None],
) -> Unpacked:
    """Write what is at a path of an item into the open folder ``root``: a folder's contents, or a file under its name.
    Raises Failed; OSError of the place that is written to."""
    whole = listing.inside(source, path)
    if node.kind == "dir":
        done = Unpacked()
        failure: Failed | None = None
        with restic.stream("dump", "--archive", "tar", f"{snapshot.id}:{whole}", "/") as stream:
            try:
                done = unpack(
                    stream.out, root, special=known.special, links=known.links, time_of=known.times.of,
                    keep_modes=keep_modes, check=check,
                )  # fmt: skip
            except Failed as error:
                failure = error
                stream.stop()
        restic.settled(stream, failure)
        return done
    folder, name = posixpath.split(whole)
    descriptor = open_below(at(root), name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
    try:
        with restic.stream("dump", f"{snapshot.id}:{folder}", f"/{name}") as stream:
            size = write(descriptor, stream.out, None, check)
        restic.judged(stream)
        if size != node.size:
            raise Failed("Damaged", f"{path} has {size} bytes, and had {node.size}")
        finish(descriptor, node.mode, node.modified_ns)
    finally:
        os.close(descriptor)
    return Unpacked(1, size)


def read(job: Job, snapshot: Snapshot, path: str) -> tuple[Node, Contents]:
    """What is at a path of the item, and how much. Raises Failed: NotFound for what is not there or cannot be
    restored."""
    node = listing.find(job.restic, snapshot, job.source(), path)
    if node.kind == "dir":
        return node, listing.contents(job.restic, snapshot, listing.inside(job.source(), path))
    if node.kind != "file":
        raise Failed("NotFound", f"{path} is a {node.kind} in the snapshot: ask for the folder that it is in")
    return node, Contents(files=1, size=node.size)


def restore(job: Job) -> JobAnswer:
    """Action restore. Raises Failed."""
    request = job.request
    path = posixpath.normpath(request.path)
    job.item()
    home = Home(str(job.places.target))
    try:
        home.alone()
        try:
            earlier = home.resume()
        except Unplaced as error:
            earlier = None
            job.words.say(_unplaced(error))
        if earlier is not None:
            job.words.say(f"went on with the moves of {earlier.run}")
            if earlier.run == request.run and earlier.path == path:
                return _answer(job, earlier, None)
        return _restore(job, home, path)
    except Unplaced as error:
        raise Failed("Failed", _unplaced(error)) from None
    except OSError as error:
        raise written(error, "the home") from None
    finally:
        home.close()


def _unplaced(error: Unplaced) -> str:
    where = f"; what was restored is in {error.place}" if error.place else ""
    where += f"; what was there is in {error.replaced}" if error.replaced else ""
    return written(error.error, "the home").message + where


def _restore(job: Job, home: Home, path: str) -> JobAnswer:
    snapshot = job.chosen()
    node, known = read(job, snapshot, path)
    if known.size + SLACK > home.free():
        raise Failed("Full", f"the home has {home.free()} bytes left, and {known.size} are to be restored")
    job.words.say(f"restoring {known.files} files, {known.size} bytes, of {snapshot.time}")
    whole = path == "."
    name = "" if whole else posixpath.basename(path)
    root = home.prepare(name if node.kind == "dir" else "")
    try:
        into = root if whole or node.kind == "file" else open_below(at(root), name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            done = fetch(
                job.restic,
                snapshot,
                job.source(),
                path,
                node,
                into,
                known=known,
                keep_modes=True,
                check=job.ending.check,
            )
            if node.kind == "dir" and not whole:
                finish(into, node.mode, node.modified_ns)
        finally:
            if into != root:
                os.close(into)
        os.fsync(root)
        note = note_of(job, snapshot, path, name, done)
        home.write_note(note)
    except BaseException:
        home.discard()
        raise
    finally:
        os.close(root)
    return _answer(job, home.finish(note), snapshot)


def note_of(job: Job, snapshot: Snapshot, path: str, name: str, done: Unpacked) -> Note:
    """What has to be moved where."""
    request = job.request
    stamp = rfc3339.text(job.now()).removesuffix("Z").replace("T", "-").replace(":", "")
    beside = request.to if request.to not in (None, ".") else f"restored-{rfc3339.text(snapshot.at)[:10]}"
    return Note(
        run=request.run,
        path=path,
        in_place=request.in_place,
        place=path if request.in_place else posixpath.normpath(str(beside)),
        replaced=f"replaced-{stamp}" if request.in_place else "",
        name=name,
        files=done.files,
        size=done.size,
    )


def _answer(job: Job, note: Note, snapshot: Snapshot | None) -> JobAnswer:
    here = Home(str(job.places.target))
    try:
        replaced = note.replaced if note.replaced and here.has(note.replaced) else ""
    finally:
        here.close()
    when = f" as of {snapshot.time}" if snapshot else ""
    message = f"{note.files} files{when} are in {note.place}" + (
        f"; what was there is in {replaced}" if replaced else ""
    )
    return job.answer(
        message,
        place=note.place,
        replaced=replaced,
        files=note.files,
        size_bytes=note.size,
        snapshots=[told(snapshot)] if snapshot else [],
    )
