"""Labels are untrusted: table of good and bad ones, then fuzzing. Bad input is a LabelError, never anything else."""

from __future__ import annotations

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdshub.archive.candidates import label_candidates
from pdshub.archive.label_pds3 import Volume, parse_volume_version, read_volume, split_data_set_id
from pdshub.archive.label_pds4 import Label, LabelError, parse_version, read_inventory, read_label
from tests.unit.archive.archive_support import bundle, collection, label, voldesc

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<Product_Bundle>&b;</Product_Bundle>"
)
EXTERNAL = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Product_Bundle>&e;</Product_Bundle>'

GOOD: list[tuple[str | bytes, Label]] = [
    (
        bundle("x", "1.10", ["urn:nasa:pds:x:d", "urn:nasa:pds:x:e::2.0"]),
        Label("Product_Bundle", "urn:nasa:pds:x", "1.10", ("urn:nasa:pds:x:d", "urn:nasa:pds:x:e::2.0")),
    ),
    (collection("x:d", files=["d.csv"]), Label("Product_Collection", "urn:nasa:pds:x:d", "1.0", (), (("d.csv", ""),))),
    (
        bundle("x").replace('version="1.0"', 'version="1.0" encoding="UTF-16"').encode("utf-16"),
        Label("Product_Bundle", "urn:nasa:pds:x", "1.0"),
    ),
    (bundle("X"), Label("Product_Bundle", "urn:nasa:pds:x", "1.0")),  # LIDs are lower case
    ("<other/>", Label("other")),
]
BAD = [
    "",
    "<",
    "<a>",
    "<a></b>",
    "nothing",
    BOMB,
    EXTERNAL,
    bundle("../x"),
    "<a>" * 1000,
    "\0" * 100,
    "<Product_Bundle><Identification_Area><logical_identifier>" + "x" * 5000 + "</logical_identifier>",
    '<?xml version="1.0" encoding="no-such"?><a/>',
]


@pytest.mark.parametrize(("text", "expected"), GOOD)
def test_a_label_is_read(text: str | bytes, expected: Label) -> None:
    assert read_label(io.BytesIO(text if isinstance(text, bytes) else text.encode())) == expected


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_bad_label_is_a_label_error(text: str) -> None:
    with pytest.raises(LabelError):
        read_label(io.BytesIO(text.encode()))


def test_a_huge_label_is_refused() -> None:
    class Endless(io.RawIOBase):
        def read(self, n: int = -1) -> bytes:
            return b" " * n

    with pytest.raises(LabelError, match="larger"):
        read_label(Endless())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "version"),
    [("1.0", (1, 0)), ("1.10", (1, 10)), (" 2.3 ", (2, 3)), ("1", None), ("1.0.0", None), ("a.b", None)],
)
def test_versions_are_integer_pairs(text: str, version: tuple[int, int] | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (voldesc("SBN_1", "EAR-A-V1.0"), Volume("SBN_1", "VERSION 1", ("EAR-A-V1.0",))),
        ('VOLUME_ID = A_1\nDATA_SET_ID = {"B-V1",\n  "A-V2.0"}', Volume("A_1", "", ("A-V2.0", "B-V1"))),
        ("VOLUME_ID = A_1 /* x */\nDATA_SET_ID = 'N/A'", Volume("A_1", "", ())),
        ('DATA_SET_ID = "A\n  B"', Volume("", "", ("A B",))),
    ],
)
def test_a_volume_description_is_read(text: str, expected: Volume) -> None:
    assert read_volume(io.BytesIO(text.encode())) == expected


@pytest.mark.parametrize(
    ("text", "base", "version"),
    [
        ("EAR-A-I0046-5-REDDYSPEC-V1.0", "EAR-A-I0046-5-REDDYSPEC", (1, 0)),
        ("A-V12.3", "A", (12, 3)),
        ("A-V2", "A", (2, 0)),
        ("NO-VERSION", "NO-VERSION", None),
    ],
)
def test_data_set_ids_carry_versions(text: str, base: str, version: tuple[int, int] | None) -> None:
    assert split_data_set_id(text) == (base, version)


def test_inventories() -> None:
    text = b"\xef\xbb\xbfP,urn:nasa:pds:a:b:c::1.0  \r\nS , urn:nasa:pds:a:b:d\r\n\r\nbad line\r\n"
    text += b'"P","urn:nasa:pds:a:b:e"\r\n'
    members, bad = read_inventory(io.BytesIO(text))
    assert members == [("P", "urn:nasa:pds:a:b:c::1.0"), ("S", "urn:nasa:pds:a:b:d"), ("P", "urn:nasa:pds:a:b:e")]
    assert bad == 1


@pytest.mark.parametrize(
    ("names", "searching", "expected"),
    [
        ("a.fits/a.xml", True, []),  # a product
        ("LADEE.xml/readme.txt", True, ["LADEE.xml"]),  # stands alone
        ("inv.csv/inv.xml", True, ["inv.xml"]),  # beside an inventory
        ("inv.csv/inv.xml", False, []),  # no dataset begins inside a collection unless its name says so
        ("Collection_x.LBLX/a.fits/a.xml", False, ["Collection_x.LBLX"]),
        ("/".join(f"p{i}.xml" for i in range(100)), True, []),  # many of a kind are products
        ("a.fits/b.tab", True, []),
    ],
)
def test_which_labels_are_opened(names: str, searching: bool, expected: list[str]) -> None:
    assert label_candidates(names, searching) == (expected, False)


FUZZ = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
seeds = st.sampled_from(
    [
        bundle("x", "1.0", ["urn:nasa:pds:x:d"]),
        collection("x:d", files=["f"]),
        BOMB,
        label("Observational", "urn:nasa:pds:x:d:p", files=["a"]),
        voldesc("V", "A-V1.0"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A seed with pieces cut, doubled, or replaced by noise."""
    data = draw(seeds).encode()
    for _ in range(draw(st.integers(0, 4))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 40))
        piece = draw(st.one_of(st.just(b""), st.binary(max_size=20), st.just(data[at : at + length] * 3)))
        data = data[:at] + piece + data[at + length :]
    return data


@FUZZ
@given(st.one_of(mutated(), st.binary(max_size=400)))
def test_fuzz_pds4(data: bytes) -> None:
    try:
        found = read_label(io.BytesIO(data))
    except LabelError:
        return
    assert found.product_class and len(found.lid) < 5000


@FUZZ
@given(st.one_of(mutated(), st.binary(max_size=400), st.text(max_size=200).map(str.encode)))
def test_fuzz_pds3_and_inventories(data: bytes) -> None:
    try:
        volume = read_volume(io.BytesIO(data))
        assert volume.volume_id or volume.data_set_ids
        parse_volume_version(volume.volume_version)
    except LabelError:
        pass
    read_inventory(io.BytesIO(data))
