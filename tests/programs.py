"""Programs that tests start for real, and where they are: hack/test and hack/up fetch and build all of them.

A test whose program is not there is skipped, with the words that say what is missing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SYSTEM = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
"""Where Debian's packages have servers; /usr/sbin is not on everybody's PATH."""


def system(command: str) -> str:
    """A program of a Debian package; empty where it is not installed."""
    return shutil.which(command, path=SYSTEM) or ""


def go_program(name: str, command: str = "") -> Path | None:
    """A program of hack/tools that was built already; PDSHUB_NAME may name it."""
    if named := os.environ.get(f"PDSHUB_{name.upper()}"):
        return Path(named) if not command or command == name else Path(named).with_name(command)
    # programs that tests start have no hack/lib on their path
    from devcluster import golang
    from devcluster.settings import Paths

    paths = Paths.from_environment()
    found = golang.tool(paths, name).path(paths) / (command or name)
    return found if found.exists() else None


def built(name: str, command: str = "") -> Path:
    """The same for a test that is skipped where it was not built."""
    found = go_program(name, command)
    if found is None:
        pytest.skip(f"{name} is not built: ./hack/up builds hack/tools/{name}, or set PDSHUB_{name.upper()}")
    return found


@contextmanager
def for_nobody(program: str) -> Iterator[str]:
    """A program where a user without rights may run it, with the libraries beside it: the cache lies in root's home."""
    found = Path(shutil.which(program) or program).resolve()
    if all(above.stat().st_mode & 0o001 for above in found.parents):
        yield str(found)
        return
    with tempfile.TemporaryDirectory(prefix="pdshub-program-") as folder:
        Path(folder).chmod(0o755)
        top = Path(folder) / "top"
        shutil.copytree(found.parent.parent, top, symlinks=True, copy_function=_link)
        yield str(top / found.relative_to(found.parent.parent))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)


def http_proxy() -> list[str]:
    """The command of configurable-http-proxy as images/proxy pins it; empty where it or Node.js is not there."""
    named = os.environ.get("PDSHUB_CHP") or shutil.which("configurable-http-proxy") or ""
    node = shutil.which("node")
    return [node, named] if node and named and Path(named).exists() else []


NEEDS_HTTP_PROXY = "needs Node.js and configurable-http-proxy: hack/test fetches both, or set PDSHUB_CHP"
