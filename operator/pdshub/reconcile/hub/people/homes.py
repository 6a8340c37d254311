"""Whose home each claim is: recorded when it is first seen bound, and compared with that ever after. Pure.

Names of claims come from names of users by a rule of KubeSpawner's, which has changed once. The record does not change.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from pdshub.kube import Object
from pdshub.reconcile.hub.people import slug
from pdshub.reconcile.hub.people.document import People, config_map
from pdshub.render.names import Names
from pdshub.wellknown import HOME_OF, USERNAME

FILE = "homes.json.gz"
MOVED = "HomeMoved"
"""Reason: somebody has another claim than the one recorded."""
WOULD_MOVE = "HomeWouldMove"
"""Reason: the next server of somebody would get another claim than the one recorded."""
MISSING = "HomeMissing"
"""Reason: the recorded claim of somebody on the list is gone."""
_SERVER = "hub.jupyter.org/servername"
_AT_ONCE = 50
"""Claims that are marked in one look."""
_SHOWN = 3


@dataclass(frozen=True)
class Homes:
    """What is known of homes."""

    record: Mapping[str, str]
    """By user the name of the claim, as it shall be kept."""
    to_mark: tuple[tuple[str, str], ...] = ()
    """Claims that do not say yet whose home they are, and whose."""
    reason: str = "AsRecorded"
    message: str = ""

    @property
    def good(self) -> bool:
        """Whether every home is where it was recorded."""
        return self.reason == "AsRecorded"


def owner(claim: Object) -> str:
    """Whose home a claim is, as it says itself."""
    notes = claim["metadata"].get("annotations") or {}
    return str(notes.get(HOME_OF) or notes.get(USERNAME) or "")


def _is_home(claim: Object) -> bool:
    """Whether it is bound, stays, and is that of a default server: a named one may have a claim of its own."""
    meta = claim["metadata"]
    bound = (claim.get("status") or {}).get("phase") == "Bound"
    return bound and not meta.get("deletionTimestamp") and not (meta.get("annotations") or {}).get(_SERVER)


def judge(
    claims: Sequence[Object],
    record: Mapping[str, str],
    people: People | None,
    template: str,
    known: AbstractSet[str] = frozenset(),
) -> Homes:
    """What the claims of homes say beside what was recorded of them. ``people`` is None while nobody knows the list.

    ``known``: whom the hub's database knows, be they on the list or not.
    A human settles a doubt by the annotation pdshub.dev/home-of on the claim that is the home.
    """
    found: defaultdict[str, dict[str, Object]] = defaultdict(dict)
    silent: dict[str, Object] = {}
    for claim in filter(_is_home, claims):
        if user := owner(claim):
            found[user][str(claim["metadata"]["name"])] = claim
        else:
            silent[str(claim["metadata"]["name"])] = claim
    if silent:
        names = (people.listed if people else frozenset()) | known
        for name, user in _by_name(silent, record, names - found.keys(), template):
            found[user][name] = silent[name]
    kept, wrong = dict(record), defaultdict[str, list[str]](list)
    for user in sorted({*found, *record}):
        there, was = found.get(user, {}), record.get(user)
        marked = sorted(name for name, claim in there.items() if _marked(claim))
        choice = marked[0] if len(marked) == 1 else was if was in there else None
        if choice is None and was is None and len(there) == 1:
            choice = next(iter(there))
        if choice is not None:
            kept[user] = choice
            if others := " and ".join(sorted(there.keys() - {choice})):
                wrong[MOVED].append(f"{user} has {others} beside {choice}")
        elif there:
            wrong[MOVED].append(f"{user} has {' and '.join(sorted(there))}{f', and had {was}' if was else ''}")
        elif people is not None and user not in people.listed and not people.lets_in(user):
            del kept[user]
        else:
            wrong[MISSING].append(f"{user} had {was}")
        would = slug.claims(user, template)
        if choice is not None and would and choice not in would:
            following = template.replace("{user_server}", slug.safe(user))
            wrong[WOULD_MOVE].append(f"{user} has {choice}, the next server would get {following}")
    to_mark = [
        (name, user)
        for user, name in sorted(kept.items())
        if name in found.get(user, {}) and not _marked(found[user][name])
    ]
    return Homes(kept, tuple(to_mark[:_AT_ONCE]), *_words(kept, wrong))


def _by_name(
    claims: Collection[str], record: Mapping[str, str], users: AbstractSet[str], template: str
) -> Iterator[tuple[str, str]]:
    """Whose the claims are that say nothing: who adopts a volume, or binds one by hand, makes such.

    KubeSpawner takes what has the right name and annotates nothing. A name that two have is nobody's.
    """
    whose: defaultdict[str, set[str]] = defaultdict(set)
    for user, name in record.items():
        whose[name].add(user)
    for user in users - record.keys():
        for name in slug.claims(user, template):
            whose[name].add(user)
    for name in sorted(claims):
        if len(whose[name]) == 1:
            yield name, next(iter(whose[name]))


def _marked(claim: Object) -> bool:
    return bool((claim["metadata"].get("annotations") or {}).get(HOME_OF))


def _words(kept: Mapping[str, str], wrong: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    for reason in (MOVED, WOULD_MOVE, MISSING):
        if cases := wrong.get(reason):
            more = f", and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
            after = {
                MOVED: f"annotate the one that holds their files with {HOME_OF}=USER, and take the label "
                "component off the other",
                WOULD_MOVE: "put singleuser.storage.dynamic.pvcNameTemplate and hub.config.KubeSpawner.slug_scheme "
                "back as they were, or they get an empty home",
                MISSING: "bring the volume back, or let them start anew with an empty home",
            }[reason]
            return reason, f"{'; '.join(cases[:_SHOWN])}{more}: {after}"
    return "AsRecorded", f"{len(kept)} homes are the ones recorded"


def read(found: Object | None) -> dict[str, str]:
    """The record that a ConfigMap carries; empty where it carries none: the claims' own marks are the other half."""
    packed = ((found or {}).get("binaryData") or {}).get(FILE)
    try:
        unpacked = zlib.decompressobj(31).decompress(base64.b64decode(packed or ""), 16 << 20)
        body = json.loads(unpacked or b"{}")
    except (binascii.Error, zlib.error, TypeError, ValueError, RecursionError):
        return {}
    listed = body.get("homes") if isinstance(body, dict) else None
    return {str(k): str(v) for k, v in listed.items()} if isinstance(listed, dict) else {}


def homes_map(names: Names, uid: str, record: Mapping[str, str]) -> dict[str, Any]:
    """The ConfigMap of a record."""
    text = json.dumps({"version": 1, "homes": dict(sorted(record.items()))}, separators=(",", ":"))
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return {**config_map(names, uid, names.homes), "binaryData": {FILE: packed}}
