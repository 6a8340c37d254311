"""A hub's own door in the cluster: a Secret that is renewed under an open websocket, then certificates by ACME.

People come by the node's port and by name: names are resolved in this process alone. The CA is Pebble on this machine,
with validation on: it asks knot, on this machine too, where the hub is, and the door for the challenge's file.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, password, variant, wait_ready
from tests.e2e.hubclient import Kernel, Person
from tests.programs import built, system
from tests.unit.door import people
from tests.unit.door.certificates import Authority
from tests.unit.door.programs import NameServer, Pebble

SPACE, HUB, HOST = "e2e-door", "gate", "hub.example.org"
FORGED = "203.0.113.66"


class Gate:
    """The hub of this file, as people reach it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.authority = cluster, Authority("Secret's authority")
        addresses = cluster.get("node", cluster.facts["NODE_CONTAINER"])["status"]["addresses"]
        self.node = next(str(a["address"]) for a in addresses if a["type"] == "InternalIP")

    def port(self, name: str) -> int:
        """The node's port of the door's Service."""
        ports = self.cluster.get("service", f"{HUB}-door", SPACE)["spec"]["ports"]
        return next(int(each["nodePort"]) for each in ports if each["name"] == name)

    def renew(self) -> None:
        """Put another certificate into the Secret."""
        chain, key = self.authority.issue((HOST,))
        data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
        meta = {"name": "gate-tls", "namespace": SPACE}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kubernetes.io/tls", "data": data}
        self.cluster.apply(body)

    def serial(self) -> int:
        """The serial number of the certificate that people are shown; 0 while there is none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            plain = socket.create_connection((HOST, self.port("https")), 10)
            with plain, context.wrap_socket(plain, server_hostname=HOST) as made:
                return x509.load_der_x509_certificate(made.getpeercert(binary_form=True) or b"").serial_number
        except OSError:
            return 0

    def person(self, name: str) -> Person:
        address = f"https://{HOST}:{self.port('https')}"
        return Person(address, name, password(self.cluster, HUB, SPACE)).sign_in()

    def says(self, kind: str, **wanted: str) -> dict[str, Any]:
        found: dict[str, Any] = eventually(
            lambda: self.cluster.condition("pdshub", HUB, kind, SPACE),
            lambda c: all(c.get(key) == value for key, value in wanted.items()),
            within=240,
            what=f"{kind} is {wanted}",
        )
        return found

    def events(self) -> list[str]:
        return [e["reason"] for e in self.cluster.items("events", SPACE) if e["involvedObject"]["name"] == HUB]

    def log(self) -> str:
        return self.cluster.kubectl("logs", "-n", SPACE, "deploy/hub", "--tail=400")


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the authorities that this process believes: tests write it."""
    return tmp_path_factory.mktemp("ca") / "bundle.pem"


@pytest.fixture(scope="module")
def gate(cluster: Cluster, sample: dict[str, Any], trusted: Path) -> Iterator[Gate]:
    """A hub with ``tls.secret`` whose name leads to the node, in this process."""
    namespace(cluster, SPACE)
    made = Gate(cluster)
    trusted.write_bytes(made.authority.pem)
    made.renew()
    tls = {"secret": {"name": "gate-tls"}}
    hub = variant(sample, HUB, SPACE, archive=None, hostname=HOST, tls=tls, service={"type": "NodePort"})
    cluster.apply(hub)
    ask = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        return ask(made.node if host == HOST else host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        patch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
        patch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(trusted))
        try:
            wait_ready(cluster, HUB, SPACE)
            yield made
        finally:
            cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
            cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


@pytest.fixture(scope="module")
def kernel(gate: Gate) -> Kernel:
    """A kernel of a user's server, whose websocket goes through the door."""
    ada = gate.person("ada")
    ada.start()
    return ada.kernel()


# --- with a Secret


def test_the_certificate_is_known_and_the_address_is_the_public_one(gate: Gate) -> None:
    found = gate.says("CertificateReady", status="True", reason="Valid")
    assert HOST in found["message"] and "Secret's authority" in found["message"]
    status = gate.cluster.get("pdshub", HUB, SPACE)["status"]
    assert (status["address"], status["frontDoor"]) == (f"https://{HOST}", "Secret")
    assert gate.cluster.get("service", "proxy-public", SPACE)["spec"]["type"] == "ClusterIP"


def test_plain_http_is_sent_on(gate: Gate) -> None:
    with socket.create_connection((HOST, gate.port("http")), 10) as made:
        head, _ = people.request(made, "/hub/login?next=%2Flab", HOST)
    assert " 308 " in head.split("\r\n")[0] and f"Location: https://{HOST}/hub/login?next=%2Flab" in head


def test_cookies_are_secure_and_browsers_stay_with_https(gate: Gate) -> None:
    import requests

    answer = requests.get(f"https://{HOST}:{gate.port('https')}/hub/login", timeout=30)
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    assert answer.cookies and all(cookie.secure for cookie in answer.cookies)


def test_the_hub_sees_the_client_that_the_door_saw_and_nobody_forges_another(gate: Gate, kernel: Kernel) -> None:
    import requests

    mark = uuid.uuid4().hex
    headers = {"X-Forwarded-For": FORGED, "X-Real-Ip": FORGED, "Forwarded": f"for={FORGED}"}
    requests.get(f"https://{HOST}:{gate.port('https')}/hub/login?{mark}", headers=headers, timeout=30)
    inside, guessed = uuid.uuid4().hex, {**headers, "X-Pdshub-Door": "guessed"}
    code = (
        "import urllib.request as u\n"
        f"r = u.Request('http://proxy-public/hub/login?{inside}', headers={json.dumps(guessed)})\n"
        "print(u.urlopen(r, timeout=20).status)"
    )
    assert kernel.run(code).ok() == "200"
    for sought in (mark, inside):
        lines = eventually(
            lambda sought=sought: [line for line in gate.log().splitlines() if sought in line],  # type: ignore[misc]
            bool,
            within=60,
            what="the request is in the hub's log",
        )
        assert FORGED not in " ".join(lines)


def test_a_renewed_secret_ends_no_websocket(gate: Gate, kernel: Kernel) -> None:
    before, channel = gate.serial(), kernel.socket
    assert kernel.run("x = 41").ok() == ""
    gate.renew()
    # the kubelet replaces mounted files within a minute or so
    eventually(gate.serial, lambda found: found not in (0, before), within=240, what="the new certificate is shown")
    assert kernel.run("print(x + 1)").ok() == "42" and kernel.socket is channel
    eventually(gate.events, lambda found: "CertificateRenewed" in found, within=240, what="the renewal is an event")


def test_a_door_that_somebody_changes_is_put_back(gate: Gate) -> None:
    gate.cluster.kubectl("delete", "configmap", f"{HUB}-door", "-n", SPACE)
    eventually(
        lambda: gate.cluster.get("configmap", f"{HUB}-door", SPACE)["data"], bool, within=120, what="it is put back"
    )


# --- by ACME


@pytest.fixture
def ca(gate: Gate, trusted: Path, tmp_path: Path) -> Iterator[Pebble]:
    """Pebble on this machine, which the door reaches by a Service; the hub is told to use it."""
    if not system("knotd"):
        pytest.skip("needs knotd (Debian: knot)")
    built("pebble")
    cluster = gate.cluster
    here = cluster.node("ip", "-4", "route", "show", "default").split()[2]
    names = NameServer(tmp_path / "knot", gate.node)
    made = Pebble(
        tmp_path / "pebble",
        names.port,
        gate.port("http"),
        listen="0.0.0.0",  # noqa: S104 - pods of the cluster come from outside
        names=(f"ca.{SPACE}.svc", "localhost"),
    )
    port = {"name": "https", "port": made.port, "protocol": "TCP"}
    meta = {"name": "ca", "namespace": SPACE}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [port]}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": "ca"}},
            "addressType": "IPv4",
            "ports": [port],
            "endpoints": [{"addresses": [here]}],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"ca.crt": made.authority.pem.decode()}},
    )
    with ExitStack() as stack:
        stack.enter_context(names.running())
        stack.enter_context(made.running())
        context = ssl.create_default_context(cafile=str(made.bundle))
        with urllib.request.urlopen(
            f"https://localhost:{made.management}/roots/0", context=context, timeout=30
        ) as root:
            trusted.write_bytes(gate.authority.pem + root.read())
        yield made


def test_certificates_come_by_acme_when_the_mode_is_changed(gate: Gate, ca: Pebble) -> None:
    before = gate.serial()
    # the CA was told this port: the Service keeps its ports when the mode changes from one door to another
    http = gate.port("http")
    acme = {
        "email": "hub@example.org",
        "directory": f"https://ca.{SPACE}.svc:{ca.port}/dir",
        "caBundle": {"configMap": {"name": "ca", "key": "ca.crt"}},
        "challenge": {"http01": {}},
        "agreeToTerms": True,
    }
    change = {"spec": {"tls": {"secret": None, "acme": acme}}}
    gate.cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "-p", json.dumps(change))
    wait_ready(gate.cluster, HUB, SPACE)
    assert gate.port("http") == http
    eventually(gate.serial, lambda found: found not in (0, before), within=300, what="a certificate of the CA")
    eventually(
        lambda: gate.says("CertificateReady", status="True", reason="Valid")["message"],
        lambda said: "Pebble" in said,
        within=300,
        what="the condition speaks of the new door",
    )
    assert gate.person("ada").call("GET", "/hub/api/").status_code == 200
    claim = gate.cluster.get("persistentvolumeclaim", f"{HUB}-door", SPACE)
    assert claim["status"]["phase"] == "Bound"


def test_another_way_of_ending_tls_takes_the_door_away(gate: Gate) -> None:
    tls = {"secret": None, "acme": None, "offload": {"trusted": ["192.0.2.7/32"]}}
    gate.cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "-p", json.dumps({"spec": {"tls": tls}}))
    wait_ready(gate.cluster, HUB, SPACE)
    for kind in ("deployment", "service", "configmap", "secret"):
        assert not gate.cluster.kubectl("get", kind, f"{HUB}-door", "-n", SPACE, "--ignore-not-found")
    assert gate.cluster.get("persistentvolumeclaim", f"{HUB}-door", SPACE), "a CA counts new certificates"
    assert gate.cluster.get("service", "proxy-public", SPACE)["spec"]["type"] == "NodePort"
    gate.says("CertificateReady", status="Unknown", reason="NotReached")
