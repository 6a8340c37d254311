"""``kubectl pdshub weekly``: a page for whoever answers for the hub: users, hours, storage, releases, incidents."""

from __future__ import annotations

import argparse
import json
from typing import Any
from urllib.parse import quote

from pdshub import rfc3339
from pdshub.audit_log import asked
from pdshub.cli import (
    archive,
    audit,
    backup_drills,
    hub_choice,
    plan_peaks,
    status_words,
    users,
    weekly_count,
    weekly_words,
)
from pdshub.cli.archive import CliError, Said
from pdshub.cli.backup_run import BACKUPS, RESTORES
from pdshub.cli.hub_choice import UseError, key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.status_words import DAY
from pdshub.cli.tried import SYSTEM, Reader
from pdshub.cli.weekly_count import Known

Json = dict[str, Any]
DAYS = 7
EXAMPLES = """examples:
  kubectl pdshub weekly --hub hub/sbn
  kubectl pdshub weekly --hub hub/sbn --markdown --prometheus monitoring/prometheus:9090 > week.md

It counts people and names none. The audit log has more: kubectl pdshub audit"""


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``weekly``."""
    text = "a week of a hub on one page, to be passed on: users, hours, storage, releases, backups, incidents"
    sub: argparse.ArgumentParser = top.add_parser(
        "weekly", parents=[common], help=text, description=text, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    hub_choice.arguments(sub)
    sub.add_argument("--since", type=asked.since, default="", metavar="WHEN", help="as 14d or 2026-01-31 (default 7d)")
    sub.add_argument("--markdown", action="store_true", help="as Markdown (-o json: as JSON)")
    sub.add_argument("--system", default=SYSTEM, metavar="NAMESPACE", help=f"where PDSHub is (default {SYSTEM})")
    sub.add_argument(
        "--prometheus", type=plan_peaks.prometheus, default=None, metavar="NAMESPACE/SERVICE:PORT",
        help="which knows how long servers ran, by cAdvisor's metrics",
    )  # fmt: skip
    sub.set_defaults(run=run)


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``weekly``, for each hub that is meant. What is not to be read is said, and not guessed."""
    now = rfc3339.now()
    since = args.since or rfc3339.text(rfc3339.seconds(now) - DAYS * DAY)
    if rfc3339.seconds(since) >= rfc3339.seconds(now):
        raise UseError(f"--since {since} is in the future")
    hubs = hub_choice.every(kubectl, args)
    entries, missing = log(kubectl, args.system, since) if hubs else (None, "")
    answer, pages = list[Json](), list[str]()
    for hub in hubs:
        known, notes = look(kubectl, args, hub, entries, since, now)
        notes = [*([missing] if missing else []), *notes]
        found = weekly_count.count(known, since, now)
        answer.append({**found, "notes": notes})
        pages.append((weekly_words.markdown if args.markdown else weekly_words.text)(found, notes))
    return {"hubs": answer}, "\n\n".join(pages) or "no hubs", 0


def log(kubectl: Kubectl, system: str, since: str) -> tuple[list[Json] | None, str]:
    """Entries of the audit log since a moment; None, and why, where it is not to be read."""
    line = argparse.Namespace(
        user="", hub="", event="", since=since, anchor="", verify=False, limit=asked.MOST, namespace=system
    )
    try:
        answer, _, _ = audit.run(kubectl, line)
    except (KubectlError, CliError) as error:
        return None, f"the audit log is not read, so sign-ins are not counted: {error}"
    found = answer["entries"] if isinstance(answer, dict) else []
    if isinstance(answer, dict) and isinstance(answer.get("matched"), int) and answer["matched"] > len(found):
        return found, f"only the newest {len(found)} of {answer['matched']} entries of the audit log are counted"
    return found, ""


def look(
    kubectl: Kubectl, args: argparse.Namespace, hub: Json, entries: list[Json] | None, since: str, now: str
) -> tuple[Known, list[str]]:
    """All that is counted of a hub, and what could not be read."""
    namespace, name = key(hub)
    read = Reader(kubectl)
    census, notes = users.counted(kubectl, hub)
    drills = read.one("drills", "configmap", f"{name}{backup_drills.SUFFIX}", "-n", namespace)
    hours, source = _hours(kubectl, args, read, namespace, since, now)
    mine = None if entries is None else weekly_count.of_hub(entries, f"{namespace}/{name}", since)
    views = read.items("views", archive.VIEWS)
    wanted = status_words.view_name(hub)
    known = Known(
        hub=hub, census=census, entries=mine, views=[one for one in views if one["metadata"]["name"] == wanted],
        backups=read.known("backups", BACKUPS, "-n", namespace),
        restores=read.known("restores", RESTORES, "-n", namespace),
        drills=backup_drills.read(drills) if drills else backup_drills.Drills(),
        server_hours=hours, hours_from=source,
    )  # fmt: skip
    return known, [*notes, *read.notes]


def _hours(
    kubectl: Kubectl, args: argparse.Namespace, read: Reader, namespace: str, since: str, now: str
) -> tuple[float | None, str]:
    """How long servers ran together, and who says so. Without a Prometheus nobody knows of those that have ended."""
    if args.prometheus is None:
        return None, "nobody but a Prometheus knows it: --prometheus NAMESPACE/SERVICE:PORT"
    space, service, port = args.prometheus
    days = max(1, round((rfc3339.seconds(now) - rfc3339.seconds(since)) / DAY))
    chosen = f'{{namespace="{namespace}",container="{plan_peaks.CONTAINER}"}}'
    query = f"sum(count_over_time(container_memory_working_set_bytes{chosen}[{days}d:5m])) / 12"
    path = f"/api/v1/namespaces/{space}/services/http:{service}:{port}/proxy/api/v1/query?query={quote(query, safe='')}"
    text = read.text("Prometheus", "get", "--raw", path, seconds=plan_peaks.SECONDS)
    try:
        told = plan_peaks.value(json.loads(text)) if text else None
    except (ValueError, RecursionError):
        told = None
    source = f"Prometheus {space}/{service}, {days} days"
    return told, source if told is not None else f"{source}: it does not tell"
