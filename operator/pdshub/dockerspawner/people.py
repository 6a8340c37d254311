"""Who may sign in at the old hub, as a list of the new one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pdshub.api import name_file, user_name
from pdshub.dockerspawner.database import Database
from pdshub.dockerspawner.report import Report
from pdshub.dockerspawner.settings import Assignment, Config
from pdshub.dockerspawner.source import SourceError
from pdshub.dockerspawner.traits import Verdict
from pdshub.dockerspawner.values import known

_ROLES = {
    "allowed_users": "allowed", "whitelist": "allowed", "admin_users": "admins", "blocked_users": "suspended",
    "blacklist": "suspended",
}  # fmt: skip


@dataclass
class People:
    """The list of a hub, in new names, and the old name of each."""

    allowed: list[str] = field(default_factory=list)
    admins: list[str] = field(default_factory=list)
    suspended: list[str] = field(default_factory=list)
    old: dict[str, str] = field(default_factory=dict)
    """New name -> old name."""


def renames(text: str) -> dict[str, str]:
    """Old names and new ones: two in a line. Raises SourceError, which names the line."""
    found: dict[str, str] = {}
    for line in name_file.names(text):
        words = line.replace("=", " ").split()
        if len(words) != 2:
            raise SourceError(f"{line[:80]!r}: write an old and a new name")
        try:
            found[words[0]] = user_name.normal(words[1])
        except ValueError as error:
            raise SourceError(str(error)) from None
    if len(set(found.values())) != len(found):
        raise SourceError("two people get the same new name: each home needs one of its own")
    return found


def read(
    config: Config,
    traits: Mapping[tuple[str, str], Assignment],
    mine: Callable[[str], bool],
    database: Database | None,
    new_names: Mapping[str, str],
    report: Report,
) -> People:
    """The list. ``mine``: whether a class is that of the authenticator, or one above it."""
    made = People()
    roles: dict[str, dict[str, int]] = {"allowed": {}, "admins": {}, "suspended": {}}
    open_to_all = 0
    unsure = {_ROLES[each.name] for each in config.assignments if each.name in _ROLES and each.condition}
    for (owner, name), each in traits.items():
        if not mine(owner) and not (owner == "JupyterHub" and name == "admin_users"):
            continue
        if name in ("allow_all", "open_signup", "allow_existing_users") and each.value is True:
            open_to_all = each.line
        if name not in _ROLES:
            continue
        if not known(each.value) or not isinstance(each.value, list):
            unsure.add(_ROLES[name])
        for person in each.value if isinstance(each.value, list) else []:
            if isinstance(person, str) and known(person):
                roles[_ROLES[name]].setdefault(person, each.line)
    for person in config.listed_admins:
        roles["admins"].setdefault(person, 0)
    _of_database(database, roles, open_to_all, "allowed" in unsure, config.file, report)
    for person, line in roles["admins"].items():
        if roles["allowed"] and "allowed" not in unsure and person not in roles["allowed"]:
            report.contradiction(
                person, "is an admin and on no list: a PDSHub lets in its admins; take the name out if that is wrong",
                config.file, line,
            )  # fmt: skip
    short = dict[str, None]()
    for role, people in roles.items():
        listed: dict[str, None] = {}
        for person, line in people.items():
            new = _named(person, new_names, report, config.file, line)
            if new and made.old.get(new, person) != person:
                report.contradiction(person, f"would be the same as {made.old[new]}: both are {new}", config.file, line)
            elif new:
                listed.setdefault(new)
                made.old[new] = person
                if "@" not in new:
                    short.setdefault(new)
        setattr(made, role, list(listed))
    if short:
        some = ", ".join(list(short)[:20]) + (f" and {len(short) - 20} more" if len(short) > 20 else "")
        report.note(f"no e-mail addresses, as Google's accounts have: {some}. Give them their new names with --names")
    admins = set(made.admins)
    made.allowed = [name for name in made.allowed if name not in admins]
    return made


def _of_database(
    database: Database | None,
    roles: dict[str, dict[str, int]],
    open_to_all: int,
    unsure: bool,
    file: str,
    report: Report,
) -> None:
    """People of the database. ``unsure``: the list is not known whole: nobody is on it by being in the database."""
    if database is None:
        return
    listed = roles["allowed"].keys() | roles["admins"].keys()
    strangers = [user.name for user in database.users if user.name not in listed]
    authorized = set(database.authorized)
    for user in database.users:
        if user.admin and user.name not in roles["admins"]:
            report.contradiction(
                user.name, "is an admin in the database and not in the configuration: write the name to"
                " spec.users.admins if that is right", file,
            )  # fmt: skip
    if authorized and not roles["allowed"]:
        roles["allowed"].update(dict.fromkeys(database.authorized, 0))
        report.add(
            Verdict.TAKEN, "NativeAuthenticator", f"{len(authorized)} people who were authorized are on the list"
        )
    elif open_to_all or not (roles["allowed"] or unsure):
        roles["allowed"].update(dict.fromkeys(strangers, 0))
        if strangers:
            words = (
                f"{len(strangers)} people of the database are on the list, as the old hub let them in: look who that is"
            )
            report.add(Verdict.TAKEN, "users of the database", words, file, open_to_all)
    elif strangers:
        shown = ", ".join(strangers[:20]) + (f" and {len(strangers) - 20} more" if len(strangers) > 20 else "")
        where = "on no list that is known here" if unsure else "on no list"
        report.note(f"in the database and {where}, so that they can not sign in: {shown}. Their homes are copied")


def _named(person: str, new_names: Mapping[str, str], report: Report, file: str, line: int) -> str:
    """The new name of somebody; empty where there is none."""
    try:
        return user_name.normal(new_names.get(person, person))
    except ValueError as error:
        report.contradiction(person, f"{error}: give them a new name with --names", file, line)
        return ""


def lines(people: Iterable[str], heading: str) -> str:
    """A list as a file that ``spec.users.from`` can name."""
    return "\n".join([f"# {heading}", *people, ""])
