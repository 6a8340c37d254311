"""What runs inside the pods of ``kubectl pdshub probe``: listens, or tries addresses and prints what answered.

Its source is handed to ``python3 -c``, so that any image with Python will do: nothing but the standard library.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

OPEN, CLOSED, NO_NAME, NO_ROUTE = "open", "closed", "no-name", "no-route"
"""What came of an attempt: a connection; none (refused, unreachable or silence: policies look like any of them); the
name is not known; the pod has no address of that family."""
AT_ONCE = 16


def where(host: str) -> str:
    """The host that a word stands for: the API server, this pod's node, its name service."""
    if host == "$API":
        return os.environ.get("KUBERNETES_SERVICE_HOST", "")
    if host == "$NODE":
        return os.environ.get("NODE_IP", "")
    if host == "$DNS":
        lines = Path("/etc/resolv.conf").read_text().splitlines()
        return next((line.split()[1] for line in lines if line.startswith("nameserver ")), "")
    return host


def attempt(host: str, port: int, seconds: float) -> tuple[str, str]:
    """What came of it, and the address that was tried last."""
    try:
        found = socket.getaddrinfo(where(host), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return NO_NAME, ""
    result, address = CLOSED, ""
    for family, kind, protocol, _, at in found[:4]:
        address = str(at[0])
        try:
            with socket.socket(family, kind, protocol) as made:
                made.settimeout(seconds)
                made.connect(at)
            return OPEN, address
        except OSError as error:
            missing = error.errno in (errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
            result = NO_ROUTE if missing and family == socket.AF_INET6 else CLOSED
    return result, address


def dial(targets: list[list[Any]], seconds: float, rounds: int, pause: float) -> dict[str, list[str]]:
    """By name what came of each target in the last round: an engine may need a moment to know a new pod."""
    found: dict[str, list[str]] = {}
    for number in range(rounds):
        if number:
            time.sleep(pause)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tried = list(pool.map(lambda target: attempt(target[1], int(target[2]), seconds), targets))
        found = {target[0]: list(one) for target, one in zip(targets, tried, strict=True)}
    return found


def listen(port: int, seconds: float) -> None:
    """Accept and close for so long, on both families where there are two."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    end = time.monotonic() + seconds
    with socket.create_server(("", port), family=family, dualstack_ipv6=both) as server:
        server.settimeout(1.0)
        while time.monotonic() < end:
            try:
                server.accept()[0].close()
            except TimeoutError:
                continue


def main(argument: str) -> None:
    """``argument`` is JSON: ``listen`` and ``seconds``, or ``targets`` and how they are tried."""
    asked = json.loads(argument)
    if "listen" in asked:
        listen(int(asked["listen"]), float(asked["seconds"]))
        return
    time.sleep(float(asked["settle"]))
    found = dial(asked["targets"], float(asked["timeout"]), int(asked["rounds"]), float(asked["pause"]))
    sys.stdout.write(json.dumps(found, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
