"""The view as it is without any generation: layers merged by file name, as a node mounts them live.

So a first generation can be compared with what users see. What is known of the sources is the survey's record.
Source: Linux, Documentation/filesystems/overlayfs.rst (Upper and Lower): directories of one name merge, anything else
of the upper layer hides what is below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pdshub.archive import record
from pdshub.archive.diff import files
from pdshub.archive.plan import Json, Plan, PlanError, open_plan
from pdshub.archive.walk import DirRecord

Dirs = Mapping[str, DirRecord]
Part = tuple[int, DirRecord]
"""A directory of a source, by the source's number."""


class LiveTree:
    """What users see live, directory by directory in a plan's order.

    ``layers`` as a plan's header has them, ``dirs`` the directories of each source by their path.
    """

    def __init__(self, sources: Sequence[str], layers: Sequence[Json], dirs: Mapping[str, Dirs]) -> None:
        self.sources, self._dirs = list(sources), dirs
        self._entries: dict[str, list[Part]] = {}
        for layer in sorted(layers, key=lambda la: (la["tree"], la["rank"])):
            parts = self._entries.setdefault(layer["tree"], [])
            if (top := dirs.get(layer["source"], {}).get(layer["path"])) is not None:
                parts.append((self.sources.index(layer["source"]), top))

    def tree(self) -> Iterator[Json]:
        """Directories with their files and links; the first layer that has a name wins it."""
        entries = sorted(self._entries.items(), key=lambda item: item[0].split("/") if item[0] else [], reverse=True)
        left = [(place, parts) for place, parts in entries if parts]
        while left:
            place, parts = left.pop()
            directory, inside = self._merged(place, parts)
            yield directory
            below = [(f"{place}/{name}" if place else name, inside[name]) for name in sorted(inside, reverse=True)]
            left += [item for item in below if item[1]]

    def _merged(self, place: str, parts: Sequence[Part]) -> tuple[Json, dict[str, list[Part]]]:
        groups: list[Json] = []
        links: list[list[Any]] = []
        taken: set[str] = set()  # by what is no directory
        inside: dict[str, list[Part]] = {}
        closed: set[str] = set()  # directories that go no deeper: a lower layer has something else there
        for source, found in parts:
            group: Json = {"source": source, "path": found.path, "names": [], "sizes": [], "mtimes": []}
            here: set[str] = set(found.others)
            for name, size, mtime in zip(found.files(), found.sizes, found.mtimes, strict=True):
                here.add(name)
                if name not in taken and name not in inside:
                    group["names"].append(name)
                    group["sizes"].append(size)
                    group["mtimes"].append(mtime)
            for name, target, mtime in found.links:
                here.add(name)
                if name not in taken and name not in inside:
                    links.append([name, target, mtime, source])
            closed |= here & inside.keys()
            for name in found.dirs:
                if name not in taken and name not in closed:
                    child = self._dirs[self.sources[source]].get(f"{found.path}/{name}" if found.path else name)
                    inside.setdefault(name, []).extend([(source, child)] if child is not None else [])
            taken |= here - inside.keys()
            if group["names"]:
                groups.append(group)
        return {"path": place, "groups": groups, "links": sorted(links)}, inside


def read(generation: Path) -> tuple[LiveTree, Plan]:
    """The live view as of a generation's survey, and the generation's plan. Raises PlanError."""
    plan = open_plan(generation)
    try:
        scans, _ = record.read_record(generation / record.FILE)
        held = record.read_record(generation / record.HELD)[0] if (generation / record.HELD).exists() else {}
    except ValueError as error:
        raise PlanError(f"what the survey read is not known any more: {error}") from None
    dirs = {name: {**scan.dirs, **(held[name].dirs if name in held else {})} for name, scan in scans.items()}
    return LiveTree(plan.sources, plan.header["layers"], dirs), plan


def diff_from_live(
    generation: Path, limit: int = 1000, progress: Callable[[str], None] = lambda text: None, plan: Path | None = None
) -> dict[str, Any]:
    """What users who see the sources live get with a generation, in the form of ``diff``. Raises PlanError.

    ``plan``: with another plan that was made on what the generation's survey read.

    ``removed`` is what the generation hides; a dataset of which another copy is shown is not among it.
    """
    before, after = read(generation)
    after = after if plan is None else open_plan(plan)
    every = after.header["datasets"]
    shown = {d["name"] for d in every if d["state"] == "shown"}
    gone = [d for d in every if d["state"] == "hidden" and d["name"] not in shown]
    beside = [d for d in every if d["state"] == "sibling" and d["home"] != d["place"]]
    datasets = {
        "added": [],
        "removed": [{"dataset": d["name"], "home": d["place"], "source": d["source"]} for d in gone],
        "replaced": [],
        "rehomed": [{"dataset": d["name"], "from": d["place"], "to": d["home"]} for d in beside],
    }
    of = after.tail["counts"].get("directories", 0)
    return {"datasets": datasets, "files": files(before, after, limit, progress, of)}
