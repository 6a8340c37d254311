"""What a copied source takes over from its original: times, owners and permissions that the copy could not keep.

A bucket has the time of the upload, and another NFS server may give files to another owner. A copy that was compared
with a generation, byte by byte, is shown with what that generation showed; so users, and everybody who cites it, have
the same generation. What changed in the copy since then is shown as the copy has it.

Only images are made so. The plan says what the source has: by it files are compared with the source (verify, sample).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pdshub.archive import plan as plans
from pdshub.archive.plan import Json, Plan

FOLDER = "copies"
"""Beside a plan: a folder for each copied source, by its name."""
COPY = "copy.json"
"""In it: when the copy was made, beside the plan of what it is a copy of (plan.json)."""
LISTED = ((0o444, 0, 0), (0o555, 0, 0))
"""Attributes of files and directories of a source that has none (archive/listed.py)."""
_Column = dict[str, tuple[int, int, tuple[int, ...]]]
"""Name of a file -> size, time, attributes."""


@dataclass
class Copied:
    """One source that is a copy. ``until``: nanoseconds since 1970, by the copy's clock; later is what came later."""

    source: str
    former: Plan
    until: int
    _places: dict[str, int] = field(default_factory=dict)
    _folders: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        number = self.former.sources.index(self.source) if self.source in self.former.sources else -1
        with self.former.path.open("rb") as file:
            file.readline(), file.readline()
            while True:
                at, line = file.tell(), file.readline()
                if not line or line == b"],\n":
                    return
                item = json.loads(line.rstrip(b",\n"))
                self._places[item["path"]] = at
                for group in item.get("groups", ()):
                    if group["source"] == number:
                        self._folders.setdefault(group["path"], []).append(at)

    def _at(self, offset: int) -> Json:
        with self.former.path.open("rb") as file:
            file.seek(offset)
            found: Json = json.loads(file.readline().rstrip(b",\n"))
            return found

    def _column(self, folder: str) -> _Column:
        """The files that the generation showed of a directory of the source."""
        number, found = self.former.sources.index(self.source), _Column()
        for offset in dict.fromkeys(self._folders.get(folder, ())):
            for group in self._at(offset).get("groups", ()):
                if (group["source"], group["path"]) == (number, folder):
                    rows = zip(group["names"], group["sizes"], group["mtimes"], strict=True)
                    found.update({n: (s, m, tuple(group["attr"])) for n, s, m in rows})
        return found

    def _same(self, known: tuple[int, int, tuple[int, ...]] | None, size: int, mtime: int) -> bool:
        """Whether a file of the copy is the one that was compared."""
        return known is not None and known[0] == size and (known[1] == mtime or mtime <= self.until)

    def shown(self, directory: Json, sources: list[str]) -> Json:
        """A directory of a plan as it is shown."""
        if self.source not in sources:
            return directory
        number = sources.index(self.source)
        before = self._at(self._places[directory["path"]]) if directory["path"] in self._places else None
        whole = True
        groups: list[Json] = []
        for group in directory.get("groups", ()):
            if group["source"] != number:
                groups.append(group)
                continue
            parts = list(self._group(group))
            whole &= all(done for _, done in parts)
            groups += [part for part, _ in parts]
        made = {**directory, **({"groups": groups} if groups else {})}
        if before is None or not whole:
            return made
        if _files(made, sources) != _files(before, self.former.sources):
            return made
        if _links(made, sources) != _links(before, self.former.sources):
            return made
        if not groups and not _untold(directory, before):
            return made
        # in the order of before: equal images are equal in the order of their entries, too
        numbers = {n: sources.index(name) for n, name in enumerate(self.former.sources) if name in sources}
        again = [{**group, "source": numbers[group["source"]]} for group in before.get("groups", ())]
        return {**made, "attr": before["attr"], "mtime": before["mtime"], **({"groups": again} if again else {})}

    def _group(self, group: Json) -> Iterator[tuple[Json, bool]]:
        """Parts of a group by their attributes, and whether all of each part is what was compared."""
        known = self._column(group["path"])
        parts: dict[tuple[tuple[int, ...], bool], Json] = {}
        for name, size, mtime in zip(group["names"], group["sizes"], group["mtimes"], strict=True):
            former = known.get(name)
            same = self._same(former, size, mtime)
            attr, time = (former[2], former[1]) if former is not None and same else (tuple(group["attr"]), mtime)
            empty = {**group, "attr": list(attr), "names": [], "sizes": [], "mtimes": []}
            part = parts.setdefault((attr, same), empty)
            for key, value in (("names", name), ("sizes", size), ("mtimes", time)):
                part[key].append(value)
        for (_, same), part in sorted(parts.items(), key=lambda item: str(item[1]["names"][0])):
            yield part, same


def _files(directory: Json, sources: list[str]) -> set[tuple[Any, ...]]:
    return {
        (sources[group["source"]], group["path"], name, size, mtime, *group["attr"])
        for group in directory.get("groups", ())
        for name, size, mtime in zip(group["names"], group["sizes"], group["mtimes"], strict=True)
    }


def _links(directory: Json, sources: list[str]) -> list[tuple[Any, ...]]:
    return sorted((name, target, sources[number]) for name, target, _, number in directory.get("links", ()))


def _untold(directory: Json, before: Json) -> bool:
    """Whether a directory without files is of a source that has no times of its own, or has the former time."""
    return tuple(directory["attr"]) == LISTED[1] or directory["mtime"] == before["mtime"]


def beside(folder: Path) -> list[Copied]:
    """The copied sources of the plan in ``folder``. Raises OSError, PlanError; ValueError where a copy is none."""
    top = folder / FOLDER
    found = []
    for place in sorted(top.iterdir()) if top.is_dir() else ():
        said = json.loads((place / COPY).read_bytes())
        found.append(Copied(place.name, plans.open_plan(place), int(said["until"])))
    return found


def tree(plan: Plan) -> Iterator[Json]:
    """The directories of a plan as images show them. Raises OSError, PlanError, ValueError."""
    return (shown for _, shown in pairs(plan))


def pairs(plan: Plan) -> Iterator[tuple[Json, Json]]:
    """The directories of a plan, each as the plan has it and as images show it. Raises as `tree`."""
    copies, sources = beside(plan.path.parent), plan.sources
    for directory in plan.tree():
        shown = directory
        for copied in copies:
            shown = copied.shown(shown, sources)
        yield directory, shown


def digest(folder: Path) -> str:
    """Which copies the plan in ``folder`` has; "" for none. Raises OSError."""
    top = folder / FOLDER
    known = {place.name: (place / COPY).read_text("utf-8") for place in top.iterdir()} if top.is_dir() else {}
    return f"sha256:{hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()}" if known else ""


def keep(folder: Path, plan: Plan, said: Mapping[str, Any]) -> None:
    """Writes down a copy of the plan's source: ``said`` has ``until``, and what else is to be remembered.

    The plan is kept as it was shown: of a copy of a copy the first times are told. Raises OSError, PlanError.
    """
    folder.mkdir(parents=True)
    with plan.path.open("rb") as source:
        head = [source.readline(), source.readline()]
        while source.readline() not in (b"", b"],\n"):
            continue
        rest = source.read()
    with (folder / plans.FILE).open("wb") as out:
        out.writelines(head)
        for number, directory in enumerate(tree(plan)):
            out.write(
                (b",\n" if number else b"") + json.dumps(directory, separators=(",", ":"), sort_keys=True).encode()
            )
        out.write(b"\n],\n" + rest)
    (folder / COPY).write_text(json.dumps(dict(said), sort_keys=True) + "\n", encoding="utf-8")
