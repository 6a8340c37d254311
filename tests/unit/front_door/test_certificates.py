"""Certificates from an authority that looks whether names lead here: by certbot, and by Apache's mod_md."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from pdshub.front_door.site import Certificates, HubSite, Machine, OtherSite, Upstream
from tests.programs import system
from tests.unit.door import programs as door_programs
from tests.unit.door.programs import TSIG_KEY, NameServer
from tests.unit.front_door.asking import ask, open_websocket
from tests.unit.front_door.authority import Authority
from tests.unit.front_door.machine import LOOPBACK, Apache, folder, free_ports, needs_apache, running, until
from tests.unit.front_door.pebble import Pebble, needs_pebble, pebble
from tests.unit.front_door.upstream import standing_in

CERTBOT = system("certbot")
RFC2136 = Path("/usr/lib/python3/dist-packages/certbot_dns_rfc2136")
needs_certbot = pytest.mark.skipif(not CERTBOT, reason="needs Debian's package certbot")
pytestmark = [needs_apache, needs_pebble]
HUB, OTHER = "hub.example.org", "www.example.org"


class Issued(Authority):
    """What a browser trusts here: Pebble's root, which it makes anew at each start."""

    root: str = ""

    def pem(self) -> str:
        return self.root


@dataclass
class Door:
    """Apache, the authority, and how the machine's scripts are run."""

    apache: Apache
    pebble: Pebble
    environ: dict[str, str]

    @property
    def root(self) -> Path:
        return self.apache.root

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False, timeout=500)

    def certbot(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(CERTBOT), *words, *folders(self.root))

    def renew(self) -> subprocess.CompletedProcess[str]:
        """What the machine's timer does, for certificates that are not due yet."""
        return self.certbot("renew", "--force-renewal", "--no-random-sleep-on-renew", "--non-interactive")

    def reloads(self) -> int:
        told = self.root / "reloads"
        return len(told.read_text().splitlines()) if told.exists() else 0


def folders(root: Path) -> tuple[str, ...]:
    where = root / "etc/letsencrypt"
    return ("--config-dir", str(where), "--work-dir", str(root / "work"), "--logs-dir", str(root / "logs"))


def programs(root: Path, dns: int) -> Path:
    """What the rendered scripts call, as far as this machine has no such thing: systemd, and a name server."""
    made = root / "bin"
    made.mkdir()
    texts = {
        "systemctl": f"#!/bin/sh\necho $* >> {root}/reloads\nkill -USR1 $(cat {root}/run/apache2.pid)\n",
        "apache2ctl": "#!/bin/sh\nexit 0\n",
        "nsupdate": f"""#!/usr/bin/python3
import json, re, sys, urllib.request
found = re.search(r'update (add|delete) (\\S+) (?:60 )?TXT(?: "(.*)")?', sys.stdin.read())
what = "set-txt" if found[1] == "add" else "clear-txt"
said = {{"host": found[2], **({{"value": found[3]}} if found[3] else {{}})}}
urllib.request.urlopen("http://{LOOPBACK}:{dns}/" + what, json.dumps(said).encode())
""",
    }
    for name, text in texts.items():
        (made / name).write_text(text)
        (made / name).chmod(0o755)
    return made


@contextmanager
def a_door(certificates: Certificates, wildcard: bool = False, extra: str = "") -> Iterator[Door]:
    with ExitStack() as stack:
        root = stack.enter_context(folder())
        ports = free_ports(8)
        authority = stack.enter_context(pebble(root / "pebble", ports[3:], ports[0], ports[1]))
        stack.enter_context(standing_in(ports[2]))
        (root / "www").mkdir()
        (root / "www/index.html").write_text("another site")
        path = f"{programs(root, authority.dns)}:{os.environ['PATH']}"
        machine = Machine(
            hubs=(HubSite(HUB, Upstream(LOOPBACK, ports[2]), "hub/sbn", subdomains=wildcard, users=3),),
            others=(OtherSite(OTHER, root=f"{root}/www"),),
            certificates=certificates,
            email="root@example.org",
            directory=authority.directory,
            http_port=ports[0],
            https_port=ports[1],
            root=str(root),
            slow=300,
        )
        trust = Issued()
        trust.root = authority.trusted()
        if certificates is Certificates.MD:
            extra = f"MDCACertificateFile {authority.ca_file}\nMDRetryDelay 1s\n{extra}"
        environ = {**os.environ, "PATH": path, "REQUESTS_CA_BUNDLE": str(authority.ca_file)}
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("PATH", path)
            yield Door(stack.enter_context(running(machine, root, trust, extra)), authority, environ)


def serial_of(file: Path) -> int:
    return x509.load_pem_x509_certificate(file.read_bytes()).serial_number


def saved(door: Door, name: str) -> int:
    """The serial number of the certificate that certbot has for a site."""
    return serial_of(door.root / "etc/letsencrypt/live" / name / "cert.pem")


def shows(door: Door, name: str, serial: int) -> None:
    """Waits until a browser gets this certificate.

    For a moment after a reload both answer: processes of the former configuration, with the former certificate, until
    they have heard of it, and the new ones. So one answer says nothing of the next.
    """
    until(lambda: door.apache.served(name) == serial)


def keeps(door: Door, name: str, serial: int) -> None:
    """Nothing has changed: at once a browser gets what it believes, of what certbot had, and then this certificate."""
    assert saved(door, name) == serial
    archive = door.root / "etc/letsencrypt/archive" / name
    assert door.apache.served(name) in {serial_of(file) for file in archive.glob("cert*.pem")}
    shows(door, name, serial)


@pytest.fixture(scope="module")
def by_certbot() -> Iterator[Door]:
    """A door whose first certificates are there. Tests leave it as a door with certificates."""
    with a_door(Certificates.CERTBOT) as door:
        done = door.run(f"{door.root}/usr/local/sbin/pdshub-door-certificates", *folders(door.root))
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: door.apache.served(HUB) and door.apache.served(OTHER))
        yield door


@needs_certbot
def test_the_first_certificates_come_through_this_apache(by_certbot: Door) -> None:
    assert ask(by_certbot.apache, HUB, "/hub/x").status == 200
    assert ask(by_certbot.apache, OTHER).body == b"another site"
    again = by_certbot.run(f"{by_certbot.root}/usr/local/sbin/pdshub-door-certificates", *folders(by_certbot.root))
    assert again.returncode == 0 and "not yet due" in again.stdout + again.stderr


@needs_certbot
def test_a_renewal_of_both_is_one_reload_and_no_socket_drops(by_certbot: Door) -> None:
    door = by_certbot
    made, before, reloads = open_websocket(door.apache, HUB, "/user/ada/x"), saved(door, HUB), door.reloads()
    assert made.recv()
    done = door.renew()
    assert done.returncode == 0, done.stdout + done.stderr
    assert saved(door, HUB) != before
    shows(door, HUB, saved(door, HUB))
    assert door.reloads() == reloads + 1
    made.send("still here")
    assert made.recv() == "still here"
    made.close()


FAILURES = {
    "a name that leads elsewhere": "dns",
    "too many requests (429)": "limited",
    "an authority that is away": "away",
}


@needs_certbot
@pytest.mark.parametrize("mode", FAILURES.values(), ids=FAILURES)
def test_what_fails_changes_nothing_and_is_over_when_it_is_over(by_certbot: Door, mode: str) -> None:
    door = by_certbot
    before, reloads = saved(door, HUB), door.reloads()
    if mode == "dns":
        for name in (HUB, OTHER):
            door.pebble.tell_dns("add-a", host=name, addresses=["127.0.0.99"])
    else:
        door.pebble.before.mode = mode
    try:
        for _ in range(2):  # over two renewals
            assert door.renew().returncode != 0
            keeps(door, HUB, before)
            assert ask(door.apache, HUB, "/hub/x").status == 200
        assert door.reloads() == reloads
    finally:
        door.pebble.before.mode = "pass"
        for name in (HUB, OTHER):
            door.pebble.tell_dns("clear-a", host=name)
    assert door.renew().returncode == 0
    assert saved(door, HUB) != before
    shows(door, HUB, saved(door, HUB))


@needs_certbot
@pytest.mark.skipif(not RFC2136.exists(), reason="needs Debian's package python3-certbot-dns-rfc2136")
def test_a_wildcard_is_proven_by_a_record_in_the_dns() -> None:
    with ExitStack() as stack:
        root = stack.enter_context(folder())
        ports = free_ports(3)
        names = stack.enter_context(NameServer(root / "knot").running())
        authority = stack.enter_context(door_programs.Pebble(root / "pebble", names.port, ports[0]).running())
        stack.enter_context(standing_in(ports[2]))
        machine = Machine(
            hubs=(HubSite(HUB, Upstream(LOOPBACK, ports[2]), "hub/sbn", subdomains=True, users=3),),
            email="root@example.org",
            directory=authority.directory,
            http_port=ports[0],
            https_port=ports[1],
            root=str(root),
            slow=300,
        )
        path = f"{programs(root, 0)}:{os.environ['PATH']}"
        environ = {**os.environ, "PATH": path, "REQUESTS_CA_BUNDLE": str(authority.bundle)}
        apache = stack.enter_context(running(machine, root, Issued()))
        secrets = root / "etc/letsencrypt/rfc2136.ini"
        secrets.parent.mkdir(parents=True, exist_ok=True)
        words = {"server": LOOPBACK, "port": names.port, "name": "hub", "secret": TSIG_KEY, "algorithm": "HMAC-SHA256"}
        secrets.write_text("".join(f"dns_rfc2136_{key} = {value}\n" for key, value in words.items()))
        secrets.chmod(0o600)
        script = f"{root}/usr/local/sbin/pdshub-door-certificates"
        once = ("--dns-rfc2136-propagation-seconds", "1")
        done = subprocess.run([script, *folders(root), *once], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert names.updates() >= 2, "a record for the name, and one for all below it"
        chain = (root / "etc/letsencrypt/live" / HUB / "fullchain.pem").read_bytes()
        found = x509.load_pem_x509_certificate(chain)
        listed = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert set(listed.get_values_for_type(x509.DNSName)) == {HUB, f"*.{HUB}"}
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def shown(name: str) -> int:
            try:
                plain = socket.create_connection((LOOPBACK, ports[1]), 30)
                with plain, context.wrap_socket(plain, server_hostname=name) as made:
                    return x509.load_der_x509_certificate(made.getpeercert(binary_form=True) or b"").serial_number
            except OSError:
                return 0

        until(lambda: shown(f"ada.{HUB}") == found.serial_number, what=apache.log(f"{HUB}-error"))


@needs_certbot
def test_a_revoked_certificate_is_replaced(by_certbot: Door) -> None:
    door, before = by_certbot, saved(by_certbot, HUB)
    live = door.root / "etc/letsencrypt/live" / HUB
    words = ("--cert-path", f"{live}/cert.pem", "--key-path", f"{live}/privkey.pem", "--no-delete-after-revoke")
    done = door.certbot("revoke", "--non-interactive", "--server", door.pebble.directory, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert door.renew().returncode == 0
    assert saved(door, HUB) != before
    shows(door, HUB, saved(door, HUB))


@needs_certbot
def test_a_lost_account_is_made_anew(by_certbot: Door) -> None:
    door, before = by_certbot, saved(by_certbot, HUB)
    shutil.rmtree(door.root / "etc/letsencrypt/accounts")
    assert door.renew().returncode != 0
    keeps(door, HUB, before)
    # what docs/front-door-apache.md says: ask for the certificates again, which registers
    script = f"{door.root}/usr/local/sbin/pdshub-door-certificates"
    done = door.run(script, *folders(door.root), "--force-renewal")
    assert done.returncode == 0, done.stdout + done.stderr
    assert door.renew().returncode == 0
    assert saved(door, HUB) != before
    shows(door, HUB, saved(door, HUB))


def staged(door: Door) -> bool:
    """Whether the rendered script reloads: mod_md has something for it."""
    before = door.reloads()
    door.run(f"{door.root}/usr/local/sbin/pdshub-door-reload")
    return door.reloads() > before


def test_mod_md_gets_them_and_takes_them_up_at_a_reload() -> None:
    with a_door(Certificates.MD) as door:
        until(lambda: staged(door), 240, door.apache.log("error"))
        until(lambda: (door.apache.served(HUB) and door.apache.served(OTHER)) or (staged(door) and False), 240)
        assert ask(door.apache, HUB, "/hub/x").status == 200
        assert not staged(door)


def test_mod_md_proves_a_wildcard_by_the_dns() -> None:
    with a_door(Certificates.MD, wildcard=True) as door:
        until(lambda: (staged(door) and False) or door.apache.served(f"u-ada.{HUB}"), 240, door.apache.log("error"))
        assert ask(door.apache, f"u-ada.{HUB}", "/user/ada/").status == 200


@pytest.mark.long
@needs_certbot
def test_mod_md_replaces_what_was_revoked_and_outlives_an_authority_that_is_away() -> None:
    """The authority says by ARI that a revoked one is due; a door that cannot reach it serves what it has."""
    with a_door(Certificates.MD) as door:
        until(lambda: (staged(door) and False) or door.apache.served(HUB), 240, door.apache.log("error"))
        before, made = door.apache.served(HUB), open_websocket(door.apache, HUB, "/user/ada/x")
        assert made.recv()
        kept = door.root / "var/lib/pdshub-door/md/domains" / HUB
        words = ("--cert-path", f"{kept}/pubcert.pem", "--key-path", f"{kept}/privkey.pem", "--no-delete-after-revoke")
        done = door.certbot("revoke", "--non-interactive", "--server", door.pebble.directory, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        for mode in ("away", "away", "limited", "dns"):
            door.pebble.before.mode = mode
            if mode == "dns":
                door.pebble.tell_dns("add-a", host=HUB, addresses=["127.0.0.99"])
            asked = len(door.pebble.before.asked)
            door.apache.reload()
            until(lambda asked=asked: len(door.pebble.before.asked) > asked, 120)  # type: ignore[misc]
            assert door.apache.served(HUB) == before
        door.pebble.tell_dns("clear-a", host=HUB)
        shutil.rmtree(door.root / "var/lib/pdshub-door/md/accounts")  # lost, too
        door.pebble.before.mode = "pass"
        door.apache.reload()
        until(
            lambda: (staged(door) and False) or door.apache.served(HUB) not in (0, before),
            240,
            door.apache.log("error"),
        )
        made.send("still here")
        assert made.recv() == "still here"
        made.close()
