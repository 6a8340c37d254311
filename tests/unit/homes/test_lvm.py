"""LVM's reports as data, its commands as words: read and made without LVM. tests/lab runs them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.homes import lvm, names
from pdshub.homes.errors import ArgumentError
from pdshub.homes.model import Pool

ID = names.volume_id("pvc-1")
CHECK = names.checkpoint_id(ID, "daily-2026-01-31")
GI = 1 << 30


def row(name: str, **more: str) -> dict[str, str]:
    """As lvs 2.03.31 writes it."""
    return {
        "lv_name": name, "lv_size": str(GI), "lv_tags": "", "pool_lv": "homes", "data_percent": "25.00",
        "metadata_percent": "", "lv_metadata_size": "", "lv_kernel_major": "253", "lv_kernel_minor": "4", **more,
    }  # fmt: skip


def report(*rows: dict[str, str]) -> str:
    return json.dumps({"report": [{"lv": list(rows)}], "log": []})


POOL = row("homes", lv_size=str(10 * GI), pool_lv="", data_percent="12.50", metadata_percent="3.10",
           lv_metadata_size="8388608")  # fmt: skip
HOME = row(f"h-{ID}", lv_tags=f"{lvm.HOME},pdshub.name=pvc-1")
HALF = row(f"h-{names.volume_id('half')}", lv_tags=f"{lvm.HOME},{lvm.MAKING}")
KEPT = row(f"c-{CHECK}", lv_tags=f"{lvm.CHECKPOINT},{lvm.DAILY},pdshub.created=1769817600", lv_kernel_major="-1",
           lv_kernel_minor="-1")  # fmt: skip
FOREIGN = [
    row("root", pool_lv="", data_percent=""),
    row("data", lv_tags=lvm.HOME),
    row(f"h-{names.volume_id('elsewhere')}", lv_tags=lvm.HOME, pool_lv="other"),
    row(f"h-{names.volume_id('untagged')}"),
    row("h-../../x", lv_tags=lvm.HOME),
]


def test_a_report_is_read() -> None:
    found = lvm.parse_lvs(report(POOL, HOME, HALF, KEPT, *FOREIGN))
    (home,) = lvm.volumes(found, "homes")
    assert (home.id, home.size, home.used, home.label) == (ID, GI, GI // 4, "pvc-1")
    (kept,) = lvm.checkpoints(found, "homes")
    assert (kept.id, kept.created, kept.daily, kept.how, kept.volume) == (CHECK, 1769817600.0, True, "thin", ID)
    pool = lvm.pool_of(found, "homes")
    assert pool == Pool(10 * GI, 10 * GI // 8, GI, pytest.approx(0.031))
    assert pool.fill == pytest.approx(0.125)
    by_name = {lv.name: lv.number for lv in found}
    assert by_name[f"h-{ID}"] == "253:4" and by_name[f"c-{CHECK}"] == ""


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "null", '{"report": [{"pv": []}]}', '{"report": [{"lv": [7]}]}', '{"report": 7}',
        report({"lv_name": "x"}), report(row("x", lv_size="1g")), report(row("x", data_percent="much")),
    ],
)  # fmt: skip
def test_what_is_no_report_is_an_error(text: str) -> None:
    with pytest.raises(lvm.ReportError):
        lvm.parse_lvs(text)


def test_a_pool_that_is_not_there_is_said() -> None:
    with pytest.raises(lvm.ReportError, match="no thin pool homes"):
        lvm.pool_of(lvm.parse_lvs(report(HOME)), "homes")


def test_an_empty_group_has_nothing() -> None:
    assert lvm.parse_lvs(report()) == []


@pytest.mark.parametrize("name", ["", "-y", "--config", "a b", "a/b", "..", ".", "x\n", "é", "a" * 64])
def test_names_of_groups_are_checked(name: str) -> None:
    with pytest.raises(ArgumentError):
        lvm.checked_name(name)


def test_usual_names_of_groups_pass() -> None:
    assert [lvm.checked_name(name) for name in ("vg0", "pds-homes", "_x.y+z")] == ["vg0", "pds-homes", "_x.y+z"]


COMMANDS: dict[str, list[str]] = {
    "create": lvm.create("vg", "homes", ID, GI, "pvc-1"),
    "create from": lvm.create_from("vg", ID, CHECK, ""),
    "whole": lvm.whole("vg", ID),
    "snapshot": lvm.snapshot("vg", CHECK, 1769817600, daily=True),
    "extend": lvm.extend("vg", lvm.home_lv(ID), 2 * GI),
    "remove": lvm.remove("vg", lvm.checkpoint_lv(CHECK)),
    "activate": lvm.activate("vg", lvm.home_lv(ID)),
    "deactivate": lvm.deactivate("vg", lvm.home_lv(ID)),
    "metadata": lvm.extend_metadata("vg", "homes", 8 << 20),
    "to the end": lvm.extend_to_the_end("vg", "homes"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_waits_for_udev_or_an_answer(name: str) -> None:
    words = COMMANDS[name]
    assert words[words.index("--config") + 1] == lvm.CONFIG
    assert name in ("whole", "activate", "deactivate") or "--yes" in words


def test_a_volume_is_not_whole_before_it_is_said_so() -> None:
    made = COMMANDS["create"]
    tags = [made[i + 1] for i, word in enumerate(made) if word == "--addtag"]
    assert tags == [lvm.HOME, lvm.MAKING, "pdshub.name=pvc-1"]
    assert lvm.MAKING in COMMANDS["create from"] and lvm.MAKING in COMMANDS["whole"]


def test_a_snapshot_is_of_its_volume_and_says_when() -> None:
    words = COMMANDS["snapshot"]
    assert words[-1] == f"vg/h-{ID}" and f"c-{CHECK}" in words
    assert {lvm.CHECKPOINT, lvm.DAILY, "pdshub.created=1769817600"} <= set(words)
    assert lvm.DAILY not in lvm.snapshot("vg", CHECK, 1, daily=False)


@pytest.mark.parametrize(
    ("data", "metadata"),
    [(0, 8 << 20), (GI, 8 << 20), (100 * GI, 208 << 20), (1 << 50, lvm.MOST_METADATA)],
)
def test_metadata_of_a_pool(data: int, metadata: int) -> None:
    assert lvm.metadata_wanted(data) == metadata
    assert lvm.metadata_wanted(data) % lvm.EXTENT == 0


def test_rows_are_texts() -> None:
    found: list[dict[str, Any]] = list(lvm.rows('{"report": [{"pv": [{"pv_name": "/dev/sdb", "n": 1}]}]}', "pv"))
    assert found == [{"pv_name": "/dev/sdb", "n": "1"}]
