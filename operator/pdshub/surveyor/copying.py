"""Whether one source of a view is a copy of another, and gives the same generation.

Every file that the generation shows of the source is compared: its size, then its bytes with the MD5 of its label, with
the checksum of the sample, or else with the source's own bytes. Then the view is surveyed with the copy in the source's
place, beside what users see, and the digest has to be the generation's. A comparison that was ended goes on where it
was.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pdshub import rfc3339
from pdshub.archive import carried, manifest
from pdshub.archive.plan import Plan, open_plan
from pdshub.archive.walk import SourceError
from pdshub.files import read_json
from pdshub.surveyor import copies
from pdshub.surveyor.copy_bytes import Compared, Comparing
from pdshub.surveyor.store import PROOF

Json = dict[str, Any]
Say = Callable[[str], None]
JOURNAL = "compared.jsonl"


def check(task: Json, say: Say, make: Callable[[Json, Say], Json]) -> Json:
    """Compares and surveys; ``make`` is a survey (making.make).

    The task: store, generation (directory), name, spec, sources, keys, source, copy, now, quick.
    """
    store, generation = Path(task["store"]), Path(task["generation"])
    source, copy, spec = task["source"], task["copy"], task["spec"]
    plan = open_plan(generation)
    if source not in plan.sources:
        raise SourceError(f"the generation shows nothing of source {source}")
    made = copies.folder(store) / f"{source}{copies.NEXT}"
    target = next((s for s in spec["sources"] if s["name"] == copy), None)
    if target is None:
        raise SourceError(f"the view has no source {copy}")
    compared = _compared(task, plan, made, say)
    answer: Json = {**compared.wire(), "generation": manifest.read(generation)["generation"], "rehearsed": None}
    if compared.wrong:
        return {**answer, "equal": False}
    journal = made.with_name(f"{made.name}.{JOURNAL}")
    shutil.rmtree(made, ignore_errors=True)
    # a bucket has times of its own, by which what is newer is known; other copies have those of their originals
    until = compared.newest if "s3" in copies.place(target) else 0
    said = {"until": until, "place": copies.place(target), "of": answer["generation"], "at": rfc3339.text(task["now"])}
    carried.keep(made, plan, said)
    say("surveying the copy, beside what users see")
    answer["rehearsed"] = rehearse(task, {source: made}, make, say)
    answer["equal"] = answer["rehearsed"] == answer["generation"]
    if answer["equal"]:
        copies.adopt(store, source)
        journal.unlink(missing_ok=True)
    else:
        shutil.rmtree(made, ignore_errors=True)
    return answer


def _compared(task: Json, plan: Plan, made: Path, say: Say) -> Compared:
    made.parent.mkdir(exist_ok=True)
    sources = Path(task["sources"])
    journal = made.with_name(f"{made.name}.{JOURNAL}")
    sample = (read_json(Path(task["generation"]) / PROOF) or {}).get("files", ())
    known = {str(item["at"]): item for item in sample if item.get("source") == task["source"]}
    work = Comparing(
        plan, task["source"], sources / task["source"], sources / task["copy"], known, journal,
        key=f"{plan.tree_digest()} {task['copy']}", quick=bool(task.get("quick")),
    )  # fmt: skip
    return work.run(say)


def rehearse(task: Json, kept: Mapping[str, Path], make: Callable[[Json, Say], Json], say: Say) -> str:
    """The generation that the view would have with the copy in the source's place."""
    source, copy = task["source"], task["copy"]
    target = next(s for s in task["spec"]["sources"] if s["name"] == copy)
    changed = {**task["spec"], "sources": swapped(task["spec"]["sources"], source, target)}
    base = Path(task["work"])
    work, roots, keys = base / "made", base / "sources", base / "keys"
    for place in (work, roots, keys):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    for each in task["spec"]["sources"]:
        name = each["name"]
        if name == copy:
            continue
        real = copy if name == source else name
        (roots / name).symlink_to(Path(task["sources"], real).resolve())
        if task.get("keys") and Path(task["keys"], real).is_dir():
            (keys / name).symlink_to(Path(task["keys"], real).resolve())
    asked = {
        "name": task["name"], "spec": changed, "sources": str(roots), "keys": str(keys), "work": str(work),
        "now": task["now"], "previous": None, "baseline": None, "settleSeconds": 0, "staleSeconds": 0,
    }  # fmt: skip
    with copies.beside(work, {**copies.of(Path(task["store"]), changed), **kept}):
        return str(make(asked, say)["generation"])


def swapped(sources: Sequence[Json], source: str, target: Json) -> list[Json]:
    """A view's sources with ``target`` in the place of one, under its name."""
    kept = [each for each in sources if each["name"] != target["name"]]
    return [{**target, "name": source} if each["name"] == source else each for each in kept]
