"""One survey, from the sources to a directory that the store can take over."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pdshub import rfc3339
from pdshub.archive import catalog, manifest
from pdshub.archive.catalog import CatalogError
from pdshub.archive.diff import diff
from pdshub.archive.plan import open_plan
from pdshub.archive.survey import Options, survey
from pdshub.archive.view import checked_spec, view_from_spec
from pdshub.archive.walk import SourceError
from pdshub.files import read_json
from pdshub.surveyor import images as stored
from pdshub.surveyor import objects
from pdshub.surveyor.sample import directories, take
from pdshub.surveyor.schedule import everything, restat
from pdshub.surveyor.store import PROOF

Json = dict[str, Any]


def identities(roots: Mapping[str, Path]) -> dict[str, tuple[int, int]]:
    """Which file system each source is. Raises SourceError where there is none."""
    found = {}
    for name, root in roots.items():
        try:
            st = root.stat()
            found[name] = (st.st_dev, st.st_ino)
            with os.scandir(root) as inside:
                if next(inside, None) is None and not root.is_mount():
                    raise SourceError(f"source {name}: nothing is mounted at {root}")
        except OSError as error:
            raise SourceError(f"source {name}: {root}: {error.strerror}") from error
    return found


def make(task: Json, say: Any) -> Json:
    """Surveys into ``task["work"]``; returns what the surveyor keeps in mind.

    The task: name, spec, sources (directory), work, now (seconds), and if there are any: previous (directory of
    the newest generation), baseline (of the one to compare with), restatSince (seconds), settleSeconds (instead of
    the view's), staleSeconds (a directory that changed so shortly before is read again next time), full (every
    directory is read), look (whether the directories of the sample are read in any case: nodes ask for a survey when a
    file of it differs, and the survey has to see what they saw, also where it was written in place, of which the
    directory's times say nothing).
    """
    view = view_from_spec(task["name"], task["spec"])
    work, now = Path(task["work"]), float(task["now"])
    roots = {name: Path(task["sources"], name) for name in {layer.source for layer in view.layers}}
    listed = objects.of(checked_spec(task["spec"]), roots, Path(task["keys"]) if task.get("keys") else None, say)
    before = identities(roots)
    previous = Path(task["previous"]) if task.get("previous") else None
    former = read_json(previous / PROOF) if previous else None
    hours = float(task.get("restatHours") or 0)
    rolling = everything if task.get("full") else restat(task.get("restatSince"), now, hours)
    sampled = directories(former) if task.get("look") else frozenset()
    options = Options(
        now_ns=int(now * 10**9),
        workers=int(task.get("workers") or 8),
        settle_seconds=task.get("settleSeconds"),
        progress=say,
        restat=lambda path: path in sampled or rolling(path),
        racy_ns=int(task["staleSeconds"]) * 10**9,
        fs=objects.file_system(listed, roots),
        listed=listed,
    )
    result = survey(view, roots, work, options, previous)
    if identities(roots) != before:
        raise SourceError("a source was mounted anew during the survey")
    newest = (read_json(previous / manifest.FILE) if previous else None) or {}
    unchanged = manifest.same_images(newest, open_plan(work), catalog.tool())
    document = newest if unchanged else _catalog(work, now, say, previous, newest)
    name = document["generation"]
    known = newest.get("generation") == name
    if not known:
        say("taking the sample")
        settle = task["settleSeconds"] if task.get("settleSeconds") is not None else view.authority.settle_seconds
        sample = take(open_plan(work), roots, former, int((now - settle) * 10**9))
        raw = json.dumps(sample, sort_keys=True).encode()
        (work / PROOF).write_bytes(raw)
        document["proof"] = {"digest": f"sha256:{hashlib.sha256(raw).hexdigest()}", "size": len(raw)}
    manifest.write(work / manifest.FILE, document)
    baseline = Path(task["baseline"]) if task.get("baseline") else None
    return {
        "generation": name,
        "counts": document["counts"],
        "counters": asdict(result.counters),
        "requests": objects.counted(listed),
        "settling": result.held_back,
        "doubted": result.doubted,
        "unchanged": unchanged,
        "changes": {} if known else changes(baseline, work, document),
    }


def _catalog(work: Path, now: float, say: Any, previous: Path | None, newest: Json) -> Json:
    """Writes the images, compressed, and returns the manifest."""
    plan = open_plan(work)
    known = stored.known(previous, newest) if previous else {}
    written = stored.write(plan, work, say, before=manifest.layout_of(newest), known=known)
    if not written.images:
        raise CatalogError("no image was made")
    return manifest.build(plan, written.images, rfc3339.text(now), catalog.tool(), written.layout)


def changes(baseline: Path | None, made: Path, document: Json) -> Json:
    """How many datasets and files differ from the generation that users have."""
    if baseline is None:
        shown = sum(1 for d in open_plan(made).header["datasets"] if d["state"] == "shown")
        found = {"datasets": {"added": shown}, "files": {"added": document["counts"]["files"]}}
    else:
        full = diff(baseline, made, 0)
        found = {
            "datasets": {kind: len(items) for kind, items in full["datasets"].items()},
            "files": {kind: item["count"] for kind, item in full["files"].items()},
        }
    return {
        f"{what}{kind.capitalize()}": found[what].get(kind, 0)
        for what in ("datasets", "files")
        for kind in ("added", "removed", "replaced", "rehomed")
    }
