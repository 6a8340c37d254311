"""A Compose file: the hub's service with its environment and binds, and volumes that are more than a name. Pure.

Source: Compose specification.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pdshub.dockerspawner import bounded_yaml, fstab, variables
from pdshub.dockerspawner.source import Folder, SourceError

SERVICES, ENV_FILES, COPIES, LONGEST = 200, 50, 200, 8 << 20
"""Services of a file, files of variables, what a Dockerfile copies, and characters of all values together."""
FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_UNREAD = ("extends", "profiles", "configs", "secrets")
CONFIG = "jupyterhub_config.py"


@dataclass(frozen=True)
class Bind:
    """A volume or a path of the machine, and where a container sees it."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class Service:
    """A service of a Compose file."""

    name: str
    image: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[Bind, ...] = ()
    labels: tuple[str, ...] = ()
    command: str = ""
    built: str = ""
    """The folder in which its image is built; empty where it is not built here."""
    dockerfile: str = "Dockerfile"


@dataclass(frozen=True)
class Compose:
    """What a Compose file says."""

    file: str = ""
    services: Mapping[str, Service] = field(default_factory=dict)
    volumes: Mapping[str, fstab.Mount] = field(default_factory=dict)
    """Named volumes with options: what would be mounted at their name."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Those of ``.env``."""
    copied: tuple[tuple[str, str], ...] = ()
    """What the Dockerfile of the hub copies into its image: files of the folder, and where they come to lie."""
    notes: tuple[str, ...] = ()

    @property
    def hub(self) -> Service | None:
        """The service that is the hub."""
        ranked = sorted(self.services.values(), key=lambda service: (-_rank(service), service.name))
        return ranked[0] if ranked and _rank(ranked[0]) else None


def _rank(service: Service) -> int:
    """How much a service looks like a hub with DockerSpawner."""
    targets, said = [bind.target for bind in service.binds], f"{service.image} {service.command}".lower()
    return (
        4 * any(target.endswith(CONFIG) for target in targets)
        + 4 * any("docker.sock" in target for target in targets)
        + 2 * ("jupyterhub" in said)
        + 2 * ("hub" in service.name.lower())
        + any(name.startswith(("DOCKER_", "JUPYTERHUB", "OAUTH")) for name in service.environment)
    )


def read(folder: Folder) -> Compose:
    """The Compose file of a folder; an empty one where there is none. Raises SourceError for one that is none."""
    file = folder.first(FILES)
    notes: list[str] = []
    known = _variables(folder, ".env", {}, notes.append) if folder.has(".env") else {}
    if not file:
        return Compose(variables=known, notes=(*notes, "there is no Compose file"))
    try:
        document = bounded_yaml.load(folder.text(file))
    except SourceError as error:
        raise SourceError(str(error) if str(error).startswith(file) else f"{file}: {error}") from None
    if not isinstance(document, Mapping) or not isinstance(document.get("services"), Mapping):
        raise SourceError(f"{file} has no services: it is no Compose file")
    if len(document["services"]) > SERVICES:
        raise SourceError(f"{file} has more than {SERVICES} services")
    missing: dict[str, None] = {}
    try:
        whole = _interpolated(document, known, missing)
    except SourceError as error:
        raise SourceError(f"{file}: {error}") from None
    notes += [f"{file}: variable {name} has no value in .env, and is empty" for name in missing]
    notes += _unread(folder, file, whole)
    reader = _Reader(folder, known, notes)
    services = {
        name: reader.service(name, body) for name, body in whole["services"].items() if isinstance(body, Mapping)
    }
    made = Compose(file, services, _volumes(whole.get("volumes")), known, notes=tuple(notes))
    return replace(made, copied=_copied(folder, made.hub))


def _interpolated(document: Any, known: Mapping[str, str], missing: dict[str, None]) -> Any:
    """A document with its variables replaced. Raises SourceError."""
    length = 0

    def made(value: Any) -> Any:
        nonlocal length
        if isinstance(value, str):
            found = variables.interpolated(value, known, lambda name: missing.setdefault(name))
            length += len(found)
            if length > LONGEST:
                raise SourceError(f"its values have more than {LONGEST >> 20} Mi characters")
            return found
        if isinstance(value, Mapping):
            return {key: made(held) for key, held in value.items()}
        return [made(held) for held in value] if isinstance(value, list) else value

    return made(document)


def _unread(folder: Folder, file: str, whole: Mapping[str, Any]) -> list[str]:
    notes = [f"{file}: {key} was not read" for key in ("include",) if key in whole]
    for name, body in whole["services"].items():
        if isinstance(body, Mapping):
            notes += [f"{file}: {key} of service {name} was not read" for key in _UNREAD if key in body]
    for ending in (".override.yml", ".override.yaml"):
        other = file.rpartition(".")[0] + ending
        notes += [f"{other} is there too, and was not read"] if folder.has(other) else []
    return notes


def _variables(folder: Folder, file: str, outer: Mapping[str, str], told: Callable[[str], None]) -> dict[str, str]:
    try:
        return variables.read(folder.text(file), outer)
    except SourceError as error:
        told(str(error) if file in str(error) else f"{file}: {error}")
        return {}


@dataclass
class _Reader:
    """Services, each file of variables read once."""

    folder: Folder
    known: Mapping[str, str]
    notes: list[str]
    files: dict[str, dict[str, str]] = field(default_factory=dict)

    def service(self, name: str, body: Mapping[str, Any]) -> Service:
        """A service of the file."""
        environment: dict[str, str] = {}
        for entry in _list(body.get("env_file"))[:ENV_FILES]:
            file = entry.get("path") if isinstance(entry, Mapping) else entry
            if isinstance(file, str) and file:
                environment |= self._of_file(posixpath.normpath(file))
        environment |= _environment(body.get("environment"), self.known)
        build, command = body.get("build"), body.get("command")
        context = build.get("context") if isinstance(build, Mapping) else build
        dockerfile = build.get("dockerfile") if isinstance(build, Mapping) else None
        return Service(
            name,
            _text(body.get("image")),
            environment,
            tuple(bind for entry in _list(body.get("volumes")) if (bind := _bind(entry))),
            tuple(_pairs(body.get("labels"))),
            " ".join(map(str, command)) if isinstance(command, list) else _text(command),
            _text(context),
            _text(dockerfile) or "Dockerfile",
        )

    def _of_file(self, file: str) -> dict[str, str]:
        if file not in self.files and len(self.files) >= ENV_FILES:
            self.notes.append(f"more than {ENV_FILES} files of variables: {file} was not read")
            return {}
        if file not in self.files:
            self.files[file] = _variables(self.folder, file, self.known, self.notes.append)
        return self.files[file]


def _environment(found: Any, known: Mapping[str, str]) -> dict[str, str]:
    made: dict[str, str] = {}
    if isinstance(found, Mapping):
        for name, value in found.items():
            if value is not None:
                made[name] = _scalar(value)
            elif name in known:
                made[name] = known[name]
        return made
    for entry in _list(found):
        name, equals, value = str(entry).partition("=")
        if equals:
            made[name] = value
        elif name in known:
            made[name] = known[name]
    return made


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def _bind(entry: Any) -> Bind | None:
    if isinstance(entry, Mapping):
        source, target = _text(entry.get("source") or entry.get("src")), _text(entry.get("target"))
        read_only = entry.get("read_only") in (True, "true")
        return Bind(source, fstab.tidy(target), read_only) if source and target else None
    parts = str(entry).split(":")
    if len(parts) < 2 or not parts[1]:
        return None
    return Bind(parts[0], fstab.tidy(parts[1]), len(parts) > 2 and "ro" in parts[2].split(","))


def _volumes(found: Any) -> dict[str, fstab.Mount]:
    made: dict[str, fstab.Mount] = {}
    for key, body in found.items() if isinstance(found, Mapping) else ():
        given = body.get("driver_opts") if isinstance(body, Mapping) else None
        if not isinstance(given, Mapping):
            continue
        options = fstab.options(_text(given.get("o")))
        device, kind = _text(given.get("device")), _text(given.get("type"))
        if kind.startswith("nfs") and device.startswith(":"):
            device = f"{options.get('addr', '')}{device}"
        mount = fstab.Mount(device, key, kind, options)
        made[key] = mount
        if name := _text(body.get("name")):
            made[name] = mount
    return made


def _list(value: Any) -> Sequence[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _pairs(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{key}={_scalar(held)}" for key, held in value.items()]
    return [str(entry) for entry in _list(value)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def on_machine(folder: Folder, compose: Compose, path: str) -> str:
    """The file of the folder that the hub's container sees at a path; empty where none is known.

    By its binds, by what its Dockerfile copies, else by the file's own name.
    """
    hub = compose.hub
    for bind in sorted(hub.binds if hub else (), key=lambda bind: -len(bind.target)):
        rest = fstab.below(path, bind.target)
        if rest is not None and bind.source.startswith("."):
            name = posixpath.normpath(posixpath.join(bind.source, rest)) if rest else posixpath.normpath(bind.source)
            if folder.has(name):
                return name
    for source, target in compose.copied:
        name = posixpath.basename(source)
        if path == target or path == posixpath.join(target, name):
            return source
    return folder.first([path.removeprefix("/"), posixpath.basename(path)]) if posixpath.basename(path) else ""


def _copied(folder: Folder, hub: Service | None) -> tuple[tuple[str, str], ...]:
    """What the Dockerfile of the hub copies into its image."""
    context = (hub.built if hub else "") or "."
    file = posixpath.normpath(posixpath.join(context, hub.dockerfile if hub else "Dockerfile"))
    try:
        text = folder.text(file) if folder.has(file) else ""
    except SourceError:
        return ()
    named: list[tuple[str, str]] = []
    for line in text.split("\n"):
        words = [word for word in line.split() if not word.startswith("--")]
        if len(words) > 2 and words[0].upper() in ("COPY", "ADD"):
            target = words[-1].rstrip("/") or "/"
            named += [(posixpath.normpath(posixpath.join(context, source)), target) for source in words[1:-1]]
    return tuple((name, target) for name, target in named[:COPIES] if folder.has(name))
