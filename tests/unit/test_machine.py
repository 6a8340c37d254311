"""deploy/machine: times and settings in tables; its units, its manual and its command line fit together."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from devcluster.settings import ETCD_IMAGE_TAG

from pdshub_machine import config, main, points
from pdshub_machine.trouble import Code, Trouble

ROOT = Path(__file__).parents[2]
MACHINE = ROOT / "deploy/machine"
NOW = datetime(2026, 11, 26, 2, 30, tzinfo=UTC)


def days(*ago: float) -> list[datetime]:
    return [NOW - timedelta(days=number) for number in ago]


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("20261126T023000Z", NOW),
        ("20261126T023000", None),
        ("20261126T023000Z.damaged", None),
        ("20261326T023000Z", None),
        ("２0261126T023000Z", None),  # a digit of another script
        (".making-20261126T023000Z", None),
        ("", None),
    ],
)
def test_names_are_times(name: str, at: datetime | None) -> None:
    assert points.time_of(name) == at
    assert at is None or points.name_of(at) == name


@pytest.mark.parametrize(
    ("taken", "seconds"),
    [([], 0), ([-1], 0), ([0], 1), ([0, 1], 2), ([5], 6), ([5, 3], 6), ([10_000_000], 0), ([0, 10_000_000], 1)],
)
def test_a_new_point_is_newer_than_all_but_those_of_a_wrong_clock(taken: list[int], seconds: int) -> None:
    names = [points.name_of(NOW + timedelta(seconds=number)) for number in taken]
    found = points.next_name(NOW.replace(microsecond=999), [*names, "lost+found"])
    assert found == points.name_of(NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("ago", "last", "daily", "weekly", "kept"),
    [
        ([], 3, 7, 4, []),
        ([0], 0, 0, 0, [0]),  # the newest, whatever the numbers
        ([0, 1, 2, 3], 1, 2, 0, [0, 1]),
        ([0, 0.01, 0.02, 1], 1, 2, 0, [0, 1]),  # one a day
        ([0, 0.01, 0.02, 1], 3, 0, 0, [0, 0.01, 0.02]),  # and the last ones in any case
        ([0, 30, 60], 1, 3, 0, [0, 30, 60]),  # a machine that was off
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 14, 21, 28], 1, 2, 3, [0, 1, 4, 14]),  # Thursday; weeks end on Sundays
        ([-400, 0, 1], 1, 2, 0, [-400, 0, 1]),  # a clock that was wrong once takes no place of the others
        ([-403, -402, -401, 0, 1, 2], 1, 2, 0, [-403, -402, 0, 1]),  # nor one that was wrong for long
        ([0, -3650, -3649, -3648], 2, 2, 0, [0, -3650, -3649]),  # nor do all others go, when today's is wrong
    ],
)
def test_what_is_kept(ago: list[float], last: int, daily: int, weekly: int, kept: list[float]) -> None:
    assert points.kept(days(*ago), NOW, last, daily, weekly) == set(days(*kept))


@pytest.mark.parametrize(("ago", "order"), [([], []), ([0, 1, 2], [2, 1, 0]), ([0, 1, -400, -401], [-400, -401, 1, 0])])
def test_what_a_wrong_clock_made_goes_first_when_there_is_no_room(ago: list[float], order: list[float]) -> None:
    assert sorted(days(*ago), key=points.least_wanted(NOW)) == days(*order)


@pytest.mark.parametrize(
    ("ago", "newest"), [([], None), ([2, 1], 1), ([1, -400], 1), ([-400], None), ([1, -0.005], -0.005)]
)
def test_what_a_wrong_clock_made_is_not_the_newest(ago: list[float], newest: float | None) -> None:
    assert points.newest(days(*ago), NOW) == (None if newest is None else days(newest)[0])


@pytest.mark.parametrize(
    ("missing", "sizes", "dropped"),
    [
        (0, [10, 10], []),
        (-5, [], []),
        (1, [], None),
        (1, [10], None),  # the last one stays
        (10, [10, 10], ["0"]),
        (11, [10, 10, 10], ["0", "1"]),
        (21, [10, 10, 10], None),  # and nothing is given up for nothing
    ],
)
def test_the_oldest_make_room(missing: int, sizes: list[int], dropped: list[str] | None) -> None:
    assert points.dropped_for(missing, [(str(n), size) for n, size in enumerate(sizes)]) == dropped


def test_a_tenth_of_the_disk_stays_free() -> None:
    assert points.may_write(free=300, total=1000, keep_free_percent=10) == 200
    assert points.may_write(free=50, total=1000, keep_free_percent=10) == -50


def test_the_settings_that_are_shown_are_the_defaults() -> None:
    assert config.parse((MACHINE / "pdshub-machine.toml").read_text()) == config.Config()
    assert config.parse("") == config.Config()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("state = 3", "state is 3: want an absolute path"),
        ("state = 'here'", "want an absolute path"),
        ("etcd = 3", "etcd is no section"),
        ("[etcd]\nkeep_dayly = 1", "etcd.keep_dayly is no setting: want one of cacert"),
        ("[etcd]\nkeep_daily = true", "etcd.keep_daily is True: want a number from 0"),
        ("[etcd]\nkeep_daily = -1", "want a number from 0 to 999999"),
        ("[etcd]\nkeep_free_percent = 100", "want a number from 1 to 99"),
        ("[etcd]\ntimeout_seconds = 0", "want a number from 1"),
        ("[etcd]\nendpoint = 1", "want a text"),
        ("[root]\nvolume = 'root'", "root.volume is 'root': want VG/LV, auto or none"),
        ("[root", "Expected"),
        ("[homes]", "homes is no setting"),
    ],
)
def test_settings_that_are_wrong_are_named(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "pdshub-machine.toml"
    file.write_text(text)
    with pytest.raises(Trouble, match=re.escape(says)) as found:
        config.load(file)
    assert str(file) in str(found.value) and found.value.code is Code.FAILED


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="no such file"):
        config.load(tmp_path / "none")


def test_units_run_commands_that_there_are() -> None:
    services = sorted((MACHINE / "systemd").glob("*.service"))
    assert len(services) == 3
    for file in services:
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(file)
        program, *words = unit["Service"]["ExecStart"].split()
        assert program == "/usr/local/sbin/pdshub-machine" and main.parser().parse_args(words)
        assert file.with_suffix(".timer").exists()
        if "root" in words:
            assert unit["Service"]["SendSIGKILL"] == "no", "LVM that is killed leaves the root suspended"
            kept_out = [name for name in unit["Service"] if name.startswith(("Protect", "Private"))]
            assert not kept_out, "LVM needs /dev and /etc/lvm"


def test_every_command_of_the_manual_is_one() -> None:
    page = (ROOT / "docs/recover-machine.md").read_text()
    lines = re.findall(r"^ *pdshub-machine ([^\n#]+)", page, re.MULTILINE)
    assert len(lines) >= 10
    shown = set()
    for line in lines:
        args = main.parser().parse_args(line.split())
        shown.add(args.kind if args.kind == "status" else f"{args.kind} {args.action}")
    assert shown == set(main._COMMANDS)
    assert f"registry.k8s.io/etcd:{ETCD_IMAGE_TAG} " in page, "the one that the tests have"
    for code in Code:
        assert re.search(rf"^\| {code.value} \|", page, re.MULTILINE), code


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["status", "-o", "json"], Code.OLD, '"lastGood": null'),
        (["etcd", "list"], 0, ""),
        (["etcd", "verify"], 0, "0 of 0 are whole"),
        (["etcd", "verify", "20261126T021000Z"], Code.FAILED, "no snapshot 20261126T021000Z"),
        (["etcd", "restore", "latest"], Code.FAILED, "no snapshot latest"),
        (["root", "list"], Code.REFUSED, "root.volume is none"),
        (["root", "checkpoint"], Code.REFUSED, "root.volume is none"),
        (["root", "restore", "20261126T021000Z"], Code.REFUSED, "root.volume is none"),
        (["root", "drop"], 2, "say which, or --for-space"),
        (["root", "drop", "--for-space", "20261126T021000Z"], 2, "say which, or --for-space"),
        (["root"], 2, "required"),
    ],
)
def test_the_command_line(words: list[str], code: int, says: str, tmp_path: Path) -> None:
    """As it is started on a machine: by a link, with an interpreter that takes nothing from its surroundings."""
    settings = tmp_path / "settings.toml"
    settings.write_text(f"state = '{tmp_path}/state'\nmetrics = ''\n[root]\nvolume = 'none'\n")
    (tmp_path / "pdshub-machine").symlink_to(MACHINE / "pdshub-machine")
    done = subprocess.run(
        [sys.executable, "-I", tmp_path / "pdshub-machine", "--config", settings, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout if code in (0, Code.OLD) else done.stderr
    assert done.returncode == code and says in said, done


def test_the_installer_is_a_shell_script_that_refuses_half_words() -> None:
    done = subprocess.run(["sh", "-n", MACHINE / "install"], check=False)
    assert done.returncode == 0
    for file in ("install", "pdshub-machine"):
        assert os.access(MACHINE / file, os.X_OK), file
