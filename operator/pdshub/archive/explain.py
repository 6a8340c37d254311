"""Which source shows a path, which others had it, and which decision it came from."""

from __future__ import annotations

import difflib
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from pdshub.archive import record
from pdshub.archive.decided import Decided, Origin, covers, join
from pdshub.archive.look import Look
from pdshub.archive.plan import Plan, open_plan
from pdshub.archive.walk import Scan
from pdshub.archive.why import ORDER, Why

Json = dict[str, Any]
NEAR, LIKE = 3, 0.8
"""Names that are offered instead of one that is not there, and how like it they are (difflib's ratio)."""


def explain(generation: Path, path: str, look: Look | None = None) -> Json:
    """Everything the generation knows about one path of the view, or about ``source:path`` of a source.

    ``state`` is ``visible``; ``hidden``: a source has it, ``others`` says why it is not shown; ``absent``: nothing is
    known of such a path, ``parent`` is the nearest directory that is shown and ``near`` what it holds of a like name;
    ``live``: below an entry of which generations say nothing. Raises PlanError.
    """
    plan = open_plan(generation)
    decided = Decided(plan.header)
    path = "/".join(p for p in path.split("/") if p not in ("", "."))
    where = _Tree(plan, path)
    source, colon, inner = path.partition(":")
    if colon and where.shown is None and source in decided.view.sources:
        origins = [(layer, inner.strip("/")) for layer in decided.view.layers if layer.source == source]
        origins = [origin for origin in origins if origin[0].holds(origin[1])]
        if not origins:
            return {
                **_answer(path, "absent"),
                "parent": "",
                "near": [],
                "notes": [f"no entry of the tree shows {path}"],
            }
        place = _of_source(decided, origins[0])
        where = _Tree(plan, place)
        path = place
    else:
        origins = decided.origins(path)
    if live := next((entry for entry in decided.view.live if covers(entry, path)), ""):
        notes = [f"{live} is shown straight from the sources: generations say nothing of what it holds"]
        return {**_answer(path, "live"), "notes": notes}
    why = Why(decided, _scans(generation), plan.tail["findings"], look)
    answer = _answer(path, "absent")
    if (shown := where.shown) is not None:
        index = shown.pop("dataset", None)
        answer |= {"visible": True, "state": "visible", **shown}
        answer["dataset"] = None if index is None else dict(plan.header["datasets"][index])
    answer["others"] = _others(why, origins, path, shown)
    answer["decisions"] = _decisions(plan, path)
    answer["notes"] = _notes(why, origins, path, shown, where.empty)
    if shown is None:
        answer["state"] = "hidden" if answer["others"] else "absent"
        answer |= {"parent": where.parent, "near": where.near()}
    return answer


def _answer(path: str, state: str) -> Json:
    return {"path": path, "visible": False, "state": state, "others": [], "decisions": [], "notes": []}


def _of_source(decided: Decided, origin: Origin) -> str:
    """The path of the view at which something of a source would be looked for."""
    layer, path = origin
    top = decided.place(layer, path)
    return layer.place(path) if top is None else top


class _Tree:
    """What a plan shows at a path, and around it where it shows nothing there."""

    def __init__(self, plan: Plan, path: str) -> None:
        self.path, self.parent = path, ""
        self.shown: Json | None = None
        self.empty = False
        self._names: set[str] = set()
        above, _, name = path.rpartition("/")
        for d, following in pairwise(chain(plan.tree(), [None])):
            if d is None:
                continue
            if d["path"] == path:
                groups = d.get("groups", ())
                origins = [_origin(plan, g["source"], g["path"]) for g in groups]
                dataset = next((i for g in groups if (i := g.get("dataset")) is not None), None)
                self.shown = {"kind": "directory", "from": origins, "dataset": dataset}
                child = following is not None and following["path"].rpartition("/")[0] == path and following["path"]
                self.empty = not groups and not d.get("links") and not child
                return
            if d["path"] == above and name and (found := _in_directory(plan, d, name)):
                self.shown = found
                return
            if covers(d["path"], path):
                self.parent = d["path"]
                self._names = {n for g in d.get("groups", ()) for n in g["names"]}
                self._names |= {link[0] for link in d.get("links", ())}
            elif d["path"].rpartition("/")[0] == self.parent:
                self._names.add(d["path"].rpartition("/")[2])

    def near(self) -> list[str]:
        """Paths below the nearest directory whose names are like the one that is missing."""
        rest = self.path[len(self.parent) :].strip("/")
        wanted = rest.split("/")[0].lower()
        names = {name.lower(): name for name in sorted(self._names)}
        found = difflib.get_close_matches(wanted, names, NEAR, LIKE)
        return [join(self.parent, names[name]) for name in found]


def _in_directory(plan: Plan, directory: Json, name: str) -> Json | None:
    for g in directory.get("groups", ()):
        if name in g["names"]:
            n = g["names"].index(name)
            return {
                "kind": "file",
                "from": [_origin(plan, g["source"], join(g["path"], name))],
                "size": g["sizes"][n],
                "mtime": g["mtimes"][n],
                "dataset": g.get("dataset"),
            }
    for link, target, _, source in directory.get("links", ()):
        if link == name:
            return {"kind": "link", "target": target, "from": [{"source": plan.sources[source]}], "dataset": None}
    return None


def _origin(plan: Plan, source: int, path: str) -> dict[str, str]:
    return {"source": plan.sources[source], "path": path}


def _scans(generation: Path) -> dict[str, Scan]:
    try:
        return record.read_record(generation / record.FILE)[0]
    except ValueError:
        return {}


def _others(why: Why, origins: list[Origin], path: str, shown: Json | None) -> list[Json]:
    """What sources hold for the path and what is not what is shown, each with the reason."""
    winners = {(o["source"], o.get("path")) for o in (shown or {}).get("from", [])}
    found: dict[tuple[str, str], Json] = {}
    for origin in origins:
        key = (origin[0].source, origin[1])
        if key in winners or key in found:
            continue
        if (copy := why.copy(origin, path, shown)) is not None and not _same(copy, shown):
            found[key] = copy
    return [found[key] for key in sorted(found)]


def _same(copy: Json, shown: Json | None) -> bool:
    """Directories of several sources are one in the view, and nothing is lost; links are named without their path."""
    if shown is None or copy["reason"] != ORDER:
        return False
    if shown["kind"] == "link" and copy.get("kind") == "link":
        return bool(copy["source"] == shown["from"][0]["source"])
    return bool(copy.get("kind") == "directory" == shown["kind"])


def _decisions(plan: Plan, path: str) -> list[Json]:
    return [
        {
            "dataset": d["name"],
            "source": d["source"],
            "root": d["root"],
            "state": d["state"],
            "by": d.get("by", ""),
            "reason": d.get("reason", ""),
        }
        for d in plan.header["datasets"]
        if covers(d["place"], path) or (d["home"] is not None and covers(d["home"], path))
    ]


def _notes(why: Why, origins: list[Origin], path: str, shown: Json | None, empty: bool) -> list[str]:
    """What is to be known of something that users see: that it is still changing, why it is empty."""
    if shown is None:
        return []
    said = [text for layer, place in origins for text in why.said_of(layer.source, place)]
    if empty:
        said += [text for origin in origins for text in why.empty(origin, path)]
    return list(dict.fromkeys(said))
