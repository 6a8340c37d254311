"""base, zones and nfs_client on a Debian of their own: looked at, made, made again, verified, removed.

It is a folder that is entered by chroot, in a mount namespace of its own: no service runs in it. What needs a kernel of
its own (auditd, the clock) is played without being started, and the roles say so by ``base_in_container``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from devcluster import bare_machine
from devcluster.run import StepFailed, log_to
from devcluster.settings import Paths

from tests.unit.ansible.harness import COLLECTION, Ansible, Ended

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="chroot is root's"),
]
ENTER = """
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" || exit 99
mount --bind /etc/resolv.conf "$1/etc/resolv.conf" || exit 99
shift
exec "$@"
"""
"""Mounts that are gone with the namespace."""
LOAD = 'nft -f "$1/etc/pdshub-zones/zones.nft" || exit 98\n'
ROLES = ("base", "zones", "nfs_client")
SETTINGS = (
    *("etc/ssh/sshd_config.d/10-pdshub.conf", "etc/chrony/sources.d/pdshub.sources", "etc/sudoers.d/50-pdshub"),
    *("etc/apt/apt.conf.d/52pdshub-upgrades", "etc/audit/rules.d/50-pdshub.rules", "etc/pdshub-zones/zones.nft"),
    "etc/systemd/system/pdshub-zones.service",
)
MOUNT = {"server": "nas.example.org", "export": "/backups", "path": "/srv/elsewhere"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    paths = Paths.from_environment()
    folder = tmp_path_factory.mktemp("bare")
    try:
        with log_to(paths.logs / "bare-machine.log"):
            made = bare_machine.folder().ensure(paths)[0]
    except StepFailed as error:
        pytest.skip(f"no Debian could be made: {error}")
    subprocess.run(["tar", "-C", folder, "-xf", made / "root.tar"], check=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def play(
    ansible: Ansible,
    root: Path,
    entry: str,
    *words: str,
    roles: tuple[str, ...] = ROLES,
    network: bool = False,
    **given: Any,
) -> Ended:
    """An entry of each role, in the Debian of ``root`` as machine hub1 of the example."""
    tasks = [{"ansible.builtin.include_role": {"name": role, "tasks_from": entry}} for role in roles]
    book = root.with_name(f"{root.name}-{entry}.yml")
    book.write_text(json.dumps([{"hosts": "hub1", "tasks": tasks}]))
    variables = {
        "ansible_connection": "community.general.chroot",
        "ansible_host": str(root),
        "ansible_become": False,
        "ansible_user": "root",
        "ansible_remote_tmp": "/root/.ansible",
        "nfs_client_mounts": [MOUNT],
        **given,
    }
    namespace, load = (["--net"], LOAD) if network else ([], "")
    return ansible.within(
        ["unshare", "--mount", "--propagation", "private", *namespace, "sh", "-c", f"{load}{ENTER}", "sh", str(root)],
        *("-i", COLLECTION / "inventory/example", "-e", json.dumps(variables), *words, book),
    )


def content(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in (root / "etc").rglob("*")
        if p.is_file() and not p.is_symlink()
    }


def test_a_machine_is_made_once_and_taken_back(ansible: Ansible, root: Path) -> None:
    before = content(root)
    looked = play(ansible, root, "main", "--check")
    assert looked.code == 0, looked.text
    assert looked.recap["hub1"]["changed"] > 5, "it says what it would do"
    assert content(root) == before, "and does nothing"

    made = play(ansible, root, "main")
    assert made.code == 0, made.text
    assert [name for name in SETTINGS if not (root / name).exists()] == []
    passwd = (root / "etc/passwd").read_text()
    assert "\nops:" in passwd
    assert "nas.example.org:/backups /srv/elsewhere nfs4 ro," in (root / "etc/fstab").read_text()
    again = play(ansible, root, "main")
    assert again.code == 0, again.text
    assert again.recap["hub1"]["changed"] == 0, again.text

    # in a network of its own, into which the rules are loaded as the unit does
    verified = play(ansible, root, "verify", roles=("base", "zones"), network=True)
    assert verified.code == 0, verified.text
    unruly = play(ansible, root, "verify", roles=("zones",))
    assert unruly.code != 0, "and without them it says so"

    gone = play(ansible, root, "main", base_administrators=[{"name": "ops", "state": "absent"}], base_ssh=False)
    assert gone.code == 0, gone.text
    assert "\nops:" not in (root / "etc/passwd").read_text()
    assert "ops" not in (root / "etc/sudoers.d/50-pdshub").read_text()

    removed = play(ansible, root, "remove")
    assert removed.code == 0, removed.text
    left = [name for name in SETTINGS if (root / name).exists()]
    assert left == ["etc/sudoers.d/50-pdshub"], "administrators stay, else nobody could come in"
    assert "/srv/elsewhere" not in (root / "etc/fstab").read_text()
    once_more = play(ansible, root, "remove")
    assert once_more.recap["hub1"]["changed"] == 0, once_more.text
