"""ansible/roles/storage_lvm on real LVM: made once, grown by one more disk and by a larger one, nothing wiped.

The role's packages are the lab's; its tasks for a group are played as they are. Disks are files over loop devices.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MI = 1 << 20
GROUP = "labrole"
LVM = """
devices { dir = "/dev" scan = [ "/dev" ] use_devicesfile = 0 obtain_device_list_from_udev = 0 hints = "none"
          filter = [ "a|^/dev/loop|", "r|.*|" ] }
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
global { use_lvmpolld = 0 event_activation = 0 }
backup { backup = 0 archive = 0 }
"""
"""Without udev, which the lab has not; LVM makes its nodes itself."""
pytestmark = [
    pytest.mark.long,  # ten plays, emulated: a quarter of an hour
    pytest.mark.skipif("LAB_ANSIBLE" not in os.environ, reason="the lab brings Ansible"),
]


class Machine:
    """Two disks of 1200 MiB and the role's words about them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder / "mounted"
        (folder / "lvm").mkdir()
        (folder / "lvm/lvm.conf").write_text(LVM)
        self.environ = {**os.environ, "LVM_SYSTEM_DIR": str(folder / "lvm"), "DM_DISABLE_UDEV": "1"}
        self.disks = [self.disk(n) for n in range(2)]

    def sh(self, *words: str | Path) -> str:
        return subprocess.run(words, env=self.environ, capture_output=True, text=True, check=True).stdout

    def disk(self, number: int) -> str:
        image = self.folder / f"disk{number}"
        with image.open("wb") as file:
            file.truncate(1200 * MI)
        return self.sh("losetup", "--find", "--show", image).strip()

    def play(self, disks: list[str], size: str = "320m") -> tuple[int, int, str]:
        """Exit code, changes, what was printed."""
        volume = {"name": "work", "size": size, "filesystem": "xfs", "path": str(self.place)}
        group: dict[str, Any] = {"name": GROUP, "devices": disks, "volumes": [volume] if size else []}
        group["pool"] = {"name": "pool", "percent": 90, "metadata": "8m"}
        task = {"ansible.builtin.include_role": {"name": "storage_lvm", "tasks_from": "group", "public": True}}
        play = {"hosts": "localhost", "connection": "local", "tasks": [task], "vars": {"storage_lvm_group": group}}
        book = self.folder / "play.yml"
        book.write_text(json.dumps([play]))
        environ = {
            **self.environ,
            "HOME": str(self.folder),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),  # the home of root is not to be written here
            "ANSIBLE_ROLES_PATH": str(ROOT / "ansible/roles"),
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
        }
        words = [f"{os.environ['LAB_ANSIBLE']}/bin/ansible-playbook", book]
        done = subprocess.run(words, env=environ, cwd=self.folder, capture_output=True, text=True, check=False)
        text = done.stdout + done.stderr
        changed = re.search(r"^localhost\s.*\bchanged=(\d+)", text, flags=re.M)
        return done.returncode, int(changed[1]) if changed else -1, text

    def sizes(self) -> dict[str, int]:
        """Logical volume to its bytes."""
        words = ["lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", "lv_name,lv_size", GROUP]
        return {row["lv_name"]: int(row["lv_size"]) for row in json.loads(self.sh(*words))["report"][0]["lv"]}

    def close(self) -> None:
        for words in (["umount", self.place], ["vgremove", "-ff", "-y", GROUP], ["losetup", "--detach", *self.disks]):
            subprocess.run(words, env=self.environ, capture_output=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    made.close()


def test_a_group_is_made_once_and_grows_by_a_disk_and_by_a_larger_one(machine: Machine) -> None:
    first, second = machine.disks
    code, changed, text = machine.play([first])
    assert code == 0 and changed >= 4, text
    (machine.place / "kept").write_text("kept")
    small = machine.sizes()
    assert small["work"] == 320 * MI
    assert machine.play([first])[:2] == (0, 0), "made once"

    code, changed, text = machine.play([first, second], size="420m")
    assert code == 0 and changed, text
    grown = machine.sizes()
    assert grown["work"] == 420 * MI
    assert grown["pool"] > small["pool"] + 300 * MI
    assert os.statvfs(machine.place).f_frsize * os.statvfs(machine.place).f_blocks > 350 * MI, "the file system as well"
    assert (machine.place / "kept").read_text() == "kept"
    assert machine.play([first, second], size="420m")[:2] == (0, 0)

    os.truncate(machine.folder / "disk1", 1800 * MI)
    machine.sh("losetup", "--set-capacity", second)
    code, changed, text = machine.play([first, second], size="420m")
    assert code == 0 and changed, text
    assert machine.sizes()["pool"] > grown["pool"] + 300 * MI
    assert machine.play([first, second], size="420m")[:2] == (0, 0)


def test_a_disk_that_was_added_by_another_hand_stays(machine: Machine) -> None:
    first, second = machine.disks
    assert machine.play([first], size="")[0] == 0
    machine.sh("vgextend", GROUP, second)
    code, _, text = machine.play([first], size="")
    assert code == 0, text
    assert second in machine.sh("pvs", "--noheadings", "-o", "pv_name", "-S", f"vg_name={GROUP}")


def test_a_disk_that_holds_something_is_refused(machine: Machine) -> None:
    first, second = machine.disks
    machine.sh("mkfs.xfs", "-q", second)
    code, _, text = machine.play([first, second])
    assert code != 0 and "What is on disks" in text
    assert "xfs" in machine.sh("blkid", "--probe", second), "and it still holds it"
    assert subprocess.run(["vgs", GROUP], env=machine.environ, capture_output=True, check=False).returncode
