"""A machine that was never told anything but its seed: it starts under QEMU, and is reached with the seed's key.

The disk is Debian with its own kernel and cloud-init, made here; the seed is attached as a CD, as Hyper-V does it.
Emulated, without KVM, which takes minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from devcluster import bare_machine
from devcluster.run import StepFailed, log_to
from devcluster.settings import Paths
from labvm.machine import EMULATED, started

from tests.unit.ansible.harness import COLLECTION, Ansible

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="a disk's files are root's"),
    pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="no QEMU: ./hack/lab installs it"),
    pytest.mark.skipif(not shutil.which("xorriso"), reason="no xorriso: Debian's package of that name"),
]
SECONDS = 1500
"""For the whole first start, emulated, on a busy machine."""
MAC = "02:00:00:00:20:01"
ADDRESS, GATEWAY = "10.0.2.15", "10.0.2.2"
"""Of QEMU's network in user space, which leads a port of this machine to the first of them."""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


class Guest:
    """The machine, as its administrator reaches it."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder

    def ssh(self, command: str, user: str = "ops") -> subprocess.CompletedProcess[str]:
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=20"]
        words = ["ssh", "-F", "none", "-p", str(self.port), "-i", str(self.folder / "key"), "-o", "IdentitiesOnly=yes"]
        words += [word for option in options for word in ("-o", option)]
        return subprocess.run(
            [*words, f"{user}@127.0.0.1", command], capture_output=True, text=True, check=False, timeout=300
        )

    def said(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def guest(ansible: Ansible, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    folder = tmp_path_factory.mktemp("guest")
    paths = Paths.from_environment()
    try:
        with log_to(paths.logs / "bare-disk.log"):
            disk = bare_machine.disk().ensure(paths)[0]
    except StepFailed as error:
        pytest.skip(f"no Debian could be made: {error}")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    given = {
        "vm_seed_folder": str(folder),
        "vm_seed_mac": MAC,
        "vm_seed_addresses": [f"{ADDRESS}/24"],
        "vm_seed_gateways": [GATEWAY],
        "vm_seed_administrators": [{"name": "ops", "ssh_keys": [(folder / "key.pub").read_text().strip()]}],
    }
    words = ["-i", COLLECTION / "inventory/example", "-e", json.dumps(given), "--limit", "hub1"]
    ended = ansible.run("ansible-playbook", *words, COLLECTION / "playbooks/machines.yml")
    assert ended.code == 0, ended.text
    port, console = free_port(), folder / "console.log"
    command = [
        *("qemu-system-x86_64", "-nodefaults", "-nographic", "-no-reboot", "-cpu", EMULATED, "-smp", "2", "-m", "1G"),
        *("-kernel", disk / "vmlinuz", "-initrd", disk / "initrd", "-serial", "stdio"),
        *("-append", "root=/dev/vda rw console=ttyS0 panic=-1"),
        # what is written goes with the machine
        *("-drive", f"file={disk / 'disk.img'},format=raw,if=virtio,snapshot=on"),
        *("-drive", f"id=seed,file={folder / 'hub1.iso'},format=raw,if=none,readonly=on"),
        *("-device", "virtio-scsi-pci", "-device", "scsi-cd,drive=seed"),
        *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-{ADDRESS}:22"),
        *("-device", f"virtio-net-pci,netdev=net,mac={MAC}"),
    ]
    # the guest's console is QEMU's standard output
    shell = ["sh", "-c", 'out=$1; shift; exec "$@" >"$out" 2>&1', "sh", str(console), *map(str, command)]
    with started(shell, folder / "qemu.log") as process:
        made, deadline = Guest(port, folder), time.monotonic() + SECONDS
        while made.ssh("true").returncode:
            tail = console.read_text(errors="replace")[-3000:] if console.exists() else ""
            assert process.poll() is None, f"the machine ended: {tail}"
            assert time.monotonic() < deadline, f"nobody let us in: {tail}"
            time.sleep(3)
        yield made


def test_the_first_start_ended_well(guest: Guest) -> None:
    told = json.loads(guest.said("cloud-init status --wait >/dev/null; cat /run/cloud-init/status.json"))["v1"]
    assert {stage: it["errors"] for stage, it in told.items() if isinstance(it, dict) and it["errors"]} == {}
    assert "DataSourceNoCloud" in told["datasource"]


def test_it_has_its_name_its_addresses_and_its_administrator(guest: Guest) -> None:
    assert guest.said("hostname") == "hub1"
    (lan,) = json.loads(guest.said("ip -json address show dev lan"))
    assert lan["address"] == MAC
    assert f"{ADDRESS}/24" in [f"{it['local']}/{it['prefixlen']}" for it in lan["addr_info"]]
    assert f"default via {GATEWAY} dev lan" in guest.said("ip route")
    assert guest.said("sudo -n id -u") == "0"


def test_nobody_else_comes_in(guest: Guest) -> None:
    assert guest.ssh("true", user="root").stdout == "" and guest.ssh("id -u", user="root").returncode != 0
    sshd = guest.said("sudo -n sshd -T").splitlines()
    assert "passwordauthentication no" in sshd


def test_ansible_reaches_it(guest: Guest, ansible: Ansible) -> None:
    host = {
        "ansible_host": "127.0.0.1",
        "ansible_port": guest.port,
        "ansible_user": "ops",
        "ansible_become": True,
        "ansible_ssh_private_key_file": str(guest.folder / "key"),
        "ansible_ssh_common_args": "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    (guest.folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"hub1": host}}}))
    ended = ansible.run("ansible", "-i", guest.folder / "hosts.yml", "hub1", "-m", "ansible.builtin.ping")
    assert ended.code == 0 and "pong" in ended.text, ended.text
