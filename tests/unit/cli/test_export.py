"""``kubectl pdshub export compose``: what it reads of a cluster, and what it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub.cli import main
from pdshub.cli.kubectl import Kubectl, KubectlError
from tests.unit.compose.support import FULL, manifest

Call = Callable[..., tuple[int, str, str]]
IMAGES = {"hub": "h:1", "proxy": "p:1", "user": "u:1", "door": "d:1"}
VIEW = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView", "metadata": {"name": "all"},
        "spec": FULL["archive"]["inline"], "status": {"form": "catalog"}}  # fmt: skip


def installation(**more: Any) -> dict[str, Any]:
    text = yaml.safe_dump({"defaults": {"images": IMAGES}, "archive": {"allowed": []}, **more})
    meta = {"name": "pdshub-installation", "namespace": "pdshub-system"}
    return {"metadata": meta, "data": {"installation.yaml": text}}


def names(text: str, name: str = "list") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "hub"}, "data": {"users": text}}


class Desk(Kubectl):
    """kubectl, whose cluster holds some objects and forbids others."""

    def __init__(self, *objects: tuple[str, dict[str, Any]], forbidden: str = "") -> None:
        super().__init__()
        self.__dict__.update(objects=objects, forbidden=forbidden, calls=[])

    objects: tuple[tuple[str, dict[str, Any]], ...]
    forbidden: str
    calls: list[tuple[str, ...]]

    def run(self, *arguments: str, seconds: float | None = 60.0, stdin: str = "") -> str:
        self.calls.append(arguments)
        verb, kind, *rest = arguments
        assert verb == "get" and not stdin, "nothing is changed"
        if self.forbidden and self.forbidden in arguments:
            raise KubectlError(f"{kind} is forbidden")
        found = [each for what, each in self.objects if kind.startswith(what)]
        if rest and not rest[0].startswith("-"):
            found = [each for each in found if each["metadata"]["name"] == rest[0]]
            if not found:
                raise KubectlError(f"{kind} {rest[0]} not found")
            return json.dumps(found[0])
        return json.dumps({"items": found})


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.chdir(tmp_path)

    def made(cluster: Desk, *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(main, "Kubectl", lambda flags: cluster)
        code = main.main(["export", "compose", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return made


def cluster(*more: tuple[str, dict[str, Any]], forbidden: str = "", **changes: Any) -> Desk:
    found = manifest(**changes)
    found["status"] = {"address": "x"}
    return Desk(("pdshubs", found), ("configmap", installation()), *more, forbidden=forbidden)


def test_the_hub_its_images_and_its_view(call: Call, tmp_path: Path) -> None:
    where = cluster(("archiveviews", VIEW), archive={"viewRef": "all"})
    code, out, err = call(where, "--hub", "hub/sbn", "-o", "json")
    assert code == 0, err
    report = json.loads(out)
    assert report["images"] == {"hub": "h:1", "proxy": "p:1", "user": "u:1"}
    assert report["files"] and (tmp_path / "sbn/docker-compose.yml").exists()
    assert "name: all" in (tmp_path / "sbn/archive/view.yaml").read_text()
    assert not any("secret" in " ".join(each) for each in where.calls), "no Secret is read"


def test_lists_of_config_maps_come_along(call: Call, tmp_path: Path) -> None:
    users = {"allowed": ["ada@example.org"], "from": [{"configMap": {"name": "list", "key": "users"}},
             {"configMap": {"name": "admins", "key": "users"}, "as": "admins"}]}  # fmt: skip
    where = cluster(
        ("configmap", names("# ours\nNew@example.org\n")),
        ("configmap", names("boss@example.org", "admins")),
        users=users,
    )
    code, _, err = call(where, "--to", "out")
    assert code == 0, err
    assert "new@example.org" in (tmp_path / "out/people/allowed.txt").read_text()
    assert json.loads((tmp_path / "out/people/list/people.json").read_text())["admins"] == ["boss@example.org"]


@pytest.mark.parametrize(
    ("changes", "words", "code", "said"),
    [
        ({"users": {"from": [{"secret": {"name": "s", "key": "k"}}]}}, [], 1, "--names allowed=FILE"),
        ({"users": {"from": [{"configMap": {"name": "list", "key": "no"}}]}}, [], 1, "has no key no"),
        ({"users": {"from": [{"configMap": {"name": "-n kube-system", "key": "k"}}]}}, [], 2, "no name of a ConfigMap"),
        ({"archive": {"viewRef": "all"}}, [], 1, "archiveviews"),
        ({}, ["--front", "caddy"], 2, "--front caddy needs"),
        ({}, ["--folder", "relative"], 2, "--folder"),
        ({}, ["--hub-image", "x y"], 2, "--hub-image"),
        ({"hostname": "a\nb"}, [], 2, "spec.hostname"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_said(
    changes: dict[str, Any], words: list[str], code: int, said: str, call: Call, tmp_path: Path
) -> None:
    got, _, err = call(cluster(("configmap", names("")), **changes), *words)
    assert (got, said in err) == (code, True), err
    assert not (tmp_path / "sbn").exists()


def test_images_may_be_named_where_the_installation_is_not_to_be_read(call: Call, tmp_path: Path) -> None:
    where = cluster(forbidden="pdshub-installation")
    code, _, err = call(where)
    assert code == 1 and "name them: --hub-image" in err
    flags = [f"--{name}-image={ref}" for name, ref in IMAGES.items()]
    assert call(where, *flags)[0] == 0
    assert "image: h:1" in (tmp_path / "sbn/docker-compose.yml").read_text()


def test_a_provider_of_the_installation_is_kept(call: Call, tmp_path: Path) -> None:
    urls = {name: f"https://sign.example.org/{name}" for name in ("authorizeUrl", "tokenUrl", "userdataUrl")}
    where = Desk(("pdshubs", manifest()), ("configmap", installation(signIn={"google": urls})))
    assert call(where)[0] == 0
    assert "token_url = 'https://sign.example.org/tokenUrl'" in (tmp_path / "sbn/jupyterhub_config.py").read_text()


def test_a_hub_that_is_not_there_is_said(call: Call) -> None:
    code, _, err = call(Desk(), "--hub", "hub/sbn")
    assert code == 1 and err.startswith("kubectl pdshub: ")
