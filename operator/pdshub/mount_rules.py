"""What an installation lets node plugins mount: one rule for the operator, which explains, and the nodes, which mount.

Whoever installs PDSHub names servers, exports, identities and local prefixes (Helm values archive.* of charts/pdshub);
views can not.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from pdshub.bucket_rules import BucketRule

ALLOWED: Literal["archive.allowed"] = "archive.allowed"
LOCAL_PREFIXES: Literal["archive.allowedLocalPrefixes"] = "archive.allowedLocalPrefixes"
Identity = tuple[int, int]
"""uid and gid."""
NOBODY: Identity = (65534, 65534)
"""Who reads a source that names nobody, unless archive.defaultRunAs says otherwise: owns nothing on any NAS."""
USERS = "users"
"""In a rule's runAs: an entry may be read by the processes of users as themselves, whoever they are."""
_MOST_ID = 2**31 - 1
_RANGE = r"(\d{1,10})(?:-(\d{1,10}))?"
_IDS = re.compile(f"{_RANGE}(?::{_RANGE})?")


@dataclass(frozen=True)
class Identities:
    """Users and groups that a source may be read as."""

    uids: range
    gids: range

    @classmethod
    def parse(cls, raw: Any) -> Identities:
        """One item of runAs: a uid or a range, the same or after a colon another one for the gid: 1000, 2000-2999:100.

        Without a colon the gid lies within the same numbers. Raises ValueError for anything else, and for a range
        that holds 0: root is allowed by its own name or not at all.
        """
        found = None if isinstance(raw, bool) else _IDS.fullmatch(str(raw))
        if found is None:
            raise ValueError(f"runAs: {raw!r} is none of UID, UID-UID, UID:GID and {USERS}")
        uids = _range(found[1], found[2])
        return cls(uids, _range(found[3], found[4]) if found[3] else uids)

    def __contains__(self, identity: Identity) -> bool:
        """Whether both ids lie in it."""
        return identity[0] in self.uids and identity[1] in self.gids


def _range(first: str, last: str | None) -> range:
    low, high = int(first), int(last or first)
    if not low <= high <= _MOST_ID:
        raise ValueError(f"runAs: {first}-{last} is no range of ids from 0 to {_MOST_ID}")
    if low == 0 < high:
        raise ValueError("runAs: a range must not hold 0: name it by itself where root may read")
    return range(low, high + 1)


@dataclass(frozen=True)
class ServerRule:
    """One item of archive.allowed. `server`: a name, ``*.suffix``, an address or a CIDR range."""

    server: str
    exports: tuple[str, ...]
    identities: tuple[Identities, ...] = ()
    users: bool = False
    """Whether users' own processes may read it as themselves."""

    @classmethod
    def parse(cls, raw: Any) -> ServerRule:
        """The rule as the installation file has it. Raises ValueError for anything that is none."""
        if not isinstance(raw, Mapping) or set(raw) - {"server", "exports", "runAs"}:
            raise ValueError(f"{ALLOWED}: an item has server, exports and perhaps runAs")
        server, exports, run_as = raw.get("server"), raw.get("exports"), raw.get("runAs") or []
        if not isinstance(server, str) or not server:
            raise ValueError(f"{ALLOWED}: server is missing")
        if not isinstance(exports, list) or not exports or not isinstance(run_as, list):
            raise ValueError(f"{ALLOWED}: {server}: exports is a list of directories of the server, runAs of ids")
        if wrong := [item for item in exports if not isinstance(item, str) or clean(item) is None]:
            raise ValueError(f"{ALLOWED}: {server}: {wrong[0]!r} is not absolute, or has '..' in it")
        identities = tuple(Identities.parse(item) for item in run_as if item != USERS)
        return cls(server, tuple(clean(item) or "" for item in exports), identities, USERS in run_as)


@dataclass(frozen=True)
class MountRules:
    """All of an installation's rules. Without any nothing is allowed."""

    servers: tuple[ServerRule, ...] = ()
    local_prefixes: tuple[str, ...] = ()
    default: Identity = NOBODY
    """Who reads a source whose view says nothing of it; needs no rule."""
    buckets: tuple[BucketRule, ...] = ()
    """What may be shown of S3 services: see bucket_rules.refusal."""

    @classmethod
    def parse(cls, archive: Mapping[str, Any]) -> MountRules:
        """The rules of an installation file's `archive`. Raises ValueError, TypeError or AttributeError for none."""
        run_as = archive.get("defaultRunAs") or {}
        default = (int(run_as.get("uid", NOBODY[0])), int(run_as.get("gid", NOBODY[1])))
        if not all(0 < one <= _MOST_ID for one in default):
            raise ValueError("archive.defaultRunAs: neither root nor its group reads what nobody is named for")
        return cls(
            tuple(ServerRule.parse(item) for item in archive.get("allowed") or ()),
            tuple(str(item) for item in archive.get("allowedLocalPrefixes") or ()),
            default,
            tuple(BucketRule.parse(item) for item in archive.get("buckets") or ()),
        )

    def refusal(self, *, server: str = "", export: str = "", local: str = "", run_as: Identity | None = None) -> str:
        """Why a source may not be mounted and which setting would allow it, in words; empty where it may.

        A source is `local`, an absolute path on the node, or else `export` of the NFS server `server`. `run_as`: the
        uid and gid that its view asks for; None for the installation's default.
        """
        if local:
            return self._local(local, run_as)
        rules = [rule for rule in self.servers if matches(server, rule.server)]
        if not rules:
            return f"NFS server {server} is not allowed by this installation: add it to {ALLOWED} of the pdshub chart"
        path = clean(export)
        if path is None or not (rules := _below(path, rules)):
            return (
                f"export {export} of NFS server {server} is not allowed by this installation: add it, or a directory "
                f"above it, to the exports of that server in {ALLOWED} of the pdshub chart"
            )
        if run_as in (None, self.default) or any(run_as in ids for rule in rules for ids in rule.identities):
            return ""
        return (
            f"export {export} of NFS server {server} may not be read as uid {run_as[0]}, gid {run_as[1]}: leave runAs "
            f"out, or add {run_as[0]}:{run_as[1]} to the runAs of that server in {ALLOWED} of the pdshub chart"
        )

    def _local(self, path: str, run_as: Identity | None) -> str:
        if prefix_of(path, self.local_prefixes) is None:
            return (
                f"local path {PurePosixPath(path)} is not allowed by this installation: add a prefix of it to "
                f"{LOCAL_PREFIXES} of the pdshub chart"
            )
        if run_as is not None and 0 in run_as:
            return f"local path {PurePosixPath(path)} may not be read as root or its group: leave runAs out"
        return ""

    def read_by_users(self, *, server: str, export: str) -> bool:
        """Whether users' own processes may read an export as themselves, and so as any uid."""
        path = clean(export)
        rules = [rule for rule in self.servers if rule.users and matches(server, rule.server)]
        return path is not None and bool(_below(path, rules))


def _below(path: str, rules: Iterable[ServerRule]) -> list[ServerRule]:
    return [rule for rule in rules if prefix_of(path, rule.exports) is not None]


def clean(path: str) -> str | None:
    """An absolute path without empty parts and '.'; None for one that is not absolute or has '..' in it."""
    parts = path.split("/")
    if parts[0] or len(parts) < 2 or ".." in parts or set(path) & set("\0\n"):
        return None
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def prefix_of(path: str, prefixes: Iterable[str]) -> str | None:
    """The first of ``prefixes`` that is ``path`` or a directory above it; None where there is none.

    Only the words of the path are compared: links are looked at when it is opened (node/mount/worker_main.py).
    """
    return next((prefix for prefix in prefixes if PurePosixPath(path).is_relative_to(prefix)), None)


def matches(server: str, rule: str) -> bool:
    """Whether one rule allows an NFS server: its exact name or address, `*.suffix` (a name below it), or CIDR.

    Rules for addresses never match names. Case, a dot at the end and brackets of IPv6 addresses do not count.
    """
    server, rule = (text.lower().rstrip(".").strip("[]") for text in (server, rule))
    try:
        address = ipaddress.ip_address(server)
    except ValueError:
        if rule.startswith("*."):
            return server.endswith(rule[1:]) and len(server) > len(rule) - 1
        return server == rule
    try:
        return address in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False
