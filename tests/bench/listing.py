"""A survey of many objects by their listing: requests, money, seconds and memory.

    python -m tests.bench.listing --objects 1000000

The service is real (versitygw, over a folder), the objects are hard links to one file, since a listing tells of names,
sizes, times and ETags alone. Nothing is opened: labels would be a request each.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from pdshub.api.view import ArchiveViewSpec
from pdshub.archive.findings import Findings
from pdshub.archive.walk import Scan
from pdshub.surveyor import objects, s3_cost
from tests.buckets import BUCKET, Service, service

LINKS = 60_000
"""To one file; ext4 allows 65,000."""


def fill(folder: Path, count: int, inside: int) -> None:
    """So many objects below ``archive/``, ``inside`` a directory."""
    store = folder / "store"
    store.mkdir()
    for number in range(count):
        if number % LINKS == 0:
            one = store / str(number)
            one.write_bytes(b"x" * 100)
            os.setxattr(one, "user.etag", hashlib.md5(b"x" * 100, usedforsecurity=False).hexdigest().encode())
        if number % inside == 0:
            place = folder / "buckets" / BUCKET / f"archive/v{number // inside // 100:03}/d{number // inside:06}"
            place.mkdir(parents=True)
        os.link(one, place / f"product_{number:08}.dat")


def survey(s3: Service, folder: Path, previous: Scan | None) -> tuple[Scan, dict[str, float | int | str]]:
    """One survey of the whole bucket's folder."""
    spec = ArchiveViewSpec.model_validate(
        {
            "sources": [s3.source(prefix="archive")],
            "tree": [{"path": "a", "layers": [{"source": "main"}]}],
        }
    )
    found = objects.of(spec, {"main": folder / "nowhere"}, folder / "keys")
    s3.relay.none()
    began, processor = time.monotonic(), time.process_time()
    scan = found["main"].scan(["."], previous, [], Findings(), lambda n: None)
    seconds, cpu = time.monotonic() - began, time.process_time() - processor
    aws = {"bucket": BUCKET, "region": "us-east-1"}
    priced = spec.model_copy(update={"sources": [spec.sources[0].model_validate({"name": "main", "s3": aws})]})
    asked = objects.counted(found)
    (cost,) = s3_cost.costs(priced, asked, {}, s3_cost.shipped(), datetime.now(UTC).date())
    return scan, {
        "objects": sum(len(d.sizes) for d in scan.dirs.values()),
        "directories": len(scan.dirs),
        "directories read": scan.counters.directories_read,
        "requests counted by the client": found["main"].count.all,
        "requests counted by the relay": Counter(s3.relay.asked).total(),
        "US dollars": cost.usd,
        "US dollars a month, hourly": cost.usd_per_month,
        "prices": cost.message,
        "seconds": round(seconds, 1),
        "seconds of processor": round(cpu, 1),
        "MiB at most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def main() -> None:
    """A first survey, and one after which nothing changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--inside", type=int, default=1000, help="objects of a directory")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with service(folder, sidecar=False) as s3:
            s3.keys(folder / "keys/main")
            fill(folder, args.objects, args.inside)
            scan: Scan | None = None
            for what in ("first", "nothing changed"):
                scan, found = survey(s3, folder, scan)
                print(json.dumps({what: found}, indent=1), flush=True)


if __name__ == "__main__":
    main()
