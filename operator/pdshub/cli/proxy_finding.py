"""What ``kubectl pdshub proxy check`` finds: verdicts on answers, each with what mends it. Pure."""

from __future__ import annotations

import ipaddress
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pdshub.cli.proxy_client import Answer

LATE = 0.25
"""Fraction of a lifetime below which renewal is late: certbot and mod_md renew at a third."""
HSTS_SECONDS = 180 * 86400
ODD = "a%2Fb%40c%3Fd%20%25"
"""What names of users and files are made of."""
OUR_HUB = "x-jupyterhub-version"
"""A header that every answer of a hub has, and none of a server in front of it."""


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One check: what was found, and what to do where it failed."""

    check: str
    state: State
    found: str
    fix: str = ""


def ok(check: str, found: str) -> Finding:
    """It holds."""
    return Finding(check, State.OK, found)


def failed(check: str, found: str, fix: str) -> Finding:
    """It does not hold; ``fix`` says what to change."""
    return Finding(check, State.FAILED, found, fix)


def skipped(check: str, found: str) -> Finding:
    """It was not tried; ``found`` says what that needs."""
    return Finding(check, State.SKIPPED, found)


def redirect(answer: Answer, host: str, path: str) -> Finding:
    """Port 80 leads to the same path by https, for good."""
    fix = "a virtual host on port 80 that redirects with 308: kubectl pdshub proxy render apache"
    where = answer.headers.get("location", "")
    if answer.status not in (301, 302, 303, 307, 308):
        return failed("redirect", f"http://{host} answers with status {answer.status} itself", fix)
    if where != f"https://{host}{path}":
        return failed("redirect", f"http://{host}{path} leads to {where or 'nowhere'}", fix)
    if answer.status not in (301, 308):
        return failed("redirect", f"http leads to https with {answer.status}, which browsers do not keep", fix)
    return ok("redirect", f"{answer.status} to https://{host}")


def chain(error: ssl.SSLError | None) -> Finding:
    """Browsers believe the certificate."""
    if error is None:
        return ok("chain", "the certificate leads to an authority that this machine trusts")
    said = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
    fix = (
        "the certificate with its intermediates (fullchain.pem) of this very name in SSLCertificateFile, then a reload"
    )
    return failed("chain", f"TLS fails: {said}", fix)


def certificate(found: Mapping[str, Any], now: float | None = None) -> Finding:
    """A certificate that is renewed in time. ``found``: as ssl.SSLSocket.getpeercert gives it."""
    names = ", ".join(str(value) for kind, value in found.get("subjectAltName", ()) if kind == "DNS")
    start, end = (ssl.cert_time_to_seconds(str(found[key])) for key in ("notBefore", "notAfter"))
    fraction = (end - (time.time() if now is None else now)) / max(end - start, 1)
    issuer = " ".join(
        str(value) for part in found.get("issuer", ()) for key, value in part if key == "organizationName"
    )
    said = (
        f"for {names}, of {issuer or 'an authority without a name'}, until {found['notAfter']}: {fraction:.0%} is left"
    )
    if fraction < LATE:
        fix = "renewal, due at a third of the lifetime: certbot renew --dry-run, or the status of mod_md; a reload"
        return failed("certificate", said, fix)
    return ok("certificate", said)


def http2(protocol: str | None) -> Finding:
    """Pages and files come by HTTP/2."""
    if protocol == "h2":
        return ok("http2", "HTTP/2 is offered")
    return failed("http2", "HTTP/1.1 alone is offered", "a2enmod http2, and Protocols h2 http/1.1 in the virtual host")


def hsts(answer: Answer) -> Finding:
    """Browsers stay with https."""
    said = answer.headers.get("strict-transport-security", "")
    seconds = re.search(r"max-age=\"?(\d+)", said)
    if seconds and int(seconds[1]) >= HSTS_SECONDS:
        return ok("hsts", said)
    fix = 'Header always set Strict-Transport-Security "max-age=31536000"'
    return failed("hsts", said or "no header Strict-Transport-Security", fix)


def is_hub(answer: Answer) -> bool:
    """Whether a hub answers, and not what is in front of it."""
    return OUR_HUB in answer.headers


def hub(answer: Answer) -> Finding:
    """A hub is there at all."""
    if is_hub(answer):
        return ok("hub", f"JupyterHub {answer.headers[OUR_HUB]} answers")
    fix = "the hub (kubectl get ph), or the address in ProxyPass"
    return failed("hub", f"no hub answers: status {answer.status}", fix)


def path(answer: Answer, asked: str) -> Finding:
    """The hub sends whoever is not signed in to the sign-in page, and says there where they wanted to go."""
    fix = "AllowEncodedSlashes NoDecode and ProxyPass … nocanon: kubectl pdshub proxy render apache"
    if not is_hub(answer):
        return failed("paths", f"%2F, %40 and %3F in a path: status {answer.status}, not from the hub", fix)
    came = "".join(parse_qs(urlsplit(answer.headers.get("location", "")).query).get("next", []))
    if not came:
        return skipped("paths", f"the hub does not say which path it saw (status {answer.status})")
    if came != asked:
        return failed("paths", f"{asked} came to the hub as {came}", fix)
    return ok("paths", "%2F, %40, %3F and %25 reach the hub untouched")


def websocket_path(answer: Answer) -> Finding:
    """A request for a websocket at such a path comes to the hub, which refuses it."""
    if is_hub(answer) or answer.status == 101:
        return ok("websocket-paths", "so they do in requests for websockets")
    fix = "ProxyPass … upgrade=websocket nocanon, and no RewriteRule to ws://"
    return failed("websocket-paths", f"a websocket to such a path: status {answer.status}, not from the hub", fix)


def address(lines: str, mark: str, forged: str, ours: str, told: str) -> Finding:
    """Whom the hub's log names for a request of ours that claimed to come from elsewhere.

    ``ours``: this machine's address on that connection; ``told``: the one that it has outside, where somebody said so.
    """
    seen = next(
        (
            found[1]
            for line in lines.splitlines()
            if mark in line and (found := re.search(r"@([0-9A-Fa-f.:]+)\)", line))
        ),
        "",
    )
    trust = "RequestHeader unset X-Forwarded-For and X-Real-Ip, then set: kubectl pdshub proxy render apache"
    if not seen:
        return failed("address", "the hub's log does not have the request", "this URL leads to another hub than --hub")
    if seen == forged:
        return failed("address", "the hub believes X-Forwarded-For or X-Real-Ip of clients", trust)
    if seen in (told, ours):
        return ok("address", f"the hub sees {seen}, and not what a client claims")
    if told:
        return failed("address", f"the hub sees {seen} instead of {told}", trust)
    if _private(seen):
        fix = f"{trust}; behind a load balancer: --behind"
        return failed("address", f"the hub sees {seen}, a private address that is not this machine's ({ours})", fix)
    return ok("address", f"the hub sees {seen}: compare it with the address that this machine has outside")


def _private(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_private
    except ValueError:
        return False
