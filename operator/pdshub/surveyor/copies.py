"""Copies of sources in the surveyor's store, and which of them a survey goes by.

    copies/<source>/copy.json   what was compared, when, and which place it was (the source as the view writes it)
    copies/<source>/plan.json   the plan of the generation that it was compared with, as it was shown

A copy counts while the view's source is the place that was compared: before the swap, and after it was taken back, it
is not looked at. With the store the copies are lost, too; files have the copy's own times then, which is told as a new
generation.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pdshub.archive import carried
from pdshub.files import read_json

Json = dict[str, Any]
NEXT = ".next"
"""Behind a source's name: a copy that is being compared."""


def folder(store: Path) -> Path:
    """Where copies are kept."""
    return store / carried.FOLDER


def place(source: Mapping[str, Any]) -> Json:
    """Where a source is: what tells it apart from its copy."""
    return {key: source[key] for key in ("nfs", "s3", "local") if source.get(key) is not None}


def of(store: Path, spec: Mapping[str, Any]) -> dict[str, Path]:
    """The copies that sources of a view are, by name."""
    found = {}
    for source in spec.get("sources") or []:
        kept = folder(store) / str(source["name"])
        said = read_json(kept / carried.COPY)
        if said and said.get("place") == place(source):
            found[str(source["name"])] = kept
    return found


@contextmanager
def beside(work: Path, kept: Mapping[str, Path]) -> Iterator[None]:
    """While it lasts, the plan that is made in ``work`` is one of these copies. Raises OSError."""
    top = work / carried.FOLDER
    if not kept:
        yield
        return
    top.mkdir()
    try:
        for name, where in kept.items():
            (top / name).symlink_to(where.resolve(), target_is_directory=True)
        yield
    finally:
        shutil.rmtree(top, ignore_errors=True)


def adopt(store: Path, source: str) -> None:
    """A copy that was being compared is the copy now. Raises OSError."""
    kept, made = folder(store) / source, folder(store) / f"{source}{NEXT}"
    aside = folder(store) / f"{source}.former"
    shutil.rmtree(aside, ignore_errors=True)
    if kept.exists():
        kept.rename(aside)
    made.rename(kept)
    shutil.rmtree(aside, ignore_errors=True)
