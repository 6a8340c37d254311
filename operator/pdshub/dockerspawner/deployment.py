"""All that is read of a deployment, put together: manifests of the new hub, its people, where homes are, a report."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.api import user_name
from pdshub.dockerspawner import (
    binds,
    classes,
    compose,
    config,
    exported,
    fitting,
    fstab,
    hub,
    lists,
    people,
    promises,
    understood,
    view,
)
from pdshub.dockerspawner.database import Database
from pdshub.dockerspawner.draft import Draft
from pdshub.dockerspawner.report import Report
from pdshub.dockerspawner.settings import Config
from pdshub.dockerspawner.source import Folder, SourceError
from pdshub.dockerspawner.traits import Verdict, family
from pdshub.wellknown import API_VERSION

_OF_LISTS = ("", ".txt", ".list", ".lst", ".csv", ".json")
_LISTS = ("user", "allow", "white", "admin", "people", "list", "member")
LISTS = 100
"""Files of names that are looked for."""
TABLES = ("fstab", "etc/fstab", "files/fstab", "fstab.txt")


@dataclass(frozen=True)
class Wanted:
    """What a person says beside the deployment."""

    name: str
    namespace: str
    config: str = ""
    """The configuration's name in the folder, where it is not to be looked for."""
    hostname: str = ""
    size: str = ""
    """Of homes."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Old name -> new name."""
    fstab: str | None = None
    """Text of the machine's fstab, where it is not in the folder."""


@dataclass
class Deployment:
    """What an import makes."""

    hub: dict[str, Any]
    view: view.View | None
    view_name: str
    people: people.People
    binds: binds.Binds
    report: Report
    names: dict[str, str]
    """New names of everybody, by the old ones: also of those who are in the database alone."""


def read(folder: Folder, wanted: Wanted, database: Database | None = None) -> Deployment:
    """Reads a deployment. Raises SourceError where there is no configuration, or it can not be parsed."""
    report = Report()
    composed = compose.read(folder)
    for note in composed.notes:
        report.note(note)
    file = wanted.config or _config(folder, composed, report)
    found = _read_config(folder, file, composed)
    for line in found.notes:
        report.note(f"{file}:{line.number}: {line.why}")
    if found.unset:
        report.note(f"set neither by Compose nor .env, and taken as absent: {', '.join(found.unset[:40])}")
    for (owner, name), numbers in found.twice().items():
        report.contradiction(
            f"c.{owner}.{name}",
            f"is assigned at lines {', '.join(map(str, numbers))}: the last one counts",
            file,
            numbers[-1],
        )
    traits = found.last()
    understood.uncertain(found, traits, report)
    spawner = classes.spawner(traits, found.bases)
    if "DockerSpawner" not in family(spawner.name, found.bases):
        report.contradiction(
            "c.JupyterHub.spawner_class", f"{spawner.name} is no DockerSpawner: look where homes are", file
        )
    authenticator = classes.authenticator(traits, found.bases)
    ours = exported.read(folder, authenticator.name, report)
    spec = {**hub.build(traits, Draft(report, file, spawner, authenticator, found.bases)), **ours.spec}
    understood.lines(found, report)
    if wanted.hostname:
        spec["hostname"] = wanted.hostname
    made = binds.found(traits, spawner.has)
    said = promises.lines(folder, [name for name in (file, composed.file) if name])
    _judge_binds(made, said, spawner.name, found, report)
    mounts = _mounts(folder, wanted, report)
    name = wanted.name
    archive = view.build(made.archives, mounts, composed.volumes, view.label(name), report, file)
    if archive:
        spec["archive"] = {"viewRef": name}
    _home_size(spec, wanted, said, report)
    listed = people.read(found, traits | ours.traits, authenticator.has, database, wanted.names, report)
    spec["users"] = {
        role: names for role in ("allowed", "admins", "suspended") if (names := list(getattr(listed, role)))
    }
    if ours.domains:
        spec["users"]["domains"] = ours.domains
    _of_database(database, composed, report)
    fitting.validate(spec, report, file)
    everybody = _everybody(listed, database, wanted.names)
    return Deployment(_manifest(spec, wanted), archive, name, listed, made, report, everybody)


def _manifest(spec: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    first = ("hostname", "title", "contact", "message", "signIn", "users", "archive", "server", "quota", "culling")
    ordered = {key: spec[key] for key in (*first, *(key for key in spec if key not in first)) if spec.get(key)}
    meta = {"name": wanted.name, "namespace": wanted.namespace}
    return {"apiVersion": API_VERSION, "kind": "PDSHub", "metadata": meta, "spec": ordered}


def _config(folder: Folder, composed: compose.Compose, report: Report) -> str:
    """The configuration's name in the folder. Raises SourceError."""
    service = composed.hub
    for bind in service.binds if service else ():
        if bind.target.endswith(compose.CONFIG) and bind.source.startswith("."):
            name = posixpath.normpath(bind.source)
            if folder.has(name):
                return name
    found = folder.named(compose.CONFIG, f"{compose.CONFIG}.j2", f"{compose.CONFIG}.jinja2", f"{compose.CONFIG}.jinja")
    if not found:
        raise SourceError(f"there is no {compose.CONFIG} in {folder.root}: name it with --config")
    if len(found) > 1:
        report.note(f"{found[0]} was read; not read: {', '.join(found[1:10])}. --config names another")
    return found[0]


def _read_config(folder: Folder, file: str, composed: compose.Compose) -> Config:
    service, asked = composed.hub, 0

    @functools.lru_cache(maxsize=LISTS)
    def names_of(path: str) -> tuple[str, lists.Names] | None:
        nonlocal asked
        asked += 1
        if asked > LISTS:
            return None
        name = compose.on_machine(folder, composed, path) or _beside(folder, file, path)
        base = posixpath.basename(name or path).lower()
        if not any(word in base for word in _LISTS):
            return None
        if not name:
            kind = posixpath.splitext(base)[1]
            return (path, lists.Names(absent=True)) if kind in _OF_LISTS else None
        try:
            return name, lists.read(folder.text(name))
        except SourceError:
            return None

    text = folder.text(file)
    try:
        return config.read(
            text, file, service.environment if service else composed.variables, names_of, composed.variables
        )
    except SourceError as error:
        raise SourceError(f"{file}: {error}") from None


def _beside(folder: Folder, file: str, path: str) -> str:
    """A file of the same name beside the configuration."""
    name = posixpath.join(posixpath.dirname(file), posixpath.basename(path))
    return name if posixpath.basename(path) and folder.has(name) else ""


def _mounts(folder: Folder, wanted: Wanted, report: Report) -> list[fstab.Mount]:
    text = wanted.fstab
    if text is None:
        name = folder.first(TABLES)
        if not name:
            report.note("no fstab was read: what the directories are mounted from is not known (--fstab FILE)")
            return []
        text = folder.text(name)
    return fstab.read(text)


def _judge_binds(
    made: binds.Binds, said: list[tuple[str, int, str]], spawner: str, found: Config, report: Report
) -> None:
    """Binds that are said to be read-only and are not become archives; the others that are no archive are told."""
    file = found.file
    kept, said = [], binds.of_read_only(said)
    home = made.home.bind.target if made.home else binds.HOME
    for bind, why in made.others:
        place = None if bind.personal else binds.said_read_only(bind, home, said)
        if place and "docker.sock" not in bind.source:
            report.contradiction(
                bind.target, f"{place[0]}:{place[1]} says read-only, and {bind.source} is bound read-write: look what"
                " was written there. It is read-only in the view", file, bind.line,
            )  # fmt: skip
            made.archives.append(bind)
        else:
            kept.append((bind, why))
            report.add(Verdict.NONE, f"{bind.source or '(nothing)'} at {bind.target}", why, file, bind.line)
    made.others = kept
    for words, line in made.unknown:
        report.add(Verdict.UNREAD, "volumes", words, file, line)
    if made.home is None and (spawner in found.bases or made.unknown):
        report.add(Verdict.UNREAD, "homes", f"where they are, the code of {spawner} knows", file)
    elif made.home is None:
        report.contradiction("homes", "nothing of a user is kept: no volume has {username} in its name", file)
    else:
        where = made.home.inner and f", in its folder {made.home.inner}"
        report.add(
            Verdict.TAKEN, made.home.bind.source, f"homes: /home/jovyan{where} (--homes)", file, made.home.bind.line
        )


def _home_size(spec: dict[str, Any], wanted: Wanted, said: list[tuple[str, int, str]], report: Report) -> None:
    promised = promises.home_size(said)
    size = wanted.size
    if promised:
        quantity, file, line, words = promised
        report.contradiction(
            "size of homes", f"{words!r} is said, and nothing holds anybody to it: spec.server.home.size does, where"
            " the storage enforces sizes", file, line,
        )  # fmt: skip
        size = size or quantity
    if size:
        spec.setdefault("server", {})["home"] = {"size": size}


def _of_database(database: Database | None, composed: compose.Compose, report: Report) -> None:
    if database is None:
        report.note(
            "no database was read: users who are in it alone, groups and shares are not known (--database FILE)"
        )
        return
    report.add(
        Verdict.TAKEN, "database",
        f"{len(database.users)} users, {len(database.groups)} groups, {database.shares} shares"
        f" (schema {database.revision or 'without a revision'})",
    )  # fmt: skip
    if database.encrypted:
        report.note(
            f"{database.encrypted} people have an encrypted state of sign-in: --crypt-keys FILE with the old key, or"
            " --crypt-keys drop, which costs them one sign-in"
        )
    for name, address in sorted(database.addresses.items())[:200]:
        report.note(
            f"{name} gave the address {address}: a line for --names, if Google knows it: {name} {address.lower()}"
        )


def _everybody(listed: people.People, database: Database | None, new_names: Mapping[str, str]) -> dict[str, str]:
    found = {old: new for new, old in listed.old.items()}
    for user in database.users if database else ():
        try:
            found.setdefault(user.name, user_name.normal(new_names.get(user.name, user.name)))
        except ValueError:
            continue
    return found
