"""deploy/machine: its lock, the programs that it starts, and what it tells a person and Prometheus."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub_machine import config, status
from pdshub_machine.programs import Programs, only_one
from pdshub_machine.trouble import Code, Trouble

ROOT = Path(__file__).parents[2]
MACHINE = ROOT / "deploy/machine"
NOW = datetime(2026, 11, 26, 2, 30, tzinfo=UTC)


def days(*ago: float) -> list[datetime]:
    return [NOW - timedelta(days=number) for number in ago]


def test_a_second_one_does_not_wait(tmp_path: Path) -> None:
    with only_one(tmp_path / "a/lock"), pytest.raises(Trouble) as found, only_one(tmp_path / "a/lock"):
        pass
    assert found.value.code is Code.BUSY
    with only_one(tmp_path / "a/lock"):
        pass


def test_the_lock_is_held_by_what_was_started(tmp_path: Path) -> None:
    """Who was killed may have left a program that is still at work."""
    code = (
        "import os, sys, pathlib; from pdshub_machine.programs import only_one\n"
        "with only_one(pathlib.Path(sys.argv[1])) as programs:\n"
        "    programs.run('sh', '-c', 'kill -9 $PPID; exec cat ' + sys.argv[2], timeout=600)\n"
    )
    os.mkfifo(tmp_path / "end")
    environ = {**os.environ, "PYTHONPATH": str(MACHINE)}
    words = [sys.executable, "-c", code, tmp_path / "lock", tmp_path / "end"]
    assert subprocess.run(words, env=environ, check=False).returncode == -9
    with pytest.raises(Trouble) as found, only_one(tmp_path / "lock"):
        pass
    assert found.value.code is Code.BUSY
    with (tmp_path / "end").open("w"):
        pass  # what was started ends now
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


@pytest.mark.parametrize(
    ("words", "options", "says"),
    [
        (["no-such-program-here"], {}, "no-such-program-here is not on PATH"),
        (["sh", "-c", "echo bad >&2; exit 7"], {}, "exit code 7: bad"),
        (["sh", "-c", "exec sleep 600"], {"timeout": 0.1}, "no end after 0 s, killed"),
    ],
)
def test_programs_that_do_not_work(words: list[str], options: dict[str, Any], says: str) -> None:
    with pytest.raises(Trouble, match=says):
        Programs().run(*words, **{"timeout": 60, **options})


def test_a_program_writes_no_more_than_it_may(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="exit code"):
        Programs().run("sh", "-c", f"head -c 9000 /dev/zero >{tmp_path}/f", timeout=60, max_file=4096)
    assert (tmp_path / "f").stat().st_size <= 4096


def test_programs_do_not_get_variables_of_etcd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCDCTL_ENDPOINTS", "https://192.0.2.1:2379")
    assert "ETCDCTL" not in Programs().run("env", timeout=60)


def kind(*ago: float, absent: str = "") -> status.Kind:
    return status.Kind("etcd", tuple(days(*ago)), 4096, 36, absent, 0.415)


@pytest.mark.parametrize(
    ("one", "old"),
    [(kind(1), False), (kind(1.6), True), (kind(), True), (kind(-400), True), (kind(absent="no LVM"), False)],
)
def test_what_is_old(one: status.Kind, old: bool) -> None:
    assert one.old(NOW) is old
    assert one.wire(NOW).get("old", False) is old


def test_metrics_are_times() -> None:
    text = status.state_metrics(kind(3, 1), NOW)
    assert f'pdshub_machine_last_good_timestamp_seconds{{what="etcd"}} {int(days(1)[0].timestamp())}\n' in text
    assert 'pdshub_machine_kept{what="etcd"} 2\n' in text and 'pool_used_ratio{what="etcd"} 0.415\n' in text
    assert 'last_good_timestamp_seconds{what="etcd"} 0\n' in status.state_metrics(kind(), NOW)
    assert 'pdshub_machine_last_run_ok{what="root"} 0\n' in status.run_metrics("root", NOW, ok=False)
    both = text + status.run_metrics("etcd", NOW, ok=True)
    for name in status.METRICS:
        assert both.count(f"# TYPE {name} gauge\n") == 1, name


def test_metrics_appear_whole_where_there_is_a_folder(tmp_path: Path) -> None:
    settings = config.Config(state=tmp_path, metrics=str(tmp_path / "node-exporter"))
    status.tell(settings, "etcd", lambda: kind(1), NOW, ok=True)
    assert not (tmp_path / "node-exporter").exists()
    (tmp_path / "node-exporter").mkdir()
    status.tell(settings, "etcd", lambda: kind(1), NOW, ok=True)
    files = {file.name: oct(file.stat().st_mode) for file in (tmp_path / "node-exporter").iterdir()}
    assert files == dict.fromkeys(("pdshub-machine-etcd.prom", "pdshub-machine-etcd-run.prom"), "0o100644")

    def fails() -> status.Kind:
        raise Trouble(Code.FAILED, "lvs: exit code 5")

    status.tell(settings, "etcd", fails, NOW, ok=None)
    text = (tmp_path / "node-exporter/pdshub-machine-etcd.prom").read_text()
    assert 'last_good_timestamp_seconds{what="etcd"} 0\n' in text, "in doubt there is none"


def test_words_for_a_person() -> None:
    lines = status.words([replace(kind(2), extra={"before": [], "damaged": ["x"]}), kind(absent="no LVM")], NOW)
    assert lines == ["etcd: last good 48.0 h ago, OLD; 1 kept", "  damaged: ['x']", "etcd: no LVM"]
    assert status.words([kind()], NOW) == ["etcd: last good never, OLD; 0 kept"]


def test_alerts_are_about_metrics_that_there_are() -> None:
    (group,) = yaml.safe_load((MACHINE / "alerts.yaml").read_text())["groups"]
    named = {name for rule in group["rules"] for name in re.findall(r"pdshub_machine_\w+", rule["expr"])}
    assert named <= set(status.METRICS) and len(group["rules"]) >= 3
    page = (ROOT / "docs/recover-machine.md").read_text()
    assert set(re.findall(r"`(pdshub_machine_\w+)`", page)) == set(status.METRICS)
