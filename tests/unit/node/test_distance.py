"""Read-ahead and connections that fit a server's distance: how they are chosen, set, kept and shown."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pdshub.api.view import NFSSource
from pdshub.node.mount import distance, mountinfo, syscalls, worker_main
from pdshub.node.source import source_mount
from pdshub.node.source.source_mount import DISTANCES, SourceMount, State
from pdshub.node.spec import Source
from tests.unit.node.views import nfs

KI, MI = 1 << 10, 1 << 20


@pytest.mark.parametrize(
    ("seconds", "read_ahead", "connections"),
    [
        (0.0, 128 * KI, 1),  # not known: Linux' own
        (0.0001, 128 * KI, 1),
        (0.0005, MI, 1),
        (0.002, 4 * MI, 1),
        (0.005, 8 * MI, 4),
        (0.02, 16 * MI, 4),
        (3.0, 16 * MI, 4),  # no more than was worth while
    ],
)
def test_what_fits_a_distance(seconds: float, read_ahead: int, connections: int) -> None:
    assert (distance.read_ahead(seconds), distance.connections(seconds)) == (read_ahead, connections)


@pytest.mark.parametrize(
    ("measured", "present", "changed"),
    [(4, 1, True), (2, 1, False), (1, 4, True), (1, 2, False), (1, 1, False), (4, 0, False)],
)
def test_a_busy_line_is_no_other_distance(measured: int, present: int, changed: bool) -> None:
    assert distance.differs(measured * MI, present * MI) is changed


def test_a_round_trip_is_that_of_a_connection() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        assert 0 < distance.round_trip("127.0.0.1", server.getsockname()[1]) < 1
    assert distance.round_trip("127.0.0.1", server.getsockname()[1] if server.fileno() > 0 else 1) == 0


@pytest.mark.parametrize(
    ("options", "connections"),
    [("ro,vers=4.2,nconnect=4,port=2049", 4), ("ro,vers=4.2", 1), ("nconnect=many", 1), ("", 1)],
)
def test_connections_of_a_mount(options: str, connections: int) -> None:
    assert distance.connections_of(options) == connections


@pytest.fixture
def bdi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the kernel shows of file systems, of that of the tests' directory 128 KiB."""
    found = os.stat(tmp_path).st_dev
    folder = tmp_path / "bdi" / f"{os.major(found)}:{os.minor(found)}"
    folder.mkdir(parents=True)
    (folder / "read_ahead_kb").write_text("128\n")
    monkeypatch.setattr(distance, "_BDI", folder.parent)
    return folder / "read_ahead_kb"


MOUNTS: dict[str, tuple[float, dict[str, int], str, str]] = {
    "near": (0.0001, {}, "128", ""),
    "2 ms": (0.002, {}, "4096", ""),
    "far": (0.02, {}, "16384", "nconnect=4"),
    "as the view says": (0.02, {"read_ahead": 2 * MI, "connections": 2}, "2048", "nconnect=2"),
    "read-ahead alone": (0.02, {"read_ahead": 2 * MI}, "2048", "nconnect=4"),
    "as the source itself": (0.0, {"read_ahead": MI, "connections": 1}, "1024", ""),
}


@pytest.mark.parametrize(("seconds", "said", "written", "option"), MOUNTS.values(), ids=MOUNTS)
@pytest.mark.parametrize("more", ["", "actimeo=1"])
def test_a_mount_is_made_so(
    bdi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    seconds: float, said: dict[str, int], written: str, option: str, more: str,
) -> None:  # fmt: skip
    options: list[str] = []
    monkeypatch.setattr(worker_main, "reach", lambda *_: "192.0.2.1")
    monkeypatch.setattr(distance, "round_trip", lambda *_: seconds)
    monkeypatch.setattr(syscalls, "mount", lambda *words: options.append(words[-1]))
    worker_main.mount_nfs("nas", "/a", 2049, "4.2", str(tmp_path / "m"), "nas:/a", more, **said)
    assert bdi.read_text().strip() == written
    assert options[0].endswith(",".join(filter(None, ["sec=sys", more, option])))


def test_a_kernel_that_lets_nobody_set_it_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distance, "_BDI", tmp_path / "none")
    monkeypatch.setattr(worker_main, "reach", lambda *_: "192.0.2.1")
    monkeypatch.setattr(distance, "round_trip", lambda *_: 0.02)
    monkeypatch.setattr(syscalls, "mount", lambda *words: None)
    worker_main.mount_nfs("nas", "/a", 2049, "4.2", str(tmp_path / "m"), "nas:/a")
    assert distance.of("0:9") == 0


MOVED: dict[str, tuple[Source, list[float], str, int]] = {
    "as it was": (nfs("a", "nas", "/a"), [0.0001] * 9, "128", 0),
    "it is far": (nfs("a", "nas", "/a"), [0.02] * 9, "16384", 1),
    "one look was quick": (nfs("a", "nas", "/a"), [*[0.02] * 5, 0.0001], "128", 0),
    "one look was slow": (nfs("a", "nas", "/a"), [*[0.0001] * 5, 0.02], "128", 0),
    "too few looks": (nfs("a", "nas", "/a"), [0.02] * (DISTANCES - 1), "128", 0),
    "the view says it": (nfs("a", "nas", "/a", read_ahead="128Ki"), [0.02] * 9, "128", 0),
}


@pytest.mark.parametrize(("source", "looks", "written", "times"), MOVED.values(), ids=MOVED)
def test_a_server_that_moved_away_is_read_otherwise(
    bdi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    source: Source, looks: list[float], written: str, times: int,
) -> None:  # fmt: skip
    calls: list[str] = []

    async def once(do: str, limit: float, **words: Any) -> None:
        calls.append(do)
        worker_main.tune(**words)

    monkeypatch.setattr(source_mount.worker, "once", once)
    device = bdi.parent.name
    mount = mountinfo.parse(f"5 1 {device} / {tmp_path} ro - nfs4 nas:/a ro,vers=4.2,nconnect=4")[0]
    one = SourceMount.__new__(SourceMount)
    one.source, one._distances = source, []
    monkeypatch.setattr(SourceMount, "point", str(tmp_path))

    async def look() -> State:
        for seconds in looks:
            state = await one._tuned(State(), mount, seconds)
        return state

    state = asyncio.run(look())
    assert bdi.read_text().strip() == written and calls == ["tune"] * times
    assert state.read_ahead == int(written) * KI and state.connections == 4
    assert state.round_trip == min(looks[-DISTANCES:])


@pytest.mark.parametrize(
    ("said", "well"), [("128Ki", True), ("64Mi", True), ("4Mi", True), ("1", False), ("1Gi", False)]
)
def test_what_a_view_may_ask_for(said: str, well: bool) -> None:
    words = {"server": "nas", "export": "/a", "readAhead": said}
    if well:
        assert NFSSource.model_validate(words).read_ahead == said
    else:
        with pytest.raises(ValidationError, match="from 128Ki to 64Mi"):
            NFSSource.model_validate(words)


def test_what_a_view_says_of_it_is_another_mount() -> None:
    plain = nfs("a", "nas", "/a").digest
    others = {nfs("a", "nas", "/a", **more).digest for more in ({"read_ahead": "4Mi"}, {"connections": 4})}
    assert len({plain, *others}) == 3
