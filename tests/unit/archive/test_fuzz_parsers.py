"""Whatever a label, an inventory, a manifest, a plan or a record holds: an answer or the one error that is meant.

Inputs are damaged copies of good ones and things built from the same words, so that they get past the first line.
"""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pdshub.archive import manifest
from pdshub.archive import plan as plans
from pdshub.archive.label_pds3 import parse_volume_version, read_volume, split_data_set_id
from pdshub.archive.label_pds4 import _LID, Label, LabelError, parse_version, read_inventory, read_label, split_lidvid
from pdshub.archive.plan import PlanError, open_plan
from pdshub.archive.record import read_record
from tests.unit.archive.archive_support import bundle, collection, voldesc

FUZZ = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
FILES = settings(FUZZ, max_examples=100)

# --- damage ---------------------------------------------------------------------------------------------------

NASTY = [
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"<", b">", b"&", b"&x;", b"]]>", b"<![CDATA[", b"<!--", b"-->", b"<?",
    b"'", b'"', b"=", b"{", b"}", b"(", b",", b"/*", b"*/", b"^", b"\r", b"\n", b"\r\n", b"::", b"urn:", b"/", b"..",
    b"[", b"]", b"null", b"-1", b"1e999", b"9" * 400, b"[" * 3000, b'{"a":' * 3000, b"\\ud800", b"<a>" * 200,
    b"NaN", b"true", b'<!DOCTYPE a [<!ENTITY x "y">]>', b'<!DOCTYPE a SYSTEM "file:///etc/passwd">', b"x" * 5000,
]  # fmt: skip

cuts = st.lists(
    st.tuples(
        st.sampled_from(["insert", "replace", "delete", "repeat", "end"]),
        st.floats(0, 1),
        st.integers(0, 60),
        st.sampled_from(NASTY) | st.binary(max_size=12),
    ),
    min_size=1,
    max_size=4,
)


def damaged(good: bytes, how: list[tuple[str, float, int, bytes]]) -> bytes:
    """A copy of ``good`` with a few things done to it."""
    for kind, where, length, what in how:
        at = int(where * len(good))
        middle = good[at : at + length]
        if kind == "insert":
            good = good[:at] + what + good[at:]
        elif kind == "replace":
            good = good[:at] + what + good[at + length :]
        elif kind == "delete":
            good = good[:at] + good[at + length :]
        elif kind == "repeat":
            good = good[:at] + middle * 40 + good[at:]
        else:
            good = good[:at]
    return good


class Slow(io.BytesIO):
    """Gives fewer bytes than asked for, as network file systems may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(7 if size is None or size < 0 or size > 7 else size)


# --- labels ---------------------------------------------------------------------------------------------------

LABELS = [
    bundle("x", "1.0", ["urn:nasa:pds:x:data", "urn:nasa:pds:x:doc::1.0"]).encode(),
    collection("x:data", "2.1", ["inventory.csv"]).encode(),
    collection("x:data").replace('"1.0"?>', '"1.0" encoding="UTF-16"?>', 1).encode("utf-16"),
    collection("x:data").replace('"1.0"?>', '"1.0" encoding="latin-1"?>', 1).encode("latin-1"),
    b"\xef\xbb\xbf" + bundle("x").encode(),
]
NAMES = ["Product_Bundle", "Product_Collection", "Identification_Area", "logical_identifier", "version_id", "File",
         "file_name", "md5_checksum", "Bundle_Member_Entry", "lid_reference", "lidvid_reference", "a"]  # fmt: skip
TEXTS = [
    "urn:nasa:pds:x",
    "URN:NASA:PDS:X",
    "1.0",
    "1.10",
    "urn:nasa:pds:x::1.0",
    "",
    " ",
    "é",
    "x.dat",
    "0" * 32,
    "]]",
]
trees = st.recursive(
    st.sampled_from(TEXTS),
    lambda inner: st.tuples(st.sampled_from(NAMES), st.lists(inner, max_size=4)),
    max_leaves=20,
)


def as_xml(tree: Any) -> str:
    if isinstance(tree, str):
        return tree
    return f"<{tree[0]}>{''.join(as_xml(child) for child in tree[1])}</{tree[0]}>"


def check_label(raw: bytes) -> None:
    try:
        found = read_label(Slow(raw) if len(raw) < 4000 else io.BytesIO(raw))
    except LabelError as error:
        assert len(str(error)) < 1000
        return
    assert isinstance(found, Label)
    assert not found.lid or _LID.match(found.lid)
    assert all(isinstance(text, str) and len(text) <= 4096 for text in (found.version, *found.members))
    parse_version(found.version)
    for member in found.members:
        split_lidvid(member)
    # reading only dataset labels says the same or stops at the root
    assert read_label(io.BytesIO(raw), frozenset({"Nothing"})).product_class == found.product_class


@FUZZ
@given(st.sampled_from(LABELS), cuts)
def test_damaged_pds4_labels(good: bytes, how: list[tuple[str, float, int, bytes]]) -> None:
    check_label(damaged(good, how))


@FUZZ
@given(trees)
def test_built_pds4_labels(tree: Any) -> None:
    check_label(as_xml(tree).encode())


@FUZZ
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_anything_as_a_label_or_inventory(raw: bytes) -> None:
    check_label(raw)
    members, bad = read_inventory(io.BytesIO(raw))
    assert bad >= 0 and all(status in "PS" and lidvid.startswith("urn:") for status, lidvid in members)


VOLUMES = [
    voldesc("VG_1001", "VG1-J-ISS-2-EDR-V1.0").encode(),
    b'OBJECT = VOLUME\nDATA_SET_ID = {"A-V1", "B-V2.0",\n "N/A"}\nVOLUME_ID = X /* why */\nEND\n',
]


@FUZZ
@given(st.sampled_from(VOLUMES), cuts)
@example(b"DATA_SET_ID = {" + b"A," * 100_000, [])
@example(b'VOLUME_ID = "' + b"A" * 100_000, [])
@example(b"A" * 200_000 + b" = 1\nVOLUME_ID = A", [])
@example(b"/*" * 100_000 + b"\nVOLUME_ID = A", [])
def test_damaged_pds3_volumes(good: bytes, how: list[tuple[str, float, int, bytes]]) -> None:
    try:
        found = read_volume(io.BytesIO(damaged(good, how)))
    except LabelError:
        return
    texts = [found.volume_id, found.volume_version, *found.data_set_ids]
    assert all(len(text) <= 512 and "\n" not in text for text in texts)  # upper case may be longer
    parse_volume_version(found.volume_version)
    for data_set in found.data_set_ids:
        split_data_set_id(data_set)


@FUZZ
@given(st.lists(st.tuples(st.sampled_from(["P", "S", "p", "X", '"P"', ""]), st.sampled_from(TEXTS)), max_size=9), cuts)
def test_damaged_inventories(rows: list[tuple[str, str]], how: list[tuple[str, float, int, bytes]]) -> None:
    raw = damaged("".join(f"{status},{text}\r\n" for status, text in rows).encode(), how)
    members, bad = read_inventory(io.BytesIO(raw))
    assert len(members) + bad <= raw.count(b"\n") + len(raw) // 4096 + 1


# --- our own files, which travel over networks and volumes -------------------------------------------------------

MANIFEST = json.dumps(
    {
        "schema": manifest.SCHEMA,
        "generation": "sha256:" + "a" * 64,
        "images": [{"name": "catalog.erofs", "digest": "sha256:" + "b" * 64, "size": 4096, "tops": ["a"]}],
        "layering": {"form": "single", "data": [{"source": "main", "path": ""}]},
        "counts": {"files": 1},
    },
    indent=1,
).encode()
PLAN = (
    json.dumps({"schema": plans.SCHEMA, "view": "v", "sources": [{"name": "s"}], "datasets": [], "layers": []})[:-1]
    + ',\n"tree":[\n{"path":"","attr":[493,0,0],"mtime":0},\n{"path":"a","attr":[493,0,0],"mtime":0}\n],\n'
    + '"counts":{"files":0},"dataOrder":["s"],"dataRoots":{},"findings":[]}\n'
).encode()
RECORD = "\n".join(
    [
        '{"format": "pdshub.dev/survey/v1"}',
        '{"source": "s", "attrs": [[420, 0, 0]]}',
        '["", 1, 1, [493, 0, 0], "f", [1], [1], 0, ["d"], [["l", "f", 1]], [], 1, true, false]',
        '{"label": ["s", "f", 1, 1], "facts": {"pds4": ["Product_Bundle", "urn:nasa:pds:x", "1.0", []]}}',
        "",
    ]
).encode()


def in_file(raw: bytes, read: Callable[[Path], Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(raw)
        read(path)


def read_manifest(path: Path) -> None:
    try:
        found = manifest.read(path)
    except ValueError:
        return
    assert found["schema"] == manifest.SCHEMA
    for image in found["images"]:
        assert "/" not in image["name"] and image["name"] not in ("", ".", "..") and "\0" not in image["name"]
        assert image["digest"].startswith("sha256:") and len(image["digest"]) == 71 and image["size"] >= 0


def read_plan(path: Path) -> None:
    try:
        found = open_plan(path)
        assert found.header["schema"] == plans.SCHEMA and "counts" in found.tail
        for directory in found.tree():
            assert isinstance(directory, dict)
    except PlanError:
        return


def read_damaged_record(path: Path) -> None:
    try:
        scans, labels = read_record(path)
    except ValueError:
        return
    assert isinstance(scans, dict) and isinstance(labels, dict)


@FILES
@given(cuts)
def test_damaged_manifests(how: list[tuple[str, float, int, bytes]]) -> None:
    in_file(damaged(MANIFEST, how), read_manifest)


@FILES
@given(cuts)
@example([("replace", PLAN.index(b'"v"') / len(PLAN), 3, b"[" * 3000 + b"]" * 3000)])
@example([("replace", PLAN.index(b"[493") / len(PLAN), 9, b"[" * 3000 + b"]" * 3000)])
@example([("replace", PLAN.index(b'["s"]') / len(PLAN), 5, b"[" * 3000 + b"]" * 3000)])
@example([("repeat", PLAN.index(b'{"path":"a"') / len(PLAN), 0, b""), ("insert", 0.6, 0, b" " * 9000 + b"\xff")])
def test_damaged_plans(how: list[tuple[str, float, int, bytes]]) -> None:
    in_file(damaged(PLAN, how), read_plan)


@FILES
@given(cuts, st.booleans())
@example([("replace", RECORD.index(b"[493, 0, 0]") / len(RECORD), 11, b"[]")], True)
def test_damaged_records(how: list[tuple[str, float, int, bytes]], inside: bool) -> None:
    raw = gzip.compress(damaged(RECORD, how), 1) if inside else damaged(gzip.compress(RECORD, 1), how)
    in_file(raw, read_damaged_record)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "a/b", ".", "..", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries({"name": inner | st.just("x"), "digest": inner | st.just("sha256:" + "b" * 64)})
        | st.dictionaries(st.sampled_from(["name", "digest", "size"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@FILES
@given(st.sampled_from(["schema", "generation", "images", "layering"]), json_values)
def test_manifests_of_other_types(key: str, value: Any) -> None:
    in_file(json.dumps({**json.loads(MANIFEST), key: value}).encode(), read_manifest)


def test_good_ones_are_read() -> None:
    for raw in LABELS:
        assert read_label(io.BytesIO(raw)).lid.startswith("urn:")
    for raw in VOLUMES:
        assert read_volume(io.BytesIO(raw)).data_set_ids
    for raw, read in ((MANIFEST, manifest.read), (PLAN, open_plan), (gzip.compress(RECORD), read_record)):
        in_file(raw, read)


@pytest.mark.parametrize("read", [read_label, read_volume])
def test_what_never_ends_is_left(read: Callable[[BinaryIO], Any]) -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return b" " * (size or 1)

    with pytest.raises(LabelError, match="larger"):
        read(Endless())
