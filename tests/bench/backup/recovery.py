"""A hub from its repository alone: namespace, volumes and Secrets are gone, S3 and the key are not."""

from __future__ import annotations

import base64
import time

from tests.bench.backup.estate import DIGEST, HUB, KEYS, S3_KEYS, Json, Service, Size, backup_of, estate
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import wait_ready

SPACE, KEY, COMPARED, WITHIN = "bench-recovery", f"{HUB}-backup-key", 3, 3600
OVER = ("Completed", "PartiallyCompleted", "Refused")


def known(cluster: Cluster) -> bool:
    """Whether PDSHubs of this cluster can begin from a repository."""
    try:
        cluster.kubectl("explain", "pdshub.spec.bootstrap.recovery")
    except CommandFailed:
        return False
    return True


def volumes(cluster: Cluster) -> list[str]:
    """Volumes that belong, or belonged, to claims of the hub's namespace."""
    found = [v for v in cluster.items("pv") if (v["spec"].get("claimRef") or {}).get("namespace") == SPACE]
    return [v["metadata"]["name"] for v in found]


def measure(cluster: Cluster, s3: Service, size: Size) -> Json:
    """Seconds from ``kubectl apply`` until the hub is Ready, and until every home is back. Some are compared."""
    made = estate(cluster, SPACE, size)
    made.away()  # what a run that was killed left
    place = s3.repository("recovery")
    try:
        made.prepare({KEYS: S3_KEYS})
        cluster.apply(made.manifest(backup_of(place)))
        wait_ready(cluster, HUB, SPACE)
        filled = made.fill(size.recovery_bytes, size.recovery_files)
        compared = made.users[:COMPARED]
        before = {user: made.cell(user, DIGEST) for user in compared}
        made.backup("last")
        key = base64.b64decode(cluster.get("secret", KEY, SPACE)["data"]["key"]).decode()
        made.away()
        eventually(lambda: volumes(cluster), lambda left: left == [], within=600, what="no volume is left")

        made.prepare({KEYS: S3_KEYS, KEY: {"key": key}})
        began = time.monotonic()
        cluster.apply(made.manifest(backup_of(place), bootstrap={"recovery": {"repository": place}}))
        wait_ready(cluster, HUB, SPACE, WITHIN)
        ready = time.monotonic() - began
        status: Json = eventually(
            lambda: cluster.get("pdshub", HUB, SPACE)["status"].get("recovery") or {},
            lambda found: found.get("phase") in OVER,
            within=WITHIN,
            what="every home is back",
        )
        back = time.monotonic() - began
        assert status["phase"] == "Completed", status
        after = {user: made.cell(user, DIGEST) for user in compared}
        assert after == before, "homes are not what they were"
    finally:
        made.away()
    return {
        "filledBytes": filled,
        "homes": size.homes,
        "readySeconds": round(ready, 1),
        "backSeconds": round(back, 1),
        "compared": len(compared),
    }
