"""Machines as network namespaces: each is a process that sleeps, and goes with it. This machine's network stays."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

PEER = Path(__file__).with_name("peer.py")
"""What listens and asks in a namespace."""


@dataclass
class Namespace:
    """A machine: ``name`` is for its interfaces."""

    name: str
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        # no child of its own (--fork): the process that unshared is the one that sleeps
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = Path("/proc/self/ns/net").readlink()
        deadline = time.monotonic() + 20
        while Path(f"/proc/{self.process.pid}/ns/net").readlink() == own:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError("no namespace came to be")
            time.sleep(0.01)
        self.run("ip", "link", "set", "lo", "up")
        # addresses count at once, without a search for a second owner
        self.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0")

    def command(self, *words: str | Path) -> list[str]:
        """A command, to be run as on this machine."""
        return ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", *map(str, words)]

    def run(self, *words: str | Path, given: str = "") -> str:
        """Run a command here. Raises with what it said."""
        done = subprocess.run(
            self.command(*words), input=given, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, words))}: {done.stderr or done.stdout}")
        return done.stdout

    def forwards(self) -> None:
        """This machine passes packets on."""
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def join(self, router: Namespace, mine: Sequence[str], gateways: Sequence[str]) -> None:
        """A wire to ``router``: interface eth0 here, one with this name there; the way out leads over it."""
        there = self.name
        self.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", there, "netns", str(router.process.pid))
        for place, device, addresses in ((self, "eth0", mine), (router, there, gateways)):
            for address in addresses:
                place.run("ip", "address", "add", address, "dev", device)
            place.run("ip", "link", "set", device, "up")
        for gateway in gateways:
            self.run("ip", "route", "add", "default", "via", str(ip_interface(gateway).ip))

    def listen(self, tcp: Sequence[int], udp: Sequence[int]) -> subprocess.Popen[str]:
        """Answer with this machine's name at these ports until the process is ended."""
        words = self.command(sys.executable, PEER, "listen", json.dumps({"name": self.name, "tcp": tcp, "udp": udp}))
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{self.name} does not listen")
        return process

    def ask(self, what: Sequence[tuple[str, str, int]]) -> list[str]:
        """Ask all of (protocol, address, port) at once: who answered, or why nobody did."""
        found: list[Any] = json.loads(self.run(sys.executable, PEER, "ask", given=json.dumps(what)))
        return [str(answer) for answer in found]

    def end(self) -> None:
        """The machine is gone."""
        self.process.kill()
        self.process.wait()
