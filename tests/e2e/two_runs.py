"""A pytest plugin: what one run of pytest tells the next, so that the next one's summary speaks of both.

hack/test runs the end-to-end tests twice: side by side those that disturb nobody, then alone the others. The first run
writes its reports with ``--tell FILE``; the second gives them to pytest with ``--told FILE`` before it runs a test of
its own: they are listed, counted, timed, and fail the run, as if it had run them itself.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """--tell and --told."""
    parser.addoption("--tell", type=Path, metavar="FILE", help="write every test's reports here, for --told")
    parser.addoption("--told", type=Path, metavar="FILE", help="count the tests of the run that wrote this, too")


def pytest_configure(config: pytest.Config) -> None:
    """Take part where an option asks for it; xdist's workers tell their own controller."""
    if hasattr(config, "workerinput"):
        return
    if config.option.tell:
        config.pluginmanager.register(Teller(config, config.option.tell))
    if config.option.told:
        config.pluginmanager.register(Told(config.option.told))


class Teller:
    """Writes reports, one JSON document a line."""

    def __init__(self, config: pytest.Config, file: Path) -> None:
        self.config, self.file = config, file
        file.write_text("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write a report, without what xdist knows of its worker."""
        data: dict[str, Any] = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        data.pop("node", None)
        with self.file.open("a") as out:
            out.write(json.dumps(data, default=str) + "\n")


class Told:
    """Reports of another run, given to pytest before this run's tests."""

    def __init__(self, file: Path) -> None:
        self.file, self.count = file, 0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Report the tests of the other run, then run this one's; failures of either fail the session."""
        self.report(session)
        failed, session.testsfailed = session.testsfailed, 0  # failures before the first test are errors of collection
        try:
            return (yield)
        finally:
            session.testsfailed += failed

    def report(self, session: pytest.Session) -> None:
        """Give pytest the reports of the other run, in the order of files and tests."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        hook, config = session.config.hook, session.config
        reports = [hook.pytest_report_from_serializable(config=config, data=json.loads(line)) for line in lines]
        for report in reports:
            if isinstance(report.longrepr, list):  # why a test was skipped: JSON has no tuples
                report.longrepr = tuple(report.longrepr)
        self.count = len({report.nodeid for report in reports})
        session.testscollected += self.count
        for report in sorted(reports, key=lambda report: report.nodeid):
            if report.when == "setup":
                hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
            hook.pytest_runtest_logreport(report=report)
            if report.when == "teardown":
                hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A run that had only the other's tests to report did report some."""
        if self.count and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK
