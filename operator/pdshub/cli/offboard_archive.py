"""``users offboard --archive``: the home of who left goes into the repository, then, confirmed twice, from here.

Nothing is removed unless a snapshot holds all of the home that spec.backup asks for, and nobody has it mounted.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pdshub.api.backup import HubBackupSpec
from pdshub.api.hub_backup import CACHES, ENVIRONMENTS
from pdshub.archive.findings import printable
from pdshub.cli import backup, backup_key, backup_run, backup_words, home_claims, terminal, users_act
from pdshub.cli.archive import FAILED, CliError, Said
from pdshub.cli.backup_run import BACKUPS
from pdshub.cli.backup_status import COMPLETED, HOME, Run
from pdshub.cli.hub_choice import UseError, is_object_name, key
from pdshub.cli.kubectl import Kubectl, KubectlError

Json = dict[str, Any]
SECONDS = 3600.0
GONE_SECONDS = 120.0
_ID = re.compile(r"[0-9a-f]{64}")
CLAIM, VOLUME = "persistentvolumeclaim", "persistentvolume"


def arguments(sub: argparse.ArgumentParser) -> None:
    """What ``--archive`` adds to the command line of ``users offboard``."""
    sub.add_argument(
        "--archive", action="store_true", help="save the home, kept for ever, then ask twice and remove it from here"
    )
    sub.add_argument("--archive-timeout", type=float, default=SECONDS, metavar="SECONDS", help="default 3600")
    sub.add_argument("--confirm-name", default="", metavar="NAME", help="the first confirmation, where nobody is asked")
    sub.add_argument("--confirm-date", default="", metavar="DATE", help="the second: today's date in UTC, 2026-11-26")


def begun(args: argparse.Namespace, hub: Json, people: Sequence[str], claims: Sequence[Json]) -> str:
    """Whose home it is. Raises UseError, CliError where it can not be done so, before anything is."""
    backup_run.configured(hub)
    if len(people) != 1:
        raise UseError("--archive is for one NAME at a time, as its home is removed")
    if not args.wait:
        raise UseError("--archive waits until access has ended: leave --no-wait out")
    if bool(args.confirm_name) != bool(args.confirm_date):
        raise UseError("--confirm-name and --confirm-date belong together")
    if len(claims) > 1:
        names = ", ".join(map(home_claims.name, claims))
        raise UseError(
            f"{people[0]} has several homes ({names}), and one is saved: condition HomesKnown says what to do"
        )
    return people[0]


def after(kubectl: Kubectl, args: argparse.Namespace, hub: Json, who: str, claims: Sequence[Json], said: Said) -> Said:
    """What follows when access was ended. ``said``: what came of that; ``claims``: of the home, as it was then."""
    answer, text, code = said
    assert isinstance(answer, dict)  # noqa: S101 - of users_act.carry_out
    answer |= {"archive": None, "ended": False, "leftOut": left_out(hub), "removed": []}
    if code:
        return answer, f"{text}\nthe home is not archived: access has not ended yet; the same command goes on", code
    if args.dry_run:
        would = f"would save {HOME}{who}, then ask for the name and for the date, and remove " + (
            ", ".join(f"claim {home_claims.name(claim)}" for claim in claims) or "nothing: there is no home"
        )
        return answer, f"{text}\n{printable(would)}", 0
    if not claims:
        return answer, f"{text}\nthere is no home to archive", 0
    home_claims.unused(kubectl, key(hub)[0], claims)
    run, over = _saved(kubectl, args, hub, who)
    answer |= {"archive": run.wire(), "ended": over}
    table, code = backup.outcome(run, over, args.archive_timeout)
    text = f"{text}\n{table}"
    if why := trouble(run, who):
        return answer, f"{text}\n{printable(f'the home is kept: {why}')}", code or FAILED
    for line in warned(hub, run, who, claims):
        users_act.tell(line)
    if not confirmed(args, who, users_act.today()):
        more = "the home is saved, and is still here: with --confirm-name and --confirm-date, or at a terminal, it goes"
        return answer, f"{text}\n{more}", 0
    home_claims.unused(kubectl, key(hub)[0], claims)
    for claim in claims:
        answer["removed"].append(home_claims.name(claim))
        text += f"\n{printable(remove(kubectl, key(hub)[0], claim))}"
    return answer, text, 0


def _saved(kubectl: Kubectl, args: argparse.Namespace, hub: Json, who: str) -> tuple[Run, bool]:
    content = {"hub": key(hub)[1], "trigger": "Offboard", "users": [who], "keep": True}
    spec = backup_run.checked(HubBackupSpec, {"users": "NAME"}, content)
    made = backup_run.create(kubectl, BACKUPS, hub, "offboard", spec, ["users", "offboard", who, "--archive"])
    return backup.follow(kubectl, made, args.archive_timeout)


def trouble(run: Run, who: str) -> str:
    """Why a home may not go after this backup; "" where all of it is saved, for ever."""
    item = run.item(f"{HOME}{who}")
    if run.phase != COMPLETED:
        return f"backup {run.name} is {run.phase}, not Completed"
    if item is None or item.phase != COMPLETED:
        return f"backup {run.name} says nothing of {HOME}{who}, or not that it is Completed"
    if item.unread_count or item.unread:
        return f"backup {run.name} could not read {backup_words.count(item.unread_count, 'path')} of it"
    if not _ID.fullmatch(item.snapshot):
        return f"backup {run.name} names no snapshot of it"
    if not run.keep or run.users != (who,):
        return f"backup {run.name} is not the one that was asked for: kept, and of {who} alone"
    return ""


def left_out(hub: Json) -> list[str]:
    """What ``spec.backup.exclude`` leaves out of every home, in words."""
    exclude = backup_run.configured(hub).get("exclude") or {}
    said = [f"caches ({', '.join(CACHES)})"] if exclude.get("caches", True) else []
    said += [f"installed packages ({', '.join(ENVIRONMENTS)})"] if exclude.get("environments", False) else []
    said += [f"what fits {pattern}" for pattern in exclude.get("patterns") or []]
    return said + ([f"files larger than {exclude['largerThan']}"] if exclude.get("largerThan") else [])


def warned(hub: Json, run: Run, who: str, claims: Sequence[Json]) -> list[str]:
    """What somebody should know who lets a home go."""
    item = run.item(f"{HOME}{who}")
    snapshot = item.snapshot[:12] if item else ""
    files = f"{backup_words.count(item.files, 'file')}, {backup_words.amount(item.size_bytes)}" if item else "nothing"
    lines = [f"snapshot {snapshot} of backup {run.name} holds the home of {who}: {files}; it is kept for ever"]
    lines += [f"NOT in it: {said}" for said in left_out(hub)]
    if not backup_key.escrow(hub):
        lines.append("the key of the backups has no declared copy outside of the cluster: kubectl pdshub backup key")
    names = ", ".join(home_claims.name(claim) for claim in claims)
    return [*lines, f"what goes for good: claim {names} in namespace {key(hub)[0]}, and its volume"]


def confirmed(args: argparse.Namespace, who: str, today: str) -> bool:
    """Whether name and date were typed, at the terminal or before. False where nobody was asked.

    Raises CliError where something else was typed.
    """
    if args.confirm_name:
        if (args.confirm_name, args.confirm_date) != (who, today):
            raise CliError(
                f"--confirm-name {args.confirm_name!r} and --confirm-date {args.confirm_date!r} are not {who!r} and"
                f" {today!r}: the home is saved, and nothing was removed"
            )
        return True
    if not sys.stdin.isatty():
        return False
    for question, wanted in ((f"Write the name, {who}, to remove the home:", who), ("Write today's date, UTC:", today)):
        terminal.write(sys.stderr, printable(question))
        sys.stderr.flush()
        if sys.stdin.readline(512).strip() != wanted:
            raise CliError("that is something else: the home is saved, and nothing was removed")
    return True


def remove(
    kubectl: Kubectl,
    namespace: str,
    claim: Json,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Deletes a claim with its volume; says what became of it. Raises CliError, KubectlError.

    The operator holds volumes of homes to Retain. It leaves a claim alone that is going, so the volume is let go once
    more after that, should the operator have been in between.
    """
    name = home_claims.name(claim)
    now = kubectl.get(CLAIM, name, "-n", namespace)
    if now["metadata"].get("uid") != claim["metadata"].get("uid"):
        raise CliError(f"claim {name} is another one than before: nothing was removed")
    volume = str((now.get("spec") or {}).get("volumeName") or "")
    if volume and (not is_object_name(volume) or not _belongs(kubectl.get(VOLUME, volume), now)):
        raise CliError(f"volume {volume!r} does not belong to claim {name}: nothing was removed")
    if volume:
        kubectl.patch(VOLUME, volume, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
    kubectl.run("delete", CLAIM, name, "-n", namespace, "--wait=false")
    end = clock() + GONE_SECONDS
    while volume and clock() < end:
        try:
            found = kubectl.get(VOLUME, volume)
        except KubectlError as error:
            if "not found" in str(error).lower():
                return f"removed: claim {name} and volume {volume}"
            raise
        if (found.get("spec") or {}).get("persistentVolumeReclaimPolicy") != "Delete":
            kubectl.patch(VOLUME, volume, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
        sleep(backup_run.POLL_SECONDS)
    if volume:
        return f"claim {name} is deleted, volume {volume} is still going: kubectl get pv {volume}"
    return f"removed: claim {name}, which had no volume"


def _belongs(volume: Json, claim: Mapping[str, Any]) -> bool:
    """Whether a volume is the claim's: whoever makes a claim may write any volume's name into it."""
    ref, meta = (volume.get("spec") or {}).get("claimRef") or {}, claim["metadata"]
    return all(ref.get(field) == meta.get(field) for field in ("namespace", "name", "uid"))
