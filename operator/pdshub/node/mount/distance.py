"""How far away an NFS server is, and how it is read because of that. Standard library only, for worker_main.py.

A reader of a large file waits for the server once for each read-ahead: 128 KiB (Linux) of 20 ms each are 6 MB/s,
whatever the line can do. As much has to be on its way as the line carries in one round trip. Read-ahead belongs to a
file system and can be changed while it is mounted (Linux, Documentation/ABI/testing/sysfs-class-bdi); the number of
connections to its first mount (nfs(5), nconnect).
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path

BYTES_PER_SECOND = 1_250_000_000
"""What a line is taken to carry: 10 Gbit/s."""
LEAST, MOST = 128 << 10, 16 << 20
"""Bytes of read-ahead: Linux' own, and as much as was worth while at 20 ms."""
FAR = 0.005
"""Seconds of a round trip from which on several connections were worth while."""
CONNECTIONS = 4
TRIES, SECONDS = 3, 1.0
UNSURE = 4
"""Read-ahead is changed when the measured one differs by this factor: a busy line is no other distance."""
_BDI = Path("/sys/class/bdi")


def read_ahead(seconds: float) -> int:
    """Bytes of read-ahead for a round trip of so many seconds: a power of two, from LEAST to MOST."""
    wanted = min(max(int(seconds * BYTES_PER_SECOND), LEAST), MOST)
    return 1 << (wanted - 1).bit_length()


def connections(seconds: float) -> int:
    """Connections to a server at that distance."""
    return CONNECTIONS if seconds >= FAR else 1


def differs(measured: int, present: int) -> bool:
    """Whether read-ahead is to be changed from ``present`` to what was ``measured``."""
    return present > 0 and (measured >= UNSURE * present or present >= UNSURE * measured)


def round_trip(address: str, port: int) -> float:
    """Seconds that connecting takes, the least of a few; 0 where there is no answer in time."""
    found = []
    for _ in range(TRIES):
        began = time.monotonic()
        with suppress(OSError), socket.create_connection((address, port), timeout=SECONDS):
            found.append(time.monotonic() - began)
    return min(found, default=0.0)


def connections_of(options: str) -> int:
    """Connections of a mount, by the options of its file system as the mount table has them."""
    found = dict(part.partition("=")[::2] for part in options.split(",")).get("nconnect", "1")
    return int(found) if found.isdecimal() else 1


def of(device: str) -> int:
    """Bytes of read-ahead of a file system, by its major:minor; 0 where the kernel does not say."""
    try:
        return int((_BDI / device / "read_ahead_kb").read_text()) << 10
    except (OSError, ValueError):
        return 0


def put(device: str, size: int) -> None:
    """Sets the read-ahead of a file system to so many bytes, for files opened from now on. Raises OSError."""
    (_BDI / device / "read_ahead_kb").write_text(str(size >> 10))
