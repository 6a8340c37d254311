"""Symbolic links: kept when they end inside their dataset as the source has it, else hidden and reported."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

from pdshub.archive.walk import DirRecord

MAX_HOPS = 40  # as the kernel
MAX_TARGET = 4095
MAX_STEPS = 512
"""Names that are followed for one link, those of the links on its way too: a storm of links costs no more than this for
each of them. Links of archives have a few."""


def stays_inside(dirs: Mapping[str, DirRecord], directory: str, target: str, root: str) -> bool:
    """Whether following ``target`` from ``directory`` never leaves ``root`` (all paths below the source's root).

    Links met on the way are followed too, since ``link/../x`` leaves the place where the text seems to stay.
    A link to a name that is not there stays inside as long as its path does.
    """
    if not target or target.startswith("/") or len(target) > MAX_TARGET:
        return False
    here = directory.split("/") if directory else []
    floor = len(root.split("/")) if root else 0
    todo = list(reversed(target.split("/")))
    hops = steps = 0
    while todo:
        steps += 1
        if steps > MAX_STEPS:
            return False
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if len(here) <= floor:
                return False
            here.pop()
            continue
        record = dirs.get("/".join(here))
        further = _target(record, part) if record else None
        if further is None:
            here.append(part)
            continue
        hops += 1
        if hops > MAX_HOPS or further.startswith("/"):
            return False
        todo += reversed(further.split("/"))
    return True


def _target(directory: DirRecord, name: str) -> str | None:
    """Where the link of this name points; None where it is no link. The directory's links are sorted."""
    links = directory.links
    at = bisect_left(links, (name,))
    return links[at][1] if at < len(links) and links[at][0] == name else None
