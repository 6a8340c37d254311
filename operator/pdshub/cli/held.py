"""Servers that still show another generation of the archive than the rest: whose they are, since when, until when.

Nodes say it by the uids of pods, in the status of the view; whose a pod is, only its namespace says. What a node says
of pods of other nodes is not believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pdshub.cli import words
from pdshub.cli.tried import Reader
from pdshub.wellknown import HOME_OF, USERNAME

Json = Mapping[str, Any]
SERVERS = "component=singleuser-server"
ENDS = "its server ends"
"""Until when a server keeps what it began with (archive.updates: nextServer)."""
MOST_SAID = 3


def _list(value: Any) -> list[Json]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def rows(view: Json, pods: Iterable[Json]) -> list[dict[str, Any]]:
    """Each held server that the view's status names. Keys are always the same; None for what ``pods`` do not tell, and
    for an ``until`` that no clock decides."""
    known = {(_text(pod["metadata"].get("uid")), _text((pod.get("spec") or {}).get("nodeName"))): pod for pod in pods}
    found = []
    for node in _list((view.get("status") or {}).get("nodes")):
        for server in _list(node.get("heldServers")):
            uid, name = _text(server.get("pod")), _text(node.get("name"))
            meta = known.get((uid, name), {}).get("metadata") or {}
            found.append({
                "user": user(meta), "namespace": meta.get("namespace"), "pod": meta.get("name"), "uid": uid,
                "node": name, "generation": _text(server.get("generation")),
                "since": _text(server.get("since")) or None, "until": _text(server.get("until")) or None,
            })  # fmt: skip
    return sorted(found, key=lambda row: (row["since"] or "", row["user"] or "", row["uid"]))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def user(meta: Json) -> str | None:
    """Whose server a pod is, as KubeSpawner or an administrator wrote it there."""
    notes = meta.get("annotations") or {}
    return next((str(notes[one]) for one in (HOME_OF, USERNAME) if notes.get(one)), None)


def anywhere(view: Json, read: Reader) -> list[dict[str, Any]]:
    """Held servers of all namespaces, by name as far as whoever asks may list pods. Asks for none if none is held."""
    if not words.held(view):
        return []
    return _all(view, read, read.items("pods of servers", "pods", "--all-namespaces", "-l", SERVERS))


def of_hub(view: Json | None, read: Reader, namespace: str) -> list[dict[str, Any]] | None:
    """Held servers of a hub's namespace; None where its pods can not be listed. Asks for none where none is held."""
    if view is None or not words.held(view):
        return []
    pods = read.known("pods of servers", "pods", "-n", namespace, "-l", SERVERS)
    return None if pods is None else [row for row in _all(view, read, pods) if row["pod"]]


def _all(view: Json, read: Reader, pods: Iterable[Json]) -> list[dict[str, Any]]:
    found = rows(view, pods)
    if lacking := words.held(view) - len(found):
        read.notes.append(f"{lacking} more servers are held than the status of the view names")
    return found


def table(found: Sequence[Json]) -> str:
    """A line for each; what is not known by name has the pod's uid."""
    lines = [["HELD AT", "USER", "NAMESPACE", "NODE", "SINCE", "UNTIL AT THE LATEST"]]
    lines += [
        [row["generation"], row["user"] or f"pod {row['uid']}", row["namespace"], row["node"], row["since"],
         row["until"] or ENDS]
        for row in found
    ]  # fmt: skip
    return words.table(lines)


def in_short(found: Sequence[Json]) -> str:
    """Held servers in one line, by what they show: how many, and until when all of them are switched."""
    kinds: dict[str, list[Json]] = {}
    for row in found:
        kinds.setdefault(str(row["generation"]), []).append(row)
    said = [f"{name} {len(of)}, {_until(of)}" for name, of in sorted(kinds.items(), key=lambda kind: -len(kind[1]))]
    more = [f"{len(said) - MOST_SAID} others"] if len(said) > MOST_SAID else []
    return "; ".join([*said[:MOST_SAID], *more])


def _until(found: Sequence[Json]) -> str:
    if any(row["until"] is None for row in found):
        return "until their servers end"
    return f"until {max(str(row['until']) for row in found)} at the latest"


def sentence(row: Json) -> str:
    """What is to be known of one held server."""
    since = f"since {row['since']} " if row["since"] else ""
    if row["until"] is None:
        return f"{since}by archive.updates: nextServer of the hub; the next server shows what is released"
    return (
        f"{since}as somebody works in it, until {row['until']} at the latest; at once when kernels and terminals in it "
        "end"
    )
