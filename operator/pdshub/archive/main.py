"""``pdshub-survey``: surveys archive sources, decides what users see, writes the catalog of a generation.

Exit codes: 0 done; 1 findings of severity error (audit, verify), no such path (explain); 2 wrong use; 3 refused, the
generation shrank; 4 a source or a file can not be read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zlib import crc32

from pdshub import rfc3339
from pdshub.archive import catalog, manifest, words
from pdshub.archive.audit import Audit
from pdshub.archive.diff import diff
from pdshub.archive.explain import explain
from pdshub.archive.findings import Findings, as_text
from pdshub.archive.guard import guard
from pdshub.archive.look import Look
from pdshub.archive.pace import Pace
from pdshub.archive.plan import PlanError, open_plan
from pdshub.archive.survey import Options, survey
from pdshub.archive.verify import verify
from pdshub.archive.view import ViewError, load_view
from pdshub.archive.walk import SourceError

GUARD = "guard.json"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="pdshub-survey",
        description="Survey PDS archives and write generations.",
        epilog=(__doc__ or "").split("\n\n")[-1],
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--output", choices=("text", "json"), default="text", help="form of the answer on stdout")
        return sub

    def sources(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--source",
            action="append",
            default=[],
            metavar="NAME=DIR",
            type=_source,
            help="where a source of the view is mounted; once for each",
        )

    p = command("plan", "read the sources and decide what users see")
    sources(p)
    p.add_argument("--view", required=True, type=Path, metavar="FILE", help="manifest of an ArchiveView")
    p.add_argument("--previous", type=Path, metavar="GEN", help="former generation: only what changed is read")
    p.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory of the new generation")
    p.add_argument("--workers", type=int, default=8, help="directories read at a time (default 8)")
    p.add_argument("--settle", type=int, metavar="SECONDS", help="instead of the view's settleSeconds")
    p.add_argument(
        "--restat",
        type=_slice,
        metavar="K/N",
        help="also re-read slice K of N of the unchanged directories: finds writes in place",
    )
    p.add_argument("--accept-shrink", action="store_true", help="accept that many files are gone")
    p.add_argument("--now", type=int, default=None, metavar="SECONDS", help="instead of the clock, for tests")

    p = command("catalog", "write the EROFS images and the manifest of a planned generation")
    p.add_argument("--generation", required=True, type=Path, metavar="DIR", help="directory with the plan")
    p.add_argument("--accept-shrink", action="store_true", help="accept that many files are gone")

    p = command("explain", "say which source shows a path, which others had it and why")
    sources(p)
    p.add_argument("path", metavar="PATH", help="path in the view, or SOURCE:PATH")
    p.add_argument("--generation", required=True, type=Path, metavar="DIR")

    p = command("diff", "datasets and files that differ between two generations")
    p.add_argument("old", type=Path, metavar="GEN1")
    p.add_argument("new", type=Path, metavar="GEN2")

    p = command("audit", "open every visible label and compare with what is there")
    sources(p)
    p.add_argument("--generation", required=True, type=Path, metavar="DIR")
    p.add_argument("--rate", type=float, default=200, help="labels a second, 0 for no bound (default 200)")
    p.add_argument("--checksums", action="store_true", help="also compute the MD5 of files whose labels carry one")

    p = command("verify", "compare sizes and times of every visible file with the sources")
    sources(p)
    p.add_argument("--generation", required=True, type=Path, metavar="DIR")
    return top


def _source(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not name or not path:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=DIR")
    return name, Path(path)


def _slice(text: str) -> tuple[int, int]:
    k, _, n = text.partition("/")
    if not (k.isdigit() and n.isdigit() and 0 <= int(k) < int(n)):
        raise argparse.ArgumentTypeError(f"{text!r}: write K/N with K from 0 to N-1")
    return int(k), int(n)


def _progress(text: str) -> None:
    sys.stderr.write(f"pdshub-survey: {text}\n")


def _print(args: argparse.Namespace, value: Any, text: str) -> None:
    sys.stdout.write(json.dumps(value, indent=1, sort_keys=True) + "\n" if args.output == "json" else text + "\n")


def _plan(args: argparse.Namespace) -> int:
    view = load_view(args.view.read_text(encoding="utf-8"))
    args.out.mkdir(parents=True, exist_ok=True)
    options = Options(
        now_ns=time.time_ns() if args.now is None else args.now * 10**9,
        workers=args.workers,
        settle_seconds=args.settle,
        progress=_progress,
    )
    if args.restat:
        k, n = args.restat
        options.restat = lambda path: crc32(path.encode("utf-8", "surrogateescape")) % n == k
    result = survey(view, dict(args.source), args.out, options, args.previous)
    threshold = view.authority.shrink_threshold_percent
    verdict = guard(result.previous_files, int(result.counts["files"]), threshold, accept=args.accept_shrink)
    (args.out / GUARD).write_text(json.dumps(verdict, sort_keys=True) + "\n", encoding="ascii")
    counters = asdict(result.counters)
    answer = {
        "counts": result.counts,
        "counters": counters,
        "settling": result.held_back,
        "guard": verdict,
        "findings": len(result.findings),
    }
    _print(
        args,
        answer,
        "\n".join(
            [
                f"{result.counts['files']} files, {result.counts['directories']} directories, "
                f"{result.counts['bytes']} bytes",
                f"read {counters['directories_read']} of {counters['directories_checked']} directories, opened "
                f"{counters['labels_opened']} labels ({counters['labels_reused']} known)",
                f"{len(result.findings)} findings: {args.out / 'findings.txt'}",
                *([f"{result.held_back} datasets are still changing: survey again later"] if result.held_back else []),
                *(
                    []
                    if verdict["accepted"]
                    else [
                        f"REFUSED: {verdict['lostPercent']:.1f} % of the files would disappear; "
                        "look at the diff, then --accept-shrink"
                    ]
                ),
            ]
        ),
    )
    return 0 if verdict["accepted"] else 3


def _catalog(args: argparse.Namespace) -> int:
    plan = open_plan(args.generation)
    guard_file = args.generation / GUARD
    if guard_file.exists() and not args.accept_shrink and not json.loads(guard_file.read_bytes())["accepted"]:
        _progress("refused: the plan shrinks beyond the threshold; --accept-shrink writes it")
        return 3
    images = []
    with tempfile.TemporaryDirectory(prefix="parts-", dir=args.generation) as lines:
        parts = catalog.parts(plan, Path(lines))
        for part in parts:
            _progress(f"writing {part.name}")
            images.append(catalog.write_image(plan, part, args.generation))
    stamp = os.environ.get("SOURCE_DATE_EPOCH")
    when = rfc3339.text(int(stamp) if stamp else plan.path.stat().st_mtime)
    document = manifest.build(plan, images, when, catalog.tool(), parts[0].layout if parts else None)
    manifest.write(args.generation / manifest.FILE, document)
    _print(
        args,
        document,
        "\n".join([f"generation {document['generation']}", *(f"{i.name} {i.size} bytes {i.digest}" for i in images)]),
    )
    return 0


def _explain(args: argparse.Namespace) -> int:
    answer = explain(args.generation, args.path, Look(dict(args.source)))
    _print(args, answer, words.explained(answer))
    return 1 if answer["state"] == "absent" else 0


def _diff(args: argparse.Namespace) -> int:
    answer = diff(args.old, args.new)
    _print(args, answer, words.differences(answer))
    return 0


def _audit(args: argparse.Namespace) -> int:
    findings = Findings()
    run = Audit(open_plan(args.generation), dict(args.source), findings, Pace(args.rate), args.checksums)
    run.run(_progress)
    return _report(args, findings, {"labels": run.labels}, f"{run.labels} labels")


def _verify(args: argparse.Namespace) -> int:
    findings = Findings()
    seen = verify(open_plan(args.generation), dict(args.source), findings)
    return _report(args, findings, {"files": seen}, f"{seen} files")


def _report(args: argparse.Namespace, findings: Findings, value: dict[str, Any], text: str) -> int:
    found = findings.sorted()
    _print(args, {**value, "findings": [f.wire() for f in found]}, f"{text}\n{as_text(found)}")
    return 1 if any(f.severity == "error" for f in found) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    args = parser().parse_args(arguments)
    run = {
        "plan": _plan,
        "catalog": _catalog,
        "explain": _explain,
        "diff": _diff,
        "audit": _audit,
        "verify": _verify,
    }[args.command]
    try:
        return run(args)
    except ViewError as error:
        _progress(f"{args.view}: {error}")
        return 2
    except (SourceError, PlanError, catalog.CatalogError, OSError) as error:
        _progress(str(error))
        return 4
    except KeyError as error:
        _progress(f"no --source for {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
