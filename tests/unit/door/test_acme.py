"""Certificates from a real ACME CA with validation on: Pebble, a real name server, and the real Caddy on loopback."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import shutil
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pdshub.api.hub import PDSHubSpec
from tests.unit.door import people
from tests.unit.door.people import HOST, Hub, Traffic, echoes, serial, websocket
from tests.unit.door.programs import ZONE, Door, NameServer, Pebble, free_port, listens, until
from tests.unit.door.specs import raw

QUICK = {"renew_interval": "1s", "storage_clean_interval": "1h"}
"""Caddy looks at its certificates every ten minutes else."""


class Bench:
    """A name server, a CA and a hub, and the doors that tests make."""

    def __init__(self, folder: Path, validity: int = 7776000) -> None:
        self.folder, self.hub = folder, Hub()
        self.http = free_port()
        self.names = NameServer(folder / "knot")
        self.ca = Pebble(folder / "pebble", self.names.port, self.http, validity)
        self._number = 0

    def spec(self, dns: bool = False, directory: str = "", **more: Any) -> PDSHubSpec:
        tsig = {"name": "tsig", "key": "key"}
        rfc2136 = {"server": f"127.0.0.1:{self.names.port}", "keyName": "hub", "secretRef": tsig}
        acme = {
            "email": "hub@example.org",
            "directory": directory or self.ca.directory,
            "caBundle": {"configMap": {"name": "ca", "key": "ca.crt"}},
            "challenge": {"dns01": {"rfc2136": rfc2136}} if dns else {"http01": {}},
            "agreeToTerms": True,
        }
        return PDSHubSpec.model_validate(raw({"acme": acme}, **more))

    def door(self, spec: PDSHubSpec, folder: Path | None = None) -> Door:
        self._number += 1
        where = folder or self.folder / f"door-{self._number}"
        return Door(where, spec, self.hub.port, self.ca.bundle, QUICK, http=self.http)

    @contextmanager
    def running(self) -> Iterator[Bench]:
        with ExitStack() as stack:
            stack.callback(self.hub.close)
            stack.enter_context(self.names.running())
            stack.enter_context(self.ca.running())
            yield self


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("acme")).running() as made:
        yield made


def shown(door: Door, name: str = HOST) -> x509.Certificate:
    """The certificate of a door, as soon as it has one."""
    found: x509.Certificate = until(
        lambda: people.certificate(door.https, name), f"a certificate\n{door.log()[-2000:]}"
    )
    return found


def names(found: x509.Certificate) -> list[str]:
    return found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


# --- issue


def test_by_http_and_before_it_has_one_it_shows_none(bench: Bench) -> None:
    with bench.door(bench.spec()).running() as door:
        assert names(shown(door)) == [HOST]
        with people.connected(door.https) as made:
            assert " 200 " in people.request(made)[0].split("\r\n")[0]


def test_by_dns_with_a_wildcard(bench: Bench) -> None:
    with bench.door(bench.spec(dns=True, isolation="Subdomain")).running() as door:
        assert names(shown(door)) == [HOST]
        assert names(shown(door, f"ada.{HOST}")) == [f"*.{HOST}"]
    # each name's record was written and taken away again, by updates that the name server took
    assert bench.names.updates() >= 4


@pytest.mark.parametrize(
    ("what", "dns", "hostname", "said"),
    [
        ("a name that leads elsewhere", False, f"lost.{ZONE}", "lost"),
        ("a name that nobody knows", False, f"nowhere.{ZONE}", "nowhere"),
        ("a zone that is not ours", True, "hub.example.net", "example.net"),
    ],
)
def test_wrong_names_get_none_and_the_log_says_why(
    bench: Bench, what: str, dns: bool, hostname: str, said: str
) -> None:
    with bench.door(bench.spec(dns=dns, hostname=hostname)).running() as door:
        until(lambda: '"level":"error"' in door.log() and said in door.log(), f"{what} is an error")
        assert people.certificate(door.https, hostname) is None
        assert "a token of the door" not in door.log()


# --- renew


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Bench]:
    """A CA whose certificates live for less than a minute."""
    with Bench(tmp_path, validity=45).running() as made:
        yield made


@pytest.mark.long
def test_a_renewal_under_requests_and_an_open_websocket_drops_nothing(short: Bench) -> None:
    with short.door(short.spec()).running() as door:
        shown(door)
        with websocket(door.https) as stream, Traffic(door.https).running() as traffic:
            for _ in range(2):
                before = serial(door.https)
                until(lambda before=before: serial(door.https) not in (0, before), "it is renewed", pause=0.5)  # type: ignore[misc]
                assert echoes(stream)
            until(lambda: traffic.done >= 20, "requests were made")
    assert traffic.failures == []


@pytest.mark.long
def test_a_ca_that_is_away_over_two_renewals_costs_nobody_anything(tmp_path: Path) -> None:
    made = Bench(tmp_path, validity=300)
    with ExitStack() as around:
        around.callback(made.hub.close)
        around.enter_context(made.names.running())
        with made.ca.running():
            door = around.enter_context(made.door(made.spec()).running())
            first = shown(door).serial_number
        with Traffic(door.https, pace=5).running() as traffic:
            failed = '"msg":"could not get certificate from issuer"'
            until(lambda: door.log().count(failed) >= 2, "two attempts failed", within=480, pause=1)
            assert serial(door.https) == first
            with made.ca.running():
                # its memory is gone too: it knows neither the account nor the certificate
                until(lambda: serial(door.https) not in (0, first), "it is renewed", within=480, pause=1)
        assert traffic.failures == []


def test_a_lost_account_is_made_anew(bench: Bench) -> None:
    folder = bench.folder / "lost"
    with bench.door(bench.spec(), folder).running() as door:
        first = shown(door).serial_number
    for kept in (folder / "data").glob("*"):
        if kept.is_dir():
            shutil.rmtree(kept)
    with bench.door(bench.spec(), folder).running() as door:
        assert shown(door).serial_number not in (0, first)


def test_a_restart_asks_the_ca_for_nothing(bench: Bench) -> None:
    folder = bench.folder / "kept"
    with bench.door(bench.spec(), folder).running() as door:
        first = shown(door).serial_number
    orders = bench.ca.log().count("new-order")
    with bench.door(bench.spec(), folder).running() as door:
        assert shown(door).serial_number == first
    assert bench.ca.log().count("new-order") == orders


# --- revoked


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _post(url: str, body: dict[str, Any], bundle: Path) -> int:
    asked = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/jose+json"})
    with urllib.request.urlopen(asked, context=ssl.create_default_context(cafile=str(bundle)), timeout=60) as answer:
        return int(answer.status)


def revoke(ca: Pebble, found: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> int:
    """Revoke a certificate with its own key (RFC 8555, section 7.6)."""
    context = ssl.create_default_context(cafile=str(ca.bundle))
    with urllib.request.urlopen(ca.directory, context=context, timeout=60) as answer:
        directory = json.load(answer)
    with urllib.request.urlopen(directory["newNonce"], context=context, timeout=60) as answer:
        nonce = answer.headers["Replay-Nonce"]
    public = key.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": _b64(public.x.to_bytes(32)), "y": _b64(public.y.to_bytes(32))}
    protected = _b64(json.dumps({"alg": "ES256", "jwk": jwk, "nonce": nonce, "url": directory["revokeCert"]}).encode())
    payload = _b64(json.dumps({"certificate": _b64(found.public_bytes(serialization.Encoding.DER))}).encode())
    numbers = decode_dss_signature(key.sign(f"{protected}.{payload}".encode(), ec.ECDSA(hashes.SHA256())))
    signature = _b64(b"".join(number.to_bytes(32) for number in numbers))
    body = {"protected": protected, "payload": payload, "signature": signature}
    return _post(directory["revokeCert"], body, ca.bundle)


def renew_now(ca: Pebble, found: x509.Certificate) -> None:
    """Have the CA say when to renew a revoked certificate as Let's Encrypt does: an hour ago, for half an hour.

    Pebble itself says one second, which Caddy takes for no window (RFC 9773, section 4.2).
    """
    ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    ends = [each.strftime("%Y-%m-%dT%H:%M:%SZ") for each in (ago, ago + datetime.timedelta(minutes=30))]
    window = json.dumps({"suggestedWindow": dict(zip(("start", "end"), ends, strict=True))})
    certificate = found.public_bytes(serialization.Encoding.PEM).decode()
    url = f"https://127.0.0.1:{ca.management}/set-renewal-info/"
    assert _post(url, {"certificate": certificate, "ariResponse": window}, ca.bundle) == 200


@pytest.mark.long
def test_a_revoked_certificate_is_replaced(bench: Bench) -> None:
    folder = bench.folder / "revoked"
    with bench.door(bench.spec(), folder).running() as door:
        found = shown(door)
        (kept,) = (folder / "data").rglob(f"{HOST}.key")
        key = serialization.load_pem_private_key(kept.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert revoke(bench.ca, found, key) == 200
        renew_now(bench.ca, found)
    # the door asks the CA every six hours when to renew (RFC 9773): these are over
    (told,) = (folder / "data").rglob(f"{HOST}.json")
    kept_words = json.loads(told.read_text())
    kept_words["issuer_data"]["renewal_info"]["_retryAfter"] = "2020-01-01T00:00:00Z"
    told.write_text(json.dumps(kept_words))
    with bench.door(bench.spec(), folder).running() as door:
        until(lambda: serial(door.https) not in (0, found.serial_number), "it is replaced", within=480)


# --- a CA that has had enough


class TooMany:
    """A stand-in before the CA that answers 429 to new orders for as long as it is told to."""

    def __init__(self, ca: Pebble) -> None:
        self.ca, self.port, self.refuses, self.refused = ca, free_port(), True, 0
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.load_cert_chain(ca.folder / "cert.pem", ca.folder / "key.pem")
        self._client = ssl.create_default_context(cafile=str(ca.bundle))

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    @contextmanager
    def running(self) -> Iterator[TooMany]:
        with socket.create_server(("127.0.0.1", self.port)) as listening:
            threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
            yield self

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            with self._server.wrap_socket(plain, server_side=True) as client:
                head, body = b"", b""
                while b"\r\n\r\n" not in head:
                    chunk = client.recv(65536)
                    if not chunk:
                        return
                    head += chunk
                head, _, body = head.partition(b"\r\n\r\n")
                wanted = [int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")]
                while len(body) < sum(wanted):
                    body += client.recv(65536)
                client.sendall(self._answer(head, body))
        except OSError:
            return

    def _answer(self, head: bytes, body: bytes) -> bytes:
        path = head.split(b" ")[1].decode()
        if self.refuses and "order-plz" in path:
            self.refused += 1
            said = json.dumps(
                {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many new orders"}
            ).encode()
            return (
                b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Type: application/problem+json\r\n"
                b"Replay-Nonce: " + hashlib.sha256(str(self.refused).encode()).hexdigest()[:22].encode() + b"\r\n"
                b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)
            )
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        asked = b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body
        plain, answer = socket.create_connection(("127.0.0.1", self.ca.port), 60), b""
        with plain, self._client.wrap_socket(plain, server_hostname="localhost") as server:
            server.sendall(asked)
            with suppress(ssl.SSLError):  # Pebble ends connections without a word
                while chunk := server.recv(65536):
                    answer += chunk
        return answer


@pytest.mark.long
def test_a_ca_that_refuses_for_a_while_is_asked_again_and_not_pressed(bench: Bench) -> None:
    before = TooMany(bench.ca)
    with before.running(), bench.door(bench.spec(directory=before.directory)).running() as door:
        until(lambda: "too many new orders" in door.log(), "it is refused")
        assert listens(door.https) and people.certificate(door.https) is None
        assert before.refused <= 3
        before.refuses = False
        until(lambda: people.certificate(door.https), "it is given in the end", within=480, pause=1)
