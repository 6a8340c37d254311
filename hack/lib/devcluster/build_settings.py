"""Package settings of this machine for the build of an image, of which nothing may remain in it: certificates, and
the settings of pip, npm and apt."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .engine import Engine

CERTIFICATES = Path("/etc/ssl/certs")


@contextmanager
def given(engine: Engine, base_ref: str) -> Iterator[list[str]]:
    """Words for ``build`` that give it the settings.

    podman mounts them while it builds. docker can't: it gets another base for the stage that fetches packages
    (BUILD_BASE), of which only the results are copied on; the final stage has its own settings, the daemon's.
    """
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        files = _files(folder)
        if engine.name == "podman":
            yield [word for source, target in files.items() for word in ("-v", f"{source}:{target}:ro")]
            return
        context, ref = folder / "context", f"localhost/pdshub/build-base:{os.getpid()}"
        for source, target in files.items():
            copy(source, context / "settings" / target.relative_to("/"))
        (context / "Dockerfile").write_text(f"FROM {base_ref}\nCOPY settings/ /\n")
        engine.run("build", "-t", ref, context)
        try:
            yield ["--build-arg", f"BUILD_BASE={ref}"]
        finally:
            engine.ok("rmi", ref)


def copy(source: Path, target: Path) -> None:
    """A file, or a folder whose links become what they lead to; links to nothing are left out."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        # not ignore_dangling_symlinks, which looks for what a relative link leads to in the current directory
        shutil.copytree(source, target, ignore=lambda at, names: [n for n in names if not (Path(at) / n).exists()])
    else:
        shutil.copy(source, target)


def _files(folder: Path) -> dict[Path, Path]:
    """What to give -> where the build looks for it."""
    texts = {
        "/etc/pip.conf": pip_conf(_output("pip", "config", "list"), os.environ),
        "/root/.npmrc": npmrc(_read(Path.home() / ".npmrc"), os.environ, CERTIFICATES / "ca-certificates.crt"),
        "/etc/apt/apt.conf.d/90pdshub-build": apt_conf(_output("apt-config", "dump", "Acquire")),
    }
    found = {CERTIFICATES: CERTIFICATES} if CERTIFICATES.is_dir() else {}
    for n, (target, text) in enumerate(texts.items()):
        if text:
            (folder / str(n)).write_text(text)
            found[folder / str(n)] = Path(target)
    return found


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _output(*argv: str) -> str:
    if not shutil.which(argv[0]):
        return ""
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def pip_conf(listed: str, environ: Mapping[str, str]) -> str:
    """A pip.conf out of ``pip config list`` and PIP_* variables; settings that name local folders are left out."""
    wanted = {"index-url", "extra-index-url", "trusted-host", "cert", "proxy", "timeout", "default-timeout"}
    found: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        where, _, option = name.partition(".")
        if option in wanted and where in ("global", "install", ":env:"):
            found[option] = value.strip().strip("'\"")
    for name, value in environ.items():
        option = name.removeprefix("PIP_").lower().replace("_", "-")
        if name.startswith("PIP_") and option in wanted:
            found[option] = value
    return "[global]\n" + "".join(f"{k} = {v}\n" for k, v in sorted(found.items())) if found else ""


def npmrc(text: str, environ: Mapping[str, str], certificates: Path) -> str:
    """An npmrc out of the user's own and NPM_CONFIG_* variables that say where to fetch from, and how.

    npm brings its own certificates; where nothing else is said, it is told to take the machine's.
    """
    wanted = ("registry", "cafile", "proxy", "https-proxy", "noproxy", "strict-ssl")
    lines = [x for x in text.splitlines() if x.partition("=")[0].strip() in wanted or x.startswith(("//", "@"))]
    for name, value in environ.items():
        option = name.lower().removeprefix("npm_config_").replace("_", "-")
        if name.lower().startswith("npm_config_") and option in wanted:
            lines.append(f"{option}={value}")
    if certificates.exists() and not any(x.startswith("cafile") for x in lines):
        lines.append(f"cafile={certificates}")
    return "".join(f"{x}\n" for x in lines)


def apt_conf(dump: str) -> str:
    """Proxies in what ``apt-config dump`` prints."""
    return "".join(f"{x}\n" for x in dump.splitlines() if re.match(r"Acquire::\w+::Proxy", x) and '""' not in x)
