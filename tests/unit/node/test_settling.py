"""One view that waits keeps no other waiting; a folder with a dead mount is cleared all the same."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from pdshub.node.mount import worker_main
from pdshub.node.reconcile.settling import Settling


def test_a_view_that_hangs_keeps_no_other_waiting() -> None:
    met, ended, let = list[str](), list[str](), asyncio.Event()

    async def settle(name: str) -> None:
        met.append(name)
        if name == "hangs":
            await let.wait()
        if name == "fails":
            raise KeyError("told of elsewhere")

    async def story() -> None:
        settling = Settling(settle, lambda: ended.append("one"))
        names = ["hangs", "fails", "goes"]
        for turn in (1, 2, 3):
            assert await settling.together(names, 0.05) == {"hangs"}
            assert met.count("goes") == met.count("fails") == turn and met.count("hangs") == 1
        assert settling.oldest > 0.1 and not ended
        let.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ended == ["one"], "the next turn comes at once"
        assert await settling.together(names, 1) == set() and met.count("hangs") == 2
        assert settling.oldest == 0.0
        await settling.close()

    asyncio.run(story())


def test_a_folder_with_a_dead_mount_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file system's server has ended: a stat of it fails, as every other call."""
    folder = tmp_path / "key"
    (folder / "mnt").mkdir(parents=True)
    (folder / "entry.json").write_text("{}")

    def dead(self: Path) -> bool:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr(Path, "is_dir", dead)
    worker_main.drop(str(folder / "mnt"))
    assert not folder.exists()
