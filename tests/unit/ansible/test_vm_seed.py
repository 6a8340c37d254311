"""What new virtual machines are told, and the script that makes them on Hyper-V.

The script was never run: there is no Hyper-V here, and neither PowerShell nor PSScriptAnalyzer. It is parsed, and
each of its commands and their parameters must be in the table below, which is from Microsoft's reference of Hyper-V.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.ansible.harness import COLLECTION, ROLES, Ansible, group_variables

SCRIPT = ROLES / "vm_seed/files/New-PdshubMachine.ps1"
COMMANDS = {
    "Add-VMDvdDrive": "VMName Path",
    "Add-VMHardDiskDrive": "VMName ControllerType Path",
    "ConvertFrom-Json": "",
    "Copy-Item": "LiteralPath Destination",
    "Get-Content": "LiteralPath Raw Encoding",
    "Get-VM": "Name ErrorAction",
    "Join-Path": "Path ChildPath",
    "New-Item": "ItemType Path Force",
    "New-VHD": "Path SizeBytes Dynamic",
    "New-VM": "Name Generation Path VHDPath SwitchName MemoryStartupBytes",
    "Out-Null": "",
    "Resize-VHD": "Path SizeBytes",
    "Set-StrictMode": "Version",
    "Set-VM": "Name AutomaticStartAction AutomaticStopAction CheckpointType",
    "Set-VMFirmware": "VMName EnableSecureBoot SecureBootTemplate",
    "Set-VMMemory": "VMName DynamicMemoryEnabled",
    "Set-VMNetworkAdapter": "VMName StaticMacAddress MacAddressSpoofing DhcpGuard RouterGuard",
    "Set-VMNetworkAdapterVlan": "VMName Trunk AllowedVlanIdList NativeVlanId Access VlanId",
    "Set-VMProcessor": "VMName Count",
    "Start-VM": "Name",
    "Test-Path": "LiteralPath",
    "Write-Output": "",
}
"""Command to those of its parameters that are used. `throw` is none: the grammar knows it."""
GIB = 1024**3
needs_xorriso = pytest.mark.skipif(not shutil.which("xorriso"), reason="no xorriso: Debian's package of that name")


def described(ansible: Ansible, script: Path) -> dict[str, Any]:
    words = [ansible.bin / "python", Path(__file__).with_name("powershell.py"), script]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "No module named 'tree_sitter" in done.stderr:
        pytest.skip("no grammar of PowerShell in Ansible's environment: ./hack/test brings it")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_script_for_hyper_v_parses_and_calls_what_there_is(ansible: Ansible) -> None:
    found = described(ansible, SCRIPT)
    assert found["faults"] == []
    own = set(found["functions"])
    parameters = {name: set(re.findall(r"\$(\w+)", head)) for name, head in heads().items()}
    assert set(parameters) == own
    for name, given in found["commands"]:
        known = parameters[name] if name in own else set(COMMANDS[name].split())
        assert {word.removeprefix("-") for word in given} <= known, name
    assert {name for name, _ in found["commands"]} >= {"New-VM", "Set-VMNetworkAdapterVlan", "Add-VMDvdDrive", *own}


def heads() -> dict[str, str]:
    """Function to its parameters' text."""
    return dict(re.findall(r"^function ([\w-]+) \{\n(?:    #.*\n)*    param\((.*)\)$", SCRIPT.read_text(), flags=re.M))


@pytest.mark.parametrize("planted", ["if ($x { Get-VM }", "New-VM -Name 'x", "}", "Get-VMs -Name x", "New-VM -Nmae x"])
def test_what_is_planted_in_the_script_is_found(ansible: Ansible, tmp_path: Path, planted: str) -> None:
    script = tmp_path / "planted.ps1"
    script.write_text(f"{SCRIPT.read_text()}\n{planted}\n")
    found = described(ansible, script)
    unknown = [
        name
        for name, given in found["commands"]
        if name not in {*COMMANDS, *found["functions"]}
        or (name in COMMANDS and {w.removeprefix("-") for w in given} - set(COMMANDS[name].split()))
    ]
    assert found["faults"] or unknown


def test_the_script_stops_at_the_first_error_and_can_only_say_what_it_would_do() -> None:
    text = SCRIPT.read_text()
    assert "Set-StrictMode -Version Latest\n$ErrorActionPreference = 'Stop'" in text
    assert "[CmdletBinding(SupportsShouldProcess)]" in text
    assert text.count("$PSCmdlet.ShouldProcess(") == 1
    body = text[text.index("$PSCmdlet.ShouldProcess(") :]
    assert "Start-VM" in body and "New-PdshubMachine -Machine" in body, "and what changes something is behind it"
    assert not re.search(r"Remove-|Stop-VM|Invoke-Expression|\biex\b", text), (
        "nothing is taken away, nothing is made of text"
    )
    assert text.isascii(), "Windows PowerShell 5.1 reads files without a mark as its own code page"


@pytest.fixture(scope="module")
def made(ansible: Ansible, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seeds of the example's machines."""
    folder = tmp_path_factory.mktemp("machines")
    for changed in (True, False):
        ended = play(ansible, folder)
        assert ended.code == 0, ended.text
        assert any(counts["changed"] for counts in ended.recap.values()) is changed, "a second run changes nothing"
    return folder


def play(ansible: Ansible, folder: Path, *words: str) -> Any:
    book = COLLECTION / "playbooks/machines.yml"
    return ansible.run(
        "ansible-playbook", "-i", COLLECTION / "inventory/example", "-e", f"vm_seed_folder={folder}", *words, book
    )


@needs_xorriso
def test_a_machine_is_told_its_name_its_administrators_and_its_addresses(made: Path) -> None:
    told = yaml.safe_load((made / "hub1/user-data").read_text())
    assert (made / "hub1/user-data").read_text().startswith("#cloud-config\n")
    assert told["hostname"] == "hub1"
    (person,) = told["users"]
    (wanted,) = group_variables("all", "base")["base_administrators"]
    assert (person["name"], person["ssh_authorized_keys"]) == (wanted["name"], wanted["ssh_keys"])
    assert (told["ssh_pwauth"], told["disable_root"], person["lock_passwd"]) == (False, True, True)
    assert yaml.safe_load((made / "hub1/meta-data").read_text()) == {"instance-id": "hub1-1", "local-hostname": "hub1"}
    network = yaml.safe_load((made / "hub1/network-config").read_text())
    assert network["version"] == 2
    assert network["ethernets"]["lan"]["match"] == {"macaddress": "02:00:00:00:20:01"}
    assert network["ethernets"]["lan"]["addresses"] == ["192.0.2.20/28"]
    assert network["ethernets"]["lan"]["routes"] == [{"to": "0.0.0.0/0", "via": "192.0.2.17"}]


@needs_xorriso
def test_the_image_has_the_files_below_the_label_that_cloud_init_looks_for(made: Path, tmp_path: Path) -> None:
    image = made / "hub1.iso"
    assert image.read_bytes()[32808:32840].rstrip() == b"CIDATA", "the volume id of ISO 9660"
    subprocess.run(
        ["xorriso", "-osirrox", "on", "-indev", image, "-extract", "/", tmp_path / "x"], check=True, capture_output=True
    )
    assert {p.name for p in (tmp_path / "x").iterdir()} == {"user-data", "meta-data", "network-config"}
    for name in ("user-data", "meta-data", "network-config"):
        assert (tmp_path / "x" / name).read_bytes() == (made / "hub1" / name).read_bytes()


@needs_xorriso
def test_each_machine_is_in_its_zone_s_vlan(made: Path) -> None:
    machines = {it["name"]: it for it in json.loads((made / "machines.json").read_text())}
    networks = group_variables("all", "zones")["zones_networks"]
    zones = {"proxy1": "proxy", "hub1": "hub", "backup1": "storage", "admin1": "admin"}
    assert {name: it["vlan"] for name, it in machines.items()} == {n: networks[z]["vlan"] for n, z in zones.items()}
    assert machines["hub1"]["disks"] == [{"name": "homes", "bytes": 1000 * GIB}]
    assert machines["hub1"]["mac"] == "020000002001"
    used = set(re.findall(r"\$[Mm]achine\.(\w+)|\$disk\.(\w+)", SCRIPT.read_text()))
    fields = {a or b for a, b in used}
    assert fields == {*machines["hub1"], "bytes"}, "the script reads what is written, and all of it"


@needs_xorriso
def test_a_router_gets_its_zones_with_tags(ansible: Ansible, tmp_path: Path) -> None:
    tagged = [
        {"vlan": 10, "addresses": ["192.0.2.1/28"]},
        {"vlan": 20, "addresses": ["192.0.2.17/28", "2001:db8::1/64"]},
    ]
    given = json.dumps({"vm_seed_tagged": tagged, "vm_seed_addresses": [], "vm_seed_gateways": []})
    ended = play(ansible, tmp_path, "-e", given, "--limit", "admin1")
    assert ended.code == 0, ended.text
    network = yaml.safe_load((tmp_path / "admin1/network-config").read_text())
    assert network["vlans"]["lan.20"] == {"id": 20, "link": "lan", "addresses": ["192.0.2.17/28", "2001:db8::1/64"]}


BAD = {
    "an address without its network": {"vm_seed_addresses": ["192.0.2.20"]},
    "a gateway that is none": {"vm_seed_gateways": ["x: y"]},
    "no adapter": {"vm_seed_mac": ""},
    "nobody": {"vm_seed_administrators": []},
}


def test_a_machine_that_could_not_be_reached_is_refused(ansible: Ansible, tmp_path: Path) -> None:
    good = {"zones_zone": "hub", "vm_seed_mac": "02:00:00:00:20:01", "vm_seed_addresses": ["192.0.2.20/28"]}
    hosts = {f"case{n}": {**good, **given} for n, given in enumerate(BAD.values())}
    (tmp_path / "bad.yml").write_text(yaml.safe_dump({"bad": {"hosts": hosts}}))
    ended = play(ansible, tmp_path / "made", "-i", str(tmp_path / "bad.yml"), "--limit", "bad")
    assert {host for host, counts in ended.recap.items() if counts["failed"]} == set(hosts), ended.text
    assert "a name of lower case letters" in ended.text
    assert not (tmp_path / "made").exists()
