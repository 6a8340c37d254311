"""The node's JupyterHub."""
import os
import sys

from dockerspawner import DockerSpawner
from dotenv import load_dotenv

load_dotenv()
c = get_config()  # noqa: F821

LISTS = "/srv/jupyterhub/lists"


def names_of(path):
    """One address a line."""
    with open(path) as opened:
        lines = [line.split("#")[0].strip() for line in opened]
    return {line for line in lines if line}


host = os.environ["HUB_HOST"]
c.JupyterHub.bind_url = "http://:8000"
c.JupyterHub.hub_ip = "0.0.0.0"
c.JupyterHub.hub_connect_ip = "hub"
c.JupyterHub.db_url = "sqlite:////data/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/data/cookie_secret"
c.JupyterHub.active_server_limit = 40

c.JupyterHub.authenticator_class = "google"
c.GoogleOAuthenticator.client_id = os.environ["OAUTH_CLIENT_ID"]
c.GoogleOAuthenticator.client_secret = os.environ["OAUTH_CLIENT_SECRET"]
c.GoogleOAuthenticator.oauth_callback_url = f"https://{host}/hub/oauth_callback"
c.GoogleOAuthenticator.hosted_domain = ["node.example.org", "uni.example.edu"]
c.Authenticator.allowed_users = names_of(os.path.join(LISTS, "allowed_users.txt"))
c.Authenticator.admin_users = {"root@node.example.org"}
extra = os.environ.get("EXTRA_ADMIN")
if extra:
    c.Authenticator.admin_users.add(extra)

c.JupyterHub.spawner_class = DockerSpawner
c.DockerSpawner.image = os.environ["NOTEBOOK_IMAGE"]
c.DockerSpawner.network_name = os.getenv("NETWORK") or "bridge"
c.DockerSpawner.remove = True
c.Spawner.mem_limit = os.environ.get("MEMORY", "4G")
c.Spawner.cpu_limit = 2
c.Spawner.start_timeout = 2 * 60
c.Spawner.default_url = "/lab"
notebook_dir = os.environ.get("NOTEBOOK_DIR") or "/home/jovyan"
c.DockerSpawner.notebook_dir = notebook_dir
c.DockerSpawner.volumes = {
    "/srv/hub-homes/{username}": notebook_dir,
    "/mnt/pds/pds4": {"bind": notebook_dir + "/archive/pds4", "mode": "ro"},
    "/mnt/merged": {"bind": f"{notebook_dir}/archive/orex", "mode": "ro"},
    "/mnt/pds/maps": f"{notebook_dir}/shared-maps",
    "/srv/exchange": f"{notebook_dir}/exchange",
}
c.DockerSpawner.read_only_volumes = {"bulk": notebook_dir + "/archive/bulk"}


def hook(spawner):
    """Counts who starts."""
    print(spawner.user.name)
    spawner.environment["STARTED"] = "1"


c.Spawner.pre_spawn_hook = hook
c.JupyterHub.services = [
    {
        "name": "idle",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=7200", "--cull-every=300"],
    }
]
