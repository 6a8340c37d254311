"""The weekly report for people, as text or Markdown. Pure; what is in it is made harmless here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli.backup_words import duration
from pdshub.cli.homes import amount

Json = Mapping[str, Any]
_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|<>~&-])")
UNKNOWN = "not known"


def sections(found: Json) -> list[tuple[str, list[str]]]:
    """Headings with a line for each figure, without any mark-up."""
    return [
        ("Users", _users(found["users"])),
        ("Hours", _hours(found["hours"])),
        ("Storage", _storage(found["storage"])),
        ("Archive", _releases(found["releases"])),
        ("Backups", _backups(found["backups"])),
        ("Incidents", _incidents(found["incidents"])),
    ]


def _number(value: Any) -> str:
    return UNKNOWN if value is None else str(value)


def _users(users: Json) -> list[str]:
    return [
        f"on the list: {users['listed']}",
        f"active this week: {_number(users['active'])}",
        f"sign-ins: {_number(users['signIns'])}; refused: {_number(users['refused'])}",
        f"let in: {_number(users['added'])}; taken out: {_number(users['removed'])}",
        f"servers of others entered: {_number(users['enteredByOthers'])}",
    ]


def _hours(hours: Json) -> list[str]:
    if hours["servers"] is None:
        return [f"of servers: {UNKNOWN} ({hours['from'] or 'say --prometheus'})"]
    return [f"of servers: {hours['servers']} ({hours['from']})"]


def _storage(storage: Json) -> list[str]:
    if storage["homes"] is None:
        return [f"homes: {UNKNOWN}"]
    lines = [f"homes: {storage['homes']}, together {amount(storage['bytes'])}; new this week: {storage['new']}"]
    if storage["unneeded"]:
        lines.append(f"homes that nobody needs: {storage['unneeded']}, {amount(storage['unneededBytes'])}")
    return lines


def _releases(releases: Sequence[Json]) -> list[str]:
    lines = []
    for one in releases:
        when = f"users see {one['generation']} as of {one['asOf']}" if one["asOf"] else "users see the sources live"
        new = ", new this week" if one["new"] else ""
        lines.append(f"{one['view']}: {when}{new}: {one['files']} files, {amount(one['bytes'])}")
        if one["waits"]:
            lines.append(f"{one['view']}: {one['waits']} waits ({one['waitsFor']})")
        for decided in one["decisions"]:
            why = f": {decided['reason']}" if decided["reason"] else ""
            lines.append(f"{one['view']}: {decided['kind']} {decided['generation']} at {decided['at']}{why}")
    return lines or ["no archive view"]


def _backups(backups: Json) -> list[str]:
    if not backups["configured"]:
        return ["none are made: spec.backup is not set"]
    good, part, bad = (_number(backups[key]) for key in ("completed", "partial", "failed"))
    lines = [f"runs this week: {good} complete, {part} in part, {bad} failed",
             f"files brought back: {_number(backups['restores'])} times"]  # fmt: skip
    if backups["lastGoodDrill"]:
        took = f", {duration(backups['recoverySeconds'])} to a hub that answers" if backups["recoverySeconds"] else ""
        lines.append(f"last tried with success: {backups['lastGoodDrill']}{took}")
    else:
        lines.append("never tried with success yet")
    return lines


def _incidents(incidents: Sequence[Json]) -> list[str]:
    lines = []
    for one in incidents:
        lasts = f", since {one['since']}, lasts" if one["lasts"] else ""
        times = f", {one['count']} times" if one["count"] > 1 else ""
        lines.append(f"{one['what']}{lasts}{times}: {one['words']}")
    return lines or ["none"]


def _title(found: Json) -> str:
    return f"Hub {found['namespace']}/{found['name']}, {found['from'][:10]} to {found['to'][:10]}"


def text(found: Json, notes: Sequence[str]) -> str:
    """Plain text."""
    lines = [_title(found)]
    for heading, figures in sections(found):
        lines += ["", heading, *(f"  {figure}" for figure in figures)]
    lines += ["", *(f"note: {note}" for note in notes)] if notes else []
    return "\n".join(map(printable, lines))


def escaped(line: str) -> str:
    """A line of text as Markdown that shows just it: no link, no picture, no HTML, no table."""
    return _MARKS.sub(r"\\\1", printable(line))


def markdown(found: Json, notes: Sequence[str]) -> str:
    """Markdown (CommonMark)."""
    lines = [f"# {escaped(_title(found))}"]
    for heading, figures in sections(found):
        lines += ["", f"## {heading}", "", *(f"- {escaped(figure)}" for figure in figures)]
    lines += ["", *(f"*{escaped(note)}*  " for note in notes)] if notes else []
    return "\n".join(lines)
