"""Users and homes of a hub as they were found last, for ``kubectl pdshub``: nobody needs a token of the hub. Pure."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from pdshub.hub_api import HubUser
from pdshub.kube import Object
from pdshub.reconcile.hub.people.document import LIMIT, People, config_map
from pdshub.reconcile.hub.people.homes import owner
from pdshub.render.names import PEOPLE_ANNOTATION, Names
from pdshub.wellknown import CENSUS_FILE, OFFBOARDED

_ACTIVITY = ("lastActivity", "lastUsed")


def _server(user: HubUser | None) -> str:
    servers = user.servers if user else ()
    if any(server.pending for server in servers):
        return "pending"
    return "running" if any(server.ready for server in servers) else "stopped"


def count(people: People, users: Sequence[HubUser], kept: AbstractSet[str], claims: Sequence[Object]) -> dict[str, Any]:
    """Everybody on the list or in the hub's database, and every home. ``kept``: who may sign in by a group."""
    known = {user.name: user for user in users}
    homes = {owner(claim): claim for claim in reversed(claims)}
    found = []
    for name in sorted(people.listed | known.keys()):
        user, home = known.get(name), homes.get(name)
        found.append(
            {
                "name": name,
                "admin": name in people.admins or bool(user and user.admin and name in kept),
                "suspended": name in people.suspended,
                "listed": name in people.listed or people.lets_in(name) or name in kept,
                "lastActivity": (user.last_activity or None) if user else None,
                "server": _server(user),
                "home": home["metadata"]["name"] if home else None,
            }
        )
    return {"version": 1, "users": found, "homes": [_home(people, known, kept, claim) for claim in claims]}


def _home(people: People, known: Mapping[str, HubUser], kept: AbstractSet[str], claim: Object) -> dict[str, Any]:
    meta, spec, user = claim["metadata"], claim.get("spec") or {}, owner(claim)
    size = ((claim.get("status") or {}).get("capacity") or {}).get("storage")
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    somebodys = user in people.listed or people.lets_in(user) or user in kept or user in known
    return {
        "claim": meta["name"],
        "user": user,
        "size": str(size or asked or ""),
        "storageClass": spec.get("storageClassName") or "",
        "volume": spec.get("volumeName") or "",
        "created": meta.get("creationTimestamp") or "",
        "lastUsed": (known[user].last_activity or None) if user in known else None,
        "orphan": not somebodys,
        "offboarded": OFFBOARDED in (meta.get("annotations") or {}),
    }


def digest(body: Mapping[str, Any], *, activity: bool) -> str:
    """A digest of what was counted; without ``activity`` of all but when somebody was seen last."""
    bare = body
    if not activity:
        bare = {k: [{x: y for x, y in i.items() if x not in _ACTIVITY} for i in body[k]] for k in ("users", "homes")}
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()[:12]


def census_map(names: Names, uid: str, body: Mapping[str, Any], now: str) -> dict[str, Any] | None:
    """The ConfigMap of a census made ``now`` (RFC 3339); None where it does not fit into one."""
    text = json.dumps({**body, "time": now}, separators=(",", ":"))
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    if len(packed) > LIMIT:
        return None
    note = {PEOPLE_ANNOTATION: digest(body, activity=False)}
    return {**config_map(names, uid, names.census, note), "binaryData": {CENSUS_FILE: packed}}
