"""Recorded answers of pip-audit and npm audit, and what is said of them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from supply import audit, findings
from supply.findings import Finding, Report, clean, lines, of_npm_audit, of_pip_audit

KNOWN = {
    "dependencies": [
        {
            "name": "flask",
            "version": "0.5",
            "vulns": [
                {
                    "id": "PYSEC-2019-179",
                    "fix_versions": ["1.0"],
                    "aliases": ["CVE-2019-1010083", "GHSA-5wv5-4vpf-pj6m"],
                    "description": "Unexpected memory usage",
                }
            ],
        },
        {"name": "jinja2", "version": "3.1.6", "vulns": []},
    ],
    "fixes": [],
}
SKIPPED = {"name": "own", "skip_reason": "Dependency not found on PyPI and could not be audited: own (1)"}
NPM = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "http-proxy": {
            "name": "http-proxy",
            "severity": "high",
            "via": [
                {
                    "source": 1486,
                    "name": "http-proxy",
                    "title": "Denial of Service in http-proxy",
                    "url": "https://github.com/advisories/GHSA-6x33-pw7p-hmpq",
                    "severity": "high",
                    "range": "<1.18.1",
                }
            ],
            "range": "<1.18.1",
            "fixAvailable": {"name": "configurable-http-proxy", "version": "4.2.2", "isSemVerMajor": True},
        },
        "configurable-http-proxy": {"name": "configurable-http-proxy", "via": ["http-proxy"], "fixAvailable": True},
    },
    "metadata": {"vulnerabilities": {"total": 2}},
}
NPM_405 = {
    "message": "405 Method Not Allowed - POST https://registry.example.org/-/npm/v1/security/advisories/bulk",
    "statusCode": 405,
    "error": {"summary": "", "detail": ""},
}
FLASK = Finding("flask", "0.5", ("PYSEC-2019-179", "CVE-2019-1010083", "GHSA-5wv5-4vpf-pj6m"), "1.0")
PROXY = Finding(
    "http-proxy",
    "<1.18.1",
    ("GHSA-6x33-pw7p-hmpq", "Denial of Service in http-proxy"),
    "configurable-http-proxy 4.2.2",
    "high",
)


@pytest.mark.parametrize(
    ("answer", "looked_at", "found", "unknown"),
    [
        (KNOWN, 2, (FLASK,), ""),
        ({"dependencies": [SKIPPED]}, 0, (), SKIPPED["skip_reason"]),
        (
            {"dependencies": [*KNOWN["dependencies"], SKIPPED]},
            2,
            (FLASK,),
            f"1 were not looked up: {SKIPPED['skip_reason']}",
        ),
        ({"dependencies": []}, 0, (), ""),
    ],
    ids=["a hole", "a mirror that knows none", "some", "nothing to look at"],
)
def test_pip_audit(answer: Any, looked_at: int, found: tuple[Finding, ...], unknown: str) -> None:
    report = of_pip_audit("hub", "lock", json.dumps(answer))
    assert (report.looked_at, report.findings, report.unknown) == (looked_at, found, unknown)


@pytest.mark.parametrize(
    ("answer", "looked_at", "found", "unknown"),
    [
        (NPM, 38, (PROXY,), ""),
        ({"vulnerabilities": {}}, 38, (), ""),
        (NPM_405, 0, (), NPM_405["message"]),
        ({"error": {"summary": "no network"}}, 0, (), "no network"),
        ({}, 0, (), "no reason was given"),
    ],
    ids=["a hole", "none", "a mirror without this", "unreachable", "empty"],
)
def test_npm_audit(answer: Any, looked_at: int, found: tuple[Finding, ...], unknown: str) -> None:
    report = of_npm_audit("proxy", "lock", json.dumps(answer), 38)
    assert (report.looked_at, report.findings, report.unknown) == (looked_at, found, unknown)


NONSENSE = [
    "",
    "<html>",
    "[]",
    "1",
    '{"dependencies": 1}',
    '{"dependencies": [1]}',
    '{"dependencies": [{"name": "x", "vulns": "y"}]}',
    '{"vulnerabilities": []}',
    '{"vulnerabilities": {"x": 1}}',
    '{"vulnerabilities": {"x": {"via": 1}}}',
    '{"error": "a text"}',
    "[" * 100_000,
]


@pytest.mark.parametrize("answer", NONSENSE, ids=range(len(NONSENSE)))
@pytest.mark.parametrize("lock", audit.every_lock(), ids=lambda lock: lock.path)
def test_an_answer_that_makes_no_sense_is_said(lock: audit.Lock, answer: str) -> None:
    """Whatever comes, there is a report, and it claims nothing."""
    report = audit._report(lock, lambda *_: answer, time.monotonic() + 60)
    assert report.unknown and not report.findings and not report.looked_at
    assert all(line.isprintable() for line in lines(report))


HOSTILE = "\x1b[2J\x1b]0;title\x07ok\r\nFAILED: \u202eevil\x9b31m" + "x" * 10_000


def test_what_a_service_says_moves_no_cursor() -> None:
    hole = {"id": HOSTILE, "aliases": [HOSTILE + "2"], "fix_versions": [HOSTILE]}
    pip = {
        "dependencies": [{"name": HOSTILE, "version": HOSTILE, "vulns": [hole]}, {"name": "x", "skip_reason": HOSTILE}]
    }
    cause = {"title": HOSTILE, "url": HOSTILE, "severity": HOSTILE, "range": HOSTILE}
    npm = {"vulnerabilities": {HOSTILE: {"via": [cause], "fixAvailable": {"name": HOSTILE, "version": HOSTILE}}}}
    for report in (
        of_pip_audit("hub", "lock", json.dumps(pip)),
        of_npm_audit("proxy", "lock", json.dumps(npm), 1),
        of_npm_audit("proxy", "lock", json.dumps({"message": HOSTILE}), 1),
    ):
        said = lines(report)
        assert all(line.isprintable() and len(line) < 8 * findings.LONGEST for line in said), said
        assert "\x1b" not in findings.document([report])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a [31mb"),
        ("a\n\tb  c", "a b c"),
        ("é", "é"),
        ("\u202e", ""),
        ("x" * 300, "x" * 199 + "…"),
        (7, "7"),
    ],
)
def test_clean(text: object, shown: str) -> None:
    assert clean(text) == shown


def test_no_more_is_shown_than_somebody_reads() -> None:
    holes = [{"id": f"X-{n}", "fix_versions": []} for n in range(10_000)]
    answer = {"dependencies": [{"name": "x", "version": "1", "vulns": holes}]}
    said = lines(of_pip_audit("hub", "lock", json.dumps(answer)))
    assert len(said) == findings.MOST + 2 and said[-1] == "  no more than 500 are shown"


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (
            Report("hub", "r.txt", 2, 2, (FLASK,)),
            [
                "hub (r.txt): 1 known hole in 2 packages",
                "  flask 0.5: PYSEC-2019-179, CVE-2019-1010083, GHSA-5wv5-4vpf-pj6m; mended in 1.0",
            ],
        ),
        (Report("hub", "r.txt", 2, 2), ["hub (r.txt): 0 known holes in 2 packages"]),
        (
            Report("hub", "r.txt", 2, 1, (Finding("x", "1", ("Y",)),), "1 were not looked up: z"),
            ["hub (r.txt): 1 known hole in 1 packages; 1 were not looked up: z", "  x 1: Y; nothing mends it yet"],
        ),
        (Report("hub", "r.txt", 2, 0, unknown="no answer in time"), ["hub (r.txt): not looked at: no answer in time"]),
        (Report("hub", "r.txt"), ["hub (r.txt): not looked at: it names no packages"]),
    ],
)
def test_words(report: Report, said: list[str]) -> None:
    assert lines(report) == said


class Service:
    """Answers as it is told; ``asked`` holds the programs and locks that it was asked with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def __call__(self, command: Sequence[str], folder: Path, seconds: float) -> str:
        self.asked.append("npm" if command[0] == "npm" else command[command.index("--requirement") + 1])
        if isinstance(self.answer, Exception):
            raise self.answer
        return json.dumps(NPM if command[0] == "npm" else self.answer)


def told(service: Service, until: float | None = None) -> dict[str, Report]:
    end = time.monotonic() + 60 if until is None else until
    return {report.lock: report for report in audit.audit(audit.every_lock(), service, end)}


def test_every_lock_is_asked_about_once() -> None:
    service = Service(KNOWN)
    reports = told(service)
    assert len(service.asked) == len(reports) == len(audit.every_lock()) == 6
    assert all(report.findings for report in reports.values())


def test_a_mirror_that_knows_no_holes_is_asked_one_question() -> None:
    service = Service({"dependencies": [SKIPPED]})
    reports = told(service)
    assert len([asked for asked in service.asked if asked != "npm"]) == 1
    assert "not asked" in reports["images/user/requirements.txt"].unknown
    assert reports["images/proxy/package-lock.json"].findings == (PROXY,)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "no answer in time"),
        (FileNotFoundError(2, "No such file", "npm"), "npm is not installed"),
        (OSError("could not connect"), "no answer: could not connect"),
    ],
)
def test_a_service_out_of_reach_is_said(error: Exception, said: str) -> None:
    reports = told(Service(error))
    assert not any(report.findings for report in reports.values())
    assert (
        reports["images/operator/setuptools.txt"].unknown == reports["images/proxy/package-lock.json"].unknown == said
    )


def test_when_the_time_is_over_nobody_is_asked() -> None:
    service = Service(KNOWN)
    assert all(report.unknown for report in told(service, until=time.monotonic()).values())
    assert service.asked == []


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("code", "said"),
    [("print('{}'); raise SystemExit(1)", "{}\n"), ("import sys; sys.stdout.buffer.write(b'\\xff')", "\ufffd")],
)
def test_an_answer_is_taken_whatever_the_exit_code(code: str, said: str, tmp_path: Path) -> None:
    assert audit.run(python(code), tmp_path, 60) == said


@pytest.mark.parametrize(
    ("command", "seconds", "error"),
    [
        (python("import sys; sys.exit('one\\nlast \\x1b[2Jline')"), 60, OSError),
        (python("import time; time.sleep(600)"), 0, TimeoutError),
        (["no-such-program-anywhere"], 60, FileNotFoundError),
    ],
)
def test_no_answer(command: list[str], seconds: float, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error) as raised:
        audit.run(command, tmp_path, seconds)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("words", [[], ["--output", "json"], ["proxy"]])
def test_it_ends_well_whatever_was_found(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "run", Service(KNOWN))
    assert audit.main(words) == 0
    said = capsys.readouterr().out
    if "json" in words:
        assert len(json.loads(said)["reports"]) == 6
    else:
        assert said.count("1 known hole") == (2 if words else 6)
