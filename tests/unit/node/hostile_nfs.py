"""NFS servers that answer what no server may, and the user-space client against them, as a program of its own:
``python -m tests.unit.node.hostile_nfs``. Prints JSON: kind -> errno that a reader gets, and MiB that it took.

Source: RFC 5531 (RPC messages; section 11, record marking), RFC 8881 (NFSv4.1, COMPOUND).
"""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pdshub.node.source import nfs_client

MEMORY = 3 << 30
"""Bytes of address space, of which the client's threads reserve much."""
SECONDS = 1.0
MOST = 64 << 20
"""Bytes that an endless answer has, at least: a client that has not left by then holds none of them."""
Answer = Callable[[int], Iterator[bytes]]


def record(body: bytes, last: bool = True) -> bytes:
    return struct.pack(">I", len(body) | (0x80000000 if last else 0)) + body


def accepted(xid: int, body: bytes, status: int = 0) -> bytes:
    return struct.pack(">IIIIII", xid & 0xFFFFFFFF, 1, 0, 0, 0, status) + body


def forever(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces[:-1]
    block = pieces[-1] * max(1, (64 << 10) // len(pieces[-1]))
    for _ in range(MOST // len(block)):
        yield block


def noise(xid: int, size: int = 400) -> bytes:
    return random.Random(7).randbytes(size)


ANSWERS: Mapping[str, Answer] = {
    "closes": lambda xid: iter(()),
    "noise": lambda xid: iter([noise(xid, 5000)]),
    "a record of two gigabytes": lambda xid: forever(b"\xff\xff\xff\xff", b"x"),
    "a record of two gigabytes, with a beginning": lambda xid: forever(b"\xff\xff\xff\xff", accepted(xid, b""), b"x"),
    "fragments without an end": lambda xid: forever(record(b"abcd", last=False)),
    "large fragments without an end": lambda xid: forever(record(b"x" * (1 << 20), last=False)),
    "fragments of nothing": lambda xid: forever(record(b"", last=False)),
    "records of nothing": lambda xid: forever(record(b"")),
    "half of a record": lambda xid: iter([struct.pack(">I", 0x80000064) + accepted(xid, b"")]),
    "another's answer": lambda xid: iter([record(accepted(xid + 1, struct.pack(">III", 0, 0, 0)))]),
    "others' answers without an end": lambda xid: forever(record(accepted(xid + 1, bytes(12)))),
    "a call": lambda xid: iter([record(struct.pack(">IIIIII", xid, 0, 2, 100003, 4, 1) + bytes(16))]),
    "denied": lambda xid: iter([record(struct.pack(">IIIII", xid, 1, 1, 1, 1))]),
    "another version": lambda xid: iter([record(accepted(xid, struct.pack(">II", 9, 9), 2))]),
    "what it could not read": lambda xid: iter([record(accepted(xid, b"", 4))]),
    "nothing in an answer": lambda xid: iter([record(accepted(xid, b""))]),
    "a long verifier": lambda xid: iter([record(struct.pack(">IIIII", xid, 1, 0, 0, 0xFFFFFFFF) + b"x" * 64)]),
    "a long tag": lambda xid: iter([record(accepted(xid, struct.pack(">II", 0, 0xFFFFFFFF) + b"x" * 64))]),
    "many results": lambda xid: iter([record(accepted(xid, struct.pack(">III", 0, 0, 0xFFFFFFFF) + b"\0" * 64))]),
    "another operation": lambda xid: iter([record(accepted(xid, struct.pack(">IIIII", 0, 0, 1, 10044, 0)))]),
    "no operation": lambda xid: iter([record(accepted(xid, struct.pack(">III", 0, 0, 0)))]),
    "an unknown status": lambda xid: iter([record(accepted(xid, struct.pack(">IIIII", 99, 0, 1, 42, 99)))]),
    "noise in an answer": lambda xid: iter([record(accepted(xid, struct.pack(">II", 0, 0) + noise(xid)))]),
    "a long name in an answer": lambda xid: iter(
        [record(accepted(xid, struct.pack(">IIIII", 0, 0, 1, 42, 0) + bytes(24) + b"\xff" * 64))]
    ),
}


def serve(answer: Answer) -> int:
    """The port of a server that answers every call with this."""
    listening = socket.create_server(("127.0.0.1", 0))

    def talk(line: socket.socket) -> None:
        with suppress(OSError), line:
            while head := line.recv(4, socket.MSG_WAITALL):
                length = struct.unpack(">I", head)[0] & 0x7FFFFFFF
                body = line.recv(length, socket.MSG_WAITALL)
                for piece in answer(struct.unpack(">I", body[:4])[0]):
                    line.sendall(piece)
                if answer is ANSWERS["closes"]:
                    return

    def accept() -> None:
        while True:
            line, _ = listening.accept()
            threading.Thread(target=talk, args=(line,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listening.getsockname()[1])


def outcome(answer: Answer) -> str:
    server = nfs_client.Server("127.0.0.1", serve(answer), None, 1)
    try:
        server.call(lambda session: session.client.stat("/export"))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "none")
    return "answered"


def main(kinds: list[str]) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    nfs_client.CONNECT_SECONDS = nfs_client.CALL_SECONDS = SECONDS
    nfs_client.READER_SECONDS, nfs_client.RETRY_SECONDS = SECONDS, 0.05
    said: dict[str, str] = {}

    def run(name: str) -> None:
        said[name] = outcome(ANSWERS[name])

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # not ru_maxrss: it begins with what the process had that started this program
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    mib = int(status["VmHWM"].split()[0]) >> 10
    print(json.dumps({"said": said, "mib": mib}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:] or list(ANSWERS))
