"""The command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import config as settings
from . import etcd_restore, root, status, store
from .config import Config
from .programs import Programs, only_one
from .trouble import Code, Trouble

CODES = """exit codes: 0 done; 1 something did not work; 2 wrong command line; 3 another one is at work; 4 no room;
5 refused, nothing was changed; 6 a snapshot is damaged; 7 (status) the newest good one is too old"""
FULL = "is {:.0f} % full, and no checkpoint is left to drop: extend it, or remove files and run fstrim /"


def parser() -> argparse.ArgumentParser:
    """All commands."""
    top = argparse.ArgumentParser(prog="pdshub-machine", description="Points of return of this machine.", epilog=CODES)
    top.add_argument("--config", type=Path, metavar="FILE", help=f"default: {settings.FILE}, where there is one")
    kinds = top.add_subparsers(dest="kind", required=True)
    of_etcd = kinds.add_parser("etcd", help="snapshots of etcd").add_subparsers(dest="action", required=True)
    of_etcd.add_parser("snapshot", help="make one, look at all of it, drop what is no longer kept")
    _output(of_etcd.add_parser("list", help="those that are whole, the oldest first"))
    p = of_etcd.add_parser("verify", help="read them whole; put aside what is not as it was written")
    p.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    p = of_etcd.add_parser("restore", help="bring etcd back to one")
    p.add_argument("name", metavar="NAME", help="from list; or: latest; or what a restore put aside: before-TIME")
    p.add_argument("--stop", action="store_true", help="stop the control plane before, start it afterwards")
    p.add_argument("--replace", action="store_true", help="put the data that is there aside")
    of_root = kinds.add_parser("root", help="checkpoints of the root").add_subparsers(dest="action", required=True)
    of_root.add_parser("checkpoint", help="make one, drop what is no longer kept")
    _output(of_root.add_parser("list", help="those that are whole, the oldest first"))
    p = of_root.add_parser("restore", help="have one take the root's place at the next boot")
    p.add_argument("name", metavar="NAME", help="from list")
    p = of_root.add_parser("drop", help="give some up")
    p.add_argument("names", nargs="*", metavar="NAME", help="from list")
    p.add_argument("--for-space", action="store_true", help="the oldest, while the pool is too full")
    _output(kinds.add_parser("status", help="how old the newest good ones are; 7 when one is too old"))
    return top


def _output(p: argparse.ArgumentParser) -> None:
    p.add_argument("-o", "--output", choices=["text", "json"], default="text")


def main(argv: list[str]) -> int:
    """Run one command; its exit code."""
    args = parser().parse_args(argv)
    command = args.kind if args.kind == "status" else f"{args.kind} {args.action}"
    os.umask(0o077)
    try:
        return _COMMANDS[command](settings.load(args.config), args)
    except Trouble as error:
        _complain(str(error))
        return error.code
    except OSError as error:
        _complain(f"{error.filename or 'the system'}: {error.strerror}")
        return Code.FAILED
    except KeyboardInterrupt:
        _complain("interrupted; give the same command again")
        return 130


def _now() -> datetime:
    return datetime.now(UTC)


def _say(text: str) -> None:
    print(text, flush=True)


def _complain(text: str) -> None:
    print(f"pdshub-machine: {text}", file=sys.stderr)


def _told(config: Config, what: str, work: Callable[[Programs], int], *, making: bool = False) -> int:
    """Do it with the lock of its kind, then tell Prometheus what there is, and how it went. Who was kept from its work
    by another one says nothing."""

    def look() -> status.Kind:
        return status.of_etcd(config) if what == "etcd" else status.of_root(config, Programs())

    try:
        with only_one(config.state / f"{what}.lock") as programs:
            if what == "etcd":
                store.shut(config)
            code = work(programs)
    except (Trouble, OSError) as error:
        if not (isinstance(error, Trouble) and error.code is Code.BUSY):
            status.tell(config, what, look, _now(), False if making else None)
        raise
    status.tell(config, what, look, _now(), True if making else None)
    return code


def _etcd_snapshot(config: Config, args: argparse.Namespace) -> int:
    del args

    def work(programs: Programs) -> int:
        made = store.make(config, programs, _now())
        _say(f"{made.name}: {made.facts.keys} keys, revision {made.facts.revision}, {made.facts.size} bytes")
        return 0

    return _told(config, "etcd", work, making=True)


def _etcd_list(config: Config, args: argparse.Namespace) -> int:
    known = store.everything(config)
    lines = [f"{s.name}  {s.facts.size:>12} bytes  revision {s.facts.revision}  {s.facts.keys} keys" for s in known]
    return _listed(args, [one.wire() for one in known], lines)


def _etcd_verify(config: Config, args: argparse.Namespace) -> int:
    def work(programs: Programs) -> int:
        names = [store.named(config, name, _now()).name for name in args.names] or store.all_names(config)
        wrong = store.verify(config, programs, names)
        for text in wrong:
            _complain(text)
        _say(f"{len(names) - len(wrong)} of {len(names)} are whole, and as they were written")
        return Code.DAMAGED if wrong else 0

    return _told(config, "etcd", work)


def _etcd_restore(config: Config, args: argparse.Namespace) -> int:
    def work(programs: Programs) -> int:
        if args.name.startswith(etcd_restore.BEFORE):
            source = etcd_restore.put_aside(programs, config.etcd, args.name)
        else:
            source = etcd_restore.source_of(programs, config.etcd, store.named(config, args.name, _now()))
        etcd_restore.restore(config, programs, source, _now(), stop=args.stop, replace=args.replace, told=_say)
        return 0

    return _told(config, "etcd", work)


def _root_checkpoint(config: Config, args: argparse.Namespace) -> int:
    del args

    def work(programs: Programs) -> int:
        _say(f"{root.make(config, programs, _now(), _say).name}: made")
        return 0

    return _told(config, "root", work, making=True)


def _root_list(config: Config, args: argparse.Namespace) -> int:
    known = root.look(Programs(), config.root).checkpoints
    lines = [
        f"{one.name}  kernel {one.kernel or '?'}{'  before a restore' if one.before else ''}"
        f"{'' if one.restorable else '  files only'}"
        f"{'  TAKES THE PLACE OF THE ROOT AT THE NEXT BOOT' if one.volume.merging else ''}"
        for one in known
    ]
    return _listed(args, [one.wire() for one in known], lines)


def _root_restore(config: Config, args: argparse.Namespace) -> int:
    def work(programs: Programs) -> int:
        root.restore(config, programs, args.name, _now(), _say)
        return 0

    return _told(config, "root", work)


def _root_drop(config: Config, args: argparse.Namespace) -> int:
    if bool(args.names) == args.for_space:
        _complain("root drop: say which, or --for-space")
        return 2

    def work(programs: Programs) -> int:
        if args.names:
            root.drop(config, programs, args.names, _say)
            return 0
        found = root.make_room(config, programs, _now(), _say)
        if found.fill >= config.root.pool_percent:
            raise Trouble(Code.NO_ROOM, f"pool {found.pool.full_name} {FULL.format(found.fill)}")
        return 0

    return _told(config, "root", work)


def _status(config: Config, args: argparse.Namespace) -> int:
    now = _now()
    kinds = [status.of_etcd(config), status.of_root(config, Programs())]
    if args.output == "json":
        _say(json.dumps({kind.what: kind.wire(now) for kind in kinds}, indent=1))
    else:
        for line in status.words(kinds, now):
            _say(line)
    return Code.OLD if any(kind.old(now) for kind in kinds) else 0


def _listed(args: argparse.Namespace, wire: list[dict[str, Any]], lines: list[str]) -> int:
    for line in [json.dumps(wire, indent=1)] if args.output == "json" else lines:
        _say(line)
    return 0


_COMMANDS: dict[str, Callable[[Config, argparse.Namespace], int]] = {
    "etcd snapshot": _etcd_snapshot,
    "etcd list": _etcd_list,
    "etcd verify": _etcd_verify,
    "etcd restore": _etcd_restore,
    "root checkpoint": _root_checkpoint,
    "root list": _root_list,
    "root restore": _root_restore,
    "root drop": _root_drop,
    "status": _status,
}
