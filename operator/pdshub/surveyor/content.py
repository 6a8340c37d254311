"""The content of a generation, step by step: files are read into packs, and catalogs written that point there.

A step is a task of a worker (worker_main.py). It leaves in its workplace what the store takes over: content.json and
the catalogs' images. Packs and the memory of what was read are its own: one step runs at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdshub.archive import manifest
from pdshub.archive.content import document
from pdshub.archive.content.collect import Collector, Step
from pdshub.archive.content.document import Content
from pdshub.archive.content.rules import Rules
from pdshub.archive.content.shelf import FILE, Shelf
from pdshub.archive.image import Image
from pdshub.archive.pace import Pace
from pdshub.archive.plan import Plan, open_plan
from pdshub.archive.subtree import Layout
from pdshub.surveyor import images as stored
from pdshub.surveyor.store import PACKS, content_of

Json = dict[str, Any]
GROWTH = 1.25
"""Catalogs are written anew when so many times the files travel: each time, nodes fetch them."""


def step(task: Json, say: Any) -> Json:
    """One step for one generation.

    The task: generation (its directory), generations (the directory of all of them), sources, store, work, rules
    (labels, maxFileSize in bytes, include, exclude), budget (bytes), rate (files a second), seconds (how long it may
    read). Returns how far it is, and whether there is something for the store to take over.
    """
    store, work = Path(task["store"]), Path(task["work"])
    generation = Path(task["generation"])
    plan = open_plan(generation)
    rules = Rules(
        bool(task["rules"]["labels"]),
        int(task["rules"]["maxFileSize"]),
        tuple(task["rules"]["include"]),
        tuple(task["rules"]["exclude"]),
    )
    folder = store / PACKS
    folder.mkdir(exist_ok=True)
    with closing(Shelf(store / FILE)) as shelf:
        collector = Collector(
            plan,
            {name: Path(task["sources"], name) for name in plan.sources},
            rules,
            shelf,
            folder,
            Pace(float(task["rate"])),
            int(task["budget"]),
            float(task["seconds"]),
            say=say,
        )
        done = collector.step()
        former = content_of(generation)
        known = manifest.read(generation)
        finished = not done.rest or done.over_budget
        written = _worth(done, former, finished)
        if written:
            images = _catalogs(plan, shelf, rules, work, say, manifest.layout_of(known))
            content = Content(
                str(known["generation"]), not done.rest and done.local == done.wanted, done.local, done.wanted,
                tuple(done.packs), tuple(images),
            )  # fmt: skip
            document.write(work / document.FILE, content)
        if finished:
            shelf.forget_folders(_folders(Path(task["generations"])))
        named = {one.digest for one in done.packs}
        for other in Path(task["generations"]).iterdir():
            if (said := content_of(other)) is not None:
                named |= {one.digest for one in said.packs}
        collector.sweep(named)
    return {
        "finished": finished,
        "written": written,
        "files": done.local.files,
        "bytes": done.local.bytes,
        "wantedFiles": done.wanted.files,
        "wantedBytes": done.wanted.bytes,
        "changed": done.changed,
        "unreadable": done.unreadable,
        "overBudget": done.over_budget,
        "packs": len(done.packs),
        "stored": sum(path.stat().st_size for path in folder.iterdir()),
    }


def _worth(done: Step, former: Content | None, finished: bool) -> bool:
    """Whether catalogs are written: there is something new, and enough of it."""
    if not done.packs:
        return former is not None and bool(former.packs)
    if former is None:
        return True
    if finished:
        return (former.local, former.wanted, former.packs) != (done.local, done.wanted, tuple(done.packs))
    return done.local.files >= GROWTH * former.local.files


def _catalogs(plan: Plan, shelf: Shelf, rules: Rules, work: Path, say: Any, before: Layout | None) -> Iterator[Image]:
    def objects(directory: Json) -> Mapping[tuple[int, str], Mapping[str, bytes]]:
        found: dict[tuple[int, str], dict[str, bytes]] = {}
        for group in directory.get("groups", ()):
            wanted = {
                name: (size, mtime)
                for name, size, mtime in zip(group["names"], group["sizes"], group["mtimes"], strict=True)
                if rules.travels(directory["path"], name, size)
            }
            if wanted:
                here = found.setdefault((group["source"], group["path"]), {})
                for name, seen in shelf.files(plan.sources[group["source"]], group["path"]).items():
                    if wanted.get(name) == (seen.size, seen.mtime):
                        here[name] = seen.digest
        return found

    for image in stored.write(plan, work, lambda text: say(f"content: {text}"), objects, before).images:
        yield replace(image, name=document.image_name(image.name), of=None)


def _folders(generations: Path) -> Iterator[tuple[str, str]]:
    """(source, path) of every directory that a kept generation shows."""
    for generation in generations.iterdir():
        plan = open_plan(generation)
        for directory in plan.tree():
            for group in directory.get("groups", ()):
                yield plan.sources[group["source"]], group["path"]
