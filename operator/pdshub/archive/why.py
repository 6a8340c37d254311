"""Why something that a source holds is not what users see at a path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.archive.decided import Decided, Origin, covers, join
from pdshub.archive.links import stays_inside
from pdshub.archive.look import Look
from pdshub.archive.merge import TEMPORARY
from pdshub.archive.view import PlacedLayer
from pdshub.archive.walk import DirRecord, Scan

Json = dict[str, Any]
_DECISIONS = frozenset(
    ("superseded", "overlap", "kept-from-superseded", "place-taken", "broken-label", "broken-version",
     "label-quarantined", "older-label-beside", "shared-directory", "label-search-bounded", "many-dataset-labels",
     "link-hidden")
)  # fmt: skip
"""Kinds of findings that name paths of sources and do not say why something was not read."""
ORDER = "the order of layers"
BELOW = 10
"""Datasets that are named where all that a directory holds is hidden."""


def entry(scan: Scan, path: str) -> Json | None:
    """What the survey read at a path of a source; None where it read nothing there."""
    if path in scan.dirs:
        return {"kind": "directory"}
    above, _, name = path.rpartition("/")
    directory = scan.dirs.get(above)
    if directory is None or not name:
        return None
    files = directory.files()
    if name in files:
        n = files.index(name)
        return {"kind": "file", "size": directory.sizes[n], "mtime": directory.mtimes[n]}
    if any(link[0] == name for link in directory.links):
        return {"kind": "link"}
    return {"kind": "special"} if name in directory.others else None


@dataclass(frozen=True)
class Why:
    """The reasons of one generation. ``look`` sees what the sources hold now, where they are at hand."""

    decided: Decided
    scans: Mapping[str, Scan]
    findings: list[Json]
    look: Look | None = None

    def copy(self, origin: Origin, path: str, shown: Json | None) -> Json | None:
        """What a source has for ``path`` and why it is not what users see there; None where it has nothing.

        ``shown``: what users see at ``path``.
        """
        layer, place = origin
        scan = self.scans.get(layer.source)
        found = entry(scan, place) if scan else None
        if scan is None or found is None:
            reason = self._unread(scan, layer, place)
            return {"source": layer.source, "path": place, "reason": reason} if reason else None
        reason = self._read(scan, layer, place, found["kind"], path, shown)
        return {"source": layer.source, "path": place, "reason": reason, **found}

    def _read(self, scan: Scan, layer: PlacedLayer, place: str, kind: str, path: str, shown: Json | None) -> str:
        above, _, name = place.rpartition("/")
        directory, rest = (place, "") if kind == "directory" else (above, name)
        owner = self.decided.owner(layer, directory)
        decision = None if owner is None else self.decided.decisions[owner]
        top = self.decided.place(layer, directory)
        if top is None:
            return (decision.reason if decision else "") or "its dataset is hidden"
        if (goes := join(top, rest)) != path:
            why = decision.reason if decision and decision.reason else "a rename rule"
            return f"its place is {goes}: {why}"
        if kind == "special":
            return "it is a device, a socket, a FIFO or another file system: these are never shown"
        if shown is not None and shown["kind"] == "directory" and kind != "directory":
            return "a directory elsewhere has its name"
        if kind == "file" and TEMPORARY.match(name):
            return "its name is that of a file that is still being copied"
        if kind == "link" and shown is None:
            target = next(t for n, t, _ in scan.dirs[above].links if n == name)
            root = layer.path if owner is None else self.decided.datasets[owner].root
            if not stays_inside(scan.dirs, above, target, root):
                return f"it is a link to {target[:200]}, which leaves its dataset"
        if kind == "directory" and (shown is None or shown["kind"] != "directory"):
            return self._hollow(layer, place)
        if shown is None:
            return "a link of this name in an earlier layer, which is not shown, has its place"
        return ORDER

    def _hollow(self, layer: PlacedLayer, place: str) -> str:
        inside = [
            f"{d.name}: {decision.reason or f'its place is {self.decided.place(layer, d.root)}'}"
            for d in self.decided.datasets
            if d.layer == layer and covers(place, d.root) and (decision := self.decided.decisions[d.index])
            if decision.by != "inherited"
        ]
        inside += [f["message"] for f in self.findings if any(self._inside(p, layer.source, place) for p in f["paths"])
                   and f["kind"] not in _DECISIONS]  # fmt: skip
        more = [f"{len(inside) - BELOW} more"] if len(inside) > BELOW else []
        return "nothing of what it holds is shown here" + "".join(f"; {text}" for text in inside[:BELOW] + more)

    def _unread(self, scan: Scan | None, layer: PlacedLayer, place: str) -> str:
        """Why the survey did not read a path; "" where nothing is known to be there."""
        now = self.look.kind(layer.source, place) if self.look else None
        if now == "":
            return ""
        known = self._not_read(scan.dirs, layer, place) if scan else ""
        if known or not now:
            return known
        return "it is there now, and was not when this generation was surveyed"

    def _not_read(self, dirs: Mapping[str, DirRecord], layer: PlacedLayer, place: str) -> str:
        source, excluded = layer.source, self.decided.view.authority.exclude
        if layer.path not in dirs:
            return f"{source} has no directory {layer.path or '.'}, or it lies behind a link, which is not followed"
        parts = place[len(layer.path) :].strip("/").split("/")
        found = layer.path
        for number, name in enumerate(parts):
            if name in excluded:
                return f"directories called {name} are never entered (authority.exclude)"
            record = dirs[found]
            if record.denied:
                return f"{source}:{found} may not be read"
            if record.unread:
                return f"{source}:{found} is not read: {record.unread}"
            if "." in record.others:
                return f"{source}:{found} is another file system, which is never entered"
            if number < len(parts) - 1 and name in record.others:
                return f"{source}:{join(found, name)} is no directory that can be entered"
            if number < len(parts) - 1 and (to := next((t for n, t, _ in record.links if n == name), None)) is not None:
                return f"{source}:{join(found, name)} is a link to {to[:200]}: look there"
            if join(found, name) not in dirs:
                break
            found = join(found, name)
        said = self.said_of(source, place)
        if not said and parts and name in dirs[found].dirs:
            return f"{source}:{join(found, name)} was listed and could not be read"
        return "; ".join(said)

    def said_of(self, source: str, place: str) -> list[str]:
        """Findings of the survey that say why something at or around a path of a source may not be shown as it is."""
        return [
            f["message"]
            for f in self.findings
            if f["kind"] not in _DECISIONS
            and any(p.startswith(f"{source}:") and covers(p[len(source) + 1 :], place) for p in f["paths"])
        ]

    @staticmethod
    def _inside(named: str, source: str, place: str) -> bool:
        return named.startswith(f"{source}:") and covers(place, named[len(source) + 1 :])

    def empty(self, origin: Origin, path: str) -> list[str]:
        """Why a directory that users see empty shows nothing of what a source has there."""
        layer, place = origin
        scan = self.scans.get(layer.source)
        record = scan.dirs.get(place) if scan else None
        if scan is None or record is None or self.decided.place(layer, place) != path:
            return []
        where = f"{layer.source}:{place}"
        if record.denied:
            return [f"{where} may not be read"]
        if record.unread:
            return [f"{where} is not read: {record.unread}"]
        if "." in record.others:
            return [f"{where} is another file system, which is never entered"]
        names = [*record.files(), *record.dirs, *(link[0] for link in record.links), *record.others]
        inside = (self.copy((layer, join(place, name)), join(path, name), None) for name in names[:BELOW])
        told = [f"{where} holds {copy['path'].rpartition('/')[2]}: {copy['reason']}" for copy in inside if copy]
        if len(names) > BELOW:
            told.append(f"{where} holds {len(names) - BELOW} more")
        if not names:
            now = self.look.entries(layer.source, place) if self.look else None
            more = {None: "was empty when it was surveyed", 0: "is empty too"}.get(now)
            told.append(f"{where} {more or f'has {now} entries now, and had none when it was surveyed'}")
        return told
