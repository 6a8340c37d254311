"""Commands for people, inside the surveyor's container: they read the store and talk to nobody."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pdshub import rfc3339
from pdshub.api.generation import LIVE
from pdshub.archive import words
from pdshub.archive.diff import diff
from pdshub.archive.explain import explain
from pdshub.archive.findings import Finding, as_text, printable
from pdshub.archive.live import diff_from_live
from pdshub.archive.look import Look, mounted
from pdshub.generation_id import short
from pdshub.surveyor import previewing, s3_cost
from pdshub.surveyor.bounds import memory_bound
from pdshub.surveyor.checks import findings_of, verify
from pdshub.surveyor.progress import Progress
from pdshub.surveyor.store import Entry, Store, StoreError

Json = dict[str, Any]
Said = tuple[Json, str]
"""The same for programs and for people."""
TOLD_SECONDS = 2.0


class Teller:
    """Says on standard error how far a command is, every two seconds: who waits for a short one reads nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._told = clock, clock()

    def __call__(self, text: str) -> None:
        """Writes a line, unless the last one was written less than two seconds ago."""
        if self._clock() - self._told >= TOLD_SECONDS:
            self._told = self._clock()
            sys.stderr.write(f"{words.PROGRESS}{text}\n")
            sys.stderr.flush()


def _entry(store: Store, reference: str) -> Entry:
    entry = store.find(reference)
    if entry is None:
        names = ", ".join(short(e.name) for e in store.read()) or "none yet"
        raise StoreError(f"no generation {reference or 'yet'}; there are: {names}")
    return entry


def run_explain(args: argparse.Namespace) -> Said:
    """Answers ``explain``: which source shows a path."""
    entry = _entry(Store(args.store), args.generation)
    answer = explain(entry.directory, args.path, Look(mounted(args.sources)))
    return {"generation": entry.name, **answer}, words.explained(answer)


def run_diff(args: argparse.Namespace) -> Said:
    """Answers ``diff``: what differs between two generations, or between the sources as they were surveyed and one."""
    store = Store(args.store)
    if args.old == LIVE:
        only = _entry(store, args.new)
        answer = diff_from_live(only.directory, args.limit, Teller())
        return {"from": LIVE, "asOf": only.as_of, "to": only.name, **answer}, words.differences(answer)
    old, new = _entry(store, args.old), _entry(store, args.new)
    answer = diff(old.directory, new.directory, args.limit, Teller())
    return {"from": old.name, "to": new.name, **answer}, words.differences(answer)


def run_findings(args: argparse.Namespace) -> Said:
    """Answers ``findings``: what survey and audit found."""
    entry = _entry(Store(args.store), args.generation)
    answer = findings_of(entry.directory, args.limit)
    found = [Finding(f["severity"], f["kind"], f["message"], tuple(f["paths"]), f["count"]) for f in answer["findings"]]
    rest = answer["total"] - len(found)
    return {"generation": entry.name, **answer}, as_text(found) + (f"… {rest} more\n" if rest else "")


def run_verify(args: argparse.Namespace) -> Said:
    """Answers ``verify``: whether the sources still hold what a generation shows."""
    entry = _entry(Store(args.store), args.generation)
    task = {"generation": str(entry.directory), "sources": str(args.sources), "store": str(args.store), "rate": 0}
    answer = verify(task, Teller())
    exact = f" ({answer['compared']} byte by byte)" if answer["compared"] else ""
    lines = [f"{answer['files']} files{exact}, {answer['drifted']} differ from the sources"]
    return {"generation": entry.name, **answer}, "\n".join(lines + [f"  {printable(p)}" for p in answer["examples"]])


def run_plan(args: argparse.Namespace) -> Said:
    """Answers ``plan``: what the view on stdin would change."""
    store = Store(args.store)
    desired = previewing.wanted(sys.stdin.buffer)
    newest = _entry(store, "")
    against = None if args.against == LIVE else _entry(store, args.against) if args.against else newest
    previewing.same_sources(desired, args.store)
    answer = previewing.run(store, desired, newest, against, args.limit, memory_bound() // 2, Teller())
    head: Json = {"generation": newest.name, "asOf": newest.as_of, "against": against.name if against else LIVE}
    return {**head, **answer}, words.previewed(answer)


def run_cost(args: argparse.Namespace) -> Said:
    """Answers ``cost``: what a survey of the view on stdin would ask of S3, before anything is asked."""
    spec = previewing.wanted(sys.stdin.buffer).spec
    known = {s.name: args.files for s in spec.sources if s.s3} if args.files is not None else {}
    text = args.prices.read_text(encoding="utf-8") if args.prices else s3_cost.shipped()
    found = s3_cost.costs(spec, {}, known, text, datetime.now(UTC).date())
    refused = s3_cost.refusal(spec, found)
    answer: Json = {"sources": [one.wire() for one in found], "refused": refused}
    return answer, s3_cost.words(found) + (f"\nrefused: {refused}" if refused else "")


def run_status(args: argparse.Namespace) -> Said:
    """Answers ``status``: which generations are kept, and how the last survey went."""
    store = Store(args.store)
    entries, progress = store.read(), Progress.load(args.store / "state.json")
    kept = [
        {
            "name": e.name,
            "asOf": e.as_of,
            "counts": e.manifest["counts"],
            "findings": e.findings,
            "accepted": e.accepted,
            "bytes": store.stored_bytes(e),
        }
        for e in entries
    ]
    answer: Json = {
        "generations": kept,
        "lastFinished": None if progress.finished is None else rfc3339.text(progress.finished),
        "message": progress.message,
        "counters": progress.counters,
        "audit": progress.audit,
        "verify": progress.verify,
    }
    lines = ["GENERATION    AS OF                 FILES      STATE"]
    for e in entries:
        name, files = short(e.name), e.manifest["counts"]["files"]
        lines.append(f"{name:12}  {e.as_of:20}  {files:<9}  {'ok' if e.accepted else 'refused: shrank'}")
    lines.append(f"last survey: {answer['lastFinished'] or 'none yet'}" + f" {progress.message}".rstrip())
    return answer, "\n".join(lines)


def add_commands(commands: Any) -> None:
    """Adds the commands to the program's parser."""

    def command(name: str, text: str, run: Any) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--store", type=Path, default=Path("/store"), metavar="DIR", help="default /store")
        sub.add_argument("--output", choices=("text", "json"), default="text")
        sub.set_defaults(local=run)
        return sub

    p = command("explain", "which source shows a path, which others had it and why", run_explain)
    p.add_argument("path", metavar="PATH", help="path in the view, or SOURCE:PATH")
    p.add_argument("--generation", default="", metavar="GEN", help="default: the newest")
    p.add_argument("--sources", type=Path, default=Path("/sources"), metavar="DIR", help="default /sources")
    p = command("diff", "datasets and files that differ between two generations", run_diff)
    p.add_argument("old", metavar="GEN1", help="12 or more of its digits; live: the sources, merged by file name")
    p.add_argument("new", metavar="GEN2", nargs="?", default="", help="default: the newest")
    p.add_argument("--limit", type=int, default=1000, help="files named of each kind (default 1000)")
    p = command("findings", "what the survey and the audit have to say", run_findings)
    p.add_argument("--generation", default="", metavar="GEN", help="default: the newest")
    p.add_argument("--limit", type=int, default=1000, help="default 1000")
    p = command("verify", "compare a generation with the sources", run_verify)
    p.add_argument("--generation", default="", metavar="GEN", help="default: the newest")
    p.add_argument("--sources", type=Path, default=Path("/sources"), metavar="DIR", help="default /sources")
    p = command("plan", "what a view (JSON on stdin: name, spec) would change, without a look at the sources", run_plan)
    p.add_argument(
        "--against", default="", metavar="GEN", help="generation to compare with, or live; default: the newest"
    )
    p.add_argument("--limit", type=int, default=1000, help="files named of each kind (default 1000)")
    p = command("cost", "what a survey of a view (JSON on stdin: name, spec) would ask of S3, and its price", run_cost)
    p.add_argument("--files", type=int, metavar="N", help="objects of each source, where that is known")
    p.add_argument("--prices", type=Path, metavar="FILE", help="price file; default: the one of this version")
    command("status", "the kept generations and the last survey", run_status)
