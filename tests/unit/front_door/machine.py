"""A real Apache httpd of Debian on loopback, with the files that are rendered for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pdshub.front_door import apache, apache_machine
from pdshub.front_door.site import Machine
from tests.programs import system
from tests.unit.front_door.authority import Authority

APACHE = system("apache2")
MODULES = Path("/usr/lib/apache2/modules")
BASE = ("access_compat", "alias", "authn_core", "authz_core", "authz_host", "dir", "env", "filter", "mime", "mpm_event")
LOOPBACK = "127.0.0.1"
FIRST, EACH = 21000, 60
"""Ports of these tests, and how many each of pytest's workers has."""

needs_apache = pytest.mark.skipif(
    not (APACHE and os.geteuid() == 0 and (MODULES / "mod_md.so").exists()),
    reason="needs root, and Debian's package apache2-bin",
)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses, of those that are this worker's."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    found = list[int]()
    for port in range(FIRST + worker * EACH, FIRST + (worker + 1) * EACH):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((LOOPBACK, port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no ports are free")


def until(true: Callable[[], object], seconds: float = 60, what: str = "", pause: float = 0.05) -> None:
    """Waits until a function says true; fails after some time, which is no part of what is tested."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what or "it did not happen"
        time.sleep(pause)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that Apache's user may enter."""
    made = Path(tempfile.mkdtemp(prefix="door-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@dataclass
class Apache:
    """A running Apache: its machine, its folder, the authority of its certificates."""

    machine: Machine
    root: Path
    authority: Authority
    process: subprocess.Popen[bytes]
    netns: str = ""

    @property
    def conf(self) -> Path:
        return self.root / "apache2.conf"

    def reload(self) -> None:
        """A graceful restart: what is open stays with the former processes."""
        self.process.send_signal(signal.SIGUSR1)

    def log(self, name: str) -> str:
        """What was logged of a site; an empty text where nothing was."""
        file = self.root / "var/log/apache2" / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def context(self, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
        """What a browser believes that trusts the tests' authority."""
        made = ssl.create_default_context(cadata=self.authority.pem())
        made.set_alpn_protocols(list(alpn))
        return made

    def tls(self, name: str, alpn: tuple[str, ...] = ("http/1.1",), address: str = LOOPBACK) -> ssl.SSLSocket:
        """A connection to a name of this machine."""
        plain = socket.create_connection((address, self.machine.https_port), 60)
        return self.context(alpn).wrap_socket(plain, server_hostname=name)

    def serial(self, name: str) -> int:
        """The serial number of the certificate that a new connection gets."""
        with self.tls(name) as connection:
            found = connection.getpeercert()
            assert found
            return int(str(found["serialNumber"]), 16)

    def served(self, name: str) -> int:
        """The serial number of what a browser gets and believes; 0 where it believes nothing, or gets none."""
        try:
            return self.serial(name)
        except OSError:
            return 0


def configure(machine: Machine, root: Path, extra: str = "", listen: str = LOOPBACK) -> Path:
    """Places the files of a machine, and the frame that Debian gives them."""
    for file in apache.files(machine):
        path = Path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
        path.chmod(file.mode)
    for made in ("var/log/apache2", "run", "etc/apache2"):
        (root / made).mkdir(parents=True, exist_ok=True)
    modules = [*BASE, *apache_machine.modules(machine)]
    if "md" in modules:
        modules.append("watchdog")
        store = root / "var/lib/pdshub-door/md"
        store.mkdir(parents=True, exist_ok=True)
    # socache_shmcb: Debian's ssl.load brings it by its dependencies
    modules.append("socache_shmcb")
    built_in = subprocess.run([str(APACHE), "-l"], capture_output=True, text=True, check=True).stdout
    lines = [
        f"ServerRoot {root}",
        f"PidFile {root}/run/apache2.pid",
        f"DefaultRuntimeDir {root}/run",
        *(
            f"LoadModule {one}_module {MODULES}/mod_{one}.so"
            for one in sorted(set(modules), key=lambda one: (one in ("md", "proxy_http", "http2"), one))
            if f"mod_{one}.c" not in built_in
        ),
        f"Listen {listen}:{machine.http_port}",
        f"Listen {listen}:{machine.https_port}",
        "ServerName machine.invalid",
        "TypesConfig /dev/null\nAddType text/html .html",
        "User www-data",
        "Group www-data",
        f"ErrorLog {root}/var/log/apache2/error.log",
        "LogLevel warn",
        "<Directory />\nAllowOverride None\nRequire all denied\n</Directory>",
        f"Include {root}/etc/apache2/conf-available/*.conf",
        extra,
        f"Include {root}/etc/apache2/sites-available/*.conf",
    ]
    path = root / "apache2.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def certificates(machine: Machine, root: Path, authority: Authority) -> None:
    """Certificates where certbot would put them, for all sites."""
    for site in machine.sites:
        authority.write(root / "etc/letsencrypt/live" / site.name, *site.names)


@contextmanager
def running(
    machine: Machine, root: Path, authority: Authority, extra: str = "", netns: str = "", listen: str = LOOPBACK
) -> Iterator[Apache]:
    """Apache with its files; it ends with the context."""
    conf = configure(machine, root, extra, listen)
    (root / "var/log/apache2/error.log").unlink(missing_ok=True)  # of an Apache that was here before
    prefix = ["ip", "netns", "exec", netns] if netns else []
    command = [*prefix, str(APACHE), "-f", str(conf), "-DFOREGROUND"]
    with (root / "apache.out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={"PATH": os.environ["PATH"], "LANG": "C"})
    said = root / "apache.out"
    log = root / "var/log/apache2/error.log"

    def words() -> str:
        return said.read_text() + (log.read_text() if log.exists() else "")

    def up() -> bool:
        assert process.poll() is None, words()
        return "resuming normal operations" in words()

    try:
        until(up, 120, "Apache does not start")
        yield Apache(machine, root, authority, process, netns)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
