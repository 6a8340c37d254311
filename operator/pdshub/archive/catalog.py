"""The catalog of a generation: EROFS images that hold every visible name, and where its bytes are."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pdshub.archive import carried, tarstream
from pdshub.archive.content.pack import object_path
from pdshub.archive.image import Image
from pdshub.archive.plan import Json, Plan

FORMAT = 1  # raise it when equal plans get other images (a test tells): unchanged surveys keep their images by it
UUID = "8b6d0a30-7d2c-4f0e-9a53-706473687562"  # fixed: an image is told by its digest, equal trees are equal images
MAX_ENTRIES = 4_000_000  # of one image; mkfs.erofs holds about 900 bytes of memory for each
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
    """One image to be: the files of one source, or of some top directories, or all (both None)."""

    name: str
    source: int | None = None
    tops: frozenset[str] | None = None
    opaque: bool = True  # False for all but the last of several images that form one folder


def parts(plan: Plan) -> list[Part]:
    """One image; or one a source where no order of the data layers is right for all; or several by subtree."""
    if plan.tail["dataOrder"] is None:
        return [
            Part(f"catalog-{name}.erofs", n) for n, name in enumerate(plan.sources) if name in plan.tail["dataRoots"]
        ]
    counts = plan.tail["counts"]
    if counts["files"] + counts["directories"] <= MAX_ENTRIES:
        return [Part("catalog.erofs")]
    sizes: dict[str, int] = {}
    for d in plan.tree():
        top = d["path"].split("/", 1)[0]
        sizes[top] = sizes.get(top, 0) + 1 + sum(len(g["names"]) for g in d.get("groups", ()))
    bins: list[list[str]] = []
    room = 0
    for top in sorted(sizes):
        if not bins or room + sizes[top] > MAX_ENTRIES:
            bins.append([])
            room = 0
        bins[-1].append(top)
        room += sizes[top]
    last = len(bins) - 1
    return [Part(f"catalog-{n:03d}.erofs", tops=frozenset(b), opaque=n == last) for n, b in enumerate(bins)]


def stream(plan: Plan, part: Part, objects: Objects = no_objects) -> Iterator[bytes]:
    """The tar headers of one image, a directory at a time. ``objects``: files whose bytes are taken from packs."""
    first = next((n for n, name in enumerate(plan.sources) if name in plan.tail["dataRoots"]), 0)
    roots = [plan.tail["dataRoots"].get(name, "") for name in plan.sources]
    above: list[tuple[str, bytes]] = []  # directories on the way down that are not written yet
    yield tarstream.directory(b"", (0o755, 0, 0), 0)
    for planned, d in carried.pairs(plan):
        path: str = d["path"]
        if part.tops is not None and path and path.split("/", 1)[0] not in part.tops:
            continue
        raw = "/".join(p for p in (TOP, path) if p).encode("utf-8", "surrogateescape")
        mode, uid, gid = d["attr"]
        own = tarstream.directory(raw, (mode & 0o777, uid, gid), d["mtime"], opaque=part.opaque and not path)
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
        None if part.tops is None else tuple(sorted(part.tops)),
    )


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
