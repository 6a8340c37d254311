"""The user-space NFS client against servers that answer what no server may: a reader gets an error in time, and the
process that serves a source takes no more memory than it has."""

from __future__ import annotations

import errno
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import nfs_rs
import pytest

from pdshub.node.source import nfs_client, nfs_listing
from tests.unit.node import fake_nfs
from tests.unit.node.hostile_nfs import ANSWERS

MIB = 400
HANGS = 120
"""Seconds after which a client hangs; it takes some."""


def test_malformed_replies_are_errors_in_time() -> None:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'operator'}"}
    command = [sys.executable, "-m", "tests.unit.node.hostile_nfs"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, timeout=HANGS)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-3000:]}"
    found = json.loads(done.stdout)
    assert set(found["said"]) == set(ANSWERS)
    assert "answered" not in found["said"].values(), found["said"]
    assert found["mib"] < MIB


@pytest.mark.parametrize("page", [0, 100], ids=["nothing in any page", "always another page"])
def test_a_directory_without_an_end_is_an_error(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fake_nfs.Server()
    made.put("e/f", b"")
    made.directories["e"] = ["f"]
    monkeypatch.setattr(nfs_rs.Client, "connect", made.connect)
    monkeypatch.setattr(nfs_listing, "MOST", 1000)
    pages = itertools.count()

    def endless(self: fake_nfs.Client, path: str, position: nfs_rs.DirectoryCookie) -> nfs_rs.DirectoryPage:
        assert next(pages) < 100, "it is asked without an end"
        entries = tuple(nfs_rs.DirEntry(f"n{n}", f"e/n{n}", made.info("e/f")) for n in range(page))
        return nfs_rs.DirectoryPage(entries, nfs_rs.DirectoryCookie(7), False)

    monkeypatch.setattr(fake_nfs.Client, "scandir_page", endless)
    server = nfs_client.Server("nas", 2049, None)
    with pytest.raises(OSError) as refused:
        server.call(lambda session: nfs_listing.listing(session.client, "e"))
    assert refused.value.errno == errno.EOVERFLOW
    assert len(made.clients) == 1 and not made.clients[0].closed, "it is no failure of the client"
