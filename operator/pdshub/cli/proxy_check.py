"""``kubectl pdshub proxy check URL``: a live front door as browsers meet it. Each finding names what mends it."""

from __future__ import annotations

import argparse
import secrets
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from pdshub.cli import hub_choice, proxy_finding, proxy_server, terminal
from pdshub.cli.archive import Said
from pdshub.cli.hub_choice import UseError
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.proxy_client import Door, DoorError, WebSocket
from pdshub.cli.proxy_finding import Finding, State, failed, ok, skipped

FORGED = "198.51.100.77"
"""An address for documents (RFC 5737), which nobody has."""
LONGEST_TOKEN = 4096
LOG_LAG = 10.0
"""Seconds until a request stands in the log: hubs answer before they write, and kubelets read later."""


def size(text: str) -> int:
    """Bytes from a number with K, M or G (powers of 1024). Raises argparse.ArgumentTypeError."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].upper() in ("K", "M", "G") else (text, "")
    if not (number.isascii() and number.isdecimal() and len(number) < 16):
        raise argparse.ArgumentTypeError(f"{text!r}: write a size like 2G, 100M or 0")
    return int(number) << {"": 0, "K": 10, "M": 20, "G": 30}[unit]


def arguments(sub: argparse.ArgumentParser) -> None:
    """The command line of ``check``."""
    sub.add_argument("url", metavar="URL", help="https://HOST[:PORT]")
    sub.add_argument("--token-file", default="", metavar="FILE", help="a token of the hub for servers; - is stdin")
    sub.add_argument("--user", default="", help="whose server is used (default: the token's owner's)")
    sub.add_argument("--upload", type=size, default=2 << 30, metavar="SIZE", help="default 2G; 0: none")
    sub.add_argument("--idle", type=float, default=90.0, metavar="SECONDS", help="of a silent websocket (default 90)")
    sub.add_argument("--start", type=float, default=300.0, metavar="SECONDS", help="for a server to start (300)")
    sub.add_argument("--subdomains", action="store_true", help="each user has a name below HOST: try the wildcard")
    sub.add_argument("--connect", default="", metavar="ADDRESS", help="connect there, whatever the DNS says of HOST")
    sub.add_argument("--http-port", type=int, default=80, metavar="PORT", help="of the redirect (default 80)")
    sub.add_argument("--ca-file", default="", metavar="FILE", help="authorities to trust (default: this machine's)")
    sub.add_argument("--client-address", default="", metavar="ADDRESS", help="what this machine's address is outside")
    hub_choice.arguments(sub)


@dataclass(frozen=True)
class _Look:
    """What is looked at, and with what."""

    kubectl: Kubectl
    args: argparse.Namespace
    door: Door
    token: str


def check(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Tries a live door. Raises UseError where the URL or a file can not be used."""
    found = []
    for finding in _findings(_Look(kubectl, args, _door(args), _token(args.token_file))):
        found.append(finding)
        _tell(f"{finding.check}: {finding.state}")
    answer = {
        "url": args.url,
        "findings": [
            {"check": one.check, "state": str(one.state), "found": one.found, "fix": one.fix} for one in found
        ],
    }
    lines = []
    for one in terminal.safe([[one.check, str(one.state), one.found, one.fix] for one in found]):
        lines.append(f"{one[0]:<16} {one[1]:<8} {one[2]}")
        lines += [f"{'':<16} fix      {one[3]}"] if one[3] else []
    return answer, "\n".join(lines), int(any(one.state is State.FAILED for one in found))


def _tell(text: str) -> None:
    terminal.write(sys.stderr, text)


def _door(args: argparse.Namespace) -> Door:
    try:
        parts = urlsplit(args.url)
        port = parts.port or 443
    except ValueError as error:
        raise UseError(f"{args.url}: {error}") from None
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
        raise UseError(f"{args.url}: write https://HOST or https://HOST:PORT")
    try:
        context = ssl.create_default_context(cafile=args.ca_file or None)
    except OSError as error:
        raise UseError(f"{args.ca_file}: {error.strerror or error}") from None
    return Door(parts.hostname, port, args.connect, context)


def _token(file: str) -> str:
    """A token, from a file or standard input; never from an argument, which every process can read."""
    if not file:
        return ""
    try:
        if file == "-":
            text = sys.stdin.read(LONGEST_TOKEN)
        else:
            with Path(file).open() as opened:
                text = opened.read(LONGEST_TOKEN)
    except (OSError, UnicodeDecodeError) as error:
        raise UseError(f"{file}: {getattr(error, 'strerror', None) or 'no text'}") from None
    token = text.strip()
    if not (token.isascii() and token.isprintable() and token and " " not in token):
        raise UseError(f"{'standard input' if file == '-' else file} holds no token")
    return token


def _findings(look: _Look) -> Iterator[Finding]:
    """All checks, from the wire up; what builds on something that is not there is left out with a word."""
    yield _redirect(look)
    try:
        with look.door.connect() as connection:
            assert isinstance(connection, ssl.SSLSocket)  # noqa: S101 - a door with a context
            certificate = connection.getpeercert() or {}
        yield proxy_finding.chain(None)
        yield proxy_finding.certificate(certificate)
        trusted = True
    except ssl.SSLError as error:
        yield proxy_finding.chain(error)
        trusted = False
    except DoorError as error:
        yield failed("connection", str(error), "the name in the DNS, the firewall, Listen 443 in Apache")
        return
    if look.args.subdomains:
        yield _wildcard(look)
    door = look.door if trusted else replace(look.door, context=_trusting())
    yield _http2(door)
    try:
        yield from _pages(look, door)
    except (DoorError, ssl.SSLError) as error:
        yield failed("hub", str(error), "the hub (kubectl get ph), and the log of Apache's errors")
        return
    if not look.token:
        yield skipped("server", "kernel, files, upload, idle socket: need --token-file")
    elif not trusted:
        yield skipped("server", "no token is sent to whom the certificate does not prove")
    else:
        yield from _server(look)


def _trusting() -> ssl.SSLContext:
    """For what is looked at without a secret, so that one wrong certificate does not hide all else."""
    made = ssl.create_default_context()
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def _redirect(look: _Look) -> Finding:
    path = f"/hub/login?next=%2Fhub%2F{proxy_finding.ODD}"
    door = replace(look.door, port=look.args.http_port, context=None)
    try:
        return proxy_finding.redirect(door.ask(path, headers={"Host": door.name}), look.door.host, path)
    except DoorError as error:
        return failed("redirect", str(error), "port 80 open as well: people write names without https://")


def _wildcard(look: _Look) -> Finding:
    name = f"pdshub-check.{look.door.name}"
    try:
        replace(look.door, name=name).connect().close()
    except ssl.SSLError as error:
        said = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
        return failed("wildcard", f"{name}: {said}", f"a certificate for {look.door.name} and *.{look.door.name}")
    except DoorError as error:
        return failed("wildcard", str(error), f"*.{look.door.name} in the DNS, at the same address")
    return ok("wildcard", f"names below {look.door.name} lead here, and the certificate has them")


def _http2(door: Door) -> Finding:
    context = _trusting()
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with replace(door, context=context).connect() as connection:
            assert isinstance(connection, ssl.SSLSocket)  # noqa: S101 - a door with a context
            return proxy_finding.http2(connection.selected_alpn_protocol())
    except (DoorError, ssl.SSLError) as error:
        return failed("http2", str(error), "Apache's log of errors")


def _pages(look: _Look, door: Door) -> Iterator[Finding]:
    answer = door.ask("/hub/login")
    yield proxy_finding.hsts(answer)
    found = proxy_finding.hub(answer)
    yield found
    if found.state is State.FAILED:
        return
    asked = f"/hub/user/{proxy_finding.ODD}/lab"
    yield proxy_finding.path(door.ask(asked), asked)
    opened, head = WebSocket.open(door, f"/user/pdshub-check/{proxy_finding.ODD}/channels")
    if opened:
        opened.close()
    yield proxy_finding.websocket_path(head)
    yield _address(look, door)


def _address(look: _Look, door: Door) -> Finding:
    if not look.args.hub:
        return skipped("address", "which address the hub sees, its log tells: needs --hub NAMESPACE/NAME")
    mark = f"pdshub-check-{secrets.token_hex(8)}"
    forged = {"X-Forwarded-For": FORGED, "X-Real-IP": FORGED, "Forwarded": f"for={FORGED}"}
    answer = door.ask(f"/hub/{mark}", headers=forged)
    namespace, _ = look.args.hub
    end = time.monotonic() + LOG_LAG
    lines = ""
    try:
        while mark not in lines and time.monotonic() < end:
            lines = look.kubectl.run("logs", "deployment/hub", "-n", namespace, "--since=120s", "--tail=10000")
            time.sleep(0 if mark in lines else 0.5)
    except KubectlError as error:
        return skipped("address", f"the hub's log can not be read: {error}")
    return proxy_finding.address(lines, mark, FORGED, answer.local, look.args.client_address)


def _server(look: _Look) -> Iterator[Finding]:
    args, door, token = look.args, look.door, look.token
    try:
        server, started = proxy_server.start(door, token, args.user, args.start, _tell)
    except (DoorError, ssl.SSLError) as error:
        yield failed("server", str(error), "the token, and the hub's page of that server: neither is the door's")
        return
    yield ok("server", f"answers at {server.prefix}{', started for this' if started else ''}")
    try:
        yield from _kernel(server, args.idle)
        yield _files(server)
        yield _upload(server, args.upload)
    finally:
        if started:
            try:
                proxy_server.stop(door, token, args.user)
            except (DoorError, ssl.SSLError) as error:
                _tell(f"the server was not stopped: {error}")


def _kernel(server: proxy_server.Server, idle: float) -> Iterator[Finding]:
    try:
        kernel = server.kernel()
    except (DoorError, ssl.SSLError) as error:
        fix = "ProxyPass … upgrade=websocket; a load balancer before it has to pass Upgrade on"
        yield failed("websocket", str(error), fix)
        return
    try:
        yield ok("websocket", f"a kernel answers through it in {kernel.echo():.1f} s")
        if idle > 0:
            _tell(f"idle for {idle:.0f} s")
            kernel.silent(idle)
            kernel.echo()
            yield ok("idle", f"a websocket lives through {idle:.0f} s in which nobody says anything")
    except DoorError as error:
        fix = "timeout=3600 in ProxyPass, and the idle time of each load balancer on the way"
        yield failed("idle" if idle else "websocket", str(error), fix)
    finally:
        try:
            kernel.close()
        except (DoorError, ssl.SSLError) as error:
            _tell(f"the kernel was not ended: {error}")


def _files(server: proxy_server.Server) -> Finding:
    fix = "AllowEncodedSlashes NoDecode and ProxyPass … nocanon"
    try:
        wrong = server.files()
    except (DoorError, ssl.SSLError) as error:
        return failed("files", str(error), fix)
    if wrong:
        return failed("files", f"files of these names did not come back: {', '.join(wrong)}", fix)
    return ok("files", "names with spaces, %, ?, %2F, + and Unicode")


def _upload(server: proxy_server.Server, size: int) -> Finding:
    if not size:
        return skipped("upload", "--upload 0")
    fix = "LimitRequestBody, RequestReadTimeout body=…,MinRate=500, timeout= in ProxyPass; the room in the home"
    try:
        up, down = server.upload(size, _tell)
    except (DoorError, ssl.SSLError) as error:
        return failed("upload", str(error), fix)
    mib = size / (1 << 20)
    return ok("upload", f"{mib:.0f} MiB up in {up:.1f} s, down in {down:.1f} s")
