"""What changed between two generations: datasets and files added, removed, replaced, re-homed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from pdshub.archive.plan import Json, Plan, open_plan

STEP = 10_000
"""Directories between two words of how far it is."""


class Tree(Protocol):
    """What files are compared of: a plan, or the sources as users see them live."""

    @property
    def sources(self) -> list[str]:
        """Names of the sources, in the order in which ``tree`` numbers them."""

    def tree(self) -> Iterator[Json]:
        """Directories in a plan's form and order."""


def diff(
    old: Path, new: Path, limit: int = 1000, progress: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Compares two plans; lists at most ``limit`` files of each kind and counts all."""
    before, after = open_plan(old), open_plan(new)
    of = max(plan.tail["counts"].get("directories", 0) for plan in (before, after))
    return {"datasets": _datasets(before, after), "files": files(before, after, limit, progress, of)}


def _shown(plan: Plan) -> dict[tuple[str, str], Json]:
    """Visible datasets by identity; a PDS3 data set over several volumes is told apart by place."""
    result: dict[tuple[str, str], Json] = {}
    for d in plan.header["datasets"]:
        if d["state"] == "shown":
            pds4 = d["key"].startswith("urn:")
            result[d["key"] or d["kind"], "" if pds4 else d["place"]] = d
    return result


def _datasets(before: Plan, after: Plan) -> dict[str, list[Json]]:
    old, new = _shown(before), _shown(after)
    out: dict[str, list[Json]] = {"added": [], "removed": [], "replaced": [], "rehomed": []}
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if a is None and b is not None:
            out["added"].append({"dataset": b["name"], "home": b["home"], "source": b["source"]})
        elif b is None and a is not None:
            out["removed"].append({"dataset": a["name"], "home": a["home"], "source": a["source"]})
        elif a is not None and b is not None:
            if (a["version"], a["source"], a["root"]) != (b["version"], b["source"], b["root"]):
                out["replaced"].append(
                    {
                        "dataset": b["name"],
                        "was": a["name"],
                        "from": f"{a['source']}:{a['root']}",
                        "to": f"{b['source']}:{b['root']}",
                        "home": b["home"],
                    }
                )
            if a["home"] != b["home"]:
                out["rehomed"].append({"dataset": b["name"], "from": a["home"], "to": b["home"]})
    return out


Entry = tuple[int, int, str, str]  # size, mtime, source, path in the source


def _entries(plan: Tree, directory: Json) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for g in directory.get("groups", ()):
        source = plan.sources[g["source"]]
        for name, size, mtime in zip(g["names"], g["sizes"], g["mtimes"], strict=True):
            entries[name] = (size, mtime, source, g["path"])
    for name, target, mtime, source in directory.get("links", ()):
        entries[name] = (-1, mtime, plan.sources[source], target)
    return entries


def _key(directory: Json) -> list[str]:
    return directory["path"].split("/") if directory["path"] else []


def _pairs(before: Tree, after: Tree) -> Iterator[tuple[str, Json | None, Json | None]]:
    left, right = before.tree(), after.tree()
    a, b = next(left, None), next(right, None)
    while a is not None or b is not None:
        if b is None or (a is not None and _key(a) < _key(b)):
            assert a is not None  # noqa: S101
            yield a["path"], a, None
            a = next(left, None)
        elif a is None or _key(b) < _key(a):
            yield b["path"], None, b
            b = next(right, None)
        else:
            yield a["path"], a, b
            a, b = next(left, None), next(right, None)


def files(before: Tree, after: Tree, limit: int, progress: Callable[[str], None], of: int) -> dict[str, Any]:
    """Files that differ: counted, and at most ``limit`` of each kind named. ``of``: directories, as far as known."""
    out: dict[str, Any] = {k: {"count": 0, "paths": []} for k in ("added", "removed", "replaced", "rehomed")}

    def note(kind: str, path: str) -> None:
        out[kind]["count"] += 1
        if len(out[kind]["paths"]) < limit:
            out[kind]["paths"].append(path)

    for number, (path, a, b) in enumerate(_pairs(before, after)):
        if number % STEP == 0:
            progress(f"{number} of some {of} directories are compared")
        if (
            a is not None
            and b is not None
            and a.get("groups") == b.get("groups")
            and before.sources == after.sources
            and a.get("links") == b.get("links")
        ):
            continue
        old = _entries(before, a) if a else {}
        new = _entries(after, b) if b else {}
        for name in sorted(old.keys() | new.keys()):
            full = f"{path}/{name}" if path else name
            if name not in old:
                note("added", full)
            elif name not in new:
                note("removed", full)
            elif old[name][:2] != new[name][:2]:
                note("replaced", full)
            elif old[name] != new[name]:
                note("rehomed", full)  # the same size and time from elsewhere
    return out
