"""``jupyterhub_config.py`` of a hub with DockerSpawner: constants alone, so that it says what it does. Pure.

Source: JupyterHub 5.5, DockerSpawner 14.0 (dockerspawner.py), OAuthenticator 17.4: their traits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pdshub.api.base import parse_quantity
from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_limits import Bounds, Resources
from pdshub.compose.machine import Machine, public_url
from pdshub.compose.source import Hub
from pdshub.compose.text import comment, literal, path
from pdshub.render import server, signin
from pdshub.render.quantity import spawner_bytes, spawner_cores

SECRETS = "/run/secrets"
PROXY_TOKEN, CRYPT_KEY = "proxy-token", "crypt-key"
GOOGLE_SECRET, PASSWORD = "google-client-secret", "password"
PIDS = 4096
"""Processes of a server: a fork bomb ends in its own container."""
_SHOWN = re.compile(r"[A-Za-z0-9 .,:()/+_-]{1,128}")
_CULLER = "jupyterhub-idle-culler"
_CULLER_SCOPES = ["list:users", "read:users:activity", "read:servers", "delete:servers"]


def sign_in_secret(spec: PDSHubSpec) -> str:
    """The file that an administrator has to fill."""
    return GOOGLE_SECRET if spec.sign_in and spec.sign_in.google else PASSWORD


def render(hub: Hub, machine: Machine, head: list[str]) -> str:
    """The configuration. ``head``: what people should know before they read it."""
    made = [comment(head), "\nfrom pdshub_hub import settings\n\nc = get_config()  # noqa: F821\n"]
    for title, traits in (
        ("The hub and its proxy", _hub(hub, machine)),
        (
            "Who signs in: by the list in people/list/people.json",
            _sign_in(hub.spec, machine),
        ),
        ("Servers", _servers(hub, machine)),
        ("Idle servers", _culling(hub.spec)),
    ):
        made.append(f"\n# --- {title}\n")
        made += [f"c.{trait} = {value}\n" for trait, value in traits]
    made.append("\n# --- PDSHub's pages, list and headers, from the hub's image\nsettings.setup(c)\n")
    return "".join(made)


def _file(name: str) -> str:
    """Python that reads a secret."""
    return f"open({literal(f'{SECRETS}/{name}')}).read().strip()"


Traits = Iterator[tuple[str, str]]


def _said(**traits: Any) -> Traits:
    for name, value in traits.items():
        owner, _, trait = name.partition("__")
        yield f"{owner}.{trait}", literal(value)


def _hub(hub: Hub, machine: Machine) -> Traits:
    spec, url = hub.spec, public_url(hub.spec, machine)
    yield from _said(
        JupyterHub__hub_bind_url="http://:8081",
        JupyterHub__hub_connect_url="http://hub:8081",
        JupyterHub__cleanup_servers=False,
        JupyterHub__db_url="sqlite:///jupyterhub.sqlite",
        JupyterHub__last_activity_interval=60,
        JupyterHub__token_expires_in_max_seconds=signin.TOKEN_SECONDS,
        ConfigurableHTTPProxy__should_start=False,
        ConfigurableHTTPProxy__api_url="http://proxy:8001",
    )
    yield "ConfigurableHTTPProxy.auth_token", _file(PROXY_TOKEN)
    yield "CryptKeeper.keys", f"[{_file(CRYPT_KEY)}]"
    # 0: the page that waits is shown at once
    tornado: dict[str, Any] = {"slow_spawn_timeout": 0}
    if url.startswith("https://"):
        yield from _said(JupyterHub__public_url=f"{url}/")
        tornado["cookie_options"] = {"secure": True}
    yield from _said(JupyterHub__tornado_settings=tornado)
    if spec.isolation == "Subdomain":
        yield from _said(JupyterHub__subdomain_host=url, JupyterHub__cookie_host_prefix_enabled=True)
    if spec.quota and spec.quota.servers is not None:
        yield from _said(JupyterHub__active_server_limit=spec.quota.servers)


def _sign_in(spec: PDSHubSpec, machine: Machine) -> Traits:
    yield from _said(
        Authenticator__allow_all=False,
        Authenticator__allow_existing_users=False,
        Authenticator__auth_refresh_age=signin.REFRESH_SECONDS,
        Authenticator__refresh_pre_spawn=True,
    )
    google = spec.sign_in.google if spec.sign_in else None
    if google is None:
        yield from _said(JupyterHub__authenticator_class=signin.DEVELOPMENT_CLASS)
        yield "DummyAuthenticator.password", _file(PASSWORD)
        return
    yield from _said(
        JupyterHub__authenticator_class=signin.GOOGLE_CLASS, GoogleOAuthenticator__client_id=google.client_id
    )
    yield "GoogleOAuthenticator.client_secret", _file(GOOGLE_SECRET)
    if google.hosted_domains:
        yield from _said(GoogleOAuthenticator__hosted_domain=list(google.hosted_domains))
    callback = google.callback_url or (f"https://{spec.hostname}/hub/oauth_callback" if spec.hostname else "")
    if callback:
        yield from _said(GoogleOAuthenticator__oauth_callback_url=callback)
    # a service that speaks as Google does, where the installation names one
    yield from ((f"GoogleOAuthenticator.{trait}", literal(url)) for trait, url in machine.provider.traits.items())


def chosen(spec: PDSHubSpec) -> tuple[str | None, Resources]:
    """Image and sizes of a server that nobody chose anything for: those of the default profile, where there is one."""
    profiles = spec.server.profiles
    name = spec.server.default_profile or (profiles[0].name if profiles else "")
    for profile in profiles:
        if profile.name == name:
            return profile.image or spec.server.image, server.effective(spec.server.resources, profile.resources)
    return spec.server.image, spec.server.resources


def images(spec: PDSHubSpec, default: str) -> dict[str, str]:
    """What people may choose from: words that are shown, and the image behind them. Words are shown as HTML."""
    found: dict[str, str] = {}
    for profile in spec.server.profiles:
        shown = profile.display_name if _SHOWN.fullmatch(profile.display_name) else profile.name
        shown = profile.name if shown in found else shown
        found[shown] = profile.image or spec.server.image or default
    return found


def _bound(bounds: Bounds | None, field: str) -> str | None:
    value = getattr(bounds, field) if bounds else None
    return value if isinstance(value, str) and parse_quantity(value) > 0 else None


def _servers(hub: Hub, machine: Machine) -> Traits:
    spec, image, resources = hub.spec, *chosen(hub.spec)
    image = image or machine.images.of("user")
    yield from _said(
        JupyterHub__spawner_class="dockerspawner.DockerSpawner",
        DockerSpawner__image=image,
        DockerSpawner__name_template=f"{machine.project}-server-{{username}}",
        DockerSpawner__network_name=machine.servers_network,
        DockerSpawner__use_internal_ip=True,
        DockerSpawner__remove=True,
        DockerSpawner__disable_user_config=True,
        DockerSpawner__consecutive_failure_limit=0,
        DockerSpawner__start_timeout=spec.server.start_timeout_seconds,
        # JupyterLab's first answer is a part of the start
        DockerSpawner__http_timeout=spec.server.start_timeout_seconds,
        DockerSpawner__extra_host_config={
            "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "pids_limit": PIDS,
        },
    )  # fmt: skip
    choices = images(spec, machine.images.of("user"))
    if len(set(choices.values())) > 1:
        yield from _said(DockerSpawner__allowed_images=choices)
    for field in ("limit", "guarantee"):
        if size := _bound(resources.memory, field):
            yield f"DockerSpawner.mem_{field}", literal(spawner_bytes(size))
        if cores := _bound(resources.cpu, field):
            yield f"DockerSpawner.cpu_{field}", literal(spawner_cores(cores))
    volumes: dict[str, Any] = {machine.home: server.HOME}
    if hub.view and spec.archive:
        mounted = path(spec.archive.mount_path.rstrip("/") or "/", "spec.archive.mountPath")
        live = spec.archive.updates == "live"
        volumes[machine.archive] = {"bind": mounted, "mode": "ro,rslave" if live else "ro"}
        yield from _said(DockerSpawner__environment={"PDSHUB_ARCHIVE": f"{mounted}/{hub.view.folder}"})
    yield "DockerSpawner.volumes", f"{literal(volumes)}{_size(spec)}"


def _size(spec: PDSHubSpec) -> str:
    size = spec.server.home.size
    known = re.fullmatch(r"(\d+)([GT])i", size)
    return f"  # each home is to have {f'{known[1]} {known[2]}iB' if known else size}, and nothing holds it to that"


def _culling(spec: PDSHubSpec) -> Traits:
    if not spec.culling.enabled:
        return
    culling = spec.culling
    command = ["python3", "-m", "jupyterhub_idle_culler", "--url=http://localhost:8081/hub/api"]
    command += [f"--timeout={culling.idle_seconds}", f"--cull-every={culling.every_seconds}"]
    command += [f"--max-age={culling.max_age_seconds}"] if culling.max_age_seconds else []
    yield from _said(
        JupyterHub__services=[{"name": _CULLER, "command": command}],
        JupyterHub__load_roles=[{"name": _CULLER, "services": [_CULLER], "scopes": _CULLER_SCOPES}],
    )
