"""Labels made to harm: their cost grows as their size does, bounds end what is beyond them, and one of them, or many,
cost a release nothing but what they themselves say."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive import label_budget, label_pds3, label_pds4, record
from pdshub.archive.datasets import BROKEN, QUARANTINED
from pdshub.archive.label_budget import DIRECTORY, ORDINARY, SOURCE, LabelBudget
from pdshub.archive.label_error import LabelError, TooCostly
from pdshub.archive.label_pds3 import read_volume, without_comments
from pdshub.archive.label_pds4 import MAX_LABEL_BYTES, read_label
from pdshub.archive.plan import Plan
from tests.unit.archive.archive_support import build, bundle, collection, run, spec, visible, voldesc
from tests.unit.archive.hostile_labels import GOOD, PDS3, PDS4, Hostile
from tests.unit.archive.simulated import ROOT, FaultyFileSystem, Nas

EVERY = [(name, read_volume, kind) for name, kind in PDS3.items()] + [(n, read_label, k) for n, k in PDS4.items()]


@pytest.mark.parametrize(("read", "kind"), [e[1:] for e in EVERY], ids=[e[0] for e in EVERY])
def test_a_small_one_is_read_or_refused(read: Any, kind: Hostile) -> None:
    raw = kind.make(64 << 10)
    if kind.reads:
        read(io.BytesIO(raw))
    else:
        with pytest.raises(LabelError):
            read(io.BytesIO(raw))


def test_the_largest_ones_end_within_bounds_of_time_and_memory() -> None:
    """Processor time, not a clock: of a machine that is busy as of one that is not."""
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'operator'}"}
    command = [sys.executable, "-m", "tests.unit.archive.reads_hostile_labels"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    said = json.loads(done.stdout)
    assert len(said) == len(PDS3) + len(PDS4) and set(said.values()) <= {"read", "LabelError", "TooCostly"}
    assert said["PDS3: comments that nothing closes"] == "read"
    assert said["PDS4: elements"] == said["PDS4: a tag that never ends"] == said["PDS4: attributes"] == "TooCostly"


# --- the reader of PDS3 ----------------------------------------------------------------------------------------------


class Counted(str):
    """A text that counts the characters that are looked at."""

    looked: int

    def find(self, *how: Any) -> int:
        at = str.find(self, *how)
        start = how[1] if len(how) > 1 else 0
        self.looked += (len(self) if at < 0 else at + 1) - start
        return at

    def __getitem__(self, which: Any) -> str:
        part = str.__getitem__(self, which)
        self.looked += len(part)
        return part


def counted(raw: bytes) -> Counted:
    text = Counted(raw.decode("latin-1"))
    text.looked = 0
    return text


@pytest.mark.parametrize("kind", PDS3.values(), ids=PDS3)
def test_values_are_taken_in_one_pass(kind: Hostile) -> None:
    """At most so many looks at each character, whatever the size: no look for a closing character begins anew."""
    looked = []
    for size in (16 << 10, 32 << 10, 64 << 10):
        text = counted(kind.make(size))
        values = label_pds3._Values(text)
        try:
            for match in label_pds3._STATEMENT.finditer(text):
                values.at(match.end())
        except TooCostly:
            pass
        looked.append(text.looked)
        assert values.taken <= label_pds3.MAX_VALUES + len(text)
        assert text.looked <= 8 * len(text) + label_pds3.MAX_VALUES + (64 << 10)


@pytest.mark.parametrize("piece", ["/*a", "/*a*/", "*/", "/*/", "a/*b*/c/*"])
def test_comments_are_found_in_one_pass(piece: str) -> None:
    line = counted((piece * 20_000).encode())
    label_pds3._without_comments(line)
    assert line.looked <= 4 * len(line)


COMMENTS = [
    ("a /* b */ c", "a   c"),
    ("/* a */", " "),
    ("/**/", " "),
    ("/*/", "/*/"),
    ("/*/*/", " "),
    ("a /* b\nc */ d", "a /* b\nc */ d"),
    ("/* a /* b */ c */", "  c */"),
    ("/* a\n/* b */", "/* a\n "),
    ("*/ /* x */ /* y", "*/   /* y"),
]


@pytest.mark.parametrize(("text", "without"), COMMENTS)
def test_what_a_comment_is(text: str, without: str) -> None:
    assert without_comments(text) == without == re.sub(r"/\*[^\n]*?\*/", " ", text), "as the expression of before"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (b'DATA_SET_ID = {"A-V1", "B-V1"}', ("A-V1", "B-V1")),
        (b'DATA_SET_ID = {"A-V1", /* } */ "B-V1"}', ("A-V1", "B-V1")),
        (b'DATA_SET_ID = "A-V1\nDATA_SET_ID = "B-V1"', ("A-V1 DATA_SET_ID =", "B-V1")),
        (b"DATA_SET_ID = {A-V1, B-V1\nEND", ("A-V1", "B-V1 END")),
        (b"DATA_SET_ID = (A)\nDATA_SET_ID = {B}\nDATA_SET_ID = 'C'\nDATA_SET_ID = D", ("A", "B", "C", "D")),
    ],
)
def test_labels_that_are_not_quite_right_say_what_they_said(text: bytes, ids: tuple[str, ...]) -> None:
    assert read_volume(io.BytesIO(text)).data_set_ids == ids


def test_a_set_keeps_no_more_than_a_thousand_names() -> None:
    raw = b"DATA_SET_ID={" + b",".join(b"%d" % n for n in range(5000)) + b"}" + GOOD
    assert len(read_volume(io.BytesIO(raw)).data_set_ids) == label_pds3.MAX_ITEMS


# --- the reader of PDS4 ----------------------------------------------------------------------------------------------

DOCTYPES = [
    "<!DOCTYPE Product_Bundle>",
    "<!DOCTYPE Product_Bundle []>",
    "<!DOCTYPE Product_Bundle [<!ATTLIST Product_Bundle a CDATA 'b'>]>",
    "<!DOCTYPE Product_Bundle [<!ENTITY a 'b'>]>",
    "<!DOCTYPE Product_Bundle [<!ENTITY % a 'b'> %a;]>",
    "<!DOCTYPE Product_Bundle [<!ELEMENT Product_Bundle ANY>]>",
    "<!DOCTYPE Product_Bundle [<!NOTATION a SYSTEM 'b'>]>",
    "<!DOCTYPE Product_Bundle SYSTEM 'file:///etc/passwd'>",
    "<!DOCTYPE Product_Bundle PUBLIC '-//x' 'http://169.254.169.254/'>",
]


@pytest.mark.parametrize("doctype", DOCTYPES)
def test_a_document_type_is_refused_whatever_it_declares(doctype: str) -> None:
    raw = bundle("x").replace("?>", f"?>{doctype}", 1).encode()
    with pytest.raises(LabelError, match="document type") as refused:
        read_label(io.BytesIO(raw))
    assert not isinstance(refused.value, TooCostly)


def element(inside: str) -> bytes:
    return f"<Product_Bundle>{inside}</Product_Bundle>".encode()


BOUNDS: list[tuple[str, bytes]] = [
    ("elements", element("<a/>" * label_pds4.MAX_ELEMENTS)),
    ("depth", element("<a>" * label_pds4.MAX_DEPTH)),
    ("attributes", element('<a b="" c="" d="" e=""/>' * (label_pds4.MAX_ATTRIBUTES // 4 + 1))),
    ("text that is kept", element(f"<version_id>{'1' * (label_pds4.MAX_TEXT + 1)}</version_id>")),
    ("members", element("<File><file_name>a</file_name></File>" * (label_pds4.MAX_KEPT + 1))),
    ("names", element(f"<File><file_name>{'a' * 4000}</file_name></File>" * 1050)),
    ("tag", element(f'<a b="{"x" * (label_pds4.MAX_TOKEN + (256 << 10))}"/>')),
    ("size", element(" " * MAX_LABEL_BYTES)),
]


@pytest.mark.parametrize("raw", [b[1] for b in BOUNDS], ids=[b[0] for b in BOUNDS])
def test_a_label_beyond_a_bound_is_too_costly(raw: bytes) -> None:
    with pytest.raises(TooCostly):
        read_label(io.BytesIO(raw))


def test_a_name_space_makes_no_name_longer() -> None:
    """Expat would copy it to each of the names below."""
    raw = element("<a/>" * 1000).replace(b"<Product_Bundle", b'<Product_Bundle xmlns="' + b"u" * 500_000 + b'"', 1)
    seen: list[int] = []

    class Reader(label_pds4._Reader):
        def start(self, tag: str, attributes: dict[str, str]) -> None:
            seen.append(len(tag))
            super().start(tag, attributes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_pds4, "_Reader", Reader)
        assert read_label(io.BytesIO(raw)).product_class == "Product_Bundle"
    assert max(seen) < 100


@pytest.mark.parametrize("prefix", ["", "pds:", "a:"])
def test_prefixes_say_nothing(prefix: str) -> None:
    plain = "<Product_Bundle><Identification_Area><logical_identifier>urn:nasa:pds:x</logical_identifier>"
    plain += "</Identification_Area></Product_Bundle>"
    raw = re.sub(r"<(/?)(\w)", rf"<\1{prefix}\2", plain).replace("Bundle>", 'Bundle xmlns:pds="u" xmlns:a="v">', 1)
    assert read_label(io.BytesIO(raw.encode())).lid == "urn:nasa:pds:x"


# --- how much is read ------------------------------------------------------------------------------------------------


def test_the_budget_of_a_directory_and_of_a_source() -> None:
    budget = LabelBudget()
    large = DIRECTORY // 4
    for _ in range(4):
        budget.spend("a.xml", large)
    with pytest.raises(TooCostly, match="of its directory"):
        budget.spend("b.xml", ORDINARY + 1)
    budget.spend("c.xml", ORDINARY)
    for _ in range(SOURCE // DIRECTORY - 1):
        budget.enter()
        for _ in range(4):
            budget.spend("a.xml", large)
    budget.enter()
    with pytest.raises(TooCostly, match="of its source"):
        budget.spend("a.xml", ORDINARY + 1)
    budget.spend("a.xml", ORDINARY)


@pytest.mark.parametrize(
    ("name", "size", "fits"),
    [
        ("bundle.xml", label_pds4.MAX_LABEL_BYTES, True),
        ("bundle.xml", label_pds4.MAX_LABEL_BYTES + 1, False),
        ("VOLDESC.CAT", label_pds3.MAX_BYTES, True),
        ("VOLDESC.CAT", label_pds3.MAX_BYTES + 1, False),
        ("bundle.xml", 1 << 62, False),
    ],
)
def test_what_is_larger_than_any_label_is_not_opened(name: str, size: int, fits: bool) -> None:
    budget = LabelBudget()
    if fits:
        budget.spend(name, size)
    else:
        with pytest.raises(TooCostly, match="larger"):
            budget.spend(name, size)


DOCTYPE = b"<!DOCTYPE a []><a/>"
HOSTILE: list[tuple[str, str, bytes, str]] = [
    ("a document type", "bad/bundle.xml", DOCTYPE, BROKEN),
    ("too deep", "bad/bundle.xml", b"<Product_Bundle>" * 200, QUARANTINED),
    ("sets that nothing closes", "bad/VOLDESC.CAT", PDS3["sets that nothing closes"].make(64 << 10), QUARANTINED),
    ("names nothing", "bad/voldesc.cat", b"/*a" * 20_000, BROKEN),
]


def paths(plan: Plan, kind: str) -> set[str]:
    return {path for f in plan.tail["findings"] if f["kind"] == kind for path in f["paths"]}


@pytest.mark.parametrize(("path", "raw", "kind"), [h[1:] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
def test_one_bad_label_stops_nothing(tmp_path: Path, path: str, raw: bytes, kind: str) -> None:
    """It is reported with its path, its files are shown by the order of layers, and the others are decided as ever."""
    a = build(tmp_path / "a", {"x/bundle.xml": bundle("x", "2.0"), "x/f": "1", "bad/f": "2"})
    b = build(tmp_path / "b", {"old/bundle.xml": bundle("x", "1.0"), "old/f": "3"})
    (a / path).write_bytes(raw)
    os.utime(a / path, (1, 1))
    plan, result = run(tmp_path, {"a": a, "b": b}, spec(["a", "b"]))
    assert paths(plan, kind) == {f"a:{path}"} and result.held_back == 0
    assert {"x/f", "bad/f", path} <= visible(plan).keys() and "old/f" not in visible(plan)
    again, _ = run(tmp_path, {"a": a, "b": b}, spec(["a", "b"]), "again", tmp_path / "gen")
    assert again.tree_digest() == plan.tree_digest() and paths(again, kind) == paths(plan, kind)


def test_what_was_too_costly_once_is_not_opened_again(tmp_path: Path) -> None:
    nas = Nas()
    nas.mkdir("bad")
    nas.put("bad/bundle.xml", b"<Product_Bundle>" * 200)
    nas.now += 10**15
    nas.put("later", b"")
    nas.now += 10**15
    fs, previous = FaultyFileSystem(nas), None
    for out, opened in (("gen", 1), ("again", 0)):
        plan, result = run(tmp_path, {"a": Path(ROOT)}, spec(["a"]), out, previous, fs=fs, now_ns=nas.now)
        assert result.counters.labels_opened == opened and paths(plan, QUARANTINED) == {"a:bad/bundle.xml"}
        previous = tmp_path / out


def test_many_large_labels_cost_each_other_not_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_budget, "ORDINARY", 1000)
    monkeypatch.setattr(label_budget, "DIRECTORY", 2500)
    large = bundle("x").ljust(1200)
    files = {f"bad/bundle_{n}.xml": large for n in range(4)} | {"good/collection.xml": collection("g")}
    a = build(tmp_path / "a", files)
    plan, _ = run(tmp_path, {"a": a}, spec(["a"]))
    assert paths(plan, QUARANTINED) == {"a:bad/bundle_2.xml", "a:bad/bundle_3.xml"}
    assert "urn:nasa:pds:g" in {d["key"] for d in plan.header["datasets"]}
    again, _ = run(tmp_path, {"a": a}, spec(["a"]), "again", tmp_path / "gen")
    fresh, _ = run(tmp_path, {"a": a}, spec(["a"]), "fresh")
    assert again.header == fresh.header and again.tail == fresh.tail, "whatever is remembered, the same is not read"


def test_a_huge_sparse_label_is_not_opened(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"x/bundle.xml": bundle("x"), "vol/voldesc.cat": voldesc("V", "D-V1.0")})
    for path in ("x/bundle.xml", "vol/voldesc.cat"):
        os.truncate(a / path, 1 << 40)
        os.utime(a / path, (1, 1))
    plan, result = run(tmp_path, {"a": a}, spec(["a"]))
    assert paths(plan, QUARANTINED) == {"a:x/bundle.xml", "a:vol/voldesc.cat"}
    assert result.counters.labels_opened == 0


def test_the_record_remembers_which_ones_were_too_costly(tmp_path: Path) -> None:
    labels: record.Labels = {("a", "b"): (1, 2, 3, record.Quarantined("too deep")), ("a", "c"): (1, 2, 3, "broken")}
    record.write_record(tmp_path / record.FILE, {}, labels)
    _, read = record.read_record(tmp_path / record.FILE)
    assert read == labels and isinstance(read["a", "b"][3], record.Quarantined)
    assert not isinstance(read["a", "c"][3], record.Quarantined)
