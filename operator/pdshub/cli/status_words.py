"""One hub on one screen: what is, what is in the way, what is to be done. Pure: objects and a clock's time to lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pdshub import generation_id, rfc3339
from pdshub.api.status import good_status
from pdshub.cli import held, words
from pdshub.cli.census import Census, quantity
from pdshub.cli.homes import amount

Json = Mapping[str, Any]
TO_DO = ("KeyEscrowed", "NetworkEnforced", "HomesEnforced", "UsersIsolated", "RestoreVerified")
"""Conditions that keep nobody from working, and ask somebody for something."""
_OWN_STATE = ("Reconciling", "Suspended", "RolledBack")
"""Conditions that say what the operator does, or was told."""
DAY, MOST_NODES = 86400, 5


def condition(found: Json) -> Json:
    """A condition for programs. Keys are always the same."""
    return {key: str(found.get(key) or "") for key in ("type", "status", "reason", "message", "lastTransitionTime")}


def conditions(thing: Json) -> list[Json]:
    """The conditions of an object; what is none is left out."""
    listed = (thing.get("status") or {}).get("conditions")
    return [condition(one) for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []


def in_the_way(thing: Json) -> tuple[list[Json], list[Json]]:
    """(what blocks, what is to be done): conditions that are not as they should be, each message once.

    What is Unknown blocks nobody; it is to be done where it says something of itself.
    """
    blocks, to_do, said = list[Json](), list[Json](), set[str]()
    for found in sorted(conditions(thing), key=lambda one: one["type"] not in ("Stalled", "Ready")):
        kind, bad = found["type"], found["status"] not in (good_status(found["type"]), "")
        if not bad or kind == "Reconciling" or found["message"] in said:
            continue
        said.add(found["message"])
        (to_do if kind in (*TO_DO, "Drifted") or found["status"] == "Unknown" else blocks).append(found)
    return blocks, to_do


def summary(
    hub: Json, census: Census, views: Sequence[Json], now: float, servers: Sequence[Json] | None = ()
) -> dict[str, Any]:
    """All that the screen shows, for programs. Keys are always the same; None for what is not known. ``servers``: those
    that are held at another generation (held.rows)."""
    meta, status, spec = hub["metadata"], hub.get("status") or {}, hub.get("spec") or {}
    blocks, to_do = in_the_way(hub)
    homes = census.homes
    return {
        "namespace": str(meta.get("namespace") or ""),
        "name": str(meta["name"]),
        "ready": words.condition(hub, "Ready").get("status") or "Unknown",
        "state": _state(hub),
        "address": status.get("address") or None,
        "release": {"chart": status.get("version") or None, "revision": status.get("revision") or None,
                    **_said(hub, "Released")},
        "archive": {"view": view_name(hub), **_said(hub, "ArchiveReady"), "released": _released(hub, views),
                    "held": None if servers is None else list(servers)},
        "users": {"listed": status.get("users") or 0, "known": len(census.users) or None,
                  "servers": sum(user.server != "stopped" for user in census.users) if census.time else None,
                  **_said(hub, "UsersEnforced")},
        "storage": {"homes": len(homes) if census.time else None,
                    "bytes": sum(quantity(home.size) for home in homes) if census.time else None,
                    "unneeded": sum(home.orphan or home.offboarded for home in homes) if census.time else None,
                    "asOf": census.time or None, **_said(hub, "HomesEnforced")},
        "backups": {"configured": bool(spec.get("backup")), **_said(hub, "BackedUp"),
                    "restore": _said(hub, "RestoreVerified"), "key": _said(hub, "KeyEscrowed")},
        "certificate": {"notAfter": _ends(status) or None, "daysLeft": _days(_ends(status), now),
                        **_said(hub, "CertificateReady")},
        "blocks": blocks,
        "toDo": to_do,
    }  # fmt: skip


def _said(hub: Json, kind: str) -> dict[str, Any]:
    found = words.condition(hub, kind)
    return {key: str(found[key]) if found.get(key) else None for key in ("status", "reason", "message")}


def _state(hub: Json) -> str:
    """One word for the first line: ready, stalled, suspended, rolled back, working, not ready."""
    names = {"Suspended": "suspended", "Stalled": "stalled", "RolledBack": "rolled back"}
    for kind, word in names.items():
        if words.condition(hub, kind).get("status") == "True":
            return word
    ready = words.condition(hub, "Ready").get("status")
    if ready == "True":
        return "ready"
    return "working" if words.condition(hub, "Reconciling").get("status") == "True" else "not ready"


def view_name(hub: Json) -> str | None:
    """The archive view of a hub: the one it names, or its own; None without an archive."""
    archive = (hub.get("spec") or {}).get("archive")
    if not isinstance(archive, Mapping):
        return None
    named = archive.get("viewRef")
    return (
        named if isinstance(named, str) and named else f"{hub['metadata'].get('namespace')}-{hub['metadata']['name']}"
    )


def view_of(hub: Json, views: Sequence[Json]) -> Json | None:
    """The archive view of a hub, where it is there."""
    name = view_name(hub)
    return next((view for view in views if view["metadata"].get("name") == name), None)


def _released(hub: Json, views: Sequence[Json]) -> dict[str, Any] | None:
    """What users of the hub see of its view, and what waits."""
    view = view_of(hub, views)
    if view is None:
        return None
    status = view.get("status") or {}
    shown, candidate = status.get("generation") or {}, status.get("candidate") or {}
    return {"generation": shown.get("name"), "asOf": shown.get("asOf"), "waits": candidate.get("name"),
            "why": candidate.get("reason"), "behind": _behind(status, shown.get("name"))}  # fmt: skip


def _behind(status: Json, shown: Any) -> list[dict[str, Any]]:
    """Nodes whose servers do not see what was released: held at what they had, or on their way."""
    found = []
    for node in status.get("nodes") or []:
        name, message = node.get("generation"), node.get("message")
        if node.get("targets") and (message or (name and shown and not generation_id.named(str(name), str(shown)))):
            found.append({"node": node.get("name"), "servers": node.get("targets"), "message": message or None,
                          "generation": words.short(str(name or ""))})  # fmt: skip
    return found


def _ends(status: Json) -> str:
    certificate = status.get("certificate")
    return str(certificate.get("notAfter") or "") if isinstance(certificate, Mapping) else ""


def _days(ends: str, now: float) -> int | None:
    at = rfc3339.seconds(ends)
    return int((at - now) // DAY) if at else None


def screen(found: Json) -> str:
    """The summary of one hub in lines. Texts in it are harmless already."""
    release, archive, users, storage = (found[key] for key in ("release", "archive", "users", "storage"))
    backups, certificate = found["backups"], found["certificate"]
    address = f"  {found['address']}" if found["address"] else ""
    lines = [f"hub {found['namespace']}/{found['name']}: {found['state']}{address}"]
    lines.append(_line("release", _parts(release["chart"], release["revision"] and f"revision {release['revision']}"),
                       release))  # fmt: skip
    lines.append(_line("archive", _archive(archive), archive) if archive["view"] else "  archive      none")
    for node in ((archive["released"] or {}).get("behind") or [])[:MOST_NODES]:
        said = node["message"] or f"shows {node['generation']} still"
        lines.append(f"               node {node['node']}, {node['servers']} servers: {said}")
    if archive["held"]:
        lines.append(
            f"               {len(archive['held'])} servers are held at another: {held.in_short(archive['held'])}"
        )
    servers = None if users["servers"] is None else f"{users['servers']} servers"
    lines.append(_line("users", _parts(f"{users['listed']} on the list", servers), users))
    lines.append(_line("storage", _storage(storage), storage))
    if backups["configured"]:
        lines.append(_line("backups", "", backups))
        if backups["restore"]["status"]:
            lines.append(_line("", "restore tried", backups["restore"]))
    else:
        lines.append("  backups      none: spec.backup is not set")
    left = certificate["daysLeft"]
    lines.append(_line("certificate", "" if left is None else f"{left} days left", certificate))
    lines += [f"  BLOCKS       {one['type']}, {one['reason']}: {one['message']}" for one in found["blocks"]]
    lines += [f"  to do        {one['type']}, {one['reason']}: {one['message']}" for one in found["toDo"]]
    if not found["blocks"]:
        lines.append("  nothing blocks")
    return "\n".join(lines)


def _parts(*texts: Any) -> str:
    return ", ".join(str(text) for text in texts if text not in (None, "", 0, False))


def _line(label: str, text: str, said: Json) -> str:
    """``label``: what it is about; ``text``: figures; and how its condition stands, whose words are below if bad."""
    state = f"{said['reason']}" if said["status"] else "not looked at yet"
    if said["status"] == "Unknown":
        state = f"not known ({said['reason']})"
    elif said["status"] == "False":
        state = f"NO ({said['reason']})"
    return f"  {label:<13}{_parts(text, state)}"


def _archive(archive: Json) -> str:
    shown = archive["released"]
    if not shown:
        return str(archive["view"])
    seen = f"{words.short(shown['generation'])} as of {shown['asOf']}" if shown["generation"] else "the sources live"
    waits = f"{words.short(shown['waits'])} waits ({shown['why']})" if shown["waits"] else ""
    return _parts(f"{archive['view']}: users see {seen}", waits)


def _storage(storage: Json) -> str:
    if storage["homes"] is None:
        return "homes not counted yet"
    spare = f"{storage['unneeded']} that nobody needs" if storage["unneeded"] else ""
    return _parts(f"{storage['homes']} homes of {amount(storage['bytes'])}", spare)
