"""A user's server as the image starts it, on this machine: its start script, its settings, its two environments.

Paths of the image lie in a folder of the test. A Python that has JupyterHub and JupyterLab is needed: this one, or the
one that PDSHUB_LAB_PYTHON names. The hub is a small one that knows one token.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from tests.e2e.hubclient import Person

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "images" / "user"
TOKEN = "a-token-of-ada"
PORTS = range(22000, 22400)
WITHIN = 900.0
"""Seconds for a start: the machine may be busy."""


@functools.cache
def lab_python() -> str:
    """A Python with JupyterHub's server and JupyterLab; empty where there is none."""
    for python in (os.environ.get("PDSHUB_LAB_PYTHON", ""), sys.executable):
        asked = [python, "-c", "import jupyterhub.singleuser.extension, jupyterlab, ipykernel"]
        if python and shutil.which(python) and not subprocess.run(asked, capture_output=True, check=False).returncode:
            return python
    return ""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at, all different."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        # processes that run side by side begin apart
        begin = os.getpid() * 37 % len(PORTS)
        for port in (*PORTS[begin:], *PORTS[:begin]):
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
            if len(found) == count:
                return found
    raise AssertionError(f"not {count} ports are free in {PORTS}")


class SmallHub(BaseHTTPRequestHandler):
    """Tells servers its version, and whose token it is; and what ``warnings`` says of those that it warns of."""

    warnings = b'{"warnings": []}'

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == f"token {TOKEN}"
        model = {"kind": "user", "name": "ada", "admin": False, "groups": [], "scopes": ["access:servers!user=ada"]}
        whole = {"version": "5.5.4"} if self.path.rstrip("/") == "/hub/api" else model
        status = 200 if known or self.path.rstrip("/") == "/hub/api" else 403
        body = self.warnings if self.path == "/hub/api/pdshub/warnings" else json.dumps(whole).encode()
        self.send_response(status)
        for name, value in (("X-JupyterHub-Version", "5.5.4"), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def small_hub() -> Iterator[str]:
    """The hub; gives the URL of its API."""
    server = ThreadingHTTPServer(("127.0.0.1", free_ports(1)[0]), SmallHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hub/api"
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Image:
    """What the user image holds, below ``root``."""

    root: Path
    python: str

    @property
    def jupyter(self) -> Path:
        return self.root / "opt/jupyter"

    @property
    def user(self) -> Path:
        return self.root / "opt/user"

    def placed(self, text: str) -> str:
        """A file of the image whose paths lead into the folder."""
        return text.replace("/opt/", f"{self.root}/opt/").replace("/usr/local/", f"{self.root}/usr/local/")

    def copy(self, name: str, to: str) -> Path:
        file = self.root / to
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.placed((IMAGE / name).read_text()))
        return file


def image(root: Path) -> Image:
    """Build it: the environment of the server lies over that of ``lab_python()``, as nothing is installed here."""
    made = Image(root, lab_python())
    prefix, site = subprocess.run(
        [made.python, "-c", "import sys, jupyterlab; print(sys.prefix); print(jupyterlab.__path__[0])"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    subprocess.run([made.python, "-m", "venv", "--without-pip", str(made.jupyter)], check=True)
    (own,) = made.jupyter.glob("lib/python3*/site-packages")
    (own / "lab.pth").write_text(f"import site; site.addsitedir({str(Path(site).parent)!r})\n")
    shutil.copytree(f"{prefix}/etc/jupyter", made.jupyter / "etc/jupyter")
    share = made.jupyter / "share/jupyter"
    share.mkdir(parents=True)
    for one in Path(prefix, "share/jupyter").iterdir():
        if one.name != "kernels":
            (share / one.name).symlink_to(one)
    made.copy("kernel.json", "opt/jupyter/share/jupyter/kernels/python3/kernel.json")
    # in the image the system's folder of settings, which can't be another one
    made.copy("jupyter_server_config.py", "opt/jupyter/etc/jupyter/jupyter_server_config.py")
    made.copy("welcome.ipynb", "usr/local/share/pdshub/welcome.ipynb")
    made.copy("pdshub_warnings.py", "usr/local/lib/pdshub/pdshub_warnings.py")
    (root / "usr/local/etc/pdshub/jupyter").mkdir(parents=True)
    (root / "usr/local/etc/pdshub/jupyter/migrated").touch()
    program = "import sys\nfrom jupyterhub.singleuser import main\nsys.exit(main())\n"
    (made.jupyter / "bin/jupyterhub-singleuser").write_text(program)
    made.copy("start-server", "start-server")
    path = f"{made.jupyter}/bin:{os.environ['PATH']}"
    subprocess.run(
        ["sh", str(IMAGE / "user-environment"), str(made.user), str(made.jupyter)],
        env={**os.environ, "PATH": path},
        check=True,
    )
    return made


@dataclass
class Server:
    """A server that answers at ``url``. ``seconds``: from its start to its first answer."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]
    seconds: float = 0.0
    person: Person = field(init=False)

    def __post_init__(self) -> None:
        self.person = Person(self.url, "ada", "", token=TOKEN)

    def get(self, path: str) -> requests.Response:
        """A page of the server, as its owner."""
        return self.person.call("GET", f"/user/ada/{path}", timeout=120)


@contextmanager
def serving(made: Image, home: Path, hub: str, **environ: str) -> Iterator[Server]:
    """Start the server as the container does; it ends with the context."""
    (port,) = free_ports(1)
    environment = {
        "PATH": f"{made.user}/bin:{made.jupyter}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "SHELL": "/bin/bash",
        "PYTHONNOUSERSITE": "1",
        "JUPYTER_RUNTIME_DIR": str(made.root / "runtime"),
        "PDSHUB_ARCHIVE": str(made.root / "archive/demo"),
        "JUPYTERHUB_API_TOKEN": TOKEN,
        "JUPYTERHUB_API_URL": hub,
        "JUPYTERHUB_ACTIVITY_URL": f"{hub}/users/ada/activity",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada",
        "JUPYTERHUB_DISABLE_USER_CONFIG": "1",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=ada/"]',
        "JUPYTERHUB_OAUTH_CALLBACK_URL": "/user/ada/oauth_callback",
        "JUPYTERHUB_OAUTH_SCOPES": '["access:servers!server=ada/", "access:servers!user=ada"]',
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}/user/ada/",
        "JUPYTERHUB_USER": "ada",
        **environ,
    }
    log = made.root / "log"
    command = ["sh", str(made.root / "start-server"), "jupyterhub-singleuser", "--allow-root"]
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=out, stderr=subprocess.STDOUT)
    server = Server(f"http://127.0.0.1:{port}", log, process)
    try:
        while time.monotonic() - began < WITHIN:
            assert process.poll() is None, log.read_text()[-4000:]
            with contextlib.suppress(requests.RequestException):
                if server.get("api/status").status_code == 200:
                    server.seconds = time.monotonic() - began
                    break
            time.sleep(0.2)
        else:
            raise AssertionError(log.read_text()[-4000:])
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
