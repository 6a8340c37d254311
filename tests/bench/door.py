"""What Apache in front costs: ``./hack/bench door``, which writes docs/benchmarks/door.md.

Debian's Apache with the rendered files, the hub's proxy and a stand-in for servers behind it, and a real JupyterHub for
sign-ins, all on this machine (hack/bench fetches them). What is compared is measured in turns, so that other work meets
both.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pdshub.front_door.site import HubSite, Machine, Upstream
from tests.bench.labels import processor
from tests.unit.front_door.asking import Answer, ask, open_websocket
from tests.unit.front_door.authority import Authority
from tests.unit.front_door.machine import LOOPBACK, Apache, certificates, folder, free_ports, running, until
from tests.unit.front_door.real_hub import PROXY, real_hub
from tests.unit.front_door.upstream import standing_in

Json = dict[str, Any]
HUB, REAL = "hub.example.org", "real.example.org"
SLOWER, THROUGHPUT = 0.100, 0.8
"""The bars: seconds by which a new request may be slower beside idle sockets; share of the straight throughput."""


def once(act: Callable[[], Any]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def sockets(door: Apache, count: int, seconds: float) -> Json:
    """New requests before, and while so many websockets are open and silent; then each has to answer."""

    def request() -> None:
        assert ask(door, HUB, "/hub/login").status == 200

    before = [once(request) for _ in range(40)]
    opened = [open_websocket(door, HUB, f"/user/u{number}/x") for number in range(count)]
    for made in opened:
        made.recv()
    beside, end = [once(request) for _ in range(40)], time.monotonic() + seconds
    while time.monotonic() < end:
        beside.append(once(request))
        time.sleep(min(1.0, seconds))
    dropped = 0
    for made in opened:
        try:
            made.send("still here")
            dropped += made.recv() != "still here"
        except Exception:  # whatever ends it, it is one that was dropped
            dropped += 1
        finally:
            made.close()
    held = {name: {"p50": statistics.median(some), "p95": statistics.quantiles(some, n=20)[18]}
            for name, some in (("before", before), ("beside", beside))}  # fmt: skip
    slower = held["beside"]["p50"] - held["before"]["p50"]
    return {"sockets": count, "seconds": seconds, "dropped": dropped, **held, "slower": slower}


def sign_in(name: str, asked: Callable[..., Answer]) -> None:
    """The form of JupyterHub, as a browser fills it in. Raises AssertionError where somebody is not let in."""
    page = asked("/hub/login")
    cookie = page.headers["set-cookie"].partition(";")[0]
    form = f"username={name}&password=secret&_xsrf={quote(cookie.partition('=')[2])}".encode()
    found = asked("/hub/login", "POST", {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}, form)
    assert found.status == 302 and "jupyterhub-hub-login" in found.headers.get("set-cookie", ""), found.status


def sign_ins(door: Apache, name: str, port: int, count: int, rounds: int) -> Json:
    """So many people sign in at once, through Apache and straight at the proxy, in turns."""

    def through(path: str, method: str = "GET", headers: Any = None, body: bytes | None = None) -> Answer:
        return ask(door, name, path, method, headers, body)

    def straight(path: str, method: str = "GET", headers: Any = None, body: bytes | None = None) -> Answer:
        with closing(HTTPConnection(LOOPBACK, port, timeout=300)) as made:
            made.request(method, path, body, {"Host": name, **(headers or {})})
            found = made.getresponse()
            cookies = "\n".join(found.headers.get_all("set-cookie") or [])  # a hub sets several
            return Answer(found.status, {"set-cookie": cookies}, found.read())

    ways = {"straight": straight, "through": through}
    taken, failed = {way: list[float]() for way in ways}, {way: 0 for way in ways}
    for number in range(rounds):
        for way in sorted(ways, reverse=bool(number % 2)):
            with ThreadPoolExecutor(count) as people:
                acts = [
                    people.submit(once, lambda one=one, way=way: sign_in(f"u{one}", ways[way]))  # type: ignore[misc]
                    for one in range(count)
                ]
                for act in acts:
                    if act.exception():
                        failed[way] += 1
                        sys.stderr.write(f"{way}: {act.exception()!r}\n")
                    else:
                        taken[way].append(act.result())
    times = {way: {"p50": statistics.median(some), "p95": statistics.quantiles(some, n=20)[18]}
             for way, some in taken.items()}  # fmt: skip
    return {"people": count, "rounds": rounds, "failed": failed, **times}


def straight(port: int, path: str) -> int:
    """Bytes of an answer without Apache and TLS."""
    with socket.create_connection((LOOPBACK, port), 60) as made:
        made.sendall(f"GET {path} HTTP/1.1\r\nHost: {HUB}\r\nConnection: close\r\n\r\n".encode())
        return _read(made)


def through(door: Apache, path: str) -> int:
    """Bytes of an answer through Apache."""
    with door.tls(HUB) as made:
        made.sendall(f"GET {path} HTTP/1.1\r\nHost: {HUB}\r\nConnection: close\r\n\r\n".encode())
        return _read(made)


def _read(made: socket.socket) -> int:
    buffer, size = bytearray(1 << 20), 0
    while read := made.recv_into(buffer):
        size += read
    return size


def download(door: Apache, port: int, size: int, rounds: int) -> Json:
    """Seconds of a download straight and through Apache, in turns, each first every other time; `share` is of pairs.

    The two of a pair meet the same machine; the best of each way would compare the luck of two moments.
    """
    path, taken = f"/user/source/{size}", {"straight": list[float](), "through": list[float]()}
    ways = {"straight": lambda: straight(port, path), "through": lambda: through(door, path)}
    for number in range(rounds):
        for name in sorted(ways, reverse=bool(number % 2)):
            got: list[int] = []
            taken[name].append(once(lambda get=ways[name], got=got: got.append(get())))  # type: ignore[misc]
            assert got[0] >= size, f"{got[0]} of {size} bytes"
    shares = sorted(one / other for one, other in zip(taken["straight"], taken["through"], strict=True))
    half = {name: statistics.median(some) for name, some in taken.items()}
    spread = {"worst": shares[0], "share": statistics.median(shares), "best": shares[-1]}
    return {"bytes": size, "rounds": rounds, **half, **spread}


def renewal(door: Apache, rate: float, seconds: float, idle: int) -> Json:
    """Requests at a steady rate, and open websockets, over the reload that takes up a renewed certificate."""
    opened = [open_websocket(door, HUB, f"/user/u{number}/x") for number in range(idle)]
    for made in opened:
        made.recv()
    failed, asked, lock = list[str](), 0, threading.Lock()

    def request() -> None:
        nonlocal asked
        try:
            status = ask(door, HUB, "/hub/login").status
            said = "" if status == 200 else f"status {status}"
        except Exception as error:
            said = type(error).__name__
        with lock:
            asked += 1
            failed.extend([said] if said else [])

    serial = door.authority.write(door.root / "etc/letsencrypt/live" / HUB, HUB)
    threads, began = list[threading.Thread](), time.monotonic()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        threads.append(threading.Thread(target=request))
        threads[-1].start()
        if number == int(rate * seconds) // 3:
            door.reload()
    for thread in threads:
        thread.join()
    until(lambda: door.serial(HUB) == serial)
    dropped = 0
    for made in opened:
        with contextlib.suppress(Exception):
            made.send("still here")
            if made.recv() == "still here":
                made.close()
                continue
        dropped += 1
    return {"rate": rate, "seconds": seconds, "asked": asked, "failed": len(failed), "why": sorted(set(failed)),
            "sockets": idle, "dropped": dropped}  # fmt: skip


@contextlib.contextmanager
def proxying(port: int, target: int, api: int) -> Iterator[None]:
    """The hub's proxy (configurable-http-proxy) before the stand-in; it ends with the context."""
    words = [f"--ip={LOOPBACK}", f"--port={port}", f"--default-target=http://{LOOPBACK}:{target}", "--log-level=error"]
    environ = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": "of-no-use"}
    started = subprocess.Popen([*PROXY, *words, f"--api-ip={LOOPBACK}", f"--api-port={api}"], env=environ)

    def up() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port)):
            return True
        return False

    try:
        until(up)
        yield
    finally:
        started.terminate()
        started.wait(60)


def measure(options: argparse.Namespace) -> Json:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4 * options.sockets + 1024), hard), hard))
    with ExitStack() as stack:
        root = stack.enter_context(folder())
        ports = free_ports(8)
        users = max(20, options.sockets // 6 + 1)
        site = HubSite(HUB, Upstream(LOOPBACK, ports[2]), users=users)
        signing = HubSite(REAL, Upstream(LOOPBACK, ports[5]), users=50)
        machine = Machine(hubs=(site, signing), http_port=ports[0], https_port=ports[1], root=str(root))
        authority = Authority()
        certificates(machine, root, authority)
        if PROXY:
            stack.enter_context(real_hub(root / "hub", ports[5:]))
        stack.enter_context(standing_in(ports[3] if PROXY else ports[2]))
        if PROXY:
            stack.enter_context(proxying(ports[2], ports[3], ports[4]))
        door = stack.enter_context(running(machine, root, authority))
        rows: Json = {"users": users, "proxy": bool(PROXY)}
        for name, act in (
            *((("sign-ins", lambda: sign_ins(door, REAL, ports[5], options.people, options.rounds)),) if PROXY else ()),
            ("download", lambda: download(door, ports[2], options.bytes << 20, 3 * options.rounds)),
            ("renewal", lambda: renewal(door, 20, options.renewal, min(50, options.sockets))),
            ("sockets", lambda: sockets(door, options.sockets, options.minutes * 60)),
        ):
            rows[name] = act()
            sys.stderr.write(f"{name}: {json.dumps(rows[name])}\n")
    return rows


def page(document: Json) -> str:
    one, two, three = (document[name] for name in ("sockets", "download", "renewal"))
    shared = "; other work shared the machine." if document["shared"] else "."
    behind = "the hub's proxy and a stand-in for servers" if document["proxy"] else "a stand-in for the hub's proxy"
    four = document.get("sign-ins")
    rows = (
        *(
            (
                (
                    f"{four['people']} people sign in at once, {four['rounds']} times each way in turns",
                    f"{sum(four['failed'].values())} failed; p95 {four['through']['p95']:.1f} s through TLS and Apache,"
                    f" {four['straight']['p95']:.1f} s straight (p50 {four['through']['p50']:.1f} and"
                    f" {four['straight']['p50']:.1f} s)",
                    "0 failed",
                ),
            )
            if four
            else ()
        ),
        (
            f"{one['sockets']} idle websockets for {one['seconds'] / 60:.1f} min",
            f"{one['dropped']} dropped",
            "0",
        ),
        (
            "a new request beside them",
            f"{one['before']['p50'] * 1000:.0f} ms, then {one['beside']['p50'] * 1000:.0f} ms"
            f" (p95 {one['before']['p95'] * 1000:.0f} and {one['beside']['p95'] * 1000:.0f} ms)",
            f"{SLOWER * 1000:.0f} ms slower at most",
        ),
        (
            f"a download of {two['bytes'] >> 20} MiB, {two['rounds']} times each way in turns",
            f"{(two['bytes'] >> 20) / two['through']:.0f} MiB/s through TLS and Apache,"
            f" {(two['bytes'] >> 20) / two['straight']:.0f} MiB/s straight, at the median; of a pair's"
            f" straight one the other has {two['share']:.2f} at the median, {two['worst']:.2f} to {two['best']:.2f}",
            f"{THROUGHPUT} of straight",
        ),
        (
            f"a renewal under {three['rate']:.0f} requests/s for {three['seconds']:.0f} s",
            f"{three['failed']} of {three['asked']} requests failed, {three['dropped']} of {three['sockets']}"
            " websockets dropped",
            "0, 0",
        ),
    )
    lines = [
        "# The front door: figures",
        "",
        "Written by `./hack/bench door`, with door.json beside it. Do not edit. Debian's Apache with the files of",
        f"`kubectl pdshub proxy render apache`, before {behind}; client and all on one machine.",
        "",
        f"{document['date']}, {document['processor']}, {document['cores']} cores, {document['apache']},"
        f" files for {document['users']} users, load before {document['load']}{shared}",
        "",
        "| what | measured | bar |",
        "| --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="hack/bench door", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("--people", type=int, default=200, help="who sign in at once")
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=10.0, help="for which they are silent")
    parser.add_argument("--bytes", type=int, default=1024, metavar="MIB", help="of a download")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--renewal", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    version = subprocess.run(["/usr/sbin/apache2", "-v"], capture_output=True, text=True, check=True).stdout
    document = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": cores,
        "python": platform.python_version(),
        "apache": version.splitlines()[0].partition(":")[2].strip(),
        "load": round(load, 1),
        "shared": load > cores / 2,
        **measure(options),
    }
    (options.folder / "door.json").write_text(json.dumps(document, indent=1) + "\n")
    (options.folder / "door.md").write_text(page(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
