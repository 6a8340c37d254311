"""Which files travel with a generation."""

from __future__ import annotations

import pytest

from pdshub.archive.content.rules import MAX_LABEL, MAX_TABLE, Rules

KINDS = {
    "a PDS4 label": ("data/x.xml", 4600, True),
    "a PDS4 label of the other suffix": ("data/x.lblx", 4600, True),
    "a PDS3 label": ("data/I0001.LBL", 4600, True),
    "a structure file": ("LABEL/ROWS.FMT", 900, True),
    "a catalog file": ("CATALOG/MISSION.CAT", 9000, True),
    "a volume's description": ("VOLDESC.CAT", 2000, True),
    "a volume's description as SFDU": ("VOLDESC.SFD", 2000, True),
    "an inventory": ("bundle/data/collection_data_inventory.csv", 90_000, True),
    "an inventory by its collection": ("bundle/data/Collection.tab", 90_000, True),
    "an index table": ("INDEX/INDEX.TAB", 9_000_000, True),
    "a cumulative index": ("cumindex/cumindex.tab", 9_000_000, True),
    "an image": ("data/x.fits", 9_000_000, False),
    "a table of data": ("data/x.tab", 9_000, False),
    "a small file of data": ("data/x.dat", 10, False),
    "an index that is no directory": ("data_indexed/x.tab", 10, False),
    "what calls itself a label and is data": ("data/x.xml", MAX_LABEL + 1, False),
    "an inventory beyond all bounds": ("data/inventory.csv", MAX_TABLE + 1, False),
}


@pytest.mark.parametrize(("path", "size", "travels"), KINDS.values(), ids=KINDS)
def test_labels_and_what_indexes_them_travel(path: str, size: int, travels: bool) -> None:
    directory, _, name = path.rpartition("/")
    assert Rules().travels(directory, name, size) is travels


SAID = {
    "no labels": (Rules(labels=False), "a/x.xml", 10, False),
    "small files": (Rules(max_file_size=100), "a/x.dat", 100, True),
    "files that are not small": (Rules(max_file_size=100), "a/x.dat", 101, False),
    "an empty file, where small ones travel": (Rules(max_file_size=100), "a/x.dat", 0, True),
    "an empty file, where they do not": (Rules(), "a/x.dat", 0, False),
    "named": (Rules(include=("calib/**",)), "calib/2024/flat.fits", 1 << 20, True),
    "named, beyond all bounds": (Rules(include=("calib/**",)), "calib/flat.fits", MAX_TABLE + 1, False),
    "taken out": (Rules(exclude=("big/**",)), "big/x.xml", 10, False),
    "taken out, though named": (Rules(include=("**",), exclude=("big/**",)), "big/x.xml", 10, False),
    "taken out, though small": (Rules(max_file_size=100, exclude=("**/*.dat",)), "a/x.dat", 10, False),
    "at the top": (Rules(include=("*.txt",)), "readme.txt", 10, True),
}


@pytest.mark.parametrize(("rules", "path", "size", "travels"), SAID.values(), ids=SAID)
def test_a_view_says_more(rules: Rules, path: str, size: int, travels: bool) -> None:
    directory, _, name = path.rpartition("/")
    assert rules.travels(directory, name, size) is travels
