"""The machine itself: packages from apt, the Debian mirror, routes."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .run import StepFailed, output, run, succeeds
from .settings import POD_RANGE, SERVICE_RANGE

DEFAULT_MIRROR = "http://deb.debian.org/debian"
ROUTE_METRIC = "9999"
POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked before a package starts a service."""
NO_SERVICES = "#!/bin/sh\n# pdshub: packages are installed\nexit 101\n"
_apt = threading.Lock()


def installed(package: str) -> bool:
    """Whether dpkg has ``package`` unpacked and configured; it also knows packages that others only mention."""
    query = ["dpkg-query", "-W", "-f=${db:Status-Status}", package]
    return succeeds(query) and output(query) == "installed"


def install_packages(packages: Iterable[str]) -> None:
    """Install Debian packages that are not there yet; those this distribution doesn't have are left out."""
    with _apt:
        missing = [p for p in packages if not installed(p)]
        if not missing:
            return
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise StepFailed(f"not root on Debian or Ubuntu: install {' '.join(missing)}, then run this again")
        env = {"DEBIAN_FRONTEND": "noninteractive"}
        wait = ["-o", "DPkg::Lock::Timeout=300"]
        run(["apt-get", *wait, "update", "-qq"], env=env)
        known = [p for p in missing if succeeds(["apt-cache", "show", p])]
        with no_services():
            run(["apt-get", *wait, "install", "-y", "-qq", "--no-install-recommends", *known], env=env)


@contextmanager
def no_services(policy: Path = POLICY) -> Iterator[None]:
    """No package starts a service meanwhile: a name server of the tests is no name server of this machine.

    A policy that the machine has stays as it is, and is the one that counts. Source: policy-rc.d(8), 101: not allowed.
    """
    mine = not policy.exists() or policy.read_text() == NO_SERVICES  # left by one that was killed
    if mine:
        policy.write_text(NO_SERVICES)
        policy.chmod(0o755)
    try:
        yield
    finally:
        if mine:
            policy.unlink(missing_ok=True)


def mirror_in(sources: str) -> str:
    """The Debian mirror named first in the text of apt's source lists; the public one if there is none.

    Security mirrors and other vendors' repositories don't count.
    """
    for line in sources.splitlines():
        found = re.match(r"\s*(?:URIs:|deb(?:\s+\[[^]]*\])?)\s+(https?://\S+)", line)
        if found and re.search(r"/debian/?$", found[1]):
            return found[1].rstrip("/")
    return DEFAULT_MIRROR


def debian_mirror() -> str:
    """Where this machine gets Debian packages from."""
    apt = Path("/etc/apt")
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    return mirror_in("\n".join(f.read_text(errors="replace") for f in files if f.is_file()))


def debootstrap(target: Path, suite: str, packages: Iterable[str] = ()) -> None:
    """A minimal Debian of ``suite`` in ``target``, with ``packages``."""
    install_packages(["debootstrap", "debian-archive-keyring"])
    include = [f"--include={','.join(packages)}"] if packages else []
    mirror = debian_mirror()
    run(["debootstrap", "--variant=minbase", *include, suite, target, mirror])


def keep_ranges_inside() -> None:
    """Blackhole routes for the pod and service ranges, so that nothing meant for a pod leaves the machine.

    Those ranges live in the node's network namespace only. The metric is high: a real route wins.
    """
    for net in (POD_RANGE, SERVICE_RANGE):
        if not output(["ip", "-4", "route", "show", "exact", net]):
            run(["ip", "route", "add", "blackhole", net, "metric", ROUTE_METRIC])


def forget_ranges() -> None:
    """Take the routes of :func:`keep_ranges_inside` away."""
    for net in (POD_RANGE, SERVICE_RANGE):
        succeeds(["ip", "route", "del", "blackhole", net, "metric", ROUTE_METRIC])


def mounts_below(folder: Path, mountinfo: str) -> list[str]:
    """Mount points at or below ``folder``, deepest first; ``mountinfo`` is /proc/self/mountinfo."""
    points = [line.split()[4].replace("\\040", " ") for line in mountinfo.splitlines() if line]
    inside = [p for p in points if p == str(folder) or p.startswith(f"{folder}/")]
    return sorted(inside, key=len, reverse=True)


def unmount_below(folder: Path) -> None:
    """Detach every mount at or below ``folder``: left over from something that died."""
    for point in mounts_below(folder, Path("/proc/self/mountinfo").read_text()):
        succeeds(["umount", "--lazy", point])
