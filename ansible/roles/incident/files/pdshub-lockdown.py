"""What is to be changed at a hub so that nobody is in, and what puts it back. Standard library; reads and writes JSON.

``lock`` reads {"hub": a PDSHub, "census": its ConfigMap or null, "incident": its name} and writes {"patch": a JSON
merge patch, "before": what release needs, "names": how many people, "locked": the incident that locked it before}.
``release`` reads {"hub": the PDSHub of now, "before": …, "keepOut": names} and writes {"patch": …}. Nothing that is
read is trusted: what is no list of names is none.
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from typing import Any

Json = dict[str, Any]
LONGEST, MOST, UNPACKED = 254, 10_000, 16 << 20
KEPT = ("suspended", "domains")
ANNOTATION = "pdshub.dev/incident"


def names(found: Any) -> list[str]:
    """The names of a list, as they are written; whatever else is in it is left out."""
    listed = found if isinstance(found, list) else []
    return [one for one in listed if isinstance(one, str) and 0 < len(one) <= LONGEST and one.isprintable()]


def unpacked(config_map: Any, key: str) -> Json:
    """The JSON object that a ConfigMap holds packed under a key; empty where there is none."""
    text = ((config_map or {}).get("binaryData") or {}).get(key)
    if not isinstance(text, str):
        return {}
    try:
        reader = zlib.decompressobj(31)
        plain = reader.decompress(base64.b64decode(text, validate=True), UNPACKED)
        found = json.loads(plain) if reader.eof else {}
    except (ValueError, zlib.error, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def everybody(hub: Json, census: Any) -> list[str]:
    """Everybody whom the spec or the operator's count names."""
    users = (hub.get("spec") or {}).get("users") or {}
    found = {one for key in ("allowed", "admins", "suspended") for one in names(users.get(key))}
    for key in (census or {}).get("binaryData") or {}:
        for item in unpacked(census, key).get("users") or []:
            if isinstance(item, dict):
                found.update(names([item.get("name")]))
    return sorted(found)


def lock(hub: Json, census: Any, incident: str) -> Json:
    """Everybody is suspended, and no domain lets anybody in."""
    users = (hub.get("spec") or {}).get("users") or {}
    out = everybody(hub, census)
    if len(out) > MOST:
        raise SystemExit(f"{len(out)} people: spec.users.suspended holds {MOST}")
    before = {**{key: names(users.get(key)) for key in KEPT}, "locked": out}
    notes = (hub.get("metadata") or {}).get("annotations") or {}
    patch = {
        "metadata": {"annotations": {ANNOTATION: incident}},
        "spec": {"users": {"suspended": out, "domains": []}},
    }
    return {"patch": patch, "before": before, "names": len(out), "locked": notes.get(ANNOTATION, "")}


def release(hub: Json, before: Json, keep_out: list[str]) -> Json:
    """What was before, those who stay out, and whom somebody has suspended or let in by a domain meanwhile."""
    users = (hub.get("spec") or {}).get("users") or {}
    meanwhile = set(names(users.get("suspended"))) - set(names(before.get("locked")))
    suspended = sorted({*names(before.get("suspended")), *names(keep_out), *meanwhile})
    added = names(users.get("domains"))
    domains = list(dict.fromkeys([*names(before.get("domains")), *added]))
    return {
        "patch": {
            "metadata": {"annotations": {ANNOTATION: None}},
            "spec": {"users": {"suspended": suspended, "domains": domains}},
        }
    }


def main() -> None:
    """The program."""
    given = json.load(sys.stdin)
    if sys.argv[1] == "lock":
        done = lock(given["hub"], given.get("census"), str(given["incident"]))
    else:
        done = release(given["hub"], given["before"], given.get("keepOut") or [])
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
