"""What the lab takes from apt, without starting a service or changing apt's settings.

Programs with no service of their own are installed. The NFS server, LVM and their helpers would start with the
package, so they are only unpacked into the cache, and so are the kernels; those come from Debian releases
other than the machine's own through a private apt folder.
"""

from __future__ import annotations

import platform
import re
import shutil
from pathlib import Path

from devcluster.artefact import Artefact, digest
from devcluster.machine import debian_mirror, install_packages, installed
from devcluster.run import StepFailed, output, run, succeeds

INSTALLED = ("qemu-system-x86", "kmod", "busybox-static", "file", "iproute2", "iptables", "debian-archive-keyring")
"""Needed on the machine itself; none of them has a service."""

UNPACKED = ("nfs-kernel-server", "nfs-common", "rpcbind", "lvm2", "thin-provisioning-tools", "xfsprogs")
"""Needed in the guest only; each would start a service here."""

KERNELS: dict[str, tuple[str, ...]] = {"6.1": ("bookworm",), "6.12": ("bookworm-backports", "trixie")}
"""Kernel series -> Debian suites that have it, tried in this order."""

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_RECIPE = "3"
"""Part of every key here: raise it when a recipe changes."""


def install() -> None:
    """Install what the machine itself needs. Raises StepFailed."""
    if platform.machine() != "x86_64":
        raise StepFailed(f"the lab's kernels are for x86_64, this machine is {platform.machine()}")
    try:
        install_packages(INSTALLED)
    except StepFailed as e:
        raise StepFailed(f"the lab's virtual machine needs {', '.join(INSTALLED)} from apt: {e}") from e
    for program in ("qemu-system-x86_64", "depmod", "ip", "iptables"):
        if not shutil.which(program):  # packages that apt does not know are left out by install_packages
            raise StepFailed(
                f"{program} is not on PATH and apt has no package with it: the lab's virtual machine needs a Debian "
                f"or Ubuntu whose apt offers {', '.join(INSTALLED)}. Install it by hand, then run this again."
            )


def unpack(packages: list[Path], into: Path) -> None:
    """Unpack .deb files; what lies in /bin, /sbin, /lib goes below usr, as on a merged-usr system."""
    for package in packages:
        run(["dpkg-deb", "--extract", package, into])
    for name in ("bin", "sbin", "lib"):
        folder = into / name
        if folder.is_dir() and not folder.is_symlink():
            (into / "usr" / name).mkdir(parents=True, exist_ok=True)
            run(["cp", "-a", f"{folder}/.", into / "usr" / name])
            shutil.rmtree(folder)


def tools() -> Artefact:
    """``usr/sbin`` and more with the NFS server and LVM; packages that the machine has already are left out."""
    here = [output(["dpkg-query", "-W", "-f=${Package}=${Version} ", p]) for p in UNPACKED if installed(p)]

    def build(work: Path) -> None:
        archives = work / "archives"
        (archives / "partial").mkdir(parents=True)
        options = ["-o", f"Dir::Cache::archives={archives}", "-o", "APT::Sandbox::User=root"]
        fetch = ["apt-get", *options, "install", "--yes", "--download-only", "--no-install-recommends", *UNPACKED]
        if not succeeds(fetch, timeout=600):
            run(["apt-get", "update", "-qq"])
            run(fetch)
        unpack(sorted(archives.glob("*.deb")), work)
        shutil.rmtree(archives)

    return Artefact("lab-tools", digest([_RECIPE, *UNPACKED, *here]), build)


def image_package(shown: str, series: str) -> str:
    """The newest package of kernel ``series`` that one of linux-image-amd64's versions depends on.

    ``shown`` is the text of ``apt-cache show linux-image-amd64``; empty if there is none of the series.
    """
    found = re.findall(rf"^Depends:.*?\b(linux-image-{re.escape(series)}\.\d\S*-amd64)\b", shown, flags=re.M)
    return found[0] if found else ""


def kernel(series: str) -> Artefact:
    """``boot/vmlinuz-*`` and ``usr/lib/modules/*`` of a Debian kernel."""

    def build(work: Path) -> None:
        apt = work / "apt"
        for folder in ("lists/partial", "cache/archives/partial"):
            (apt / folder).mkdir(parents=True)
        options = [
            *("-o", f"Dir::State={apt}", "-o", f"Dir::Cache={apt}/cache", "-o", "Dir::State::status=/dev/null"),
            *("-o", f"Dir::Etc::sourcelist={apt}/sources.list", "-o", "Dir::Etc::sourceparts=/dev/null"),
            *("-o", "Acquire::Languages=none", "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false"),
            *("-o", "APT::Sandbox::User=root", "-o", "APT::Architecture=amd64"),
            *("-o", "Dir::Etc::preferencesparts=/dev/null"),
        ]
        tried = []
        for suite in KERNELS[series]:
            line = f"deb [signed-by={_KEYRING}] {debian_mirror()} {suite} main\n"
            (apt / "sources.list").write_text(line)
            tried.append(line.strip())
            if not succeeds(["apt-get", *options, "update", "-qq"], timeout=300):
                continue
            package = image_package(output(["apt-cache", *options, "show", "linux-image-amd64"]), series)
            if package:
                run(["apt-get", *options, "download", "-qq", package], cwd=apt, timeout=900)
                unpack(sorted(apt.glob("*.deb")), work)
                shutil.rmtree(apt)
                # as /lib/modules for modprobe -d and for virtme-ng
                (work / "lib").symlink_to("usr/lib")
                run(["depmod", "-b", work, next((work / "usr/lib/modules").iterdir()).name])
                return
        raise StepFailed(f"no Debian kernel {series} found; asked: {'; '.join(tried)}")

    return Artefact(f"lab-kernel-{series}", digest([_RECIPE, series, *KERNELS[series]]), build)
