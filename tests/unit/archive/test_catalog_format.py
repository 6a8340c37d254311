"""Equal plans give equal images for ever, or catalog.FORMAT says that they do not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive import catalog, subtree
from pdshub.archive import plan as plans
from pdshub.archive.plan import open_plan
from pdshub.archive.subtree import Layout

GROUPS = [
    {"source": 0, "path": "x", "attr": [420, 1, 2], "names": ["a.xml", "b\udcff.dat"], "sizes": [3, 1 << 40],
     "mtimes": [1_600_000_000_123_456_789, -5]},
    {"source": 1, "path": "y", "attr": [384, 0, 0], "names": ["c"], "sizes": [0], "mtimes": [0]},
]  # fmt: skip
TREE: list[dict[str, Any]] = [
    {"path": "", "attr": [493, 0, 0], "mtime": 0},
    {"path": "d", "attr": [488, 5, 6], "mtime": 7, "groups": GROUPS, "links": [["l", "a.xml", 9, 0]]},
    {"path": "e", "attr": [493, 0, 0], "mtime": 1},
]
# (FORMAT, what the images are made of) -> digest of the stream for mkfs.erofs
KNOWN = {
    (2, "one image"): "63e4c3a59babdee9bf0e87dbe125ef85b11fce36d1e4182324b8a1407ce88896",
    (2, "first source"): "bfa8024cf8a20bfae41c48ad70b02814f367ebe55db27a867006740a54d28919",
    (2, "second source"): "fe894fe4a98ec4ff013c4ad330d81c7c4269fc7facc6327c6c095d60dd4d7d28",
    (2, "a part"): "6f970707d97e71dbfbb5e73c55c3fbb94adfff4628a16996cc5a008b5731c34f",
    (2, "above the parts"): "2daa8be49f633586f383a77c02665dfba541331f8446294277e79c54b00290ce",
    (2, "the end"): "8f98d1e999e3f2b185fbf3d49be91a6997784048daa33df153f4808855974746",
}
PARTS = {
    "one image": catalog.Part("c"),
    "first source": catalog.Part("c", 0),
    "second source": catalog.Part("c", 1),
    "a part": catalog.Part("c", layout=Layout(1, 2)),
    "above the parts": catalog.Part("c", layout=Layout(1, 2)),
    "the end": catalog.Part("c", layout=Layout(1, 2), end=True),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_format_is_for_ever(tmp_path: Path, name: str) -> None:
    header = {"schema": plans.SCHEMA, "view": "v", "sources": [{"name": "s"}, {"name": "t"}], "datasets": []}
    tail = {"counts": {}, "dataOrder": ["s", "t"], "dataRoots": {"s": "", "t": ""}, "findings": []}
    lines = ",\n".join(json.dumps(directory, sort_keys=True, separators=(",", ":")) for directory in TREE)
    text = json.dumps(header)[:-1] + ',\n"tree":[\n' + lines + "\n],\n" + json.dumps(tail)[1:] + "\n"
    (tmp_path / plans.FILE).write_text(text)
    plan, part = open_plan(tmp_path), PARTS[name]
    if part.layout and not part.end:
        cuts = subtree.cut(plan.lines(), part.layout, tmp_path)
        part = replace(part, cut=cuts[0] if name == "above the parts" else cuts[-1])
    stream = b"".join(catalog.stream(plan, part))
    digest = hashlib.sha256(stream + "|".join((*catalog.OPTIONS, "4000000")).encode()).hexdigest()
    assert KNOWN.get((catalog.FORMAT, name)) == digest, "images changed: raise catalog.FORMAT and put the digest here"
