"""The view's front, which all its targets show, with real mounts; each function is one test of test_mounts.py."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from unittest import mock

from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo, syscalls, volume_root
from tests.unit.node import scenarios
from tests.unit.node.machine import Machine, eventually


def two_at_once_make_one(m: Machine) -> None:
    """A publish and the reconciler, or two publishes, both find none: there is one tmpfs all the same."""
    layout = Layout(m.kubelet)
    layout.prepare()
    read, meeting = mountinfo.read, threading.Barrier(2)

    def both_have_read(path: str = "/proc/self/mountinfo") -> list[mountinfo.Mount]:
        found = read(path)
        with suppress(threading.BrokenBarrierError):  # who must wait for the other's mount can't come
            meeting.wait(1)
        return found

    with mock.patch.object(mountinfo, "read", both_have_read):
        threads = [threading.Thread(target=volume_root.ensure, args=(layout, "sbn")) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(mountinfo.stack(mountinfo.read(), str(layout.volume_root("sbn")))) == 1


def one_that_no_target_shows_goes(m: Machine) -> None:
    """Two were made, and the target shows the lower one: the archive appears in it all the same."""
    layout, target = Layout(m.kubelet), m.target()
    layout.prepare()
    volume_root.ensure(layout, "sbn")
    target.mkdir(parents=True)
    volume_root.publish(layout, "sbn", str(target))
    other = syscalls.new_filesystem("tmpfs", [("source", volume_root.label("sbn"))], 0)
    syscalls.attach(other, str(layout.volume_root("sbn")))
    m.file("main/f", "there")
    m.view({"d": ["main"]}, main="main")
    m.start()
    assert eventually(lambda: (target / "sbn/d/f").read_text()) == "there"
    assert len(mountinfo.stack(mountinfo.read(), str(layout.volume_root("sbn")))) == 1
    m.unpublish()
    assert not m.mounts()


ALL: dict[str, Callable[[Machine], None]] = {
    f.__name__: f for f in (two_at_once_make_one, one_that_no_target_shows_goes)
}

if __name__ == "__main__":
    scenarios.run(ALL[sys.argv[1]])
