"""``kubectl pdshub homes adopt``: homes, and the database, of a deleted namespace belong to a hub again."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli import adopt_plan, change, home_volumes, users_act, users_plan, words
from pdshub.cli.adopt_plan import BASE, HOME, Left
from pdshub.cli.archive import FAILED, CliError, Said
from pdshub.cli.home_volumes import CHANGE_SECONDS, CLAIM, VOLUME
from pdshub.cli.hub_choice import HUBS, UseError, is_object_name
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.terminal import safe
from pdshub.wellknown import CHANGED_BY

Json = dict[str, Any]
POLL_SECONDS = 1.0
EXAMPLES = """  kubectl pdshub homes adopt --hub hub/sbn --dry-run      # what a deleted namespace hub left
  kubectl pdshub homes adopt --hub hub/sbn --all          # every home and the database, then apply the PDSHub
  kubectl pdshub homes adopt ada@example.org --hub hub/sbn"""


def arguments(sub: argparse.ArgumentParser) -> None:
    """What ``adopt`` adds to the command line of ``homes``; ``--all`` and ``--dry-run`` are there already."""
    group = sub.add_argument_group("adopt")
    group.add_argument("--from", dest="source", default="", metavar="NAMESPACE", help="that was deleted (of --hub)")
    group.add_argument("--database", action="store_true", help="the hub's database alone, or with NAME")
    group.add_argument("--volume", default="", metavar="VOLUME", help="this one, where several belonged to one claim")


def adopt(
    kubectl: Kubectl, args: argparse.Namespace,
    sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic,
) -> Said:  # fmt: skip
    """Binds what is left to claims of the hub's namespace. Code 1 where something could not be adopted.

    The hub need not be there, and should not: one that finds no claim of its database begins with an empty one.
    """
    if not args.hub:
        raise UseError("say whose they are with --hub NAMESPACE/NAME; the hub need not be there yet")
    target, source = args.hub, args.source or args.hub[0]
    if not is_object_name(source):
        raise UseError(f"--from {source!r} is no name of a namespace")
    _ground(kubectl, target[0])
    people = users_plan.names([args.name], {}) if args.name else _people(kubectl, target)
    found = adopt_plan.named(adopt_plan.left(kubectl.items("persistentvolumes"), source, target), people)
    listed = [_judged(kubectl, one, target) for one in found]
    chosen = _chosen(args, listed, people)
    answer: Json = {
        "hub": {"namespace": target[0], "name": target[1]}, "from": source, "dryRun": args.dry_run,
        "found": [one.wire() for one in listed], "adopted": [], "failed": [],
    }  # fmt: skip
    if not chosen:
        return answer, _listing(listed, source), 0
    good, bad = [one for one in chosen if not one.why], [one for one in chosen if one.why]
    answer["failed"] = [{"claim": one.claim, "volume": one.volume, "why": one.why} for one in bad]
    if good:
        users_act.confirm(args, f"{_what(good)} of namespace {source} become those of hub {target[0]}/{target[1]}.")
    lines: list[str] = []
    for one in good:
        try:
            _adopt(kubectl, args, one, target, sleep, clock)
        except (CliError, KubectlError, ValueError) as error:
            answer["failed"].append({"claim": one.claim, "volume": one.volume, "why": str(error)})
            continue
        answer["adopted"].append(one.claim)
        lines.append(f"{one.claim}: {'would be ' if args.dry_run else ''}bound to volume {one.volume}, {one.size}")
    lines += [f"{each['claim']}: NOT adopted: {each['why']}" for each in answer["failed"]]
    if answer["adopted"] and not args.dry_run:
        lines.append(f"apply PDSHub {target[0]}/{target[1]} if it is not there: it finds them")
    return answer, "\n".join(map(printable, lines)), FAILED if answer["failed"] else 0


def _ground(kubectl: Kubectl, namespace: str) -> None:
    """Raises CliError where the namespace is not there, or going."""
    try:
        found = kubectl.get("namespace", namespace)
    except KubectlError as error:
        if "not found" not in str(error).lower():
            return  # not everybody may read namespaces; what follows says it
        raise CliError(
            f"namespace {namespace} is not there: make it with the labels that it had: kubectl create namespace "
            f"{namespace}; kubectl label namespace {namespace} pdshub.dev/hubs=allowed "
            "pod-security.kubernetes.io/enforce=restricted"
        ) from None
    if found["metadata"].get("deletionTimestamp"):
        raise CliError(f"namespace {namespace} is still being deleted: wait until it is gone, and make it again")


def _people(kubectl: Kubectl, target: tuple[str, str]) -> list[str]:
    """Names of people on the hub's list, where the hub is there."""
    hub = home_volumes.there(kubectl, HUBS, target[1], target[0])
    return sorted(users_act.read_roll(kubectl, hub).said()) if hub else []


def _judged(kubectl: Kubectl, one: Left, target: tuple[str, str]) -> Left:
    there = home_volumes.there(kubectl, CLAIM, one.claim, target[0])
    return replace(one, why=one.why or adopt_plan.taken(one, there))


def _chosen(args: argparse.Namespace, listed: Sequence[Left], people: Sequence[str]) -> list[Left]:
    """What somebody asked for. Raises UseError where that is not left."""
    if args.volume:
        chosen = [adopt_plan.alone(one) for one in listed if one.volume == args.volume]
        if not chosen:
            raise UseError(f"--volume {args.volume}: no home or database of that namespace was in it, or it is bound")
        return chosen
    if args.all:
        return list(listed)
    chosen = [one for one in listed if args.database and one.kind == BASE]
    if args.database and not chosen:
        raise UseError("no database is left: kubectl get pv")
    if args.name:
        mine = [one for one in listed if one.kind == HOME and one.user in people]
        if not mine:
            raise UseError(f"{args.name}: no home of theirs is left: kubectl pdshub homes adopt --hub … lists them")
        chosen += mine
    return chosen


def _what(good: Sequence[Left]) -> str:
    homes, base = sum(one.kind == HOME for one in good), any(one.kind == BASE for one in good)
    parts = [f"{homes} home{'' if homes == 1 else 's'}"] if homes else []
    return " and ".join([*parts, *(["the database"] if base else [])])


def _adopt(
    kubectl: Kubectl, args: argparse.Namespace, one: Left, target: tuple[str, str],
    sleep: Callable[[float], None], clock: Callable[[], float],
) -> None:  # fmt: skip
    """Gives one volume to one claim, which is made; again: goes on. Raises CliError, KubectlError, ValueError."""
    where = (VOLUME, one.volume)
    change.apply(kubectl, where, lambda found: adopt_plan.freed(found, one, target), dry_run=args.dry_run)
    held = home_volumes.there(kubectl, CLAIM, one.claim, target[0])
    if held is None:
        body = adopt_plan.claim(one, target)
        body["metadata"]["annotations"] |= {CHANGED_BY: change.by(kubectl, ["homes", "adopt"])}
        home_volumes.make(kubectl, body, dry_run=args.dry_run)
    if args.dry_run:
        return
    end = clock() + CHANGE_SECONDS
    while True:
        held = home_volumes.there(kubectl, CLAIM, one.claim, target[0])
        if held and (held.get("status") or {}).get("phase") == "Bound":
            if (held.get("spec") or {}).get("volumeName") != one.volume:
                raise CliError("somebody else bound the claim meanwhile")
            return
        if clock() >= end:
            raise CliError(f"the claim is not bound after {CHANGE_SECONDS:.0f} s: kubectl describe pvc {one.claim}")
        sleep(POLL_SECONDS)


def _listing(listed: Sequence[Left], source: str) -> str:
    if not listed:
        return f"no volume is left of a claim of namespace {source}: kubectl get pv"
    rows: list[Sequence[Any]] = [["CLAIM", "USER", "SIZE", "CLASS", "VOLUME", "IN THE WAY"]]
    rows += [[one.claim, one.user, one.size, one.storage_class, one.volume, one.why] for one in listed]
    return f"{words.table(safe(rows))}\nsay which: NAME, --database, --all or --volume"
