"""``python3 -m pdshub.surveyor.copied``: whether a source is a copy of another, and gives this generation.

It runs in the surveyor's container, where both are mounted read-only as users have them (kubectl pdshub migrate).

Exit codes: 0 it was compared, and what came of it stands in the answer; 1 it could not be; 2 wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pdshub.files import read_json
from pdshub.surveyor.bounds import memory_bound
from pdshub.surveyor.desired_view import parse
from pdshub.surveyor.local import Teller
from pdshub.surveyor.store import Store, StoreError
from pdshub.surveyor.worker import Worker, WorkerError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="pdshub.surveyor.copied", description=(__doc__ or "").split("\n\n")[0])
    top.add_argument("--source", required=True, metavar="NAME", help="the source that was copied")
    top.add_argument("--copy", required=True, metavar="NAME", help="the source that is to be its copy")
    top.add_argument(
        "--generation", required=True, metavar="GEN", help="what it has to give: a generation that is kept"
    )
    top.add_argument("--quick", action="store_true", help="sizes and the sample's checksums alone, not every byte")
    top.add_argument("--store", type=Path, default=Path("/store"), metavar="DIR")
    top.add_argument("--sources", type=Path, default=Path("/sources"), metavar="DIR")
    top.add_argument("--keys", type=Path, default=Path("/etc/pdshub/s3"), metavar="DIR")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    args = parser().parse_args(arguments)
    store = Store(args.store)
    entry, wanted = store.find(args.generation), read_json(args.store / "spec.json")
    try:
        if entry is None or not args.generation:
            raise StoreError(f"no generation {args.generation} is kept")
        if not wanted:
            raise StoreError("the operator has not said what to survey")
        desired = parse(wanted)
        with store.workplace() as work:
            task = {
                "store": str(args.store), "generation": str(entry.directory), "name": desired.view,
                "spec": desired.wire, "sources": str(args.sources),
                "keys": str(args.keys) if args.keys.is_dir() else None,
                "work": str(work), "source": args.source, "copy": args.copy, "now": time.time(), "quick": args.quick,
            }  # fmt: skip
            said = asyncio.run(Worker("copied", task, memory=memory_bound() // 2, nice=15).run(Teller()))
    except (StoreError, WorkerError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(said, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
