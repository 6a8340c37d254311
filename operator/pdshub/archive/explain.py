"""Which source shows a path, which others had it, and which decision it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pdshub.archive import record
from pdshub.archive.plan import Plan, open_plan
from pdshub.archive.walk import Scan


def explain(generation: Path, path: str) -> dict[str, Any]:
    """Everything the generation knows about one path of the view (file, link or directory)."""
    path = "/".join(p for p in path.split("/") if p not in ("", "."))
    plan = open_plan(generation)
    above, _, name = path.rpartition("/")
    shown: dict[str, Any] | None = None
    for d in plan.tree():
        if d["path"] == path:
            shown = {
                "kind": "directory",
                "from": [_origin(plan, g["source"], g["path"]) for g in d.get("groups", ())],
            }
            indexes = [g.get("dataset") for g in d.get("groups", ())]
            shown["dataset"] = next((i for i in indexes if i is not None), None)
            break
        if d["path"] == above and name:
            shown = _in_directory(plan, d, name) or shown
            if shown:
                break
    answer: dict[str, Any] = {"path": path, "visible": shown is not None}
    if shown:
        index = shown.pop("dataset", None)
        answer |= shown
        answer["dataset"] = _dataset(plan, index)
    answer["others"] = _others(plan, generation, path, shown)
    answer["decisions"] = [
        {
            "dataset": d["name"],
            "source": d["source"],
            "root": d["root"],
            "state": d["state"],
            "by": d.get("by", ""),
            "reason": d.get("reason", ""),
        }
        for d in plan.header["datasets"]
        if _covers(d["place"], path) or (d["home"] is not None and _covers(d["home"], path))
    ]
    return answer


def _covers(root: str, path: str) -> bool:
    return not root or path == root or path.startswith(root + "/")


def _in_directory(plan: Plan, directory: dict[str, Any], name: str) -> dict[str, Any] | None:
    for g in directory.get("groups", ()):
        if name in g["names"]:
            n = g["names"].index(name)
            origin = f"{g['path']}/{name}" if g["path"] else name
            return {
                "kind": "file",
                "from": [_origin(plan, g["source"], origin)],
                "size": g["sizes"][n],
                "mtime": g["mtimes"][n],
                "dataset": g.get("dataset"),
            }
    for link, target, _, source in directory.get("links", ()):
        if link == name:
            return {
                "kind": "link",
                "target": target,
                "from": [{"source": plan.sources[source]}],
                "dataset": None,
            }
    return None


def _origin(plan: Plan, source: int, path: str) -> dict[str, str]:
    return {"source": plan.sources[source], "path": path}


def _dataset(plan: Plan, index: int | None) -> dict[str, Any] | None:
    return None if index is None else dict(plan.header["datasets"][index])


def _others(plan: Plan, generation: Path, path: str, shown: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Copies of the path that the sources hold and that are not what is shown, each with the reason."""
    try:
        scans, _ = record.read_record(generation / record.FILE)
    except ValueError:
        return []
    winners = {(o["source"], o.get("path")) for o in (shown or {}).get("from", [])}
    wanted: dict[tuple[str, str], str] = {}
    for layer in plan.header["layers"]:
        if _covers(layer["tree"], path):
            rest = path[len(layer["tree"]) :].strip("/")
            wanted.setdefault((layer["source"], "/".join(p for p in (layer["path"], rest) if p)), "the order of layers")
    datasets = plan.header["datasets"]
    for d in datasets:
        heads = [d["home"] if d["home"] is not None else d["place"]]
        if "winner" in d and datasets[d["winner"]]["home"] is not None:
            heads.append(datasets[d["winner"]]["home"])
        for head in heads:
            if _covers(head, path):
                rest = path[len(head) :].strip("/")
                origin = "/".join(p for p in (d["root"], rest) if p)
                if d["state"] != "shown":
                    wanted[d["source"], origin] = d.get("reason", d["state"])
    others = []
    for (source, origin), why in sorted(wanted.items()):
        scan = scans.get(source)
        if scan is not None and (source, origin) not in winners and (found := _stat(scan, origin)) is not None:
            others.append({"source": source, "path": origin, "reason": why, **found})
    return others


def _stat(scan: Scan, path: str) -> dict[str, Any] | None:
    if path in scan.dirs:
        return {"kind": "directory"}
    above, _, name = path.rpartition("/")
    directory = scan.dirs.get(above)
    if directory is None:
        return None
    files = directory.files()
    if name in files:
        n = files.index(name)
        return {"kind": "file", "size": directory.sizes[n], "mtime": directory.mtimes[n]}
    return {"kind": "link"} if any(link[0] == name for link in directory.links) else None
