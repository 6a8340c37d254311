"""What LVM says and is told: its reports as data, its commands as argument lists. Pure.

Sources: lvmreport(7), lvmthin(7), lvcreate(8), lvm.conf(5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pdshub.homes import names
from pdshub.homes.errors import ArgumentError, HomesError
from pdshub.homes.model import Checkpoint, Pool, Volume

HOME, CHECKPOINT, MAKING, DAILY = "pdshub.home", "pdshub.checkpoint", "pdshub.making", "pdshub.daily"
"""Tags of logical volumes. MAKING: not whole yet, and never given to anybody."""
BRIEF = "pdshub.brief"
_CREATED, _LABEL = "pdshub.created=", "pdshub.name="
THIN = "thin"
EXTENT = 4 << 20
"""Bytes; the usual one of vgcreate(8), and what sizes are rounded to."""
LEAST_METADATA, MOST_METADATA = 8 << 20, 15_872 << 20
"""Bytes. Source: lvmthin(7), "Metadata space": 2 MiB to 15.81 GiB."""

CONFIG = (
    "activation/udev_sync=0 activation/udev_rules=0 activation/monitoring=0 "
    "devices/obtain_device_list_from_udev=0 devices/use_devicesfile=0 global/use_lvmpolld=0"
)
"""A container has no udev daemon and no dmeventd beside it: waiting for their answer would have no end."""
_FIELDS = (
    *("lv_name", "lv_size", "lv_tags", "pool_lv", "data_percent", "metadata_percent", "lv_metadata_size"),
    *("lv_kernel_major", "lv_kernel_minor"),
)
_NAME = re.compile(r"[A-Za-z0-9_.+][A-Za-z0-9_.+-]{0,62}")


class ReportError(HomesError):
    """LVM's report is not what it documents."""


def checked_name(text: str) -> str:
    """The name of a volume group or a pool, as an administrator gave it. Raises ArgumentError. Source: lvm(8)."""
    if not _NAME.fullmatch(text) or text in (".", ".."):
        raise ArgumentError(f"{text!r} can't be the name of a volume group or of a logical volume")
    return text


@dataclass(frozen=True)
class LV:
    """One logical volume of the group, sizes in bytes. ``number``: major:minor, empty while it is not active."""

    name: str
    size: int
    tags: frozenset[str]
    pool: str
    data: float
    metadata: float
    metadata_size: int
    number: str

    def noted(self, key: str) -> str:
        """The rest of the tag that begins with ``key``; empty where there is none."""
        return next((tag.removeprefix(key) for tag in sorted(self.tags) if tag.startswith(key)), "")


def report(program: str, what: Sequence[str], *more: str) -> list[str]:
    """A report of ``lvs``, ``pvs`` or ``vgs`` as JSON, in bytes."""
    told = ["--reportformat", "json", "--units", "b", "--nosuffix", "--config", CONFIG, "-o", ",".join(what)]
    return [program, *told, *more]


def list_lvs(vg: str) -> list[str]:
    """The command whose answer ``parse_lvs`` reads."""
    return report("lvs", _FIELDS, vg)


def rows(text: str, kind: str) -> list[dict[str, str]]:
    """The rows of a report: ``kind`` is lv, pv or vg. Raises ReportError."""
    try:
        found = [row for part in json.loads(text)["report"] for row in part[kind]]
    except (ValueError, KeyError, TypeError) as error:
        raise ReportError(f"LVM's report of {kind}s can't be read: {error!r}") from error
    if not all(isinstance(row, dict) for row in found):
        raise ReportError(f"LVM's report of {kind}s has something else than rows")
    return [{str(key): str(value) for key, value in row.items()} for row in found]


def parse_lvs(text: str) -> list[LV]:
    """The logical volumes of a report. Raises ReportError."""
    return [_lv(row) for row in rows(text, "lv")]


def _lv(row: dict[str, Any]) -> LV:
    try:
        major, minor = row["lv_kernel_major"], row["lv_kernel_minor"]
        return LV(
            row["lv_name"],
            int(row["lv_size"]),
            frozenset(tag for tag in row["lv_tags"].split(",") if tag),
            row["pool_lv"],
            float(row["data_percent"] or 0) / 100,
            float(row["metadata_percent"] or 0) / 100,
            int(row["lv_metadata_size"] or 0),
            "" if "-1" in (major, minor) or not major else f"{major}:{minor}",
        )
    except (KeyError, ValueError) as error:
        raise ReportError(f"LVM's report of a logical volume can't be read: {error!r}") from error


def home_lv(volume: str) -> str:
    """The name of the logical volume of a volume."""
    return f"h-{volume}"


def checkpoint_lv(checkpoint: str) -> str:
    """The name of the logical volume of a checkpoint."""
    return f"c-{checkpoint}"


def volumes(found: Iterable[LV], pool: str) -> list[Volume]:
    """The homes among the logical volumes of a pool that are whole."""
    kept = (
        lv for lv in found
        if lv.pool == pool and HOME in lv.tags and MAKING not in lv.tags and names.is_volume(lv.name.removeprefix("h-"))
    )  # fmt: skip
    return [Volume(lv.name.removeprefix("h-"), lv.size, int(lv.size * lv.data), lv.noted(_LABEL)) for lv in kept]


def checkpoints(found: Iterable[LV], pool: str) -> list[Checkpoint]:
    """The checkpoints among the logical volumes of a pool."""
    kept = (
        lv for lv in found
        if lv.pool == pool and CHECKPOINT in lv.tags and names.is_checkpoint(lv.name.removeprefix("c-"))
    )  # fmt: skip
    return [
        Checkpoint(
            lv.name.removeprefix("c-"), _moment(lv.noted(_CREATED)), lv.size, DAILY in lv.tags, THIN, BRIEF in lv.tags
        )
        for lv in kept
    ]


def _moment(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 0.0


def pool_of(found: Sequence[LV], pool: str) -> Pool:
    """How full the pool is. Raises ReportError where there is no such pool."""
    for lv in found:
        if lv.name == pool:
            promised = sum(v.size for v in volumes(found, pool))
            return Pool(lv.size, int(lv.size * lv.data), promised, lv.metadata)
    raise ReportError(f"the volume group has no thin pool {pool}")


def create(vg: str, pool: str, volume: str, size: int, label: str) -> list[str]:
    """Make a thin volume that is not whole yet."""
    named = ["--addtag", f"{_LABEL}{label}"] if label else []
    return [
        *("lvcreate", "--config", CONFIG, "--yes", "--type", "thin", "--virtualsize", f"{size}b"),
        *("--thinpool", pool, "--name", home_lv(volume), "--wipesignatures", "n"),
        *("--addtag", HOME, "--addtag", MAKING, *named, vg),
    ]


def create_from(vg: str, volume: str, checkpoint: str, label: str) -> list[str]:
    """Make a thin volume that is not whole yet and begins as a checkpoint is."""
    named = ["--addtag", f"{_LABEL}{label}"] if label else []
    return [
        *("lvcreate", "--config", CONFIG, "--yes", "--snapshot", "--setactivationskip", "n", "--permission", "rw"),
        *("--name", home_lv(volume), "--addtag", HOME, "--addtag", MAKING, *named),
        f"{vg}/{checkpoint_lv(checkpoint)}",
    ]


def whole(vg: str, volume: str) -> list[str]:
    """From here on the volume counts."""
    return ["lvchange", "--config", CONFIG, "--deltag", MAKING, f"{vg}/{home_lv(volume)}"]


def snapshot(vg: str, checkpoint: str, created: int, *, daily: bool = False, brief: bool = False) -> list[str]:
    """Keep a volume as it is; the kernel freezes what is mounted on it meanwhile."""
    tags = [CHECKPOINT, f"{_CREATED}{created}", *([DAILY] if daily else []), *([BRIEF] if brief else [])]
    return [
        *("lvcreate", "--config", CONFIG, "--yes", "--snapshot", "--permission", "r", "--setactivationskip", "y"),
        *("--name", checkpoint_lv(checkpoint), *(word for tag in tags for word in ("--addtag", tag))),
        f"{vg}/{home_lv(names.volume_of(checkpoint))}",
    ]


def extend(vg: str, lv: str, size: int) -> list[str]:
    """Give a logical volume ``size`` bytes."""
    return ["lvextend", "--config", CONFIG, "--yes", "--size", f"{size}b", f"{vg}/{lv}"]


def remove(vg: str, lv: str) -> list[str]:
    """Remove a logical volume; LVM itself refuses one that is open."""
    return ["lvremove", "--config", CONFIG, "--yes", f"{vg}/{lv}"]


def activate(vg: str, lv: str) -> list[str]:
    """Make its block device, and the pool's before it; nothing where they are there."""
    return ["lvchange", "--config", CONFIG, "--activate", "y", "--ignoreactivationskip", f"{vg}/{lv}"]


def deactivate(vg: str, lv: str) -> list[str]:
    """Take its block device away."""
    return ["lvchange", "--config", CONFIG, "--activate", "n", f"{vg}/{lv}"]


def metadata_wanted(data: int) -> int:
    """Bytes of metadata for a pool with so many bytes of data: a five-hundredth, which homes with many checkpoints
    need less than. Source: lvmthin(7): 0.1 to 2 % of the data are usual."""
    wanted = -(-data // 500 // EXTENT) * EXTENT
    return min(max(LEAST_METADATA, wanted), MOST_METADATA)


def extend_metadata(vg: str, pool: str, size: int) -> list[str]:
    """Give the pool's metadata ``size`` bytes."""
    return ["lvextend", "--config", CONFIG, "--yes", "--poolmetadatasize", f"{size}b", f"{vg}/{pool}"]


def extend_to_the_end(vg: str, pool: str) -> list[str]:
    """Give the pool all that is free in its group."""
    return ["lvextend", "--config", CONFIG, "--yes", "--extents", "+100%FREE", f"{vg}/{pool}"]
