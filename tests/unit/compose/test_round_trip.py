"""Out and in again: what a PDSHub and a hub with DockerSpawner both know is what it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdshub.dockerspawner.report import Report
from pdshub.dockerspawner.traits import Verdict
from tests.unit.compose.support import ACME, FULL, OFFLOAD, exported, written
from tests.unit.dockerspawner.samples import imported


def back(folder: Path, **changes: Any) -> Any:
    return imported(written(folder, exported(**changes)), name="sbn")


def at(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document[part]
    return document


@pytest.mark.parametrize("tls", [None, ACME, OFFLOAD], ids=["plain", "caddy", "apache"])
def test_what_both_know_is_kept(tls: Any, tmp_path: Path) -> None:
    spec = back(tmp_path, tls=tls).hub["spec"]
    for path in (
        "hostname", "title", "contact", "message", "signIn.google.clientId", "signIn.google.hostedDomains",
        "users.admins", "users.suspended", "users.domains", "server.resources.memory", "server.resources.cpu",
        "server.startTimeoutSeconds", "server.home.size", "quota.servers", "culling.idleSeconds",
        "culling.maxAgeSeconds",
    ):  # fmt: skip
        assert at(spec, path) == at(FULL, path), path
    assert spec["users"]["allowed"] == ["ada@example.org", "bela.b@example.org"]
    assert spec["server"]["image"] == "example.org/user:1"


@pytest.mark.parametrize("form", ["catalog", "live"])
def test_the_archive_is_the_same_tree_of_the_same_exports(form: str, tmp_path: Path) -> None:
    inline = {**FULL["archive"]["inline"], "form": form}
    found = back(tmp_path, archive={"inline": inline})
    exports = {each["name"]: each["nfs"]["export"] for each in found.view.spec["sources"]}
    tree = {
        entry["path"]: [(exports[layer["source"]], layer.get("path", ".")) for layer in entry["layers"]]
        for entry in found.view.spec["tree"]
    }
    assert tree == {
        "pds4": [("/pds-main", "pds4")],
        "orex": [("/pds-mission", "orex"), ("/pds-main", "orex")],
    }
    assert found.view.moved["/archive/sbn/orex"] == "orex"


def test_profiles_come_back_with_their_images(tmp_path: Path) -> None:
    profiles = [
        {"name": "a", "displayName": "Lab A"},
        {"name": "b", "displayName": "Lab B", "image": "example.org/b:2"},
    ]
    spec = back(tmp_path, server={**FULL["server"], "profiles": profiles}).hub["spec"]
    assert [(each["displayName"], each["image"]) for each in spec["server"]["profiles"]] == [
        ("Lab A", "example.org/user:1"), ("Lab B", "example.org/b:2"),
    ]  # fmt: skip


def test_homes_are_found_by_their_rule(tmp_path: Path) -> None:
    found = back(tmp_path)
    assert found.binds.home is not None
    assert found.binds.home.rule.candidates("bela.b@example.org")[0] == "pdshub-sbn-home-bela-2eb-40example-2eorg"
    report = exported().report
    assert report["homes"]["bela.b@example.org"] == "pdshub-sbn-home-bela-2eb-40example-2eorg"


def test_nothing_of_ours_contradicts_or_is_a_strange_trait(tmp_path: Path) -> None:
    report: Report = back(tmp_path, tls=ACME).report
    by = {verdict: [each.subject for each in report.entries if each.verdict is verdict] for verdict in Verdict}
    assert by[Verdict.CONTRADICTION] == ["size of homes"]
    # a call, and secrets whose values nobody wants to know
    assert sorted(by[Verdict.UNREAD]) == [
        "c.CryptKeeper.keys = [open('…').read().strip()]",
        "c.GoogleOAuthenticator.client_secret = open('…').read().strip()",
        "settings.setup(c)",
    ]


@pytest.mark.parametrize("damage", ["{", "[]", '{"allowed": [1, {}], "domains": 3}', ""])
def test_a_damaged_list_lets_nobody_in(damage: str, tmp_path: Path) -> None:
    folder = written(tmp_path, exported())
    (folder / "people/list/people.json").write_text(damage)
    users = imported(folder, name="sbn").hub["spec"].get("users") or {}
    assert not users.get("allowed") and not users.get("domains")
