"""A hub behind controllers that really run: Contour, for an Ingress and for a Gateway, on the node's own network."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509

from tests.e2e import contour
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, password, variant, wait_ready
from tests.e2e.contour import GATEWAY, INGRESS, Way
from tests.e2e.google_hub import machine_address
from tests.e2e.hubclient import Kernel, Person
from tests.unit.door.certificates import Authority

pytestmark = [pytest.mark.long, pytest.mark.alone]
SPACE, HUB, HOST = "e2e-ingress", "behind", "hub.ingress.example.org"
FORGED = "203.0.113.66"


@dataclass
class Hub:
    """The hub, the authority of its certificates, and the way that people take now."""

    cluster: Cluster
    authority: Authority
    node: str
    way: Way = INGRESS

    def secret(self) -> dict[str, Any]:
        """Another certificate."""
        chain, key = self.authority.issue((HOST,))
        data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
        return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": data}

    def renew(self) -> int:
        """Put another certificate where the way has its own; its serial number."""
        made = self.secret()
        where = (SPACE, "hub-tls") if self.way is INGRESS else (contour.SPACE, "gate-tls")
        self.cluster.apply({**made, "metadata": {"name": where[1], "namespace": where[0]}})
        chain = base64.b64decode(made["data"]["tls.crt"])
        return x509.load_pem_x509_certificate(chain).serial_number

    def tls(self, way: Way) -> dict[str, Any]:
        """spec.tls. Pods see what comes from the node at its address, or at that of their bridge."""
        ranges = {str(each["spec"]["podCIDR"]) for each in self.cluster.items("nodes")}
        trusted = [f"{self.node}/32", *(f"{text.rpartition('.')[0]}.1/32" for text in sorted(ranges))]
        if way is INGRESS:
            notes = {"projectcontour.io/websocket-routes": "/", "ingress.kubernetes.io/force-ssl-redirect": "true"}
            said = {"className": contour.CLASS, "secretName": "hub-tls", "annotations": notes, "trusted": trusted}
            return {"ingress": said, "gateway": None}
        parent = {"name": "gate", "namespace": contour.SPACE}
        refs = {"parentRefs": [{**parent, "sectionName": "https"}], "redirectFrom": [{**parent, "sectionName": "http"}]}
        return {"ingress": None, "gateway": {**refs, "trusted": trusted}}

    def serial(self) -> int:
        """Of the certificate that people are shown; 0 while nobody shows one of ours."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            plain = socket.create_connection((HOST, self.way.https), 10)
            with plain, context.wrap_socket(plain, server_hostname=HOST) as made:
                found = x509.load_der_x509_certificate(made.getpeercert(binary_form=True) or b"")
                return found.serial_number if "Ingress's" in found.issuer.rfc4514_string() else 0
        except OSError:
            return 0

    def answers(self) -> bool:
        """Whether the sign-in page comes this way."""
        try:
            return requests.get(f"https://{HOST}:{self.way.https}/hub/login", timeout=10).status_code == 200
        except requests.RequestException:
            return False

    def person(self) -> Person:
        return Person(f"https://{HOST}:{self.way.https}", "ada", password(self.cluster, HUB, SPACE)).sign_in()


@pytest.fixture(scope="module")
def hub(cluster: Cluster, sample: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub whose name leads to the node, in this process."""
    addresses = cluster.get("node", cluster.facts["NODE_CONTAINER"])["status"]["addresses"]
    node = next(str(a["address"]) for a in addresses if a["type"] == "InternalIP")
    made = Hub(cluster, Authority("Ingress's authority"), node)
    bundle: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    bundle.write_bytes(made.authority.pem)
    ask = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        return ask(node if host == HOST else host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, contour.running(cluster, HOST, made.secret()):
        patch.setattr(socket, "getaddrinfo", resolve)
        patch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        patch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(bundle))
        namespace(cluster, SPACE)
        made.renew()
        tls = {key: value for key, value in made.tls(INGRESS).items() if value}
        cluster.apply(variant(sample, HUB, SPACE, archive=None, hostname=HOST, tls=tls, service={"type": "ClusterIP"}))
        try:
            wait_ready(cluster, HUB, SPACE)
            yield made
        finally:
            cluster.dismiss(SPACE, HUB)


@pytest.fixture(scope="module", params=[INGRESS, GATEWAY], ids=lambda way: str(way.name))
def front(hub: Hub, request: pytest.FixtureRequest) -> Hub:
    """The hub behind one of both."""
    if request.param is not hub.way:
        hub.way = request.param
        change = json.dumps({"spec": {"tls": hub.tls(hub.way)}})
        hub.cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "-p", change)
        wait_ready(hub.cluster, HUB, SPACE)
    eventually(hub.answers, bool, within=180, what=f"the {hub.way.name} answers")
    return hub


@pytest.fixture(scope="module")
def kernel(front: Hub) -> Iterator[Kernel]:
    ada = front.person()
    ada.start()
    with ada.kernel() as made:
        yield made


def test_a_kernel_answers_through_it(kernel: Kernel) -> None:
    assert kernel.run("print(6 * 7)").ok() == "42"


def test_the_hub_says_who_ends_tls(front: Hub) -> None:
    status = front.cluster.get("pdshub", HUB, SPACE)["status"]
    assert (status["frontDoor"], status["address"]) == (front.way.name.capitalize(), f"https://{HOST}")
    there = {kind: len(front.cluster.items(kind, SPACE)) for kind in ("ingresses", "httproutes")}
    wanted = {INGRESS: {"ingresses": 1, "httproutes": 0}, GATEWAY: {"ingresses": 0, "httproutes": 2}}
    assert there == wanted[front.way]


def test_browsers_stay_with_https_and_cookies_are_secure(front: Hub) -> None:
    address = f"http://{HOST}:{front.way.http}/hub/login?a=%2F"
    plain = requests.get(address, headers={"Host": HOST}, allow_redirects=False, timeout=30)
    assert plain.status_code in (301, 308) and plain.headers["Location"] == f"https://{HOST}/hub/login?a=%2F"
    answer = requests.get(f"https://{HOST}:{front.way.https}/hub/login", timeout=30)
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    assert answer.cookies and all(cookie.secure for cookie in answer.cookies)


def test_the_hub_sees_the_client_and_no_forged_one(front: Hub) -> None:
    mark = uuid.uuid4().hex
    headers = {"X-Forwarded-For": FORGED, "X-Real-Ip": FORGED, "Forwarded": f"for={FORGED}"}
    requests.get(f"https://{HOST}:{front.way.https}/hub/{mark}", headers=headers, timeout=30)
    lines = eventually(
        lambda: [one for one in front.cluster.kubectl("logs", "-n", SPACE, "deploy/hub").splitlines() if mark in one],
        bool,
        within=60,
        what="the hub's log",
    )
    assert all(f"@{machine_address(front.cluster)})" in line for line in lines), lines


def test_a_renewed_secret_ends_no_websocket(front: Hub, kernel: Kernel) -> None:
    channel, wanted = kernel.socket, front.renew()
    eventually(front.serial, lambda found: found == wanted, within=120, what="the new certificate")
    assert kernel.run("print(1 + 1)").ok() == "2" and kernel.socket is channel
