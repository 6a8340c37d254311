"""Scenarios with real mounts, each in namespaces of its own: mounts, network, processes.

Of its own: what listens on a port here meets no other scenario, no other run of the tests and no running cluster.
"""

from __future__ import annotations

import fcntl
import os
import runpy
import socket
import struct
import subprocess
import sys

from tests.unit.node.machine import ROOT

SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8913, 0x8914, 0x8916, 1
"""From linux/sockios.h and linux/if.h."""
APART = (
    *("unshare", "--mount", "--net", "--propagation", "private"),
    *("--pid", "--fork", "--kill-child", "--mount-proc"),
)
"""Whatever ends this command, nothing outlives it that was started in it."""


def run(module: str, name: str, seconds: float = 400) -> None:
    """Run scenario ``name`` of a module of this folder; fails with what it wrote when it fails."""
    done = subprocess.run(
        [
            *APART,
            *(sys.executable, "-m", "tests.unit.node.apart", f"tests.unit.node.{module}", name),
        ],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]


def loopback_up() -> None:
    """127.0.0.1 answers: in a new network namespace its device is down.

    So does 127.0.0.2: without a second address the C library resolves not even numbers for whoever asks for addresses
    of a configured family only (getaddrinfo(3), AI_ADDRCONFIG), as nfs-ganesha does.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(control, SIOCGIFFLAGS, name))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
        second = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton("127.0.0.2"))
        fcntl.ioctl(control, SIOCSIFADDR, struct.pack("16s16s", b"lo:2", second))


if __name__ == "__main__":
    loopback_up()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
