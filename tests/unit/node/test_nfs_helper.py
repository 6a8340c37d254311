"""The helper's process with rights, and those of sources, whose words may be a server's: what it makes of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.files import read_json
from pdshub.node.layout import Layout
from pdshub.node.source import nfs_helper
from tests.unit.node.machine import eventually

pytestmark = pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="needs /dev/fuse")

REQUEST = {"device": "nas:/pds", "server": "nas", "export": "/pds", "port": 2049, "runAs": None, "point": "/nowhere"}
SAYS = """
import json, os, socket, sys
channel = socket.socket(fileno=0)
asked = json.loads(channel.makefile("rb").readline())
assert asked["request"]["export"] == "/pds" and os.fstat(asked["fuse"])
"""


class Source:
    """One source whose process does `code`; `mounted`: the requests that were mounted, each by an open /dev/fuse."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: OSError | None = None) -> None:
        self.status, self.mounted = folder / "s.status", list[dict[str, Any]]()
        self.unmounted: list[dict[str, Any]] = []

        def mount(request: dict[str, Any], fuse: int) -> None:
            assert os.stat(f"/proc/self/fd/{fuse}").st_rdev == os.stat("/dev/fuse").st_rdev
            if error:
                raise error
            self.mounted.append(request)

        monkeypatch.setattr(nfs_helper, "mount", mount)
        monkeypatch.setattr(nfs_helper, "unmount", self.unmounted.append)
        self.child = nfs_helper.Child((sys.executable, "-c", SAYS + code), self.status, dict(REQUEST))

    def until_told(self) -> dict[str, Any]:
        self.child.keep()

        def told() -> dict[str, Any] | None:
            self.child.hear()
            return read_json(self.status)

        found: dict[str, Any] = eventually(told)
        return found


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made: list[Source] = []

    def make(code: str, error: OSError | None = None) -> Source:
        made.append(Source(tmp_path, monkeypatch, code, error))
        return made[-1]

    yield make
    for one in made:
        one.child.stop()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            """channel.sendall(b'{"ready": false, "message": "no\\\\u001b[31m such\\\\nexport"}\\n')""",
            "no[31m suchexport",
        ),
        ("channel.sendall(b'{]\\n')", "its process gave no answer"),
        ("channel.sendall(b'[' * 3000 + b'\\n')", "its process gave no answer"),
        ("channel.sendall(b'{\"ready\": true}')", "its process gave no answer"),
        ("channel.sendall(bytes(1 << 20))", "its process gave no answer"),
        ("", "its process gave no answer"),
        ("os._exit(1)", "its process gave no answer"),
    ],
    ids=["no export", "nonsense", "deep nonsense", "half a line", "a flood", "nothing", "dead"],
)
def test_what_is_not_mounted(source: Callable[..., Source], code: str, says: str) -> None:
    one = source(code)
    found = one.until_told()
    assert found["ready"] is False and found["message"] == f"nas:/pds over user-space NFS: {says}"
    assert one.mounted == []


def test_what_is_mounted_is_said(source: Callable[..., Source]) -> None:
    """And the process is told; the helper keeps no descriptor of the mount, which would wait for it."""
    one = source(
        "channel.sendall(b'{\"ready\": true}\\n')\nassert channel.recv(9) == b'{}\\n'\nos.fstat(asked['fuse'])"
    )
    before = set(os.listdir("/proc/self/fd"))
    assert one.until_told()["ready"] is True and one.mounted == [REQUEST]
    assert set(os.listdir("/proc/self/fd")) <= before
    assert one.child.process is not None and one.child.process.wait(20) == 0


def test_a_point_that_is_taken(source: Callable[..., Source]) -> None:
    one = source("channel.sendall(b'{\"ready\": true}\\n')\nchannel.recv(9)", OSError(16, "/x is a mount of y (ext4)"))
    assert one.until_told()["message"] == "nas:/pds over user-space NFS: /x is a mount of y (ext4)"


SERVES = "channel.sendall(b'{\"ready\": true}\\n')\nchannel.recv(9)\nimport time; time.sleep(60)"


def test_a_source_that_nobody_asks_for_is_served_while_it_is_open(
    source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mount goes at once. Whoever holds it for too long does not hold it for ever, and what is mounted in its place
    by then stays."""
    one = source(SERVES)
    assert one.until_told()["ready"] is True
    one.child.leave()
    assert one.unmounted == [REQUEST] and not one.child.left()
    assert one.child.process is not None and one.child.process.poll() is None
    monkeypatch.setattr(nfs_helper, "LEAVING_SECONDS", 0.0)
    assert one.child.left() and one.child.process.poll() is not None and one.unmounted == [REQUEST]


def test_a_source_that_was_never_mounted_goes_with_its_request(source: Callable[..., Source]) -> None:
    one = source("import time; time.sleep(60)")
    one.child.keep()
    one.child.leave()
    assert one.child.process is not None and one.child.process.poll() is not None and one.child.left()


def test_it_ends_when_nothing_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever started it waits for the next request with less memory."""
    monkeypatch.setattr(nfs_helper, "TURN_SECONDS", 0.01)
    layout = Layout(tmp_path)
    began = time.monotonic()
    nfs_helper.run(layout, ("false",), idle_seconds=0.05)
    assert time.monotonic() - began < 20 and (layout.helper / "alive").exists()
