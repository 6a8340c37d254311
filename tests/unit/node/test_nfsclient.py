"""The user-space NFS client: a client is one call's, and what comes from one that ended is no answer."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import nfs_rs
import pytest

from pdshub.node.source import nfs_client, nfs_fuse
from pdshub.node.source.nfs_client import Pool
from pdshub.node.source.nfs_listing import TRIES, hollow, listing
from tests.unit.node import fake_nfs
from tests.unit.node.fake_nfs import losing

BOUND = 30.0
"""Seconds for what takes a moment."""


@pytest.fixture
def nas(monkeypatch: pytest.MonkeyPatch) -> fake_nfs.Server:
    made = fake_nfs.Server()
    for n in range(4):
        for m in range(5):
            made.put(f"e/d{n}/f{m}", f"{n}{m}".encode() * 50)
    made.directories["e"] = [f"d{n}" for n in range(4)]
    made.links["e"] = 6
    monkeypatch.setattr(nfs_rs.Client, "connect", made.connect)
    monkeypatch.setattr(nfs_client, "RETRY_SECONDS", 0.001)
    return made


def mounted(size: int = nfs_client.CLIENTS) -> nfs_fuse.ExportFileSystem:
    return nfs_fuse.ExportFileSystem(nfs_client.Server("nas", 2049, None, size), "/e")


def names(filesystem: nfs_fuse.ExportFileSystem, path: str) -> list[str]:
    return [item[0] for item in filesystem.readdir(path, 0) if not isinstance(item, str)]


def content(filesystem: nfs_fuse.ExportFileSystem, path: str) -> bytes:
    handle = filesystem.open(path, 0)
    try:
        return filesystem.read(path, 1000, 0, handle)
    finally:
        filesystem.release(path, handle)


@pytest.mark.parametrize("share", [0.0, 0.05], ids=["in peace", "one call in twenty fails"])
@pytest.mark.parametrize("size", [2, 16])
def test_many_threads_get_the_truth(nas: fake_nfs.Server, share: float, size: int) -> None:
    nas.trouble = losing(share)
    filesystem = mounted(size)

    def work(number: int) -> list[str]:
        wrong = []
        for turn in range(60):
            d = f"/d{(number + turn) % 4}"
            if (found := names(filesystem, d)) != [f"f{m}" for m in range(5)]:
                wrong.append(f"{d} lists {found}")
            f = (number * 7 + turn) % 5
            if (read := content(filesystem, f"{d}/f{f}")) != f"{d[2:]}{f}".encode() * 50:
                wrong.append(f"{d}/f{f} is {read[:10]!r}")
            filesystem.getattr(d)
        return wrong

    with ThreadPoolExecutor(16) as threads:
        assert [one for wrong in threads.map(work, range(16)) for one in wrong] == []
    assert nas.wrong == []
    alive = [client for client in nas.clients if not client.closed]
    assert len(alive) <= size
    nas.trouble = losing(0)
    settle(filesystem, len(alive))
    assert [client.open_files for client in nas.clients if not client.closed] == [0] * len(
        [client for client in nas.clients if not client.closed]
    )


def settle(filesystem: nfs_fuse.ExportFileSystem, number: int) -> None:
    """Lend every client once, so that each closes what was finished."""
    pool = filesystem._server.pool
    lent = [pool.take(0) for _ in range(len(pool._idle))]
    for session in lent:
        pool.give(session)


def test_an_answer_of_a_client_that_ended_is_none(nas: fake_nfs.Server) -> None:
    server = nfs_client.Server("nas", 2049, None)
    answers = []

    def do(session: nfs_client.Session) -> str:
        answers.append(session.client)
        session.client.closed = len(answers) == 1
        return f"answer {len(answers)}"

    assert server.call(do) == "answer 2"
    assert answers[0] is not answers[1]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ESTALE])
def test_what_the_server_says_of_a_file_costs_no_client(nas: fake_nfs.Server, number: int) -> None:
    server = nfs_client.Server("nas", 2049, None)

    def do(session: nfs_client.Session) -> None:
        raise OSError(number, "so it is")

    for _ in range(3):
        with pytest.raises(OSError) as said:
            server.call(do)
        assert said.value.errno == number
    assert len(nas.clients) == 1 and not nas.clients[0].closed
    assert (nas.options["connect_timeout"], nas.options["operation_timeout"]) == (4, 8)


def test_a_server_that_is_away_is_an_error_in_time(nas: fake_nfs.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def trouble(what: str) -> None:
        raise nfs_rs.NfsConnectionError(message="refused")

    monkeypatch.setattr(nfs_client, "READER_SECONDS", 0.05)
    nas.trouble = trouble
    filesystem = mounted()
    with pytest.raises(OSError) as said:
        filesystem.readdir("/d0", 0)
    assert said.value.errno == errno.EIO
    nas.trouble = lambda what: None
    assert len(names(filesystem, "/d0")) == 5


def test_no_more_clients_than_calls_at_once(nas: fake_nfs.Server) -> None:
    filesystem = mounted()
    for _ in range(20):
        names(filesystem, "/d1")
        content(filesystem, "/d1/f1")
    assert len(nas.clients) == 1


def test_a_pool_that_is_lent_out_is_waited_for(nas: fake_nfs.Server) -> None:
    pool = Pool(nas.connect, 1)
    first = pool.take(0)
    with pytest.raises(TimeoutError):
        pool.take(0)
    taken: list[Any] = []
    waiting = threading.Thread(target=lambda: taken.append(pool.take(nfs_client.time.monotonic() + BOUND)))
    waiting.start()
    pool.give(first)
    waiting.join(BOUND)
    assert taken == [first]


# --- listings --------------------------------------------------------------------------------------------------------


def test_a_directory_that_changes_while_it_is_read_is_read_again(nas: fake_nfs.Server) -> None:
    client = nas.connect()
    left = [3]

    def trouble(what: str) -> None:
        if what == "scandir_page" and left[0]:
            left[0] -= 1
            nas.moved += 1
            nas.put(f"e/d0/new{left[0]}", b"")

    nas.trouble = trouble
    assert {entry.name for entry in listing(client, "e/d0")} == {"f0", "f1", "f2", "f3", "f4", "new0", "new1", "new2"}


def refusing(times: int) -> Callable[[str], None]:
    left = [times]

    def trouble(what: str) -> None:
        if what == "scandir_page" and left[0]:
            left[0] -= 1
            raise nfs_rs.NfsBadCookieError(message="bad cookie")

    return trouble


def test_a_listing_whose_place_is_lost_begins_anew(nas: fake_nfs.Server) -> None:
    client = nas.connect()
    nas.trouble = refusing(2)
    assert len(listing(client, "e/d0")) == 5
    nas.trouble = refusing(TRIES)
    with pytest.raises(nfs_rs.NfsBadCookieError):
        listing(client, "e/d0")


@pytest.mark.parametrize(
    ("links", "listed", "asked"),
    [(2, 5, 1), (1, 5, 1), (3, 5, 2), (7, 5, 1)],
    ids=["no sub-directory", "not counted", "one is missing", "every entry is counted"],
)
def test_links_without_directories_are_asked_for_again(
    nas: fake_nfs.Server, links: int, listed: int, asked: int
) -> None:
    client, pages = nas.connect(), []
    nas.links["e/d0"], nas.page = links, 100
    nas.trouble = lambda what: pages.append(what) if what == "scandir_page" else None
    found = listing(client, "e/d0")
    assert (len(found), len(pages)) == (listed, asked)
    assert hollow(nas.info("e/d0"), found) is (asked > 1)
    assert not hollow(nas.info("e"), listing(client, "e"))


# --- open files ------------------------------------------------------------------------------------------------------


def busy(filesystem: nfs_fuse.ExportFileSystem) -> nfs_client.Session:
    """Someone else has the client that has the file open."""
    return filesystem._server.pool.take(0)


def test_a_file_whose_client_is_busy_is_opened_with_another(nas: fake_nfs.Server) -> None:
    filesystem = mounted()
    handle = filesystem.open("/d0/f0", 0)
    busy(filesystem)
    assert filesystem.read("/d0/f0", 4, 0, handle) == b"0000"
    assert [client.open_files for client in nas.clients] == [1, 1]


def test_a_file_that_was_replaced_stays_what_was_opened(nas: fake_nfs.Server) -> None:
    filesystem = mounted()
    handle = filesystem.open("/d0/f0", 0)
    nas.put("e/d0/f0", b"another")
    assert filesystem.read("/d0/f0", 4, 0, handle) == b"0000"
    lent = busy(filesystem)
    timer = threading.Timer(0.05, filesystem._server.pool.give, [lent])
    timer.start()
    assert filesystem.read("/d0/f0", 4, 0, handle) == b"0000", "waits for the client that has it"
    timer.join()
    lost = busy(filesystem)
    while lost.client is not nas.clients[0]:
        lost = busy(filesystem)
    filesystem._server.pool.end(lost)
    with pytest.raises(OSError) as said:
        filesystem.read("/d0/f0", 4, 4, handle)
    assert said.value.errno == errno.ESTALE
    assert content(filesystem, "/d0/f0") == b"another"


def test_a_file_that_is_replaced_while_it_is_opened_is_the_new_one(nas: fake_nfs.Server) -> None:
    filesystem = mounted()
    filesystem.getattr("/d0/f0")  # as the kernel does before
    nas.put("e/d0/f0", b"another")
    handle = filesystem.open("/d0/f0", 0)
    assert filesystem.read("/d0/f0", 100, 0, handle) == b"another"
    assert filesystem.getattr("/d0/f0", handle)["st_size"] == 7, "what the kernel asks at once is of that file"
    filesystem.release("/d0/f0", handle)
    assert nas.clients[0].open_files == 0


def test_a_file_is_closed_when_its_client_is_free(nas: fake_nfs.Server) -> None:
    filesystem = mounted()
    handle = filesystem.open("/d0/f0", 0)
    lent = busy(filesystem)
    filesystem.release("/d0/f0", handle)
    assert nas.clients[0].open_files == 1
    filesystem._server.pool.give(lent)
    assert nas.clients[0].open_files == 0 and nas.wrong == []
