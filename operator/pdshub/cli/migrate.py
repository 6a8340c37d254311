"""``kubectl pdshub migrate archive``: another place for a source, with the same generation, under running notebooks.

Copied is by rsync, rclone or DataSync, where the disks are. Then the copy is compared file by file in the surveyor's
container, and surveyed beside what users see. Only a copy that gives the same generation takes the source's place, and
only while the view is held; what the next survey finds has to be the same, too, or all is taken back.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pdshub.api.view import Source
from pdshub.archive.findings import printable
from pdshub.cli import choose, migrate_copy, migrate_record, users_act
from pdshub.cli.archive import FAILED, VIEWS, CliError, Said
from pdshub.cli.hub_choice import UseError, is_object_name
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.migrate_act import Moving, NotTheSame
from pdshub.cli.migrate_copy import Commands
from pdshub.cli.migrate_record import Record, named, place, within
from pdshub.cli.migrate_words import words
from pdshub.cli.words import short

Json = dict[str, Any]
LARGEST = 64 << 10


def arguments(areas: Any, common: Callable[[], argparse.ArgumentParser]) -> None:
    """The command line of ``migrate``. ``areas``: where commands are added; ``common``: options that every one has."""
    commands = areas.add_parser("migrate", help="the archive to another place").add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    text = "copy a source of a view, prove the copy, and put it in the source's place; one command takes it back"
    p = commands.add_parser("archive", parents=[common()], help=text, description=text)
    p.add_argument("view", metavar="VIEW")
    p.add_argument("--source", required=True, metavar="NAME", help="a source of the view")
    p.add_argument(
        "--to", default="", metavar="FILE", help="where it shall be: a source (nfs or s3) as a view writes it"
    )
    p.add_argument("--tool", default="", choices=migrate_copy.TOOLS, help="default: rclone for a bucket, else rsync")
    p.add_argument("--at", default="", metavar="DIR", help="where the source is mounted on this machine (/mnt/NAME)")
    p.add_argument("--into", default="", metavar="DIR", help="where the copy is mounted here, if it is no bucket")
    p.add_argument("--exact", action="store_true", help="delete in the copy what the source has not")
    how = p.add_mutually_exclusive_group()
    how.add_argument("--copy", action="store_true", help="run the commands that copy here, then go on")
    how.add_argument("--copied", action="store_true", help="it is copied: go on")
    how.add_argument("--back", action="store_true", help="the source is what it was; nothing is copied")
    how.add_argument("--forget", action="store_true", help="the move is over: what it remembers goes")
    p.add_argument("--quick", action="store_true", help="compare sizes and the sample's checksums, not every byte")
    p.add_argument("--timeout", type=float, default=86_400.0, metavar="SECONDS", help="of the survey (default a day)")
    p.add_argument("--dry-run", action="store_true", help="only say what would be done")
    p.add_argument("-y", "--yes", action="store_true", help="do not ask")
    p.set_defaults(run=run)


def target(name: str) -> Json:
    """The source that a file describes, without its name. Raises UseError."""
    try:
        text = sys.stdin.read(LARGEST) if name == "-" else Path(name).read_text(encoding="utf-8")
        found = yaml.safe_load(text[:LARGEST])
    except (OSError, UnicodeError) as error:
        raise UseError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError:
        raise UseError(f"{name}: no YAML") from None
    if not isinstance(found, dict):
        raise UseError(f"{name}: write a source as a view has it, like nfs: {{server: …, export: …}}")
    wire = {key: value for key, value in found.items() if key != "name"}
    try:
        Source.model_validate({**wire, "name": "x"})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UseError(f"{name}: {f'{where}: ' if where else ''}{first['msg']}") from None
    if "local" in wire:
        raise UseError(f"{name}: a directory of nodes is no place to move an archive to")
    return wire


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Plans a move, makes it, goes on with one, or takes it back. Raises UseError, CliError, KubectlError."""
    view = kubectl.get(VIEWS, args.view)
    record = migrate_record.read(view)
    moving = Moving(kubectl, args.view, args.namespace, quick=args.quick, patience=args.timeout)
    if record is not None and record.source != args.source:
        raise UseError(f"source {record.source} of this view is being moved: --source {record.source} goes on with it")
    if args.forget:
        return _forgotten(moving, args, record)
    if args.back:
        return _back(moving, args, record)
    if record is not None and record.done and record.back:
        record = None  # that one is over: another may begin
    if record is not None and record.done:
        raise UseError(f"source {args.source} was moved to {words(record.wanted)}: --back, or --forget, comes first")
    wanted = target(args.to) if args.to else None
    if record is not None and wanted is not None and not within(place(wanted), place(record.next)):
        raise UseError(f"source {args.source} is being moved to {words(record.next)}: --back comes first")
    if record is not None and record.back:
        users_act.tell(f"source {args.source} is being taken back")
        return _carried(moving, args, record)
    begun = record or _begun(view, args, wanted, moving)
    now = named(moving.written(view), args.source) or {}
    into = args.into or f"/mnt/{args.source}-copy"
    copying = migrate_copy.commands(
        args.tool, now, begun.next, at=args.at or f"/mnt/{args.source}", into=into, exact=args.exact
    )
    moving.commands = copying
    if args.dry_run or not (args.copy or args.copied or begun.copied):
        return _planned(args, begun, copying, view)
    if args.copy and not begun.copied and not copying.here:
        raise UseError(f"{copying.tool} is not run here: run its commands, then say --copied")
    users_act.confirm(args, _question(begun, copying, args))
    if record is None:
        begun = moving.note(begun)
    if args.copied and not begun.copied:
        begun = moving.note(begun, copied=True)
    return _carried(moving, args, begun)


def _begun(view: Json, args: argparse.Namespace, wanted: Json | None, moving: Moving) -> Record:
    """A new move. Raises UseError, CliError, ChoiceError."""
    if wanted is None:
        raise UseError("say where it shall be: --to FILE")
    now = named(moving.written(view), args.source)
    if now is None:
        raise UseError(f"view {args.view} has no source {args.source}")
    copy = f"{args.source}{migrate_record.COPY}"
    if not is_object_name(copy) or len(copy) > 63:
        raise UseError(f"{copy} is no name of a source: the copy has it while it is compared")
    if within(place(wanted), place(now)):
        raise UseError(f"source {args.source} is {words(wanted)} already")
    if (view.get("spec") or {}).get("form", "catalog") == "live":
        raise CliError(f"view {args.view} is live: it has no generation that a copy could be compared with")
    shown = choose.released(view)
    newest, waits = next(iter(choose.kept(view)), ""), (view.get("status") or {}).get("candidate")
    if waits or newest != shown:
        raise CliError(f"users see {short(shown)}, and {short(newest)} is newer: release or reject it first")
    pin = (view.get("spec") or {}).get("pin")
    if pin and pin != shown:
        raise CliError(
            f"the view is held at {pin[:24]}, and users see another: kubectl pdshub archive unpin {args.view}"
        )
    if named(moving.written(view), copy) is not None:
        raise UseError(f"the view has a source {copy}: the copy needs that name")
    return Record(args.source, shown, migrate_record.plain(now), moving.learned(copy, wanted))


def _question(record: Record, copying: Commands, args: argparse.Namespace) -> str:
    first = f"{copying.tool} copies here. " if args.copy and not record.copied else ""
    return (
        f"{first}The copy at {words(record.next)} is compared with {short(record.generation)}. If it gives the same, "
        f"it becomes source {record.source}. Notebooks go on; files that are open stay so."
    )


def _answer(args: argparse.Namespace, record: Record | None, state: str, **more: Any) -> Json:
    empty: Json = {"commands": [], "notes": [], "compared": None, "counts": None}
    return {
        "view": args.view, "source": args.source, "dryRun": args.dry_run, "state": state,
        "from": record.former if record else None, "to": record.next if record else None,
        "generation": record.generation if record else None, **empty, **more,
    }  # fmt: skip


def _planned(args: argparse.Namespace, record: Record, copying: Commands, view: Json) -> Said:
    counts = (((view.get("status") or {}).get("generation") or {}).get("counts")) or {}
    seen, at = short(record.generation), args.at or f"/mnt/{record.source}"
    lines = [
        f"source {record.source}: {words(record.former)} -> {words(record.next)}",
        f"users see {seen}: {counts.get('files', '?')} files, {counts.get('bytes', '?')} bytes, of all sources",
        "",
        f"1. copy{', which is done' if record.copied else ''}; where {at} is the source, and until little is left:",
        *(f"   {line}" for line in copying.text),
        *(f"   ({note})" for note in copying.notes),
        f"2. source {record.copy} stands beside the others: nodes reach it, no user sees it",
        "3. every file is compared with its label's MD5, the sample's checksum, or the source's bytes;",
        f"   the copy is surveyed beside what users see, and has to give {seen}",
        f"4. the view is held, {record.source} becomes the copy, every node reaches it, a survey gives {seen};",
        "   else it is taken back",
        "5. the view follows releases again",
        "",
        "nothing was stored. Next: the same with --copied, or with --copy to have the commands run here;",
        "--back takes it back at any time",
    ]
    answer = _answer(args, record, "planned", commands=copying.text, notes=copying.notes, counts=counts)
    return answer, "\n".join(map(printable, lines)), 0


def _carried(moving: Moving, args: argparse.Namespace, record: Record) -> Said:
    goes_on = (
        f"kubectl pdshub migrate archive {args.view} --source {args.source} goes on; with --back all is taken back"
    )
    try:
        record = moving.steps(record)
    except NotTheSame as error:
        return _answer(args, record, error.state, compared=moving.compared or None), printable_lines(str(error)), FAILED
    except (CliError, KubectlError) as error:
        raise CliError(f"{error}\n{goes_on}") from None
    except KeyboardInterrupt:
        users_act.tell(goes_on)
        raise
    if record.back:
        lines = [f"source {record.source} is {words(record.former)} again; users see what a survey of it gave"]
        return _answer(args, record, "back"), printable_lines("\n".join(lines)), 0
    back = f"kubectl pdshub migrate archive {args.view} --source {args.source} --back"
    lines = [
        f"source {record.source} is {words(record.next)}, and gives {short(record.generation)} as before",
        f"back: {back}; when all is well: --forget. Until then deliveries go to both places, or --back loses them.",
    ]
    return _answer(args, record, "done", compared=moving.compared or None), printable_lines("\n".join(lines)), 0


def printable_lines(text: str) -> str:
    """Lines with whatever others wrote on their own lines."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _back(moving: Moving, args: argparse.Namespace, record: Record | None) -> Said:
    if record is None or (record.done and record.back):
        raise UseError(f"there is no move of source {args.source} to be taken back")
    users_act.confirm(args, f"Source {args.source} is {words(record.former)} again; the copy stays as it is.")
    if args.dry_run:
        return _answer(args, record, "back"), "nothing was stored: --dry-run", 0
    if not record.back:
        record = moving.note(record, back=True, done=False, surveyed=False, asked="")
    return _carried(moving, args, record)


def _forgotten(moving: Moving, args: argparse.Namespace, record: Record | None) -> Said:
    if record is None:
        raise UseError(f"nothing is remembered of a move of source {args.source}")
    if not record.done:
        raise UseError(f"the move of source {args.source} is not over: let it go on, or --back")
    if not args.dry_run:
        moving.forget()
    said = "nothing was stored: --dry-run" if args.dry_run else f"the move of source {args.source} is forgotten"
    return _answer(args, record, "forgotten"), said, 0
