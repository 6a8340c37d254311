"""The catalog of a generation: EROFS images that hold every visible name, and where its bytes are."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from pdshub.archive import carried, subtree, tarstream
from pdshub.archive.content.pack import object_path
from pdshub.archive.image import Image
from pdshub.archive.plan import Json, Plan
from pdshub.archive.subtree import Cut, Layout

FORMAT = 2  # raise it when equal plans get other images (a test tells): unchanged surveys keep their images by it
UUID = "8b6d0a30-7d2c-4f0e-9a53-706473687562"  # fixed: an image is told by its digest, equal trees are equal images
BLOCK = 4096  # asked for; from a tar's headers mkfs.erofs 1.8.6 makes blocks of 512 bytes all the same (decision 8)
OPTIONS = (f"-b{BLOCK}", "-T0", "--mkfs-time", f"-U{UUID}", "--tar=headerball")
TOP = ".pdshub-catalog"  # the view's own folder inside the image: no name of a source merges with what lies in it


Objects = Callable[[Json], Mapping[tuple[int, str], Mapping[str, bytes]]]
"""A directory of a plan -> (source, path of a group of it) -> name -> SHA-256 of a file that travels (content)."""


def no_objects(directory: Json) -> Mapping[tuple[int, str], Mapping[str, bytes]]:
    """Nothing travels: every file's bytes are in its source."""
    return {}


class CatalogError(RuntimeError):
    """mkfs.erofs is missing, too old or failed; the text has its words."""


@dataclass(frozen=True, slots=True)
class Part:
    """One image to be: everything, or the files of one source, or a part of a large tree."""

    name: str
    source: int | None = None
    cut: Cut | None = None
    layout: Layout | None = None
    end: bool = False
    """The undermost of several images that form one folder: nothing below merges with it."""


def parts(plan: Plan, work: Path, before: Layout | None = None) -> list[Part]:
    """One image; or one a source where no order of the data layers is right for all; or several by subtree, the
    uppermost first.

    ``work``: where the lines of several are written. ``before``: how the former generation's tree was cut. Raises
    OSError.
    """
    if plan.tail["dataOrder"] is None:
        return [
            Part(f"catalog-{name}.erofs", n) for n, name in enumerate(plan.sources) if name in plan.tail["dataRoots"]
        ]
    entries = plan.tail["counts"]["files"] + plan.tail["counts"]["directories"]
    if entries < subtree.SPLIT:
        return [Part("catalog.erofs")]
    layout = subtree.choose(subtree.weights(plan.lines()), entries, before)
    cuts = subtree.cut(plan.lines(), layout, work)
    return [
        *(
            Part(f"catalog-{'top' if c.number is None else f'{c.number:03d}'}.erofs", cut=c, layout=layout)
            for c in cuts
        ),
        Part("catalog-end.erofs", layout=layout, end=True),
    ]


def stream(plan: Plan, part: Part, objects: Objects = no_objects) -> Iterator[bytes]:
    """The tar headers of one image, a directory at a time. ``objects``: files whose bytes are taken from packs."""
    if part.end:
        yield tarstream.directory(b"", _BARE, 0) + tarstream.directory(TOP.encode(), _BARE, 0, opaque=True)
        yield tarstream.END
        return
    if part.cut:
        plan = replace(plan, cut=part.cut.lines)
    first = next((n for n, name in enumerate(plan.sources) if name in plan.tail["dataRoots"]), 0)
    roots = [plan.tail["dataRoots"].get(name, "") for name in plan.sources]
    above: list[tuple[str, bytes]] = []  # directories on the way down that are not written yet
    bare: set[str] = set()
    yield tarstream.directory(b"", _BARE, 0)
    for planned, d in carried.pairs(plan):
        path: str = d["path"]
        if part.cut and part.layout and part.cut.number is not None:
            yield _way(path, part.layout.depth, bare)
        raw = "/".join(p for p in (TOP, path) if p).encode("utf-8", "surrogateescape")
        mode, uid, gid = d["attr"]
        own = tarstream.directory(raw, (mode & 0o777, uid, gid), d["mtime"], opaque=not part.cut and not path)
        if part.source is None:
            yield own + _content(d, raw, part, roots, objects(planned))
            continue
        while above and not (above[-1][0] == "" or path.startswith(above[-1][0] + "/")):
            above.pop()
        content = _content(d, raw, part, roots, objects(planned))
        empty = not d.get("groups") and not d.get("links")
        if content or (empty and part.source == first) or not path:
            yield b"".join(b for _, b in above) + own + content
            above = [(p, b"") for p, _ in above]
            own = b""
        above.append((path, own))
    yield tarstream.END


_BARE = (0o755, 0, 0)


def _way(path: str, depth: int, known: set[str]) -> bytes:
    """The directories above a unit, which are the uppermost image's: here they have nothing of their own, so that what
    happens to them changes no other image. ``known``: those that are written."""
    names = path.split("/")[: depth - 1]
    out = []
    for length in range(len(names) + 1):
        above = "/".join(names[:length])
        if above not in known:
            known.add(above)
            raw = "/".join(p for p in (TOP, above) if p).encode("utf-8", "surrogateescape")
            out.append(tarstream.directory(raw, _BARE, 0))
    return b"".join(out)


def _content(
    d: Json, raw: bytes, part: Part, roots: list[str], objects: Mapping[tuple[int, str], Mapping[str, bytes]]
) -> bytes:
    out: list[bytes] = []
    prefix = raw + b"/"
    add, entry = out.append, tarstream.file
    for group in d.get("groups", ()):
        if part.source is not None and group["source"] != part.source:
            continue
        mode, uid, gid = group["attr"]
        attr = (mode & 0o777, uid, gid)
        owners = tarstream.owner(attr)
        below = group["path"][len(roots[group["source"]]) :].strip("/")  # data layers begin at the source's data root
        origin = below.encode("utf-8", "surrogateescape")
        redirect = b"/" + origin + b"/" if origin else b"/"
        here = objects.get((group["source"], group["path"]), {})
        for name, size, mtime in zip(group["names"], group["sizes"], group["mtimes"], strict=True):
            encoded = name.encode("utf-8", "surrogateescape")
            digest = here.get(name)
            place = redirect + encoded if digest is None else b"/" + object_path(digest).encode("ascii")
            add(entry(prefix + encoded, attr, size, mtime, place, owners))
    for name, target, mtime, source in d.get("links", ()):
        if part.source in (None, source):
            add(
                tarstream.link(
                    prefix + name.encode("utf-8", "surrogateescape"),
                    target.encode("utf-8", "surrogateescape"),
                    mtime,
                )
            )
    return b"".join(out)


def mkfs() -> list[str]:
    """The program: $PDSHUB_MKFS_EROFS (words separated by blanks) or mkfs.erofs from PATH; >= 1.8."""
    return os.environ.get("PDSHUB_MKFS_EROFS", "mkfs.erofs").split()


def tool() -> str:
    """Name and version of mkfs.erofs, for the manifest. Raises CatalogError."""
    try:
        done = subprocess.run([*mkfs(), "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CatalogError(f"{mkfs()[0]}: {error}; install erofs-utils >= 1.8") from error
    return done.stdout.split("\n", 1)[0].strip()


def write_image(plan: Plan, part: Part, out: Path, objects: Objects = no_objects) -> Image:
    """Writes one image atomically. Raises CatalogError."""
    target = out / part.name
    partial = out / (part.name + ".partial")
    partial.unlink(missing_ok=True)
    command = [*mkfs(), "--quiet", "-d1", *OPTIONS, str(partial)]
    with tempfile.TemporaryFile() as words:
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=words, stderr=words, pipesize=1 << 20)
        except OSError as error:
            raise CatalogError(f"{command[0]}: {error.strerror}; install erofs-utils >= 1.8") from error
        assert process.stdin is not None  # noqa: S101
        broken = _feed(process.stdin, stream(plan, part, objects))
        code = process.wait()
        words.seek(0)
        said = words.read(4000).decode("utf-8", "replace").strip()
    if code or broken or not partial.exists():
        partial.unlink(missing_ok=True)
        raise CatalogError(f"mkfs.erofs failed ({code}): {said or 'no words'}; erofs-utils >= 1.8 is needed")
    digest = hashlib.sha256()
    with partial.open("rb") as image:
        while chunk := image.read(1 << 20):
            digest.update(chunk)
    size = partial.stat().st_size
    partial.replace(target)
    source = None if part.source is None else plan.sources[part.source]
    return Image(
        part.name,
        f"sha256:{digest.hexdigest()}",
        size,
        source,
        made_of(plan, part) if part.layout else None,
    )


def made_of(plan: Plan, part: Part) -> str:
    """sha256:… of all that a part of a large tree is made of, where nothing of it travels. Raises OSError."""
    roots = [plan.tail["dataRoots"].get(name, "") for name in plan.sources]
    said = [FORMAT, tool(), plan.sources, roots, carried.digest(plan.path.parent), part.end]
    lines = part.cut.digest if part.cut else ""
    where = [part.layout.depth, part.cut.number] if part.layout and part.cut else []
    return "sha256:" + hashlib.sha256(json.dumps([*said, where, lines]).encode()).hexdigest()


def _feed(pipe: IO[bytes], blocks: Iterator[bytes]) -> bool:
    """Writes the stream; True when the reader went away."""
    held: list[bytes] = []
    size = 0
    try:
        with pipe:
            for block in blocks:
                held.append(block)
                size += len(block)
                if size > 1 << 20:
                    pipe.write(b"".join(held))
                    held.clear()
                    size = 0
            pipe.write(b"".join(held))
    except BrokenPipeError:
        return True
    return False
