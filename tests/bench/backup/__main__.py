"""``python -m tests.bench.backup [--small] OUT_DIR``: measure, write backup.json and backup.md.

Exit code 1 when a bar is missed, with the bar's name; the page is written all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.backup import recovery, work
from tests.bench.backup.estate import FULL, SMALL, Json, service
from tests.bench.backup.page import missed, page
from tests.e2e.cluster import Cluster


def options(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(prog="hack/bench backup", description=(__doc__ or "").split("\n\n")[0])
    p.add_argument("--small", action="store_true", help="3 homes of 8 MB, for a try: written to a temporary folder")
    p.add_argument("out", type=Path)
    found = p.parse_args(argv)
    if found.small:
        found.out = Path(tempfile.mkdtemp(prefix="bench-backup-"))
    return found


def main() -> int:
    """Measure and write."""
    args = options(sys.argv[1:])
    size, cluster = SMALL if args.small else FULL, Cluster.load()
    cache = Path(os.environ.get("PDSHUB_CACHE") or Path.home() / ".cache" / "pdshub")
    with service(cluster, cache, size.needs) as s3:
        figures: Json = {"homes": size.homes, **work.measure(cluster, s3, size)}
        figures["recovery"] = recovery.measure(cluster, s3, size) if recovery.known(cluster) else None
    figures["run"] = {
        "date": time.strftime("%Y-%m-%d"),
        "processors": os.cpu_count(),
        "kernel": os.uname().release.partition("-")[0],
        "loadAtTheEnd": [round(value, 1) for value in os.getloadavg()],
    }
    (args.out / "backup.json").write_text(json.dumps(figures, indent=1) + "\n")
    (args.out / "backup.md").write_text(page(figures))
    print((args.out / "backup.md").read_text())
    for text in missed(figures):
        print(f"MISSED: {text}", file=sys.stderr)
    return 1 if missed(figures) else 0


if __name__ == "__main__":
    sys.exit(main())
