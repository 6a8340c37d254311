"""What hack/ reads of the machine and the container engine, and what it repairs there."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from devcluster import (
    engine,
    machine,
    portrules,
    repair,
)
from devcluster.run import StepFailed


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        ("Types: deb\nURIs: http://m.example.org/debian/\nSuites: bookworm\n", "http://m.example.org/debian"),
        ("deb [signed-by=/k] https://m.example.org/debian bookworm main", "https://m.example.org/debian"),
        ("deb http://s.example.org/debian-security x main\ndeb http://u.example.org/ubuntu y", machine.DEFAULT_MIRROR),
        ("", machine.DEFAULT_MIRROR),
    ],
)
def test_mirror(sources: str, mirror: str) -> None:
    assert machine.mirror_in(sources) == mirror


@pytest.mark.parametrize(
    ("before", "during", "after"),
    [
        ("", 101, ""),
        (machine.NO_SERVICES, 101, ""),  # of an installation that was killed
        ("#!/bin/sh\nexit 104\n", 104, "#!/bin/sh\nexit 104\n"),
    ],
    ids=["none", "left over", "the machine's own"],
)
@pytest.mark.parametrize("fails", [False, True])
def test_packages_start_no_service(tmp_path: Path, before: str, during: int, after: str, fails: bool) -> None:
    policy = tmp_path / "policy-rc.d"
    if before:
        policy.write_text(before)
        policy.chmod(0o755)
    with contextlib.suppress(StepFailed), machine.no_services(policy):
        assert subprocess.run([policy, "knot", "start"], check=False).returncode == during
        if fails:
            raise StepFailed("apt-get")
    assert (policy.read_text() if policy.exists() else "") == after


def test_mounts_below_deepest_first() -> None:
    table = "1 0 0:1 / / rw\n2 1 0:2 / /a/b rw\n3 2 0:3 / /a/b/c\\040d rw\n4 1 0:4 / /a/bc rw\n"
    assert machine.mounts_below(Path("/a/b"), table) == ["/a/b/c d", "/a/b"]


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ("default via 192.0.2.1 dev eth0\n192.0.2.0/24 dev eth0", "10.89.0.0/24"),
        ("10.89.0.0/24 dev x\n10.89.1.0/25 dev y", "10.89.2.0/24"),
        ("10.0.0.0/9 dev vpn", ""),
    ],
)
def test_free_range(routes: str, found: str) -> None:
    if found:
        assert str(engine.free_range(routes)) == found
    else:
        with pytest.raises(StepFailed, match="no free range"):
            engine.free_range(routes)


@pytest.mark.parametrize(
    "description",
    [{"subnets": [{"subnet": "10.89.0.0/24"}]}, {"IPAM": {"Config": [{"Subnet": "10.89.0.0/24"}]}}],
)
def test_nas_address_in_podmans_and_dockers_networks(description: dict[str, object]) -> None:
    (net,) = engine.subnets(description)
    assert engine.nas_address(net) == "10.89.0.250"  # type: ignore[arg-type]
    others = {engine.nas_address(net, name) for name in ("one", "two", "three")}  # type: ignore[arg-type]
    assert len(others) == 3 and "10.89.0.250" not in others, "several clusters fit on one machine"


@pytest.mark.parametrize(
    ("name", "words"), [("docker", "rm -f -v x"), ("podman", "rm -f -v -t 0 x")]
)  # docker's rm refuses -t
def test_remove_in_words_that_the_engine_knows(name: str, words: str, tmp_path: Path) -> None:
    program = tmp_path / name
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/said\n')
    program.chmod(0o755)
    with mock.patch.dict(os.environ, {"PATH": f"{tmp_path}:{os.environ['PATH']}"}):
        assert engine.Engine(name).remove("x")
    assert (tmp_path / "said").read_text() == f"{words}\n"


def test_container_limits_are_never_above_the_hosts() -> None:
    assert "nofile=20000:20000" in engine.containers_conf(-1, -1)
    assert "nofile=1024:1024" in engine.containers_conf(1024, 99999)
    assert "nproc=32768:32768" in engine.containers_conf(1024, 99999)


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[Path]:
    for pid, state, cgroup in (
        ("10", "S", "/libpod-abc/init.scope"),
        ("11", "Z", "/libpod-abc"),
        ("12", "S", "/other"),
    ):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "stat").write_text(f"{pid} (a) b) {state} 1")
        (tmp_path / pid / "cgroup").write_text(f"4:memory:{cgroup}\n")
    yield tmp_path


@pytest.mark.parametrize(
    ("pid", "alive"),
    [(10, True), (11, False), (12, False), (13, False), (0, False)],
    ids=["runs", "zombie", "number used again", "gone", "never ran"],
)
def test_what_the_kernel_says_of_a_container(proc: Path, pid: int, alive: bool) -> None:
    assert repair.is_alive(repair.Belief("abc", "c", True, pid), proc) is alive


def test_dead_are_those_believed_to_run() -> None:
    state = {"Running": True, "Pid": 5}
    found = repair.beliefs(
        [{"Id": "1", "Name": "/a", "State": state}, {"Id": "2", "Name": "b", "State": {"Running": False, "Pid": 0}}]
    )
    assert [b.name for b in found] == ["a", "b"]
    assert [b.id for b in repair.dead(found, lambda _: False)] == ["1"]
    assert repair.dead(found, lambda _: True) == []


def test_port_rules_of_containers_that_are_gone() -> None:
    old, new = "a" * 64, "b" * 64
    rules = f"""-P PREROUTING ACCEPT
-A OUTPUT -j DOCKER
-A NETAVARK-DN-62F -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.89.0.5:30080
-A NETAVARK-DN-62F -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.89.0.4:30080
-A NETAVARK-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: kind id: {old}" -j NETAVARK-DN-62F
-A NETAVARK-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: kind id: {new}" -j NETAVARK-DN-62F
-A NETAVARK-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000
"""
    gone = portrules.stale(rules, [new], ["10.89.0.4"])
    assert [g[:2] for g in gone] == [["-D", "NETAVARK-DN-62F"], ["-D", "NETAVARK-HOSTPORT-DNAT"]]
    assert f"dnat name: kind id: {old}" in gone[1] and "10.89.0.5:30080" in gone[0]
