"""What happened at a hub in a week, in figures: from the audit log, the census, conditions, backups, generations. Pure.

It is for somebody who answers for the hub and does not run it, so it counts people and names none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pdshub import rfc3339
from pdshub.cli import backup_status, status_words, words
from pdshub.cli.backup_drills import Drills
from pdshub.cli.census import Census, quantity

Json = Mapping[str, Any]
REFUSED, SIGN_IN, ACCESS, LIST_CHANGE = "sign-in-refused", "sign-in", "access", "list-change"
TROUBLES: Mapping[str, str] = {
    "hub-restarted": "the hub was restarted",
    "gap": "entries of the audit log are missing",
    "log-failed": "the audit log could not be written for a while",
    "cut-off": "somebody who was signed in could go on no longer",
}
"""Events of the audit log that are incidents -> in words."""
MOST_SHOWN = 20


@dataclass(frozen=True)
class Known:
    """What was read. None: it could not be, which is said beside the figures."""

    hub: Json
    census: Census
    entries: Sequence[Json] | None
    """Of the audit log, of this hub and this week, oldest first."""
    views: Sequence[Json] = ()
    backups: Sequence[Json] | None = None
    restores: Sequence[Json] | None = None
    drills: Drills = field(default_factory=Drills)
    server_hours: float | None = None
    hours_from: str = ""


def count(known: Known, since: str, now: str) -> dict[str, Any]:
    """All figures of a week, from ``since`` to ``now`` (RFC 3339). Keys are always the same; None for not known."""
    meta = known.hub["metadata"]
    return {
        "namespace": str(meta.get("namespace") or ""), "name": str(meta["name"]), "from": since, "to": now,
        "users": _users(known, since), "hours": _hours(known), "storage": _storage(known, since),
        "releases": _releases(known, since), "backups": _backups(known, since), "incidents": _incidents(known, since),
    }  # fmt: skip


def _in(when: Any, since: str) -> bool:
    """Whether a moment lies in the week; a text that is none does not."""
    at = rfc3339.seconds(when if isinstance(when, str) else "")
    return bool(at) and at >= rfc3339.seconds(since)


def _users(known: Known, since: str) -> dict[str, Any]:
    status, people, entries = known.hub.get("status") or {}, known.census.users, known.entries
    active = {user.name for user in people if _in(user.last_activity, since)}
    came = {str(one.get("user")) for one in entries or () if one.get("event") == SIGN_IN}
    changes = [one for one in entries or () if one.get("event") == LIST_CHANGE]
    return {
        "listed": backup_status.number(status, "users"),
        "active": len(active | came) if known.census.time or entries is not None else None,
        "signIns": _events(entries, SIGN_IN),
        "refused": _events(entries, REFUSED),
        "added": sum(_length(one.get("added")) for one in changes) if entries is not None else None,
        "removed": sum(_length(one.get("removed")) for one in changes) if entries is not None else None,
        "enteredByOthers": _events(entries, ACCESS),
    }


def _events(entries: Sequence[Json] | None, event: str) -> int | None:
    """How many there were; those of which a hub kept no more than their number, too."""
    if entries is None:
        return None
    more = [one for one in entries if one.get("event") == "more" and one.get("of") == event]
    kept = [one for one in entries if one.get("event") == event]
    return len(kept) + sum(backup_status.number(one, "count") for one in more)


def _length(found: Any) -> int:
    return len(found) if isinstance(found, list) else 0


def _hours(known: Known) -> dict[str, Any]:
    return {"servers": None if known.server_hours is None else round(known.server_hours, 1),
            "from": known.hours_from or None}  # fmt: skip


def _storage(known: Known, since: str) -> dict[str, Any]:
    homes, there = known.census.homes, bool(known.census.time)
    spare = [home for home in homes if home.orphan or home.offboarded]
    return {
        "homes": len(homes) if there else None,
        "bytes": sum(quantity(home.size) for home in homes) if there else None,
        "new": sum(_in(home.created, since) for home in homes) if there else None,
        "unneeded": len(spare) if there else None,
        "unneededBytes": sum(quantity(home.size) for home in spare) if there else None,
    }


def _releases(known: Known, since: str) -> list[dict[str, Any]]:
    """For each view: what users see, what became visible in the week, what waits, what people decided."""
    found = []
    for view in known.views:
        status = view.get("status") or {}
        shown, candidate = status.get("generation") or {}, status.get("candidate") or {}
        counts = shown.get("counts") or {}
        decided = [
            {"kind": str(one.get("kind") or ""), "generation": words.short(str(one.get("generation") or "")),
             "at": str(one.get("at") or ""), "reason": str(one.get("reason") or "") or None}
            for one in status.get("decisions") or [] if _in(one.get("at"), since)
        ]  # fmt: skip
        kept = [one for one in status.get("generations") or [] if _in(one.get("asOf"), since)]
        found.append({
            "view": str(view["metadata"]["name"]), "generation": words.short(str(shown.get("name") or "")),
            "asOf": str(shown.get("asOf") or "") or None, "new": _in(shown.get("asOf"), since), "surveyed": len(kept),
            "files": backup_status.number(counts, "files"), "bytes": backup_status.number(counts, "bytes"),
            "waits": words.short(str(candidate.get("name") or "")) if candidate else None,
            "waitsFor": str(candidate.get("reason") or "") or None, "decisions": decided,
        })  # fmt: skip
    return found


def _backups(known: Known, since: str) -> dict[str, Any]:
    name, runs = known.hub["metadata"]["name"], None
    if known.backups is not None:
        every = [backup_status.run(one) for one in known.backups]
        runs = [run for run in every if run.hub == name and _in(run.at, since) and run.over]
    restores = None
    if known.restores is not None:
        mine = [one for one in known.restores if backup_status.restored(one).hub == name]
        restores = sum(_in(one["metadata"].get("creationTimestamp"), since) for one in mine)
    phases = Counter(run.phase for run in runs or ())
    good = known.drills.good
    return {
        "configured": bool((known.hub.get("spec") or {}).get("backup")),
        "completed": phases[backup_status.COMPLETED] if runs is not None else None,
        "partial": phases[backup_status.PARTIAL] if runs is not None else None,
        "failed": phases[backup_status.FAILED] if runs is not None else None,
        "restores": restores,
        "lastGoodDrill": good.at if good else None,
        "recoverySeconds": good.recovery_seconds if good and good.recovery_seconds else None,
    }


def _incidents(known: Known, since: str) -> list[dict[str, Any]]:
    """What went wrong in the week and what is wrong now. ``since``: of what lasts; ``count``: of what happened."""
    found: list[dict[str, Any]] = []
    for thing, title in ((known.hub, "hub"), *((view, f"view {view['metadata']['name']}") for view in known.views)):
        blocks, to_do = status_words.in_the_way(thing)
        for one in (*blocks, *(each for each in to_do if each["status"] == "False")):
            found.append(_incident(f"{title}: {one['type']}, {one['reason']}", one["message"],
                                   since=one["lastTransitionTime"], lasts=True))  # fmt: skip
    for event, text in TROUBLES.items():
        number = _events(known.entries, event) or 0
        if number:
            found.append(_incident(event, text, count=number))
    return found[:MOST_SHOWN] + _rest(found)


def _incident(what: str, words: str, *, count: int = 1, since: str = "", lasts: bool = False) -> dict[str, Any]:
    return {"what": what, "words": words, "count": count, "since": since or None, "lasts": lasts}


def _rest(found: Sequence[Any]) -> list[dict[str, Any]]:
    more = len(found) - MOST_SHOWN
    return [_incident("more", f"{more} more: kubectl pdshub status", count=more)] if more > 0 else []


def of_hub(entries: Iterable[Json], hub: str, since: str) -> list[Json]:
    """Entries of one hub in the week; those of the log itself belong to all."""
    return [
        one for one in entries if one.get("hub") in (hub, None, "") and _in(one.get("at") or one.get("time"), since)
    ]
