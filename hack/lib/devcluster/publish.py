"""Images for a cluster of one's own: build them, push them to a registry, say which chart values name them."""

from __future__ import annotations

import re
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from . import up
from .app_images import IN_CLUSTER, archive_name
from .console import say
from .engine import Engine
from .run import StepFailed
from .settings import ROOT, Paths

_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}")


def version() -> str:
    """The project's own version."""
    found: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


def targets(built: Mapping[str, str], repository: str, tag: str = "") -> dict[str, str]:
    """Name -> reference in ``repository``, for references that were built here (``…:KEY``).

    Without ``tag`` each has the project's version and its own key, so that another content never has the same name.
    Raises StepFailed for what is no name of a repository or tag.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise StepFailed(f"--push {repository}: want HOST[:PORT]/PATH in lower case, like registry.example.org/pdshub")
    if tag and not _TAG.fullmatch(tag):
        raise StepFailed(f"--tag {tag}: want letters, digits, '_', '.' and '-', at most 128")
    own = {name: f"{version()}-{ref.rpartition(':')[2]}" for name, ref in sorted(built.items())}
    return {name: f"{repository}/{name}:{tag or key}" for name, key in own.items()}


def values(images: Mapping[str, str]) -> str:
    """Values of charts/pdshub that name these images, as YAML."""
    lines = [f"image: {images['operator']}", "defaults:", "  images:"]
    lines += [f"    {name}: {images[name]}" for name in ("hub", "proxy", "user", "door")]
    return "\n".join(lines) + "\n"


def is_loopback(repository: str) -> bool:
    """Whether the registry is on this machine: such a one may be without TLS, as docker has it."""
    host = repository.partition("/")[0].partition(":")[0]
    return host == "localhost" or host.startswith("127.")


def push(paths: Paths, engine: Engine, built: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Push each image under its new name. Who may do so is the engine's own ``login`` (never an argument here)."""
    for name, ref in sorted(built.items()):
        if not engine.has_image(ref):
            engine.run("load", "-i", paths.images / archive_name(name, ref))
        target = wanted[name]
        plain = ["--tls-verify=false"] if engine.name == "podman" and is_loopback(target) else []
        say(f"pushing {target}")
        engine.run("tag", ref, target)
        try:
            engine.run("push", *plain, target)
        except StepFailed as error:
            host = target.partition("/")[0]
            raise StepFailed(f"{target} was not pushed; is `{engine.name} login {host}` done?\n{error}") from None
        finally:
            engine.ok("rmi", target)


def images(paths: Paths, repository: str, tag: str, file: Path | None) -> None:
    """Build all, push where ``repository`` is given, write the values to ``file``. Raises StepFailed."""
    if repository:
        targets(dict.fromkeys(IN_CLUSTER, ":"), repository, tag)  # a wrong name is said before anything is built
    world = up.images(paths)
    built = {name: world.images[name] for name in IN_CLUSTER}
    if not repository:
        for name, ref in sorted(built.items()):
            print(f"{name}\t{ref}\t{paths.images / archive_name(name, ref)}")
        say("built; --push REGISTRY/PATH puts them where a cluster can get them")
        return
    wanted = targets(built, repository, tag)
    push(paths, world.engine, built, wanted)
    text = values(wanted)
    if file:
        _write(file, text)
        say(f"values for charts/pdshub: {file}")
        say(f"next: helm upgrade --install pdshub charts/pdshub -n pdshub-system --create-namespace --values {file} …")
    else:
        print(text, end="")


def _write(file: Path, text: str) -> None:
    """In one move: a file that is half written must never be given to helm."""
    with tempfile.NamedTemporaryFile("w", dir=file.absolute().parent, delete=False) as new:
        new.write(text)
    Path(new.name).chmod(0o644)
    shutil.move(new.name, file)
