"""What containers of users see beside their image: homes, archives, and what is neither. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pdshub.dockerspawner import fstab, names
from pdshub.dockerspawner.settings import Assignment
from pdshub.dockerspawner.values import Reference, Unknown

HOME = "/home/jovyan"
_READ_ONLY = re.compile(r"read[- ]?only|nur lesbar|\bro\b", re.IGNORECASE)
_LINES = 500
_SYSTEM = ("/etc", "/var/run", "/run", "/proc", "/sys", "/dev", "/usr", "/bin", "/lib")


@dataclass(frozen=True)
class Bind:
    """A volume or directory of the old machine in containers of users."""

    source: str
    target: str
    read_only: bool
    trait: str
    line: int = 0

    @property
    def personal(self) -> bool:
        """Whether each user has another one."""
        return names.Rule(self.source).personal


@dataclass(frozen=True)
class Home:
    """Where homes are, and where in a user's home of the new hub their files belong."""

    bind: Bind
    rule: names.Rule
    inner: str = ""
    """Folder below the new home; "" is the home itself."""
    stubs: tuple[str, ...] = ()
    """Paths below the old home at which something else was mounted: what is left there is a stub."""


@dataclass
class Binds:
    """The binds of a deployment, told apart."""

    home: Home | None = None
    archives: list[Bind] = field(default_factory=list)
    others: list[tuple[Bind, str]] = field(default_factory=list)
    """Binds that are neither, and why nothing takes their place."""
    unknown: list[tuple[str, int]] = field(default_factory=list)
    """What could not be told of a bind, and the line."""


def found(traits: Mapping[tuple[str, str], Assignment], mine: Callable[[str], bool]) -> Binds:
    """The binds of every trait that has some. ``mine``: whether a class is that of the spawner, or one above it."""
    made = Binds()
    every: list[Bind] = []
    for (owner, name), each in traits.items():
        if mine(owner) and name in ("volumes", "read_only_volumes"):
            every += _of_map(each, name == "read_only_volumes", made)
        elif mine(owner) and name == "mounts":
            every += _of_mounts(each.value, each.line, made)
        elif mine(owner) and name == "extra_host_config" and isinstance(each.value, Mapping):
            given = each.value.get("binds")
            if isinstance(given, list):
                every += [bind for text in given if (bind := _of_text(text, each.line))]
            elif given is not None:
                every += _of_map(replace(each, value=given), False, made)
            if "mounts" in each.value:
                every += _of_mounts(each.value["mounts"], each.line, made)
    _sort(every, traits, made)
    return made


def _of_map(each: Assignment, read_only: bool, made: Binds) -> list[Bind]:
    binds: list[Bind] = []
    if not isinstance(each.value, Mapping):
        made.unknown.append((f"{each.owner}.{each.name} is not known", each.line))
        return binds
    for source, value in each.value.items():
        target = value.get("bind") if isinstance(value, Mapping) else value
        mode = value.get("mode") if isinstance(value, Mapping) else ""
        if isinstance(value, Mapping) and value.get("ro") is True:
            mode = "ro"
        if not isinstance(source, str) or not isinstance(target, str) or isinstance(mode, Unknown):
            what = source if isinstance(source, str) else target if isinstance(target, str) else "a bind"
            made.unknown.append((f"{what} is not known whole", each.line))
            continue
        path, _, after = target.partition(":")
        flags = str(mode or after or "").split(",")
        binds.append(Bind(_tidy(source), fstab.tidy(path), read_only or "ro" in flags, each.name, each.line))
    return binds


def _of_mounts(value: Any, line: int, made: Binds) -> list[Bind]:
    binds: list[Bind] = []
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, Mapping):
            made.unknown.append(("a mount is not known", line))
            continue
        source, target = each.get("source", each.get("Source")), each.get("target", each.get("Target"))
        if each.get("type", each.get("Type", "volume")) == "tmpfs":
            continue
        if isinstance(source, str) and isinstance(target, str):
            read_only = each.get("read_only", each.get("ReadOnly")) is True
            binds.append(Bind(_tidy(source), fstab.tidy(target), read_only, "mounts", line))
        else:
            made.unknown.append(("a mount is not known whole", line))
    return binds


def _of_text(text: Any, line: int) -> Bind | None:
    parts = text.split(":") if isinstance(text, str) else []
    if len(parts) < 2:
        return None
    return Bind(_tidy(parts[0]), fstab.tidy(parts[1]), "ro" in ",".join(parts[2:]).split(","), "binds", line)


def _tidy(source: str) -> str:
    return fstab.tidy(source) if source.startswith("/") else source


def _sort(every: Sequence[Bind], traits: Mapping[tuple[str, str], Assignment], made: Binds) -> None:
    """Tells homes, archives and the rest apart."""
    personal = [bind for bind in every if bind.personal and not bind.read_only]
    folder = next((a.value for (_, name), a in traits.items() if name == "notebook_dir"), HOME)
    wanted = fstab.tidy(folder) if isinstance(folder, str) else HOME
    home = _system_home(traits) or min(personal, key=lambda bind: _rank(bind, wanted), default=None)
    for bind in every:
        if bind == home:
            continue
        if bind.personal:
            made.others.append((bind, "each user has one beside the home: copy it into a folder of the home by hand"))
        elif any(fstab.below(bind.target, top) is not None for top in _SYSTEM) or "docker.sock" in bind.source:
            made.others.append((bind, "is the machine's, and no container of a user's may have it"))
        elif bind.read_only:
            made.archives.append(bind)
        else:
            made.others.append((bind, "is one folder that everybody writes to"))
    if home is not None:
        made.home = Home(home, _rule(home, traits), _inner(home.target), _stubs(home, every))


def _rank(bind: Bind, wanted: str) -> tuple[bool, bool, int]:
    return bind.target != wanted, fstab.below(wanted, bind.target) is None, len(bind.target)


def _system_home(traits: Mapping[tuple[str, str], Assignment]) -> Bind | None:
    """The home that SystemUserSpawner mounts by itself."""
    spawner = traits.get(("JupyterHub", "spawner_class"))
    name = spawner.value.name if spawner and isinstance(spawner.value, Reference) else spawner.value if spawner else ""
    if "SystemUser" not in str(name) and str(name) != "docker-system-user":
        return None
    host = traits.get(("SystemUserSpawner", "host_homedir_format_string"))
    image = traits.get(("SystemUserSpawner", "image_homedir_format_string"))
    source = host.value if host and isinstance(host.value, str) else "/home/{username}"
    target = image.value if image and isinstance(image.value, str) else "/home/{username}"
    return Bind(_tidy(source), fstab.tidy(target), False, "host_homedir_format_string", host.line if host else 0)


def _rule(home: Bind, traits: Mapping[tuple[str, str], Assignment]) -> names.Rule:
    def said(name: str) -> Any:
        return next((a.value for (_, each), a in traits.items() if each == name), None)

    image, prefix = said("image") or said("container_image"), said("prefix") or said("container_prefix")
    return names.Rule(
        home.source,
        "legacy" if said("escape") == "legacy" else "new",
        image if isinstance(image, str) else "",
        prefix if isinstance(prefix, str) else "jupyter",
        raw=home.trait == "host_homedir_format_string",
    )


def _inner(target: str) -> str:
    """Where the files of a bind belong in the new home, so that their paths stay what they were."""
    return fstab.below(target, HOME) or ""


def _stubs(home: Bind, every: Sequence[Bind]) -> tuple[str, ...]:
    """Where other binds lie inside of the home: Docker leaves an empty directory of root's there."""
    inside = (fstab.below(bind.target, home.target) for bind in every if bind != home)
    return tuple(sorted(path for path in inside if path))


def of_read_only(lines: Sequence[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """The lines, of comments and README files, that say of something that it is read-only: the first of them."""
    return [line for line in lines if _READ_ONLY.search(line[2])][:_LINES]


def said_read_only(bind: Bind, home: str, lines: Sequence[tuple[str, int, str]]) -> tuple[str, int] | None:
    """Where a text says that a bind is read-only: file and line.

    By its paths, or a part of the one below ``home``. ``lines``: those that say so of anything.
    """
    parts = {bind.target, bind.source, *(fstab.below(bind.target, home) or "").split("/")}
    words = [re.compile(rf"(?<![\w.]){re.escape(part)}(?![\w])", re.IGNORECASE) for part in parts if len(part) > 2]
    for file, number, text in lines:
        if any(word.search(text) for word in words):
            return file, number
    return None
