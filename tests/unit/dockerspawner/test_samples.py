"""Three whole deployments: what each comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdshub.api.hub import PDSHubSpec
from pdshub.api.view import ArchiveViewSpec
from pdshub.dockerspawner import database
from pdshub.dockerspawner.traits import Verdict
from tests.unit.dockerspawner.samples import entries, imported, make

ALL = ("planetary", "lab", "workshop")


@pytest.mark.parametrize("name", ALL)
def test_what_is_made_can_be_applied(name: str) -> None:
    made = imported(name)
    PDSHubSpec.model_validate(made.hub["spec"])
    if made.view:
        ArchiveViewSpec.model_validate(made.view.spec)
    assert made.report.text() and made.report.wire()["entries"]


@pytest.mark.parametrize(("name", "share"), [("planetary", 0.9), ("lab", 1.0), ("workshop", 0.75)])
def test_most_of_it_is_understood(name: str, share: float) -> None:
    report = imported(name).report
    assert report.understood / report.statements >= share, report.text()


def test_an_archive_node() -> None:
    made = imported("planetary")
    assert made.hub["spec"] == {
        "hostname": "hub.node.example.org",
        "signIn": {
            "google": {
                "clientId": "1234-abc.apps.googleusercontent.com",
                "clientSecretRef": {"name": "google-oauth", "key": "client-secret"},
                "hostedDomains": ["node.example.org", "uni.example.edu"],
            }
        },
        "users": {
            "allowed": ["ada@node.example.org", "bela.ring@uni.example.edu", "cyd@node.example.org"],
            "admins": ["root@node.example.org", "dana@node.example.org"],
        },
        "archive": {"viewRef": "node"},
        "server": {
            "image": "registry.example.org/node/notebook:2025.3",
            "resources": {"memory": {"limit": "8Gi"}, "cpu": {"limit": "2"}},
            "startTimeoutSeconds": 120,
            "home": {"size": "50Gi"},
        },
        "quota": {"servers": 40},
        "culling": {"idleSeconds": 7200, "everySeconds": 300, "enabled": True},
    }


def test_its_archive() -> None:
    view = imported("planetary").view
    assert view
    assert view.spec == {
        "folder": "node",
        "sources": [
            {"name": "bulk", "nfs": {"server": "nas2.example.org", "export": "/bulk", "version": "4.1"}},
            {"name": "orex", "nfs": {"server": "nas.example.org", "export": "/volume2/orex"}},
            {"name": "pds", "nfs": {"server": "nas.example.org", "export": "/volume1/pds", "version": "4.2"}},
        ],
        "tree": [
            {"path": "archive/bulk", "layers": [{"source": "bulk"}]},
            {"path": "archive/orex", "layers": [{"source": "orex", "path": "data"}, {"source": "pds", "path": "orex"}]},
            {"path": "archive/pds4", "layers": [{"source": "pds", "path": "pds4"}]},
            {"path": "shared-maps", "layers": [{"source": "pds", "path": "maps"}]},
        ],
    }
    assert view.moved["/home/jovyan/archive/pds4"] == "archive/pds4"


def test_its_homes() -> None:
    home = imported("planetary").binds.home
    assert home and home.rule.template == "/srv/hub-homes/{username}" and home.inner == ""
    assert home.stubs == ("archive/bulk", "archive/orex", "archive/pds4", "exchange", "shared-maps")


def test_what_it_contradicts() -> None:
    said = entries(imported("planetary"), Verdict.CONTRADICTION)
    assert "is an admin and on no list" in said["root@node.example.org"]
    assert "says read-only" in said["/home/jovyan/shared-maps"]
    assert "'50 GB' is said" in said["size of homes"]
    assert set(said) == {"root@node.example.org", "/home/jovyan/shared-maps", "size of homes"}


def test_what_has_no_place() -> None:
    said = entries(imported("planetary"), Verdict.NONE)
    assert "everybody writes to" in said["/srv/exchange at /home/jovyan/exchange"]
    assert "c.Spawner.pre_spawn_hook" in said


@pytest.mark.parametrize("name", ALL)
def test_no_secret_is_said(name: str) -> None:
    made = imported(name)
    said = f"{made.report.text()}{made.report.wire()}{made.hub}"
    assert "not-for-any-report" not in said


def test_a_laboratory_of_years_ago(tmp_path: Path) -> None:
    renamed = {"ada": "ada@lab.example.org", "bela": "bela@lab.example.org", "cyd": "cyd@lab.example.org"}
    made = imported("lab", names=renamed)
    spec = made.hub["spec"]
    assert spec["users"] == {
        "allowed": ["bela@lab.example.org", "cyd@lab.example.org"],
        "admins": ["ada@lab.example.org"],
    }
    assert spec["server"]["image"] == "lab/notebook:3"
    assert spec["server"]["resources"] == {"memory": {"limit": "2Gi"}, "cpu": {"limit": "1500m"}}
    home = made.binds.home
    assert home and home.rule.candidates("ada")[0] == "/export/homes/ada"
    assert made.view and made.view.spec["sources"] == [{"name": "data", "local": {"path": "/export/data"}}]
    taken = entries(made, Verdict.TAKEN)
    assert "an old name of image" in taken["c.DockerSpawner.container_image"]
    assert "an old name of allowed_users" in taken["c.Authenticator.whitelist"]
    assert "PAMAuthenticator" in entries(made, Verdict.NONE)


def test_a_course_that_a_template_fills_in(tmp_path: Path) -> None:
    people = make(tmp_path / "j.sqlite", "ada", "bela", native={"ada": True, "bela": True, "cyd": False})
    made = imported("workshop", database.read(people))
    spec = made.hub["spec"]
    assert spec["users"]["allowed"] == ["ada", "bela"], "who was authorized, and not who signed up"
    assert [profile["displayName"] for profile in spec["server"]["profiles"]] == ["Python", "R and Python"]
    assert spec["server"]["resources"] == {"memory": {"limit": "2Gi"}}
    assert made.binds.home and made.binds.home.inner == "work" and made.binds.home.rule.named
    said = entries(made, Verdict.CONTRADICTION)
    assert "was volumes meant?" in said["c.DockerSpawner.volumns"]
    assert "the last one counts" in said["c.Spawner.mem_limit"]
    assert "nothing is known of course-data" in said["/home/jovyan/course"]
    none = entries(made, Verdict.NONE)
    assert "another one at each start" in none["c.JupyterHub.cookie_secret"]
    assert "pages are PDSHub's" in none["c.JupyterHub.template_vars"]
    assert any("ada ada@example.org" in note for note in made.report.notes)


def test_without_anything(tmp_path: Path) -> None:
    (tmp_path / "jupyterhub_config.py").write_text("")
    made = imported(tmp_path)
    PDSHubSpec.model_validate(made.hub["spec"])
    assert made.view is None and "homes" in entries(made, Verdict.CONTRADICTION)
