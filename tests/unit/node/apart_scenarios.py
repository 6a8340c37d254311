"""What every scenario may take for granted; each function is one test of test_apart.py."""

from __future__ import annotations

import os
import socket
import sys


def listens() -> None:
    """A port that another process of this machine listens on is free here, and answers on 127.0.0.1."""
    port = int(os.environ["PDSHUB_TEST_PORT"])
    with (
        socket.create_server(("0.0.0.0", port)) as server,  # noqa: S104  # as the plugin's metrics do
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"mine")
            assert client.recv(4) == b"mine"


ALL = {f.__name__: f for f in (listens,)}


if __name__ == "__main__":
    ALL[sys.argv[1]]()
