"""``kubectl pdshub audit``: reads the audit log in the one pod that can, and shows it.

It is read by a program inside of that pod, so nobody who reads the log needs a right on its volume.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from pdshub.audit_log import asked
from pdshub.cli import words
from pdshub.cli.archive import CliError, Said
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.terminal import safe
from pdshub.wellknown import AUDIT_POD

Json = dict[str, Any]
SYSTEM = "pdshub-system"
"""The namespace of the installation, where nobody says another."""
_CHANGED = 1
"""Exit code: the log is not as it was written."""
_OWN = {"n", "time", "at", "hub", "event", "user", "prev", "from", "run", "seq", "digest", "positions", "lists"}
_CODES = {
    "changed": "does not fit the line before it",
    "missing": "is missing",
    "broken": "is no entry",
    "gone": "is gone, and nothing says that it was taken away for its age",
    "anchor": "the anchor is not in the log",
}


def arguments(sub: argparse.ArgumentParser) -> None:
    """The command line of ``audit``."""
    asked.arguments(sub)
    sub.set_defaults(run=run)


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Entries, oldest first; or whether the log is unchanged, with code 1 where it is not."""
    system = args.namespace or SYSTEM
    printed = kubectl.execute(system, AUDIT_POD, "audit", ["pdshub-audit", *asked.words_of(args)], lambda _: None)
    found = [_object(line) for line in printed.splitlines() if line.strip()]
    if not found:
        raise CliError(f"{AUDIT_POD} answered nothing")
    last = found.pop()
    if args.verify:
        return last, _verdict(safe(last)), 0 if last.get("unchanged") is True else _CHANGED
    answer = {"entries": found, "matched": last.get("matched"), "shown": last.get("shown")}
    return answer, _entries(safe(found), last), 0


def _object(line: str) -> Json:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise CliError(f"{AUDIT_POD} answers what is no entry")
    return found


def _entries(found: list[Json], last: Mapping[str, Any]) -> str:
    if not found:
        return "no entries"
    rows = [["TIME", "HUB", "EVENT", "USER", "DETAILS"]]
    rows += [
        [str(each.get("at") or each.get("time")), str(each.get("hub", "")), str(each.get("event")),
         str(each.get("user", "")), _details(each)]
        for each in found
    ]  # fmt: skip
    matched, shown = last.get("matched"), len(found)
    more = f"\n… {matched - shown} older: --limit" if isinstance(matched, int) and matched > shown else ""
    return words.table(rows) + more


def _details(found: Mapping[str, Any]) -> str:
    parts = [
        f"{key}={', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in sorted(found.items())
        if key not in _OWN and value not in ("", [], None)
    ]
    return " ".join(parts)


def _verdict(found: Mapping[str, Any]) -> str:
    numbers = f"{found.get('entries')} entries, {found.get('first')} to {found.get('last')}"
    if found.get("unchanged") is True:
        return f"unchanged: {numbers}\nanchor: {found.get('anchor')}"
    lines = [f"CHANGED: {numbers}"]
    for each in found.get("problems") or []:
        code = str(each.get("code"))
        lines.append(f"  {each.get('file')} line {each.get('line')}: {_CODES.get(code, code)}")
    return "\n".join(lines)
