"""Compose beside the Littlest JupyterHub's components beside a PDSHub: ``./hack/bench compare``.

Writes compare.json into the folder of figures, and the page beside it (docs/comparison.md). ``--only NAME`` and
``--quick`` are tries, which write nothing of the project's.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.compare import littlest, page
from tests.bench.compare.measure import QUICK, Plan, all_of_it
from tests.bench.compare.places import WAYS
from tests.e2e.cluster import Cluster


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="hack/bench compare")
    parser.add_argument("out", type=Path, help="the folder of figures")
    parser.add_argument("--only", choices=list(WAYS), action="append", help="a try of this one; may be given again")
    parser.add_argument("--quick", action="store_true", help="a try of a few minutes")
    args = parser.parse_args()
    plan, cluster = (QUICK if args.quick else Plan()), Cluster.load()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pdshub-compare-")))
        ways = []
        for name in args.only or WAYS:
            print(f"{name} starts", flush=True)
            ways.append(stack.enter_context(WAYS[name](cluster, root / name.lower(), plan.people)))
        found = all_of_it(ways, plan)
    figures = {
        "run": {
            "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "processors": os.cpu_count(),
            "kernel": os.uname().release,
            "loadAtTheEnd": [round(x, 1) for x in os.getloadavg()],
            "serial": plan.serial, "together": plan.together, "rounds": plan.rounds, "tljhCommit": littlest.COMMIT,
        },
        "ways": found,
    }  # fmt: skip
    tried = bool(args.only) or args.quick
    out = Path(tempfile.mkdtemp(prefix="pdshub-compare-")) if tried else args.out
    (out / "compare.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    if list(found) == list(WAYS):
        (out if tried else out.parent).joinpath(page.NAME).write_text(page.page(figures))
    print(f"written to {out}")


if __name__ == "__main__":
    main()
