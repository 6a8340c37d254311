"""The door's real program, a real CA (Pebble) and a real name server (knot) on loopback, each as a process."""

from __future__ import annotations

import base64
import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pdshub import ports
from pdshub.api.hub import PDSHubSpec
from pdshub.render import door_config
from tests.programs import built, system
from tests.unit.door.certificates import Authority

ROOT = Path(__file__).resolve().parents[3]
PORTS = range(21500, 22000)
TSIG_KEY = base64.b64encode(b"a key of the tests only, of 32 b").decode()
ZONE = "example.org"


def free_port() -> int:
    """A port of the range of these tests, free for TCP and UDP."""
    for port in random.sample(PORTS, len(PORTS)):
        try:
            with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
                return port
        except OSError:
            continue
    raise AssertionError("no port is free")


def until(true: Any, what: str, within: float = 240.0, pause: float = 0.1) -> Any:
    """Wait until something holds; what it returned then."""
    end = time.monotonic() + within
    while not (found := true()):
        assert time.monotonic() < end, f"it did not come to that: {what}"
        time.sleep(pause)
    return found


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def process(argv: list[Any], log: Path, environ: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program, ended at the end."""
    with log.open("ab") as out:
        made = subprocess.Popen(
            [str(word) for word in argv], env={**os.environ, **(environ or {})}, stdout=out, stderr=out
        )
    try:
        yield made
    finally:
        made.terminate()
        try:
            made.wait(60)
        except subprocess.TimeoutExpired:
            made.kill()
            made.wait()


# --- the name server


@dataclass
class NameServer:
    """knot, authoritative for ``example.org``, which takes updates that are signed with one key."""

    folder: Path
    hub: str = "127.0.0.1"
    """The address of hub.example.org and the names below it."""
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "zone").write_text(
            f"$ORIGIN {ZONE}.\n$TTL 1\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n"
            f"hub A {self.hub}\n*.hub A {self.hub}\nlost A 240.0.0.1\n"
        )
        (self.folder / "knot.conf").write_text(
            f"server:\n  listen: 127.0.0.1@{self.port}\n  rundir: {self.folder}\n"
            f"database:\n  storage: {self.folder}/db\n"
            f"key:\n- id: hub\n  algorithm: hmac-sha256\n  secret: {TSIG_KEY}\n"
            "acl:\n- id: update\n  key: hub\n  action: update\n  update-type: [TXT]\n"
            f"zone:\n- domain: {ZONE}\n  file: {self.folder}/zone\n  acl: update\n  zonefile-sync: -1\n"
            f"  journal-content: none\n"
            "log:\n- target: stderr\n  any: info\n"
        )

    def updates(self) -> int:
        """Updates that it took."""
        return (self.folder / "knot.log").read_text().count("DDNS, finished")

    @contextmanager
    def running(self) -> Iterator[NameServer]:
        knotd = system("knotd")
        if not knotd:
            pytest.skip("needs knotd (Debian: knot)")
        with process([knotd, "-c", self.folder / "knot.conf"], self.folder / "knot.log"):
            until(lambda: listens(self.port), "knot listens")
            yield self


# --- the CA


@dataclass
class Pebble:
    """Pebble with validation on, whose directory has a certificate of an authority that only a CA bundle names."""

    folder: Path
    name_server: int
    http_port: int
    validity: int = 7776000
    """Seconds for which certificates are valid."""
    listen: str = "127.0.0.1"
    names: tuple[str, ...] = ("ca.example.org", "localhost")
    """Of its directory."""
    port: int = field(default_factory=free_port)
    management: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority("Directory's authority")
        chain, key = self.authority.issue(self.names, address="127.0.0.1")
        (self.folder / "cert.pem").write_bytes(chain)
        (self.folder / "key.pem").write_bytes(key)
        self.bundle = self.folder / "ca.crt"
        self.bundle.write_bytes(self.authority.pem)
        config = {
            "listenAddress": f"{self.listen}:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.folder / "cert.pem"),
            "privateKey": str(self.folder / "key.pem"),
            "httpPort": self.http_port,
            "tlsPort": 1,
            "retryAfter": {"authz": 1, "order": 1},
            "profiles": {"default": {"description": "tests", "validityPeriod": self.validity}},
        }
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": config}))

    @property
    def directory(self) -> str:
        return f"https://127.0.0.1:{self.port}/dir"

    @contextmanager
    def running(self) -> Iterator[Pebble]:
        argv = [built("pebble"), "-config", self.folder / "pebble.json", "-dnsserver", f"127.0.0.1:{self.name_server}"]
        environ = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
        with process(argv, self.folder / "pebble.log", environ):
            until(lambda: listens(self.port), "Pebble listens")
            yield self

    def log(self) -> str:
        return (self.folder / "pebble.log").read_text()


# --- the door


@dataclass
class Door:
    """Caddy with the configuration that the operator renders; ports and folders are those of a test."""

    folder: Path
    spec: PDSHubSpec
    upstream: int
    ca: Path | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the automation of certificates that only tests have, as shorter intervals."""
    http: int = field(default_factory=free_port)
    https: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        for name in ("data", "tls"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.configure(self.spec)

    def configure(self, spec: PDSHubSpec) -> None:
        """Write the configuration, as the kubelet replaces a mounted file."""
        config = door_config.config(spec, f"127.0.0.1:{self.upstream}")
        config["apps"]["tls"]["automation"] |= self.more
        text = door_config.text(config)
        places = {
            str(ports.DOOR_HTTP): str(self.http),
            str(ports.DOOR_HTTPS): str(self.https),
            f'"{door_config.DATA}"': json.dumps(str(self.folder / "data")),
            f'"{door_config.CA_FILE}"': json.dumps(str(self.ca)),
            f'"{door_config.TLS}/': f'"{self.folder}/tls/',
        }
        for place, here in places.items():
            text = text.replace(place, here)
        new = self.folder / "caddy.json.new"
        new.write_text(text)
        new.rename(self.folder / "caddy.json")

    def certificate(self, chain: bytes, key: bytes) -> None:
        """Put a certificate where the Secret is mounted."""
        for name, data in (("tls.key", key), ("tls.crt", chain)):
            new = self.folder / "tls" / f".{name}"
            new.write_bytes(data)
            new.rename(self.folder / "tls" / name)

    @contextmanager
    def running(self) -> Iterator[Door]:
        argv = [built("caddy"), "run", "--watch", "--config", self.folder / "caddy.json"]
        environ = {
            door_config.TOKEN_ENV: "a token of the door",
            door_config.TSIG_ENV: TSIG_KEY,
            "XDG_CONFIG_HOME": str(self.folder / "data"),
            "XDG_DATA_HOME": str(self.folder / "data"),
        }
        with process(argv, self.folder / "caddy.log", environ) as made:
            until(lambda: made.poll() is not None or listens(self.https), "the door listens")
            assert made.poll() is None, self.log()[-3000:]
            # what is written before it watches is never read: it listens a moment earlier
            until(lambda: "watching config file" in self.log(), "the door watches its configuration")
            yield self

    def log(self) -> str:
        return (self.folder / "caddy.log").read_text()
