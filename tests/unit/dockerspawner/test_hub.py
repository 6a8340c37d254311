"""Single traits, and what a PDSHub makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdshub.dockerspawner.traits import Verdict, find, near
from tests.unit.dockerspawner.samples import entries, imported

DOCKER = "c.JupyterHub.spawner_class = 'docker'\nc.JupyterHub.authenticator_class = 'google'\n"
HOME = "c.DockerSpawner.volumes = {'h-{username}': '/home/jovyan'}\n"


def spec(folder: Path, text: str, **said: Any) -> dict[str, Any]:
    (folder / "jupyterhub_config.py").write_text(DOCKER + HOME + text)
    found: dict[str, Any] = imported(folder, **said).hub["spec"]
    return found


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("c.Spawner.mem_limit = '2G'", "server.resources.memory.limit", "2Gi"),
        ("c.DockerSpawner.mem_guarantee = '1G'", "server.resources.memory.guarantee", "1Gi"),
        ("c.Spawner.cpu_limit = 1.5", "server.resources.cpu.limit", "1500m"),
        ("c.Spawner.start_timeout = 1", "server.startTimeoutSeconds", 10),
        ("c.DockerSpawner.container_image = 'a/b:1'", "server.image", "a/b:1"),
        ("c.JupyterHub.active_server_limit = 7", "quota.servers", 7),
        ("c.GoogleOAuthenticator.hosted_domain = 'a.org'", "signIn.google.hostedDomains", ["a.org"]),
        ("c.OAuthenticator.client_id = 'x'", "signIn.google.clientId", "x"),
        ("c.GoogleOAuthenticator.oauth_callback_url = 'https://h.a.org/hub/oauth_callback'", "hostname", "h.a.org"),
        ("c.Authenticator.blocked_users = {'x@a.org'}", "users.suspended", ["x@a.org"]),
        ("c.JupyterHub.services = [{'name': 'cull', 'command': 'python cull_idle_servers.py --timeout 600'.split()}]",
         "culling.idleSeconds", 600),
        ("c.JupyterHub.template_vars = {'announcement': '<b>Down</b> on Monday'}", "message", "Down on Monday"),
        ("class My(DockerSpawner):\n    pass\nc.JupyterHub.spawner_class = My\nc.My.mem_limit = '3G'",
         "server.resources.memory.limit", "3Gi"),
    ],
)  # fmt: skip
def test_taken_over(text: str, path: str, value: Any, tmp_path: Path) -> None:
    at: Any = spec(tmp_path, "from dockerspawner import DockerSpawner\n" + text)
    for part in path.split("."):
        at = at[part]
    assert at == value


@pytest.mark.parametrize(
    ("text", "verdict", "subject"),
    [
        ("c.NativeAuthenticator.open_signup = True", Verdict.CONTRADICTION, "c.NativeAuthenticator.open_signup"),
        ("c.DockerSpawner.imgae = 'x'", Verdict.CONTRADICTION, "c.DockerSpawner.imgae"),
        ("c.DockerSpawner.read_only_volume = {}", Verdict.CONTRADICTION, "c.DockerSpawner.read_only_volume"),
        ("c.DokerSpawner.image = 'x'", Verdict.UNREAD, "c.DokerSpawner.image"),
        ("c.DockerSpawner.image = 'NOT AN IMAGE'", Verdict.NONE, "c.DockerSpawner.image"),
        ("c.DockerSpawner.extra_host_config = {'privileged': True}", Verdict.NONE, "extra_host_config"),
        ("c.DockerSpawner.volumes['/srv/all'] = '/all'", Verdict.NONE, "/srv/all at /all"),
        ("c.DockerSpawner.volumes['/var/run/docker.sock'] = '/var/run/docker.sock'", Verdict.NONE,
         "/var/run/docker.sock at /var/run/docker.sock"),
        ("c.Authenticator.allow_all = True", Verdict.NONE, "c.Authenticator.allow_all"),
        ("c.OAuthenticator.client_secret = 'x'", Verdict.COUNTERPART, "c.OAuthenticator.client_secret"),
        ("c.Spawner.default_url = '/lab'", Verdict.COUNTERPART, "c.Spawner.default_url"),
    ],
)  # fmt: skip
def test_the_rest_is_said(text: str, verdict: Verdict, subject: str, tmp_path: Path) -> None:
    (tmp_path / "jupyterhub_config.py").write_text(DOCKER + HOME + text)
    assert subject in entries(imported(tmp_path), verdict)


@pytest.mark.parametrize(
    "value", ["'/srv/h/{username}': {'bind': '/home/jovyan', 'mode': 'rw'}", "'/srv/h/{username}': '/home/jovyan:rw'"]
)
def test_forms_of_volumes(value: str, tmp_path: Path) -> None:
    (tmp_path / "jupyterhub_config.py").write_text(
        DOCKER
        + f"c.DockerSpawner.volumes = {{{value}, '/a': {{'bind': '/home/jovyan/a', 'mode': 'ro,z'}}, '/b': '/b:ro'}}"
    )
    made = imported(tmp_path)
    assert made.binds.home and made.binds.home.rule.fixed == "/srv/h"
    assert sorted(bind.target for bind in made.binds.archives) == ["/b", "/home/jovyan/a"]


def test_dict_mounts(tmp_path: Path) -> None:
    (tmp_path / "jupyterhub_config.py").write_text(
        "from docker.types import Mount\n" + DOCKER + "c.DockerSpawner.mounts = [\n"
        "  {'type': 'bind', 'source': '/srv/h/{username}', 'target': '/home/jovyan'},\n"
        "  Mount('/pds', '/mnt/pds', type='bind', read_only=True), {'type': 'tmpfs', 'target': '/scratch'}]\n"
    )
    made = imported(tmp_path)
    assert made.binds.home and [bind.source for bind in made.binds.archives] == ["/mnt/pds"]


def test_binds_inside_of_each_other_are_placed_side_by_side(tmp_path: Path) -> None:
    made = spec(tmp_path, "c.DockerSpawner.read_only_volumes = {'/m/a': '/archive', '/m/b': '/archive/new'}")
    assert made["archive"] == {"viewRef": "node"}
    view = imported(tmp_path).view
    assert view and [entry["path"] for entry in view.spec["tree"]] == ["archive", "archive-new"]


def test_more_directories_than_a_view_has_entries(tmp_path: Path) -> None:
    many = ", ".join(f"'/m/{n}': '/archive/{n}'" for n in range(40))
    spec(tmp_path, f"c.DockerSpawner.read_only_volumes = {{{many}}}")
    made = imported(tmp_path)
    assert made.view and len(made.view.spec["tree"]) == 32 and "archives" in entries(made, Verdict.CONTRADICTION)


def test_what_the_api_server_would_refuse_is_taken_out_and_said(tmp_path: Path) -> None:
    made = spec(tmp_path, "c.Spawner.mem_limit = '1G'\nc.Spawner.mem_guarantee = '2G'\n")
    assert "guarantee" not in str(made.get("server", {}).get("resources", {}).get("memory", {}))
    assert "PDSHub" in entries(imported(tmp_path), Verdict.CONTRADICTION)


@pytest.mark.parametrize(
    ("owner", "name", "meant"),
    [("DockerSpawner", "volumns", "volumes"), ("DockerSpawner", "memlimit", "mem_limit"),
     ("Authenticator", "admin_user", "admin_users"),
     ("JupyterHub", "authenticator_clas", "authenticator_class"), ("DockerSpawner", "zzz", "")],
)  # fmt: skip
def test_misspelt(owner: str, name: str, meant: str) -> None:
    assert find(owner, name, {}) is None and near(owner, name, {}) == meant


def test_two_people_with_one_name(tmp_path: Path) -> None:
    spec(tmp_path, "c.Authenticator.allowed_users = {'Ada@a.org', 'ada@a.org'}")
    made = imported(tmp_path)
    assert made.people.allowed == ["ada@a.org"] and any(
        "would be the same" in words for words in entries(made, Verdict.CONTRADICTION).values()
    )
