"""deploy/machine, which of LVM's volumes are checkpoints of the root, and which of them stay: tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdshub_machine import config, lvm, points, root
from pdshub_machine.trouble import Trouble

NOW = datetime(2026, 11, 26, 2, 30, tzinfo=UTC)


def volume(name: str, **fields: Any) -> dict[str, str]:
    """A volume as lvs writes it (LVM 2.03.16)."""
    usual = {
        "vg_name": "vg0", "lv_name": name, "lv_size": "1073741824", "lv_layout": "thin,sparse", "pool_lv": "pool",
        "origin": "", "lv_tags": "", "lv_merging": "0", "data_percent": "", "metadata_percent": "",
    }  # fmt: skip
    return {**usual, **fields}


POOL = volume("pool", lv_layout="thin,pool", pool_lv="", data_percent="41.50", metadata_percent="12.00")
AT = "20261126T021000Z"


def found(*volumes: dict[str, str], pool: dict[str, str] = POOL) -> root.Found:
    text = json.dumps({"report": [{"lv": [volume("root", data_percent="30.00"), pool, *volumes]}]})
    every = lvm.parse(text)
    return root.sort(every[0], every)


def checkpoint(name: str = AT, tags: str = "pdshub-checkpoint", **fields: Any) -> dict[str, str]:
    return volume(f"root-pdshub-{name}", origin="root", lv_tags=tags, **fields)


@pytest.mark.parametrize(
    ("one", "whole", "halves"),
    [
        (checkpoint(), [AT], 0),
        (checkpoint(tags="other,pdshub-checkpoint"), [AT], 0),
        (checkpoint(tags=""), [], 1),  # killed before it was found whole
        (checkpoint(tags="pdshub-kernel.6.1.0-50-amd64"), [], 1),
        (checkpoint(lv_name=f"[root-pdshub-{AT}]", lv_merging="1"), [AT], 0),  # hidden
        (volume(f"home-pdshub-{AT}", lv_tags="pdshub-checkpoint"), [], 0),  # of another volume
        (volume("root-pdshub-tuesday"), [], 0),
        (volume("root-2"), [], 0),
        (checkpoint(pool_lv="pool2"), [], 0),
        (checkpoint(lv_layout="linear"), [], 0),
        (volume("[pool_tdata]", lv_layout="linear", pool_lv=""), [], 0),
    ],
)
def test_which_volumes_are_checkpoints(one: dict[str, str], whole: list[str], halves: int) -> None:
    there = found(one)
    assert [each.name for each in there.checkpoints] == whole and len(there.halves) == halves


def test_what_lvs_says_of_root_and_pool() -> None:
    there = found(checkpoint("20261127T021000Z"), checkpoint(), checkpoint("20261125T021000Z", lv_merging="1"))
    assert [one.name[:8] for one in there.checkpoints] == ["20261125", "20261126", "20261127"]
    assert there.origin.full_name == "vg0/root" and there.origin.is_thin and not there.pool.is_thin
    assert there.fill == 41.5 and there.waiting == "20261125T021000Z"
    full = {**POOL, "metadata_percent": "93.10"}
    assert found(pool=full).fill == 93.1 and found().waiting == ""
    with pytest.raises(Trouble, match="does not show the pool"):
        found(pool=volume("pool2", lv_layout="thin,pool"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"report": [{"lv": [{}]}]}', '{"report": [{"lv": ["x"]}]}'])
def test_what_lvs_does_not_say(text: str) -> None:
    with pytest.raises(ValueError):
        lvm.parse(text)


def test_which_checkpoints_are_not_kept() -> None:
    def at(ago: float, **fields: Any) -> dict[str, str]:
        return checkpoint(points.name_of(NOW - timedelta(days=ago)), **fields)

    before = "pdshub-checkpoint,pdshub-before-restore"
    there = found(
        at(0), at(0.01), at(0.02), at(1), at(2), at(3, lv_merging="1"), at(0.05, tags=before), at(8, tags=before)
    )  # fmt: skip
    settings = config.Root(keep_last=1, keep_daily=2, keep_weekly=0)
    gone = [(NOW - one.taken) / timedelta(days=1) for one in root.not_kept(there.checkpoints, settings, NOW)]
    assert [round(number, 2) for number in gone] == [8, 2, 0.02, 0.01]


@pytest.mark.parametrize(("origin", "restorable"), [("root", True), ("[root]", True), ("", False), ("root-old", False)])
def test_what_lvm_can_put_in_the_roots_place(origin: str, restorable: bool) -> None:
    (one,) = found(volume(f"root-pdshub-{AT}", origin=origin, lv_tags="pdshub-checkpoint")).checkpoints
    assert one.restorable is restorable and one.wire()["restorable"] is restorable


def test_a_checkpoint_knows_its_kernel() -> None:
    there = found(checkpoint(tags="pdshub-kernel.6.1.0-50-amd64,pdshub-checkpoint"), checkpoint("20261125T021000Z"))
    assert [one.kernel for one in there.checkpoints] == ["", "6.1.0-50-amd64"]
    assert there.checkpoints[1].wire()["kernel"] == "6.1.0-50-amd64" and not there.checkpoints[1].before
