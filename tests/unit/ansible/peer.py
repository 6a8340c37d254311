"""A program in a namespace: answers at ports with its name, or asks many at once. Standard library only."""

from __future__ import annotations

import json
import select
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

SECONDS = 3.0
"""How long an answer may take; who is not answered at all waits so long, all at the same time."""
KIND = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def listen(name: str, tcp: list[int], udp: list[int]) -> None:
    """Forever."""
    sockets = []
    for protocol, ports in (("tcp", tcp), ("udp", udp)):
        for port in ports:
            s = socket.socket(socket.AF_INET6, KIND[protocol])
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            s.bind(("::", port))
            if protocol == "tcp":
                s.listen(64)
            sockets.append(s)
    print("ready", flush=True)
    while True:
        for s in select.select(sockets, [], [])[0]:
            if s.type == socket.SOCK_STREAM:
                connection, _ = s.accept()
                with connection:
                    connection.sendall(name.encode())
            else:
                _, whose = s.recvfrom(100)
                s.sendto(name.encode(), whose)


def ask(protocol: str, address: str, port: int) -> str:
    """The name that answers, or ``refused`` or ``silent``."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, KIND[protocol]) as s:
        s.settimeout(SECONDS)
        try:
            s.connect((address, port))
            if protocol == "udp":
                s.send(b"?")
            return s.recv(100).decode()
        except TimeoutError:
            return "silent"
        except OSError:
            return "refused"


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen(**json.loads(sys.argv[2]))
    asked = json.load(sys.stdin)
    with ThreadPoolExecutor(len(asked)) as pool:
        print(json.dumps(list(pool.map(lambda a: ask(*a), asked))))
