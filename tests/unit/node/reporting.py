"""What a plugin of the node in miniature tells the operator, asked as the operator asks: over mutual TLS."""

from __future__ import annotations

import datetime
import http.client
import json
import ssl
from pathlib import Path

from pdshub import pki, ports, tls_names
from pdshub.api.report import HeldReport, Report
from tests.unit.node.machine import Machine
from tests.unit.test_pki import context


class Asking:
    """Certificates of an installation. Make one before the machine starts."""

    def __init__(self, machine: Machine) -> None:
        now = datetime.datetime.now(datetime.UTC)
        authority = pki.issue(now, tls_names.CA, None)
        node = pki.issue(now, tls_names.NODE, authority, server=True)
        folder: Path = machine.directory / "tls"
        folder.mkdir()
        for name, text in (
            (pki.CERTIFICATE, node.certificate),
            (pki.KEY, node.key),
            (pki.TRUST, authority.certificate),
        ):
            (folder / name).write_bytes(text)
        machine.options = (*machine.options, "--tls", str(folder), "--report-port", str(ports.NODE_REPORT))
        self._operator = context(pki.issue(now, tls_names.OPERATOR, authority), authority.certificate, server=False)
        self._operator.check_hostname = False

    def report(self) -> Report:
        """Raises OSError, ssl.SSLError."""
        tls: ssl.SSLContext = self._operator
        line = http.client.HTTPSConnection("127.0.0.1", ports.NODE_REPORT, timeout=5, context=tls)
        try:
            line.request("GET", "/report")
            return Report.read(json.loads(line.getresponse().read()))
        finally:
            line.close()

    def held(self, view: str = "sbn") -> dict[str, HeldReport]:
        """Pod -> what is said of it."""
        return {one.pod: one for one in self.report().views[view].held_servers}
