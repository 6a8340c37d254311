"""The commands of ``kubectl pdshub backup``: one now, how it stands, those there are, the key."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from pdshub.api.backup import HubBackupSpec
from pdshub.archive.findings import printable
from pdshub.cli import (
    backup_key,
    backup_overview,
    backup_run,
    backup_status,
    backup_words,
    census,
    home_claims,
    hub_choice,
    users_act,
    users_plan,
)
from pdshub.cli.archive import FAILED, WAITED, Said
from pdshub.cli.backup_run import BACKUPS, PARTLY
from pdshub.cli.backup_status import COMPLETED, PARTIAL, Run
from pdshub.cli.hub_choice import UseError, is_object_name, key
from pdshub.cli.kubectl import Kubectl, KubectlError

Json = dict[str, Any]
SECONDS = 3600.0
CODES = {COMPLETED: 0, PARTIAL: PARTLY}
"""Exit code of each phase that is an end; of any other it is FAILED."""
_FLAGS = {"users": "--user", "hub": "--hub"}
MOST_SHOWN = 50


def planned(kubectl: Kubectl, hub: Json, people: Sequence[str]) -> tuple[list[str], list[str]]:
    """The items of a run, as far as the operator's census tells whose homes there are; and what is not known."""
    if people:
        return [f"{backup_status.HOME}{name}" for name in people], []
    what = backup_run.configured(hub).get("what") or {}
    items, notes = [item for item in ("database", "keys", "objects") if what.get(item, True)], list[str]()
    if what.get("homes", True):
        namespace, name = key(hub)
        try:
            counted = census.read(kubectl.get("configmap", f"{name}{census.SUFFIX}", "-n", namespace))
            items += sorted({f"{backup_status.HOME}{home.user}" for home in counted.homes if home.user})
        except (KubectlError, census.CensusError) as error:
            notes.append(f"and every home; whose there are is not known here: {error}")
    return items, notes


def now(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Makes a backup and follows it to its end. Codes: 1 failed, 3 no end in time, 4 some of it could not be saved."""
    hub = hub_choice.one(kubectl, args)
    namespace, name = key(hub)
    backup_run.configured(hub)
    people = users_plan.names(args.user, hub)
    if missing := home_claims.homeless(kubectl, namespace, people):
        raise UseError(f"{', '.join(missing)}: no home in namespace {namespace}: kubectl pdshub homes lists them")
    content = {"hub": name, "trigger": "Manual", "users": people, "keep": args.keep}
    spec = backup_run.checked(HubBackupSpec, _FLAGS, content)
    typed = ["backup", "now", *(word for user in people for word in ("--user", user)), *(["--keep"] * args.keep)]
    made = backup_run.create(kubectl, BACKUPS, hub, "manual", spec, typed, dry_run=args.dry_run)
    answer: Json = {"hub": {"namespace": namespace, "name": name}, "dryRun": args.dry_run, "planned": None,
                    "ended": False, "backup": None}  # fmt: skip
    if args.dry_run:
        items, notes = planned(kubectl, hub, people)
        more = [f"  … and {len(items) - MOST_SHOWN} more"] if len(items) > MOST_SHOWN else []
        lines = [f"would save {backup_words.count(len(items), 'item')} of hub {namespace}/{name}:"]
        lines += [*(f"  {item}" for item in items[:MOST_SHOWN]), *more, *notes, "nothing was stored: --dry-run"]
        return {**answer, "planned": items}, "\n".join(map(printable, lines)), 0
    run = backup_status.run(made)
    if not args.wait:
        again = backup_run.look_again(BACKUPS, namespace, run.name)
        return {**answer, "backup": run.wire()}, printable(f"backup {run.name} is asked for: {again}"), 0
    users_act.tell(f"backup {run.name} of hub {namespace}/{name}")
    run, over = follow(kubectl, made, args.timeout)
    text, code = outcome(run, over, args.timeout)
    return {**answer, "ended": over, "backup": run.wire()}, text, code


def follow(kubectl: Kubectl, made: Json, seconds: float) -> tuple[Run, bool]:
    """Follows a HubBackup, told beside the answer; as it was seen last, and whether it has ended. Raises CliError."""
    followed = backup_run.follow(
        kubectl,
        BACKUPS,
        made,
        lambda found: backup_status.run(found).over,
        lambda found: backup_words.steps(backup_status.run(found)),
        users_act.tell,
        seconds,
    )
    return backup_status.run(followed.found), followed.over


def outcome(run: Run, over: bool, seconds: float) -> tuple[str, int]:
    """What came of following a run: text and exit code."""
    blocks = [backup_words.items(run.items)] if run.items else []
    lines = list(map(printable, backup_words.unread(run.items)))
    if over:
        last = backup_words.summary(run)
        return "\n".join([*blocks, *lines, printable(last)]), CODES.get(run.phase, FAILED)
    said = [
        f"no end within {seconds:.0f} s: {backup_words.stuck(run.phase, run.message)}",
        f"it goes on in the cluster: {backup_run.look_again(BACKUPS, run.namespace, run.name)}",
    ]
    return "\n".join([*blocks, *lines, *map(printable, said)]), WAITED


def of_hub(kubectl: Kubectl, hub: Json) -> list[Run]:
    """The HubBackups of a hub, the newest first. Raises KubectlError."""
    namespace, name = key(hub)
    found = [backup_status.run(item) for item in kubectl.items(BACKUPS, "-n", namespace)]
    return sorted((run for run in found if run.hub == name), key=lambda run: (run.at, run.name), reverse=True)


def listing(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``backup list``: the backups of each hub that is meant, the newest first."""
    answer, blocks = list[Json](), list[str]()
    for hub in hub_choice.every(kubectl, args):
        namespace, name = key(hub)
        runs = of_hub(kubectl, hub)
        answer.append({"namespace": namespace, "name": name, "backups": [_without_items(run) for run in runs]})
        none = "" if (hub.get("spec") or {}).get("backup") else ": it has no spec.backup"
        blocks.append("\n".join([printable(f"hub {namespace}/{name}{none}"), backup_words.runs(runs)]))
    return {"hubs": answer}, "\n\n".join(blocks) or "no hubs", 0


def _without_items(run: Run) -> Json:
    return {name: value for name, value in run.wire().items() if name != "items"}


def show(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``backup show``: all about one backup."""
    if not is_object_name(args.name):
        raise UseError(f"NAME {args.name!r} is no name of an object: kubectl pdshub backup list shows them")
    namespace, _ = args.hub or (args.namespace, "")
    if not namespace:
        namespace, _ = key(hub_choice.one(kubectl, args))
    run = backup_status.run(kubectl.get(BACKUPS, args.name, "-n", namespace))
    lines = [backup_words.summary(run), f"asked for {run.created or 'at an unknown time'}, trigger {run.trigger}"]
    if run.started:
        lines.append(f"began {run.started}" + (f", ended {run.ended}" if run.ended else ""))
    if run.users:
        lines.append(f"only homes of: {', '.join(run.users)}")
    text = [*map(printable, lines), backup_words.items(run.items), *map(printable, backup_words.unread(run.items))]
    return run.wire(), "\n".join(text), 0


EXAMPLES = {
    "now": """examples:
  kubectl pdshub backup now                              # all that spec.backup says
  kubectl pdshub backup now --user ada@example.org --keep
  kubectl pdshub backup now --hub hub/sbn --no-wait

exit codes: 0 Completed; 1 Failed; 3 no end within --timeout, it goes on; 4 PartiallyCompleted: some is not saved""",
    "status": """examples:
  kubectl pdshub backup status
  kubectl pdshub backup status -n hub -o json            # drills with what each Job measured""",
    "list": """examples:
  kubectl pdshub backup list
  kubectl pdshub backup list -n hub -o json""",
    "show": """example:
  kubectl pdshub backup show sbn-manual-x7k2p -n hub""",
    "key": """examples:
  kubectl pdshub backup key                              # where it is, and whether a copy of it is declared
  kubectl pdshub backup key --to sbn.key                 # for the safe; then remove the file
  kubectl pdshub backup key --declare 'sealed envelope in the safe of room 214; Ada and Bela'

whoever has the key can read every backup, and without it nobody can""",
}


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``backup``. ``top``: where commands are added; ``common``: options that every one has."""
    area = top.add_parser("backup", help="backups of a hub: one now, how it stands, those there are, the key")
    commands = area.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., Said], text: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=text, description=text, epilog=EXAMPLES[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        hub_choice.arguments(sub)
        sub.set_defaults(run=run)
        return sub

    p = command("now", now, "make a backup, and follow it to its end")
    p.add_argument("--user", action="append", default=[], metavar="NAME", help="only this home; may be repeated")
    p.add_argument("--keep", action="store_true", help="its snapshots are kept whatever the retention says")
    p.add_argument("--dry-run", action="store_true", help="say what would be saved; the API server checks it")
    p.add_argument("--wait", action=argparse.BooleanOptionalAction, default=True, help="until it has ended (default)")
    p.add_argument("--timeout", type=float, default=SECONDS, metavar="SECONDS", help="of --wait (default 3600)")
    command("status", backup_overview.status, "is it saved, did it come back in a drill, who asked for files back")
    command("list", listing, "backups of a hub, the newest first")
    command("show", show, "one backup: each item, and what could not be saved").add_argument("name", metavar="NAME")
    backup_key.arguments(command("key", backup_key.key, "the key that encrypts backups: keep a copy outside"))
