"""What pip-audit and npm audit answered, judged: known holes, what nobody looked at, and why.

The answers come from services on the network, and the texts in them from whoever reported a hole: everything that is
shown goes through :func:`clean`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

LONGEST = 200
"""Characters of a text that is shown."""
MOST = 500
"""Findings that are shown of one lock."""


@dataclass(frozen=True, order=True)
class Finding:
    """A known hole of one package: its names (CVE, GHSA, PYSEC), and the versions that mend it."""

    package: str
    version: str
    names: tuple[str, ...]
    mended_in: str = ""
    severity: str = ""


@dataclass(frozen=True)
class Report:
    """What is known of a lock: ``looked_at`` of ``packages`` packages were looked up; ``unknown`` says why not all."""

    image: str
    lock: str
    packages: int = 0
    looked_at: int = 0
    findings: tuple[Finding, ...] = ()
    unknown: str = ""


def clean(text: object) -> str:
    """``text`` as one line of printable characters, shortened: nothing in it moves a cursor or colours a terminal."""
    plain = "".join(c if c.isprintable() else " " for c in str(text)[: 4 * LONGEST])
    plain = " ".join(plain.split())
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"


def of_pip_audit(image: str, lock: str, answer: str) -> Report:
    """The report on a lock from pip-audit's JSON. Raises ValueError when that is something else."""
    packages, looked_at, findings, reason = 0, 0, [], ""
    for entry in _list(_object(answer), "dependencies"):
        packages += 1
        if "skip_reason" in entry:
            reason = reason or clean(entry["skip_reason"])
            continue
        looked_at += 1
        for hole in _list(entry, "vulns"):
            names = (hole.get("id", "?"), *_texts(hole.get("aliases")))
            mended = ", ".join(_texts(hole.get("fix_versions")))
            findings.append(_finding(entry.get("name"), entry.get("version"), names, mended, ""))
    missing = packages - looked_at
    unknown = f"{missing} were not looked up: {reason}" if looked_at and missing else reason
    return Report(image, lock, packages, looked_at, _some(findings), unknown)


def of_npm_audit(image: str, lock: str, answer: str, packages: int) -> Report:
    """The report on a package-lock.json of ``packages`` packages from npm's JSON. Raises ValueError as above.

    npm names each hole at the package that has it, and again at every package that needs that one: the first counts.
    """
    told = _object(answer)
    if "vulnerabilities" not in told:
        reason = told.get("message") or (told.get("error") or {}).get("summary") or "no reason was given"
        return Report(image, lock, packages, unknown=clean(reason))
    holes = told["vulnerabilities"]
    if not isinstance(holes, Mapping):
        raise ValueError("vulnerabilities: want an object")
    findings = []
    for name, hole in holes.items():
        if not isinstance(hole, Mapping):
            raise ValueError("a vulnerability: want an object")
        fix = hole.get("fixAvailable")
        mended = (
            f"{fix.get('name')} {fix.get('version')}" if isinstance(fix, Mapping) else "npm audit fix" if fix else ""
        )
        for cause in hole.get("via") or ():
            if isinstance(cause, Mapping):
                title, url = cause.get("title", ""), str(cause.get("url", "")).rpartition("/")[2]
                names = tuple(n for n in (url or str(cause.get("source", "?")), title) if n)
                findings.append(_finding(name, cause.get("range", ""), names, mended, cause.get("severity", "")))
    return Report(image, lock, packages, packages, _some(findings))


def _object(answer: str) -> dict[str, Any]:
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):
        raise ValueError(f"no JSON: {clean(answer) or 'nothing'}") from None
    if not isinstance(told, dict):
        raise ValueError(f"want an object: {clean(answer)}")
    return told


def _list(of: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = of.get(key)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"{key}: want a list of objects")
    return found


def _texts(found: object) -> tuple[str, ...]:
    return tuple(str(entry) for entry in found) if isinstance(found, list) else ()


def _finding(package: object, version: object, names: Iterable[object], mended: object, severity: object) -> Finding:
    known = tuple(dict.fromkeys(clean(name) for name in names))
    return Finding(clean(package), clean(version), known, clean(mended), clean(severity))


def _some(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """In order, each once, and no more than :data:`MOST`."""
    return tuple(sorted(set(findings))[:MOST])


def lines(report: Report) -> list[str]:
    """A report in words, for a terminal."""
    head = f"{report.image} ({report.lock}): "
    if report.looked_at:
        count = len(report.findings)
        head += f"{count} known hole{'' if count == 1 else 's'} in {report.looked_at} packages"
        if report.unknown:
            head += f"; {report.unknown}"
    else:
        head += f"not looked at: {report.unknown or 'it names no packages'}"
    found = [head]
    for hole in report.findings:
        severity = f" [{hole.severity}]" if hole.severity else ""
        mended = f"; mended in {hole.mended_in}" if hole.mended_in else "; nothing mends it yet"
        found.append(f"  {hole.package} {hole.version}{severity}: {', '.join(hole.names)}{mended}")
    if len(report.findings) == MOST:
        found.append(f"  no more than {MOST} are shown")
    return found


def document(reports: Iterable[Report]) -> str:
    """The reports as JSON, for a program."""
    return json.dumps({"reports": [asdict(report) for report in reports]}, indent=2)
