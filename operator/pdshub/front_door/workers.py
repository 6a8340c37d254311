"""How many threads and processes Apache needs. A websocket holds a thread for as long as it is open.

Source: Apache HTTP Server 2.4, mod_proxy_http (upgrade) and MPM event; figures in decision 21.
"""

from __future__ import annotations

from dataclasses import dataclass

THREADS = 64
"""Threads of a process: Apache's own 25 would need two processes and a half for as many sockets."""
SPARE = 128
"""Threads for requests beside sockets: pages, files, uploads of others."""
REQUESTS_PER_USER = 1


@dataclass(frozen=True)
class Workers:
    """Directives of MPM event."""

    users: int
    sockets: int
    threads: int
    workers: int
    processes: int
    reloads: int
    server_limit: int


def workers(users: int, sockets_per_user: int, reloads: int) -> Workers:
    """What so many people at a time need.

    ``reloads``: generations of processes beside each other; one that was told to end lives on while it has sockets.
    """
    sockets = users * sockets_per_user
    wanted = sockets + users * REQUESTS_PER_USER + SPARE
    processes = -(-wanted // THREADS)
    return Workers(users, sockets, THREADS, processes * THREADS, processes, reloads, processes * reloads)


def explained(found: Workers, sockets_per_user: int) -> list[str]:
    """The arithmetic, as lines for comments."""
    more = found.users * REQUESTS_PER_USER
    lines = (
        ("users with JupyterLab open at a time, all hubs", found.users),
        ("x websockets of each: kernels, terminals, events, 2 tabs", sockets_per_user),
        ("= websockets, each of which holds a thread", found.sockets),
        (f"+ requests at a time, {REQUESTS_PER_USER} of each user", more),
        ("+ spare, so that somebody new is answered", SPARE),
        ("= threads", found.sockets + more + SPARE),
        (f"/ ThreadsPerChild {found.threads}, rounded up: processes", found.processes),
        ("x ThreadsPerChild = MaxRequestWorkers", found.workers),
        (f"processes x {found.reloads} generations = ServerLimit", found.server_limit),
    )
    return [f"{label:<58}{value:>7}" for label, value in lines]
