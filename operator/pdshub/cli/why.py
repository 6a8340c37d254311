"""``kubectl pdshub why USER``: why somebody's server does not start, or died: from events, objects, the hub's log."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli import census, held, hub_choice, status_words, terminal, users, users_act, users_plan, why_judge, words
from pdshub.cli.archive import VIEWS, Said
from pdshub.cli.hub_choice import is_object_name, key
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.name_file import lenient
from pdshub.cli.tried import Reader
from pdshub.cli.why_judge import Seen, Verdict
from pdshub.reconcile.hub.people import slug
from pdshub.server_trouble import trouble
from pdshub.server_trouble.trouble import Trouble
from pdshub.wellknown import HOME_OF, USERNAME

Json = dict[str, Any]
HOMES = "component=singleuser-storage"
LOG_HOURS, LOG_LINES, LOG_BYTES = 24, 5000, 2 << 20
MOST_EVENTS = 20
EXAMPLES = """examples:
  kubectl pdshub why ada@example.org
  kubectl pdshub why ada@example.org --hub hub/sbn -o json

Events are kept for an hour, and the hub's log is looked at for a day: ask soon. Nothing is changed."""


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``why``."""
    text = "why somebody's server does not start, or died: quota, image, home, archive, node, memory; what to look at"
    sub: argparse.ArgumentParser = top.add_parser(
        "why", parents=[common], help=text, description=text, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    sub.add_argument("user", metavar="USER", help="Google: the whole e-mail address")
    hub_choice.arguments(sub)
    sub.set_defaults(run=run)


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``why``. Code 0 whether something is in the way or not: it is told."""
    hub = hub_choice.one(kubectl, args)
    (who,) = users_plan.names([args.user], hub)
    seen, facts, notes = look(kubectl, hub, who)
    verdict = why_judge.judge(seen)
    namespace, name = key(hub)
    answer: Json = {
        "hub": {"namespace": namespace, "name": name}, "user": who, "state": verdict.state,
        "pod": str(seen.pods[0]["metadata"]["name"]) if seen.pods else None,
        "reasons": [reason.wire() for reason in verdict.reasons], "facts": facts, "held": held_at(seen),
        "events": [_event(one) for one in (*seen.events, *seen.claim_events)][-MOST_EVENTS:], "notes": notes,
    }  # fmt: skip
    return answer, text(terminal.safe(answer), verdict), 0


def look(kubectl: Kubectl, hub: Json, who: str) -> tuple[Seen, dict[str, str], list[str]]:
    """What is known of somebody's server; the same in short, for people; and what could not be read."""
    namespace, _ = key(hub)
    read = Reader(kubectl)
    roll = users_act.read_roll(kubectl, hub)
    listed: bool | None = bool(roll.places(who) or roll.domain(who))
    if not listed and (roll.closed or users_plan.by_rule(hub, roll, who)):
        listed = None  # a Secret or a group may have the name
    pods = [
        one for one in read.items("pods of servers", "pods", "-n", namespace, "-l", held.SERVERS) if _is_of(one, who)
    ]
    claims = read.items("claims of homes", "persistentvolumeclaims", "-n", namespace, "-l", HOMES)
    mine = [one for one in claims if _is_of(one, who)]
    claim = mine[0] if mine else None
    pod_name = str(pods[0]["metadata"]["name"]) if pods else f"jupyter-{slug.safe(who)}"
    claim_name = str(claim["metadata"]["name"]) if claim else f"claim-{slug.safe(who)}"
    bound = ((claim or {}).get("spec") or {}).get("volumeName")
    nodes = {str(one["metadata"]["name"]): one for one in read.items("nodes", "nodes")}
    seen = Seen(
        user=who, namespace=namespace, hub=hub, listed=listed, suspended=roll.suspended(who), pods=pods,
        pod_name=pod_name, events=_events(read, namespace, "Pod", pod_name, pods[0] if pods else None),
        claim=claim, claim_name=claim_name,
        claim_events=_events(read, namespace, "PersistentVolumeClaim", claim_name, claim),
        volume=read.one("the home's volume", "persistentvolume", str(bound)) if is_object_name(bound) else None,
        nodes=nodes or None,
        quotas=read.items("quotas", "resourcequotas", "-n", namespace),
        log=_log(read, namespace, who),
        view=_view(read, hub) if pods else None,
    )  # fmt: skip
    if len(pods) > 1:
        read.notes.append(f"{who} has {len(pods)} servers; the first is spoken of: {pod_name}")
    counted, more = users.counted(kubectl, hub)
    return seen, facts(seen, counted), [*read.notes, *more]


def _view(read: Reader, hub: Json) -> Json | None:
    name = status_words.view_name(hub)
    return read.one("the archive view", VIEWS, str(name)) if is_object_name(name) else None


def held_at(seen: Seen) -> Json | None:
    """What somebody's server shows of the archive instead of what its node shows the others; None: the same."""
    found = held.rows(seen.view, seen.pods[:1]) if seen.view else []
    return next((row for row in found if row["pod"]), None)


def _is_of(thing: Json, who: str) -> bool:
    """Whether a pod or a claim is of somebody, as KubeSpawner or an administrator wrote it there."""
    notes = thing["metadata"].get("annotations") or {}
    return any(lenient(str(notes[one])) == who for one in (HOME_OF, USERNAME) if one in notes)


def _events(read: Reader, namespace: str, kind: str, name: str, thing: Json | None) -> list[Json]:
    """Events about an object that is there, or about one of its name that is gone; oldest first."""
    if not is_object_name(name):
        return []
    chosen = f"involvedObject.kind={kind},involvedObject.name={name}"
    found = read.items("events", "events", "-n", namespace, "--field-selector", chosen)
    uid = ((thing or {}).get("metadata") or {}).get("uid")
    if uid:
        found = [one for one in found if (one.get("involvedObject") or {}).get("uid") in (None, uid)]
    return sorted(found, key=when)


def when(event: Json) -> str:
    """When an event was seen last, RFC 3339."""
    series = event.get("series") or {}
    known = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((str(one) for one in known if one), "")


def _log(read: Reader, namespace: str, who: str) -> list[tuple[str, Trouble]]:
    """Starts of somebody that failed, as the hub's log has them; oldest first."""
    bounds = [f"--since={LOG_HOURS}h", f"--tail={LOG_LINES}", f"--limit-bytes={LOG_BYTES}"]
    lines = read.text("the hub's log", "logs", "-n", namespace, "deployment/hub", "-c", "hub", *bounds) or ""
    found = [known for line in lines.splitlines() if (known := trouble.found(line))]
    return [(at, what) for at, user, what in found if lenient(user) == who]


def facts(seen: Seen, counted: census.Census) -> dict[str, str]:
    """What was looked at, in short, whatever came of it. Keys are always the same."""
    claim, pod = seen.claim, seen.pods[0] if seen.pods else None
    home = "none yet: the first start makes it"
    if claim is not None:
        spec, status = claim.get("spec") or {}, claim.get("status") or {}
        size = ((status.get("capacity") or {}) or ((spec.get("resources") or {}).get("requests") or {})).get("storage")
        home = f"{seen.claim_name}, {size}, {status.get('phase')}"
    listed = {True: "on it", False: "NOT on it", None: "not by name that can be read here"}[seen.listed]
    known = next((one for one in counted.users if one.name == seen.user), None)
    return {
        "list": "suspended" if seen.suspended else listed,
        "hub": _stands(seen.hub, "Ready"),
        "archive": _stands(seen.hub, "ArchiveReady"),
        "home": home,
        "pod": f"{seen.pod_name}, {(pod.get('status') or {}).get('phase')}" if pod else f"no pod {seen.pod_name}",
        "generation": _generation(seen),
        "node": _nodes(seen),
        "quota": "; ".join(text for one in seen.quotas for text in why_judge.full(one)) or "nothing is used up",
        "lastSeen": known.last_activity or "never" if known else "not known to the hub",
        "failedStarts": f"{len(seen.log)} in the hub's log of a day" if seen.log else "none in the hub's log of a day",
    }


def _stands(hub: Mapping[str, Any], kind: str) -> str:
    found = words.condition(hub, kind)
    said = f": {found.get('message')}" if found.get("status") != "True" and found.get("message") else ""
    return f"{found.get('status') or 'not said'} ({found.get('reason')}){said}" if found else "not said"


def _nodes(seen: Seen) -> str:
    name = str(((seen.pods[0].get("spec") or {}) if seen.pods else {}).get("nodeName") or "")
    if not name:
        return "none yet"
    node = (seen.nodes or {}).get(name)
    return f"{name}, Ready {words.condition(node, 'Ready').get('status')}" if node else f"{name}, not known here"


def _generation(seen: Seen) -> str:
    """What the server shows of the archive, and what is released where that is another."""
    if seen.view is None:
        return "no server, or no archive view that can be read here"
    status = seen.view.get("status") or {}
    released = words.short((status.get("generation") or {}).get("name"))
    mine = held_at(seen)
    if mine:
        return f"{mine['generation']}, {held.sentence(mine)}; released is {released}"
    node = str((seen.pods[0].get("spec") or {}).get("nodeName") or "")
    shown = next((one.get("generation") for one in status.get("nodes") or [] if one.get("name") == node), None)
    if not shown:
        return f"not said by its node; released is {released}"
    other = "" if words.short(shown) == released else f"; released is {released}, which its node does not show yet"
    return f"{words.short(shown)}{other}"


def _event(found: Mapping[str, Any]) -> Json:
    said = {one: str(found.get(one) or "") for one in ("type", "reason", "message")}
    return {"at": when(dict(found)) or None, **said}


def text(answer: Json, verdict: Verdict) -> str:
    """The answer for people: what is in the way first. Texts in it are harmless already."""
    states = {"none": "no server", "starting": "the server is starting", "running": "the server runs",
              "failed": "the server ended", "stopping": "the server is being stopped"}  # fmt: skip
    hub = answer["hub"]
    lines = [f"{answer['user']} at hub {hub['namespace']}/{hub['name']}: {states[verdict.state]}"]
    for number, reason in enumerate(answer["reasons"]):
        lines += _reason(reason, "why" if not number else "also")
    if not answer["reasons"]:
        lines.append("nothing that is known here is in the way")
    if mine := answer["held"]:
        lines.append(f"held: its archive is generation {mine['generation']} {held.sentence(mine)}")
    lines += ["looked at:", *(f"  {name + ':':<14}{said}" for name, said in answer["facts"].items())]
    warned = [one for one in answer["events"] if one["type"] == "Warning"][-5:]
    lines += [f"event {one['at']}: {one['reason']}: {one['message']}" for one in warned]
    lines += [f"note: {note}" for note in answer["notes"]]
    return "\n".join(map(printable, lines))


def _reason(reason: Json, word: str) -> Sequence[str]:
    at = f" ({reason['at']})" if reason["at"] else ""
    said = [f"{word}: {reason['kind']}: {reason['why']}{at}"]
    if reason["detail"]:
        said.append(f"  it says: {reason['detail']}")
    return [*said, f"  look at: {reason['look']}"]
