"""``kubectl pdshub homes move``: another size or class for somebody's home, with everything in it.

Larger is a change of the claim where the class can grow volumes. Else all is copied into a new volume and compared; the
new volume gets the claim's name, which KubeSpawner knows the home by, and the former one is kept beside it until
somebody says that it may go.
"""

from __future__ import annotations

import argparse
import re
import time
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli import (
    backup_run,
    change,
    home_claims,
    home_move,
    home_pods,
    home_record,
    home_restores,
    home_volumes,
    hub_choice,
    offboard_archive,
    users_act,
    users_plan,
)
from pdshub.cli.archive import WAITED, CliError, Said
from pdshub.cli.backup_words import amount, count
from pdshub.cli.census import quantity
from pdshub.cli.home_moving import MODULES, Moving, Refused, trouble
from pdshub.cli.home_record import Record
from pdshub.cli.home_volumes import CLAIM, VOLUME
from pdshub.cli.hub_choice import UseError, is_object_name, key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.wellknown import CHANGED_BY

Json = dict[str, Any]
SECONDS, GROW_SECONDS = 6 * 3600.0, 120.0
_SIZE = re.compile(r"[1-9][0-9]{0,11}(Ki|Mi|Gi|Ti|Pi)?")
_SLACK = 16 << 20
"""Bytes that a file system takes for itself at least."""


def arguments(sub: argparse.ArgumentParser) -> None:
    """What ``move`` adds to the command line of ``homes``."""
    group = sub.add_argument_group("move")
    group.add_argument("--size", default="", metavar="SIZE", help="as 20Gi (default: as it is)")
    group.add_argument("--class", dest="storage_class", default="", metavar="NAME", help="StorageClass (as it is)")
    group.add_argument("--take-over", action="store_true", help="files of other owners become the user's in the copy")
    group.add_argument("--back", action="store_true", help="take it back: the former volume is the home again")
    group.add_argument(
        "--remove-old", action="store_true", help="the volume that is kept beside the home goes for good"
    )


def move(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Moves a home, goes on with a move that was interrupted, takes one back, or removes what it kept."""
    hub = hub_choice.one(kubectl, args)
    namespace, name = key(hub)
    if not args.name:
        raise UseError("NAME is missing: kubectl pdshub homes move ada@example.org --size 20Gi")
    if args.size and not _SIZE.fullmatch(args.size):
        raise UseError(f"--size {args.size!r}: write a number and Gi or Ti, as 20Gi")
    if args.storage_class and not is_object_name(args.storage_class):
        raise UseError(f"--class {args.storage_class!r} is no name of a StorageClass: kubectl get storageclass")
    if (args.back or args.remove_old) and (args.size or args.storage_class or (args.back and args.remove_old)):
        raise UseError("--back and --remove-old stand alone")
    (who,) = users_plan.names([args.name], hub)
    record = home_volumes.find(kubectl, namespace, name, who)
    if args.remove_old:
        return _removed(kubectl, args, record, who)
    if args.back:
        return _back(kubectl, args, hub, record, who)
    if record is None or record.done:
        return _begun(kubectl, args, hub, who, record)
    other = [f"--{flag} {asked}" for flag, asked, was in (
        ("size", args.size, record.size), ("class", args.storage_class, record.storage_class),
    ) if asked not in ("", was)]  # fmt: skip
    if other or record.back:
        doing = "taken back" if record.back else f"moved to {record.size} of class {record.storage_class}"
        raise UseError(f"the home of {who} is being {doing}: homes move {who} --back comes first")
    users_act.tell(f"a move of the home of {who} to {record.size} of class {record.storage_class} goes on")
    return _carried(kubectl, args, hub, record)


def _answer(hub: Json, who: str, args: argparse.Namespace, how: str, **more: Any) -> Json:
    namespace, name = key(hub)
    empty: Json = {"claim": None, "size": None, "storageClass": None, "looked": None, "copied": None, "kept": None,
                   "removed": []}  # fmt: skip
    return {
        "hub": {"namespace": namespace, "name": name}, "user": who, "dryRun": args.dry_run, "how": how, **empty, **more
    }  # fmt: skip


def _begun(kubectl: Kubectl, args: argparse.Namespace, hub: Json, who: str, former: Record | None) -> Said:
    namespace, name = key(hub)
    if former:
        raise UseError(
            f"the volume of before the last move is still kept, by claim {former.kept}: homes move {who} --remove-old"
        )
    if not (args.size or args.storage_class):
        raise UseError("say what shall be another: --size 20Gi, --class NAME")
    claim = home_claims.only(kubectl, namespace, who)
    spec = claim.get("spec") or {}
    size = str((((spec.get("resources") or {}).get("requests")) or {}).get("storage") or "")
    was = str(spec.get("storageClassName") or "")
    wanted, kind = args.size or size, args.storage_class or was
    answer = _answer(hub, who, args, "none", claim=home_claims.name(claim), size=wanted, storageClass=kind)
    if quantity(wanted) == quantity(size) and kind == was:
        return answer, printable(f"the home of {who} has {size} of class {was} already"), 0
    if not kind:
        raise UseError("the claim names no StorageClass: say one with --class")
    if kind == was and quantity(wanted) > quantity(size) and _grows(kubectl, kind):
        return _grown(kubectl, args, claim, wanted, {**answer, "how": "grow"})
    volume = home_volumes.there(kubectl, VOLUME, str(spec.get("volumeName") or "-"))
    if volume is None or not home_move.belongs(volume, claim):
        raise CliError(f"claim {home_claims.name(claim)} is bound to no volume of its own")
    home_restores.refuse(kubectl, namespace, name, who)
    looked = _looked(kubectl, args, hub, who, claim)
    answer |= {"how": "copy", "looked": looked}
    _fits(args, who, wanted, looked)
    record = Record(
        namespace=namespace, hub=name, user=who, claim=home_claims.name(claim), former=str(volume["metadata"]["name"]),
        size=wanted, storage_class=kind, fenced=not users_act.read_roll(kubectl, hub).suspended(who),
        labels=claim["metadata"].get("labels") or {},
        annotations=home_record.kept_annotations(claim["metadata"].get("annotations") or {}),
        modes=tuple(spec.get("accessModes") or ["ReadWriteOnce"]), take_over=args.take_over,
    )  # fmt: skip
    what = f"{count(looked['files'], 'file')}, {amount(looked['used'])}"
    users_act.confirm(
        args,
        f"The servers of {who} stop, tokens and sessions end, and {who} is kept out while {what} are copied to a volume"
        f" of {wanted} of class {kind}. The former volume is kept.",
    )
    if args.dry_run:
        home_volumes.make(kubectl, home_volumes.claim(record, record.copy, wanted, kind), dry_run=True)
        said = f"would copy {what} to a volume of {wanted} of class {kind}, and keep the former one"
        return answer, f"{printable(said)}\nnothing was stored: --dry-run", 0
    record = home_volumes.note(kubectl, record)
    return _carried(kubectl, args, hub, record, looked)


def _carried(kubectl: Kubectl, args: argparse.Namespace, hub: Json, record: Record, looked: Json | None = None) -> Said:
    """Does what is left of a move."""
    namespace, _ = key(hub)
    seconds = SECONDS if args.timeout is None else args.timeout
    goes_on = f"kubectl pdshub homes move {record.user} goes on, with --back all is taken back"
    try:
        image, pull = home_pods.image(kubectl, args.image, namespace)
        moving = Moving(kubectl, hub, (image, list(pull)), seconds)
        try:
            none: Json = {"used": 0, "entries": 0, "files": 0}
            record, copied = moving.steps(record, looked or none)
        except Refused as error:
            moving.give_up(record)
            raise CliError(f"{error}\nthe home is as it was, and {record.user} may come in as before") from None
    except (CliError, KubectlError) as error:
        if home_volumes.find(kubectl, namespace, record.hub, record.user) is None:
            raise
        raise CliError(f"{error}\n{record.user} is kept out meanwhile: {goes_on}") from None
    except KeyboardInterrupt:
        users_act.tell(f"{record.user} is kept out meanwhile: {goes_on}")
        raise
    kept = {"claim": record.kept, "volume": record.kept_volume}
    how = "back" if record.back else "copy"
    answer = _answer(hub, record.user, args, how, claim=record.claim, size=record.size, looked=looked,
                     storageClass=record.storage_class, copied=copied, kept=kept)  # fmt: skip
    lines = [f"the home of {record.user} is claim {record.claim}, in volume {record.home_volume}"]
    if copied:
        lines.append(f"{count(copied['files'], 'file')}, {amount(copied['bytes'])}: each the same; {copied['digest']}")
        if copied["sockets"]:
            lines.append(f"left out: {count(copied['sockets'], 'socket')}, which no program listens at any more")
    lines.append(f"kept: volume {record.kept_volume}, by claim {record.kept}; it goes with: "
                 f"kubectl pdshub homes move {record.user} --remove-old")  # fmt: skip
    return answer, "\n".join(map(printable, lines)), 0


def _grows(kubectl: Kubectl, kind: str) -> bool:
    try:
        return kubectl.get("storageclass", kind).get("allowVolumeExpansion") is True
    except KubectlError as error:
        raise CliError(f"whether StorageClass {kind} can grow volumes is not known: {error}") from None


def _grown(kubectl: Kubectl, args: argparse.Namespace, claim: Json, wanted: str, answer: Json) -> Said:
    """Asks for a larger volume; nothing is stopped."""
    name, namespace = home_claims.name(claim), str(claim["metadata"]["namespace"])
    by = {CHANGED_BY: change.by(kubectl, ["homes", "move", str(answer["user"]), "--size", wanted])}

    def of_claim(found: Json) -> list[Json]:
        where = change.pointer("spec", "resources", "requests", "storage")
        return [{"op": "replace", "path": where, "value": wanted}, *change.noted(found, by)]

    change.apply(kubectl, (CLAIM, name, "-n", namespace), of_claim, dry_run=args.dry_run)
    if args.dry_run:
        return answer, printable(f"would grow claim {name} to {wanted} in place\nnothing was stored: --dry-run"), 0
    end = time.monotonic() + (GROW_SECONDS if args.timeout is None else args.timeout)
    while True:
        status = kubectl.get(CLAIM, name, "-n", namespace).get("status") or {}
        if quantity(str((status.get("capacity") or {}).get("storage") or "")) >= quantity(wanted):
            return answer, printable(f"claim {name} has {wanted} now; nothing was stopped or copied"), 0
        if any(one.get("type") == "FileSystemResizePending" for one in status.get("conditions") or []):
            return answer, printable(f"the volume of claim {name} has {wanted}; its file system grows when it is next "
                                     "mounted: with the next server"), 0  # fmt: skip
        if time.monotonic() >= end:
            said = f"claim {name} is to have {wanted}, and has not yet: kubectl describe pvc {name} -n {namespace}"
            return answer, printable(said), WAITED
        time.sleep(backup_run.POLL_SECONDS)


def _looked(kubectl: Kubectl, args: argparse.Namespace, hub: Json, who: str, claim: Json) -> Json:
    """What is in a home, counted while its owner works. Raises CliError, KubectlError."""
    namespace, held = key(hub)[0], home_claims.name(claim)
    # where somebody has it, as storage of one node is mounted on one
    nodes = [pod["spec"].get("nodeName") for pod in kubectl.items("pods", "-n", namespace) if _has(pod, held)]
    name = f"pdshub-look-{home_record.move_id(*key(hub), who)}"
    image, pull = home_pods.image(kubectl, args.image, namespace)
    seconds = SECONDS if args.timeout is None else args.timeout
    moving = Moving(kubectl, hub, (image, list(pull)), seconds)
    moving.without_pod(name)
    pod = home_pods.body(
        {"name": name, "namespace": namespace}, home_pods.program(MODULES, {"from": "/former", "to": ""}),
        moving.image, {"/former": (held, True)}, seconds=int(seconds) + 60, memory="256Mi",
        node=str(next(iter(nodes), "") or ""),
    )  # fmt: skip
    return {part: value for part, value in moving.ran(pod).items() if part not in ("equal", "digest")}


def _has(pod: Json, claim: str) -> bool:
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return False
    volumes = (pod.get("spec") or {}).get("volumes") or []
    return any((volume.get("persistentVolumeClaim") or {}).get("claimName") == claim for volume in volumes)


def _fits(args: argparse.Namespace, who: str, wanted: str, looked: Json) -> None:
    """Raises CliError where not all of the home can be copied, before anybody is stopped."""
    need = looked["used"] + looked["used"] // 50 + _SLACK
    if quantity(wanted) < need:
        raise CliError(f"{wanted} is too small: {amount(looked['used'])} are used, which need {amount(need)}")
    if looked["problems"]:
        said = "can not be read with the rights of its owner, who can mend that, or remove them"
        raise CliError("\n".join([f"{count(looked['problems'], 'path')} of the home {said}:", *trouble(looked)]))
    if looked["owners"] and not args.take_over:
        lines = [f"  {each['name']}: {each['why']}" for each in looked["ownerNames"]]
        said = f"{count(looked['owners'], 'path')} of the home of {who} belong to others, and would be theirs in a copy"
        raise CliError("\n".join([f"{said}: --take-over says that they may", *lines]))


def _back(kubectl: Kubectl, args: argparse.Namespace, hub: Json, record: Record | None, who: str) -> Said:
    if record is None or (record.done and record.back):
        raise UseError(f"there is no move of the home of {who} to be taken back")
    found = home_volumes.seen(kubectl, record)
    if not record.done and not record.back and not home_move.begun(found):
        users_act.confirm(args, f"What was copied of the home of {who} is removed; the home is as it was.")
        if not args.dry_run:
            Moving(kubectl, hub, ("", []), 0).give_up(record)
        said = f"the home of {who} is as it was: claim {record.claim}, volume {record.former}"
        return _answer(hub, who, args, "back", claim=record.claim), printable(said), 0
    question = f"The servers of {who} stop, and the home is volume {record.former} again: as it was before the move. "
    users_act.confirm(args, f"{question}What was changed since stays in volume {record.next}, which is kept.")
    if args.dry_run:
        return _answer(hub, who, args, "back", claim=record.claim), "nothing was stored: --dry-run", 0
    fenced = record.fenced or not users_act.read_roll(kubectl, hub).suspended(who)
    return _carried(kubectl, args, hub, home_volumes.note(kubectl, record, back=True, done=False, fenced=fenced))


def _removed(kubectl: Kubectl, args: argparse.Namespace, record: Record | None, who: str) -> Said:
    if record is None or not record.done:
        raise UseError(f"nothing is kept of a move of the home of {who}" + (": it goes on" if record else ""))
    found = home_volumes.seen(kubectl, record)
    claim = found.claims.get(record.kept)
    volume = found.volumes.get(record.kept_volume)
    if found.held(record.claim) != record.home_volume or record.home_volume not in found.volumes:
        raise CliError(
            f"claim {record.claim} is not the home that was moved, in {record.home_volume}: nothing was removed"
        )
    if claim and (volume is None or not home_move.belongs(volume, claim)):
        raise CliError(f"claim {record.kept} is not that of volume {record.kept_volume}: nothing was removed")
    users_act.confirm(args, f"Volume {record.kept_volume}, the home of {who} before it was moved, goes for good.")
    hub: Json = {"metadata": {"namespace": record.namespace, "name": record.hub}}
    answer = _answer(hub, who, args, "removed", claim=record.claim)
    if args.dry_run:
        return answer, printable(f"would remove claim {record.kept} and its volume\nnothing was stored: --dry-run"), 0
    said = "there is nothing left to remove"
    if claim:
        home_claims.unused(kubectl, record.namespace, [claim])
        said = offboard_archive.remove(kubectl, record.namespace, claim)
        answer["removed"] = [record.kept]
    home_volumes.forget(kubectl, record)
    return answer, printable(said), 0


EXAMPLES = """  kubectl pdshub homes move ada@example.org --size 20Gi           # in place where the class can grow
  kubectl pdshub homes move ada@example.org --class fast --dry-run
  kubectl pdshub homes move ada@example.org                       # goes on with one that was interrupted
  kubectl pdshub homes move ada@example.org --remove-old          # the former volume, when all is well"""
