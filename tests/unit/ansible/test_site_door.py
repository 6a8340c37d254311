"""proxy_httpd and a door: what kubectl pdshub proxy render wrote is placed, and what it did not write is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.front_door import apache
from pdshub.front_door.site import Certificates, HubSite, Machine, OtherSite, Upstream
from tests.unit.ansible.site_playing import Played, Variables, play

UP = Upstream("10.0.0.5", 30080)
SUBDOMAINS, PLAIN = HubSite("hub.example.org", UP, "hub/sbn", subdomains=True), HubSite("hub.example.org", UP)
FOLDER, PROGRAM = OtherSite("www.example.org", root="/srv/www"), OtherSite("w.example.org", upstream=UP)
MACHINES = {
    "certbot": Machine((SUBDOMAINS,), (FOLDER,)),
    "mod_md": Machine((SUBDOMAINS,), certificates=Certificates.MD, behind=("192.0.2.0/24",)),
    "files": Machine((PLAIN, HubSite("b.example.org", UP)), (PROGRAM,), certificates=Certificates.FILES),
}


def door(folder: Path, machine: Machine) -> Path:
    """A door as the command writes it."""
    files = apache.files(machine)
    for file in files:
        path = folder / "door/root" / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
        path.chmod(file.mode)
    (folder / "door/manifest.json").write_text(json.dumps(apache.manifest(machine, files)))
    return folder / "door"


def looked_at(folder: Path, variables: Variables) -> Played:
    """The role as far as it looks at its values, and what it would have placed."""
    tasks = [
        {"name": "Look", "ansible.builtin.include_role": {"name": "proxy_httpd", "tasks_from": "check"}},
    ]
    return play(folder, [{"hosts": "node", "gather_facts": False, "tasks": tasks}], variables)


@pytest.mark.parametrize("case", MACHINES)
def test_every_door_that_is_rendered_is_taken(tmp_path: Path, case: str) -> None:
    done = looked_at(tmp_path, {"proxy_httpd_door": str(door(tmp_path, MACHINES[case]))})
    assert done.code == 0, done.text


def _file(path: str, mode: str = "0644") -> Callable[[Any], None]:
    return lambda manifest: manifest["files"].append({"path": path, "mode": mode, "sha256": "0" * 64})


def _set(key: str, value: Any) -> Callable[[Any], None]:
    return lambda manifest: manifest.update({key: value})


FORGED: dict[str, Callable[[Any], None]] = {
    "a file elsewhere": _file("/etc/shadow"),
    "a file above": _file("/etc/apache2/conf-available/../../cron.d/x.conf"),
    "a unit of another": _file("/etc/systemd/system/ssh.service"),
    "a set-uid file": _file("/usr/local/sbin/pdshub-door-x", "4755"),
    "a line feed": _file("/usr/local/sbin/pdshub-door-x\n"),
    "another program": _set("run", ["/bin/sh"]),
    "a module that is a word more": _set("modules", ["ssl -f"]),
    "a package that is an option": _set("packages", ["-o", "x"]),
    "a site that is a path": _set("sites", ["pdshub-../../x"]),
    "a timer of another": _set("timers", ["ssh.timer"]),
    "a folder elsewhere": _set("folders", ["/root"]),
    "no files": _set("files", []),
    "another digest": lambda manifest: manifest["files"][0].update(sha256="0" * 64),
    "a file that is not there": _file("/usr/local/sbin/pdshub-door-more"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_manifest_of_anybody_else_is_refused(tmp_path: Path, case: str) -> None:
    folder = door(tmp_path, MACHINES["certbot"])
    manifest = json.loads((folder / "manifest.json").read_text())
    FORGED[case](manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    done = looked_at(tmp_path, {"proxy_httpd_door": str(folder)})
    assert done.code != 0, done.text


@pytest.mark.parametrize(
    ("change", "words"),
    (
        ({"proxy_httpd_door": "door"}, "from / on"),
        ({"proxy_httpd_door": "/nowhere"}, "has no manifest.json and root/"),
        ({"proxy_httpd_certificate_files": {"x.example.org": {}}}, "has to be one of"),
        (
            {"proxy_httpd_certificate_files": {"hub.example.org": {"chain": "/nowhere", "key": "/nowhere"}}},
            "files of the controller",
        ),
        ({"proxy_httpd_folders": ["/srv/$(id)"]}, "is no absolute path"),
        ({"proxy_httpd_folders": ["/srv/a\nb"]}, "is no absolute path"),
    ),
)
def test_values_of_the_door_are_refused_with_words(tmp_path: Path, change: Variables, words: str) -> None:
    given = {"proxy_httpd_door": str(door(tmp_path, MACHINES["files"])), **change}
    done = looked_at(tmp_path, given)
    assert done.code != 0 and words in " ".join(done.text.split()), done.text
