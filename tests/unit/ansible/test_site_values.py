"""Values that can not stand where they would go are refused, with their name and what is meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.ansible.site_playing import COLLECTION, Variables, play, tasks_of

BREAKOUTS = ("a\nb", 'a" b', "a'b", "$(id)", "`id`", "a;b", "../x", "a b", "%x", "ünï", "", "x\x00y", "a\\", "-x")
"""What would end a line, a string or a word of a file or command."""


def there(tmp_path: Path) -> Variables:
    """Values that are right, by role; files that they name are there."""
    for name in ("kubelet", "kubeadm", "kubectl", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("x")
    return {
        "kubernetes_node": {
            "kubernetes_source": "directory",
            "kubernetes_node_directory": str(tmp_path),
            "kubernetes_node_name": "hub1",
            "kubernetes_node_address": "192.0.2.20",
            "kubernetes_node_kubelet": {"failSwapOn": False},
        },
        "pdshub": {"pdshub_images": {"operator": "registry.example.org/pdshub/operator:1"}},
        "backup_target": {
            "backup_target_repositories": [{"name": "sbn", "password": "sixteen letters or more"}],
            "backup_target_certificate": str(tmp_path / "cert.pem"),
            "backup_target_key": str(tmp_path / "key.pem"),
        },
        "monitoring": {},
        "incident": {"incident_name": "2026-11-27-x", "incident_pod_range": "10.244.0.0/24"},
    }


WRONG: dict[str, list[tuple[str, Any, str]]] = {
    "kubernetes_node": [
        ("kubernetes_node_source", "snap", "value of kubernetes_node_source must be one of: packages, directory"),
        ("kubernetes_node_version", "1.34", "kubernetes_node_version"),
        ("kubernetes_node_version", "1.34.4\n", "kubernetes_node_version"),
        ("kubernetes_node_name", "Hub 1", "is no name of a node"),
        ("kubernetes_node_name", "hub1\nx: y", "is no name of a node"),
        ("kubernetes_node_address", "::1", "is no IPv4 address"),
        ("kubernetes_node_pod_range", "10.244.0.0", "is no IPv4 range"),
        ("kubernetes_node_pause_image", 'x"\n[plugins]', "is no name of an image"),
        ("kubernetes_node_policy_image", "x'\n- y", "is no name of an image"),
        ("kubernetes_node_ignored_preflight", ["all;id"], "is no list of kubeadm's checks"),
        ("kubernetes_node_directory", "/nowhere", "has no kubelet"),
        ("kubernetes_node_directory", "programs", "from / on"),
        ("kubernetes_node_kubelet", "x", "dict"),
        ("kubernetes_source", "packages", "is no file of the controller: put the public key"),
    ],
    "pdshub": [
        ("pdshub_images", {}, "operator"),
        ("pdshub_images", {"operator": "a:1 --set x=y"}, "is no set of names of images"),
        ("pdshub_images", {"operator": "without-a-tag"}, "with a tag or digest"),
        ("pdshub_images", {"operator": "a:1", "oprator": "b:1"}, "oprator"),
        ("pdshub_namespace", "a\nb", "is no name of a namespace"),
        ("pdshub_hub_namespace", "kube-system", "is no name of a namespace of a hub"),
        ("pdshub_hub_namespace", "pdshub-system", "is no name of a namespace of a hub"),
        ("pdshub_hub_secrets", [{"name": "A b", "data": {}}], "is no list of names of Secrets"),
        ("pdshub_hub_secrets", [{"name": "a"}], "data"),
        ("pdshub_hub_manifest", "/nowhere.yaml", "is no file of the controller"),
        ("pdshub_chart", "/nowhere", "is no folder of a chart"),
    ],
    "backup_target": [
        ("backup_target_folder", "/srv/$(id)", "is no absolute path"),
        ("backup_target_folder", "/srv/a b", "is no absolute path"),
        ("backup_target_folder", "/srv/a\nExecStartPre=/bin/id", "is no absolute path"),
        ("backup_target_port", 443, "is no port above 1023"),
        ("backup_target_address", "0.0.0.0 --no-auth", "is no address"),
        ("backup_target_from", ["192.0.2.0/24\nUser=root"], "is no list of networks"),
        ("backup_target_repositories", [], "backup_target_repositories is empty"),
        (
            "backup_target_repositories",
            [{"name": "../x", "password": "sixteen letters or more"}],
            "is no list of names",
        ),
        (
            "backup_target_repositories",
            [{"name": "sbn:x\n", "password": "sixteen letters or more"}],
            "is no list of names",
        ),
        ("backup_target_certificate", "", "is no file of the controller"),
        ("backup_target_keep", {"last": "all"}, "last"),
    ],
    "monitoring": [
        ("monitoring_exporter_address", '0.0.0.0:9100"; id', "is no ADDRESS:PORT"),
        ("monitoring_address", "here", "is no ADDRESS:PORT"),
        ("monitoring_targets", [{"job": "a", "targets": ["b:1\nx"]}], "is no list of jobs"),
        ("monitoring_targets", [{"targets": ["b:1"]}], "job"),
        ("monitoring_federated", ["x:1", "y"], "is no list of HOST:PORT"),
        ("monitoring_keep_days", 0, "is no number of days"),
        ("monitoring_manual", "javascript:alert(1)", "is no address of the manual"),
        ("monitoring_manual", "https://x/\nlabels: {}", "is no address of the manual"),
        ("monitoring_manual", "https://x/\\1{{ 7 * 7 }}", "is no address of the manual"),
        ("monitoring_mail", {"to": "x", "from": "y@example.org"}, "is no set of mail addresses"),
    ],
    "incident": [
        *(("incident_name", name, "is no word of letters") for name in BREAKOUTS if name != "-x"),
        ("incident_pod_range", "10.0.0.0/8 } ; delete table x", "is no IPv4 range"),
        ("incident_folder", "/var/../etc", "is no absolute path"),
        ("incident_keep_out", ["a b"], "is no list of names"),
    ],
}
CASES = [(role, number) for role, cases in WRONG.items() for number in range(len(cases))]
ENTRY = {"incident": "lockdown"}
NOTED = {"name": "It was not", "ansible.builtin.set_fact": {"said": "{{ said + [ansible_failed_result] }}"}}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each role said of each wrong value, all in one play: role -> how the task failed; None where none did."""
    folder = tmp_path_factory.mktemp("values")
    said = dict[str, list[Any]]()
    for role, cases in WRONG.items():
        right = there(folder)[role]
        include = {"name": role, "tasks_from": ENTRY.get(role, "main")}
        tasks: list[Variables] = [{"name": "Nothing yet", "ansible.builtin.set_fact": {"said": []}}]
        for name, value, _ in cases:
            tasks.append(
                {
                    "name": "One value",
                    "block": [
                        {
                            "name": name, "ansible.builtin.include_role": include,
                            "vars": {**{k: v for k, v in right.items() if k != name}, name: value},
                        },
                        {"name": "It was taken", "ansible.builtin.set_fact": {"said": "{{ said + [none] }}"}},
                    ],
                    "rescue": [
                        NOTED
                    ],
                }
            )  # fmt: skip
        out = folder / f"{role}.json"
        copy = {"content": "{{ said | to_json }}", "dest": str(out), "mode": "0600"}
        tasks.append({"name": "Written down", "ansible.builtin.copy": copy, "check_mode": False})
        (book := tasks_of(role, "main")[0])["tasks"] = tasks
        done = play(folder / role, [book], {}, "--check")
        assert done.code == 0, done.text
        said[role] = json.loads(out.read_text())
    return said


def texts(found: Any) -> Iterator[str]:
    """Every text in an answer of Ansible's."""
    if isinstance(found, str):
        yield " ".join(found.split())
    for each in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
        yield from texts(each)


@pytest.mark.parametrize(("role", "number"), CASES, ids=[f"{role}-{WRONG[role][n][0]}-{n}" for role, n in CASES])
def test_a_wrong_value_is_refused_with_its_name(refusals: dict[str, list[Any]], role: str, number: int) -> None:
    name, value, words = WRONG[role][number]
    said = refusals[role][number]
    assert said is not None, f"{name}: {value!r} was taken"
    assert any(words in text for text in texts(said)), said


@pytest.mark.parametrize("book", ("incident-lockdown", "incident-release"))
def test_an_incident_without_a_name_does_nothing(tmp_path: Path, book: str) -> None:
    done = play(tmp_path, COLLECTION / "playbooks" / f"{book}.yml", {}, "--check", groups=("hub", "proxy"))
    assert done.code != 0 and "-e incident_name=" in done.text, done.text


def test_a_password_is_not_shown_where_it_is_refused(tmp_path: Path) -> None:
    given = {
        **there(tmp_path)["backup_target"],
        "backup_target_repositories": [{"name": "sbn", "password": "S3cret-short"}],
    }
    done = play(tmp_path, tasks_of("backup_target", "main"), given, "--check", "-vvv")
    assert done.code != 0 and "S3cret-short" not in done.text, done.text


@pytest.mark.parametrize(
    ("role", "variable", "words"),
    (
        ("kubernetes_node", "kubernetes_node_remove", "with every hub, Secret and claim"),
        ("pdshub", "pdshub_remove", "homes and databases stay as volumes"),
        ("backup_target", "backup_target_remove", "Hubs have nowhere to save to"),
    ),
)
def test_what_is_lost_for_good_has_to_be_said(tmp_path: Path, role: str, variable: str, words: str) -> None:
    done = play(tmp_path, tasks_of(role, "remove"), {**there(tmp_path)[role], variable: "yes"}, "--check")
    assert done.code != 0 and words in " ".join(done.text.split()), done.text
