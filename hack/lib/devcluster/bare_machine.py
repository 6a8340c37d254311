"""Debian as an administrator gets it from a hypervisor: for tests of ansible/, in a folder or as a disk that boots.

A folder is entered by ``chroot``; a disk is started by QEMU with its own kernel, and asks cloud-init who it is.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from .artefact import Artefact, digest
from .build_settings import apt_conf
from .machine import NO_SERVICES, debian_mirror, debootstrap, unmount_below
from .run import output, run
from .settings import APP_SUITE

PACKAGES = ("python3", "python3-apt", "ca-certificates", "kmod")
"""What images for clouds have as well, and Ansible's module for apt needs."""
BOOTS = (
    *("linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "dbus", "udev", "kmod"),
    *("cloud-init", "netplan.io", "iproute2", "openssh-server", "sudo", "python3", "python3-apt"),
)
"""What Debian's image for generic clouds is made of, as far as a first start needs it."""
DISK = "3G"
_RECIPE = "1"


def folder() -> Artefact:
    """``root.tar``: a minimal Debian that starts no service by itself and knows this machine's way to packages."""

    def build(work: Path) -> None:
        root = work / "root"
        try:
            debootstrap(root, APP_SUITE, PACKAGES)
            (root / "etc/apt/apt.conf.d/90proxies").write_text(apt_conf(output(["apt-config", "dump", "Acquire"])))
            policy = root / "usr/sbin/policy-rc.d"
            policy.write_text(NO_SERVICES)
            policy.chmod(0o755)
            run(["tar", "--numeric-owner", "-C", root, "-cf", work / "root.tar", "."])
        finally:
            unmount_below(root)
        shutil.rmtree(root)

    return Artefact("bare-machine", digest([_RECIPE, *PACKAGES, APP_SUITE, debian_mirror()]), build)


def disk() -> Artefact:
    """``disk.img`` (ext4, without partitions), ``vmlinuz`` and ``initrd``: starts, and takes a NoCloud seed."""

    def build(work: Path) -> None:
        root = work / "root"
        try:
            debootstrap(root, APP_SUITE, BOOTS)
            (root / "etc/fstab").write_text("/dev/vda / ext4 defaults,errors=remount-ro 0 1\n")
            (root / "etc/hostname").write_text("nobody\n")
            # as in Debian's image: netplan writes what networkd does; the machine's keys are made at its first start
            run(["systemctl", "--root", root, "enable", "systemd-networkd.service", "ssh.service"])
            for key in (root / "etc/ssh").glob("ssh_host_*"):
                key.unlink()
            for name in ("vmlinuz", "initrd"):
                (found,) = (root / "boot").glob(f"{name}*")
                shutil.copy(found, work / name)
            (root / "etc/machine-id").write_text("")
            run(["mkfs.ext4", "-q", "-L", "root", "-d", root, work / "disk.img", DISK])
        finally:
            unmount_below(root)
        shutil.rmtree(root)

    return Artefact("bare-disk", digest([_RECIPE, *BOOTS, APP_SUITE, debian_mirror()]), build)
