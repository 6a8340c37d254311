"""A hub's front door from end to end on an API server in memory: made, kept, changed for another, and told of."""

from __future__ import annotations

import base64
import datetime
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pdshub import rfc3339
from pdshub.api.status import CertificateStatus
from pdshub.installation import Installation
from pdshub.kube import CONFIG_MAP, DEPLOYMENT, NAMESPACE, SECRET, SERVICE, KubeError, Object, Resource
from pdshub.reconcile.hub.certificate import CertificateSeen, condition, renewed
from pdshub.reconcile.hub.front_door import HTTP_ROUTE
from pdshub.reconcile.hub.judge_tls import tls_refusal
from tests.unit.door.specs import DEFAULTS, HOST, NAMES, TLS, spec
from tests.unit.reconcile.fakes import FakeKube
from tests.unit.reconcile.hubs import SPEC, Bench

DOOR_KINDS = (("deployments", "demo-door"), ("services", "demo-door"), ("configmaps", "demo-door"))


def of(way: str, **more: Any) -> dict[str, Any]:
    return {**SPEC, "hostname": HOST, **({"tls": TLS[way]} if way else {}), **more}


def bench(way: str, kube: FakeKube | None = None, **more: Any) -> Bench:
    made = Bench(of(way, **more), kube=kube)
    images = {"hub": "r.example.org/hub:1", "door": "r.example.org/door:1", "proxy": "r.example.org/proxy:1"}
    settings = made.context.installation.model_dump(by_alias=True)
    settings["defaults"]["images"].update(images)
    made.context.installation = Installation.model_validate(settings)
    return made


def up(made: Bench, *, serves: bool = True) -> None:
    """The kubelet's part: the door's pod runs."""
    found = made.kube.objects[("deployments", "ns", "demo-door")]
    count = int(serves)
    status = {"observedGeneration": 0, "replicas": 1, "updatedReplicas": 1, "availableReplicas": count}
    made.kube.put(DEPLOYMENT, {**found, "status": status})


def there(made: Bench) -> set[str]:
    found = {plural for plural, name in DOOR_KINDS if (plural, "ns", name) in made.kube.objects}
    found |= {plural for plural, _, name in made.kube.objects if plural in ("ingresses", "httproutes")}
    return found


@pytest.mark.parametrize(
    ("way", "made"),
    [
        ("", set()),
        ("offload", set()),
        ("none", set()),
        ("acme", {"deployments", "services", "configmaps"}),
        ("secret", {"deployments", "services", "configmaps"}),
        ("ingress", {"ingresses"}),
        ("alb", {"ingresses"}),
        ("gateway", {"httproutes"}),
    ],
)
def test_each_way_has_its_objects_and_no_others(way: str, made: set[str]) -> None:
    hub = bench(way)
    hub.run()
    assert there(hub) == made
    assert (("secrets", "ns", "demo-door") in hub.kube.objects) == bool(DOOR_KINDS and "deployments" in made)
    assert (("persistentvolumeclaims", "ns", "demo-door") in hub.kube.objects) == (way == "acme")
    before = len(hub.kube.writes)
    if "deployments" in made:
        up(hub)
    hub.run()
    again = [write for write in hub.kube.writes[before:] if "pdshubs" not in write and "events" not in write]
    assert again == [], "what is there and right is not written again"


def test_the_door_is_opened_when_the_proxy_has_given_up_its_port() -> None:
    hub = bench("secret", service={"type": "NodePort", "nodePort": 30443})
    taken: list[int] = []
    install = hub.helm.install_or_upgrade

    async def watched(*args: Any, **kwargs: Any) -> Any:
        taken.append(len(there(hub)))
        assert ("secrets", "ns", "demo-door") in hub.kube.objects, "the proxy's pod needs it to start"
        return await install(*args, **kwargs)

    hub.helm.install_or_upgrade = watched  # type: ignore[method-assign]
    hub.run()
    assert taken == [0]
    assert hub.kube.objects[("services", "ns", "demo-door")]["spec"]["ports"][0]["nodePort"] == 30443


@pytest.mark.parametrize(
    ("change", "resource", "name"),
    [
        ({"spec": {"type": "NodePort"}}, SERVICE, "demo-door"),
        ({"data": {"caddy.json": "{}"}}, CONFIG_MAP, "demo-door"),
        ({"spec": {"replicas": 0}}, DEPLOYMENT, "demo-door"),
        (None, SERVICE, "demo-door"),
        (None, DEPLOYMENT, "demo-door"),
    ],
)
def test_what_somebody_changes_or_takes_away_is_put_back(change: Any, resource: Resource, name: str) -> None:
    hub = bench("acme")
    hub.run()
    key = (resource.plural, "ns", name)
    wanted = {part: hub.kube.objects[key].get(part) for part in ("spec", "data")}
    if change is None:
        del hub.kube.objects[key]
    else:
        from tests.unit.reconcile.fakes import merged

        hub.kube.put(resource, merged(hub.kube.objects[key], change))
    hub.run()
    assert {part: hub.kube.objects[key].get(part) for part in ("spec", "data")} == wanted


def test_a_container_that_somebody_adds_to_the_door_is_taken_out() -> None:
    hub = bench("acme")
    hub.run()
    found = hub.kube.objects[("deployments", "ns", "demo-door")]
    found["spec"]["template"]["spec"]["containers"].append({"name": "x", "image": "evil"})
    hub.run()
    assert "apply deployments/demo-door" in hub.kube.writes[-12:]


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ("acme", "offload", set()),
        ("acme", "", set()),
        ("acme", "ingress", {"ingresses"}),
        ("ingress", "gateway", {"httproutes"}),
        ("gateway, redirect", "acme", {"deployments", "services", "configmaps"}),
        ("alb", "none", set()),
    ],
)
def test_another_way_takes_the_earlier_ones_objects_away(before: str, after: str, left: set[str]) -> None:
    hub = bench(before)
    hub.run()
    hub.apply(of(after))
    hub.run()
    assert there(hub) == left
    if before == "acme":
        assert ("persistentvolumeclaims", "ns", "demo-door") in hub.kube.objects, "a CA counts new certificates"
    if before == "acme" and after != "secret":
        assert ("secrets", "ns", "demo-door") not in hub.kube.objects
        assert ("networkpolicies", "ns", "demo-network-door") not in hub.kube.objects
    assert hub.kube.objects[("pdshubs", "ns", "demo")]["status"].get("frontDoor", "") in (
        after.split(",")[0].capitalize(),
        "",
    )


@pytest.mark.parametrize(
    ("way", "kind", "policy"),
    [
        ("offload", "NodePort", "Local"),
        ("offload", "LoadBalancer", "Local"),
        ("offload", "ClusterIP", None),
        ("ingress", "NodePort", "Cluster"),
        ("secret", "NodePort", None),
        ("", "NodePort", None),
    ],
)
def test_nodes_keep_the_addresses_of_clients_where_they_are_believed(way: str, kind: str, policy: str | None) -> None:
    hub = bench(way, service={"type": kind})
    hub.run()
    found = hub.kube.objects[("services", "ns", "proxy-public")]
    assert found["spec"].get("externalTrafficPolicy") == policy
    assert not {"ownerReferences"} & found["metadata"].keys(), "the chart's own"
    if policy:
        other = {"Local": "Cluster", "Cluster": "Local"}[policy]
        hub.kube.put(SERVICE, {**found, "spec": {**found["spec"], "externalTrafficPolicy": other}})
        hub.run()
        assert hub.kube.objects[("services", "ns", "proxy-public")]["spec"]["externalTrafficPolicy"] == policy
        before = len(hub.kube.writes)
        hub.run()
        assert "apply services/proxy-public" not in hub.kube.writes[before:]


def test_the_earlier_door_goes_before_the_release_changes() -> None:
    """The proxy may need the port that the door's Service has."""
    hub = bench("secret", service={"type": "NodePort", "nodePort": 30443})
    hub.run()
    hub.apply(of("offload", service={"type": "NodePort", "nodePort": 30443}))
    seen: list[bool] = []
    install = hub.helm.install_or_upgrade

    async def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append(("services", "ns", "demo-door") in hub.kube.objects)
        return await install(*args, **kwargs)

    hub.helm.install_or_upgrade = watched  # type: ignore[method-assign]
    hub.run()
    assert seen == [False]


def test_an_object_of_somebody_else_is_not_taken_away() -> None:
    hub = bench("ingress")
    hub.run()
    found = hub.kube.objects[("ingresses", "ns", "demo-door")]
    found["metadata"]["labels"] = {"app": "theirs"}
    hub.apply(of("offload"))
    hub.run()
    assert ("ingresses", "ns", "demo-door") in hub.kube.objects


def test_without_gateway_api_the_hub_says_so() -> None:
    class NoRoutes(FakeKube):
        async def apply(self, resource: Resource, body: Object, manager: str) -> Object:
            if resource == HTTP_ROUTE:
                raise KubeError(404, "404 page not found")
            return await super().apply(resource, body, manager)

    hub = bench("gateway", kube=NoRoutes())
    hub.run()
    found = hub.condition("Reconciling")
    assert found["reason"] == "Blocked" and "has no HTTPRoute of Gateway API v1" in found["message"]


def test_people_do_not_get_in_before_the_door_serves() -> None:
    hub = bench("secret")
    hub.run()
    ready = hub.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "DoorNotServing")
    up(hub)
    hub.run()
    assert hub.condition("Ready")["status"] == "True"


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_deleting_the_hub_keeps_certificates_unless_it_is_told_otherwise(policy: str) -> None:
    hub = bench("acme", deletionPolicy={"certificates": policy})
    hub.run()
    hub.delete()
    hub.run()
    assert (("persistentvolumeclaims", "ns", "demo-door") in hub.kube.objects) == (policy == "Retain")
    assert ("secrets", "ns", "demo-door") not in hub.kube.objects


# --- refusals


PLAIN: dict[str, Any] = {}
BARE = DEFAULTS.model_copy(update={"images": DEFAULTS.images.model_copy(update={"door": "", "proxy": ""})})
NO_PROXY = DEFAULTS.model_copy(update={"images": DEFAULTS.images.model_copy(update={"proxy": ""})})
TOKEN = {"valueFrom": {"secretKeyRef": {"name": "demo-door", "key": "token"}}}


def env(**values: Any) -> dict[str, Any]:
    return {"proxy": {"chp": {"extraEnv": values}}}


REFUSED: list[tuple[str, Any, Any, dict[str, Any], bool, str]] = [
    ("nothing said", spec(), BARE, PLAIN, False, ""),
    ("plain HTTP for everybody", spec("none"), DEFAULTS, env(PROXY_TRUSTED=""), False, "for development alone"),
    ("plain HTTP in development", spec("none"), DEFAULTS, env(PROXY_TRUSTED=""), True, ""),
    ("no image of the door", spec("acme"), BARE, PLAIN, True, "defaults.images.door"),
    ("no image of the proxy", spec("offload"), NO_PROXY, PLAIN, True, "defaults.images.proxy"),
    ("offload", spec("offload"), DEFAULTS, env(PROXY_TRUSTED="192.0.2.7/32"), False, ""),
    ("values that trust all", spec("offload"), DEFAULTS, env(PROXY_TRUSTED="0.0.0.0/0"), False, "PROXY_TRUSTED"),
    ("values that trust nothing", spec("offload"), DEFAULTS, PLAIN, False, "PROXY_TRUSTED"),
    (
        "values with a token",
        spec("acme"),
        DEFAULTS,
        env(PROXY_TRUSTED="", PROXY_DOOR_TOKEN="x"),
        False,
        "PROXY_DOOR_TOKEN",
    ),
    ("more variables", spec("acme"), DEFAULTS, env(PROXY_TRUSTED="", PROXY_DOOR_TOKEN=TOKEN, X="y"), False, ""),
    (
        "the chart's own TLS",
        spec("offload"),
        DEFAULTS,
        {"proxy": {"https": {"enabled": True}, **env(PROXY_TRUSTED="192.0.2.7/32")["proxy"]}},
        False,
        "spec.values.proxy.https",
    ),
    (
        "a wildcard without DNS",
        spec("acme").model_copy(update={"isolation": "Subdomain"}),
        DEFAULTS,
        env(PROXY_TRUSTED="", PROXY_DOOR_TOKEN=TOKEN),
        False,
        f"*.{HOST}",
    ),
    (
        "a wildcard by DNS",
        spec("acme dns").model_copy(update={"isolation": "Subdomain"}),
        DEFAULTS,
        env(PROXY_TRUSTED="", PROXY_DOOR_TOKEN=TOKEN),
        False,
        "",
    ),
]


@pytest.mark.parametrize(("what", "wanted", "defaults", "values", "development", "said"), REFUSED)
def test_what_is_refused(
    what: str, wanted: Any, defaults: Any, values: dict[str, Any], development: bool, said: str
) -> None:
    found = tls_refusal(wanted, NAMES, defaults, values, development)
    assert said in found if said else found == "", what


def test_a_refused_way_stalls_the_hub_and_installs_nothing() -> None:
    hub = bench("none")
    labels = {"pdshub.dev/hubs": "allowed", "pod-security.kubernetes.io/enforce": "restricted"}
    hub.kube.put(NAMESPACE, {"metadata": {"name": "ns", "labels": labels}})
    google = {"google": {"clientId": "x", "clientSecretRef": {"name": "s", "key": "k"}}}
    hub.apply(of("none", signIn=google))
    hub.kube.put(SECRET, {"metadata": {"name": "s", "namespace": "ns"}, "stringData": {"k": "v"}})
    hub.run()
    for kind, status in (("Stalled", "True"), ("CertificateReady", "False")):
        found = hub.condition(kind)
        assert (found["status"], found["reason"]) == (status, "TlsRefused"), found
    assert hub.helm.runs == []


# --- the certificate

NOW = 1_800_000_000.0
DAY = 86400.0


def certificate(left: float, days: float = 90.0, names: tuple[str, ...] = (HOST,)) -> CertificateStatus:
    """One of which a fraction of its life is left."""
    end = NOW + left * days * DAY
    return CertificateStatus(
        issuer="Example CA",
        names=list(names),
        not_before=rfc3339.text(end - days * DAY),
        not_after=rfc3339.text(end),
        fingerprint="ab",
    )


def seen(left: float, **more: Any) -> CertificateSeen:
    return CertificateSeen(True, certificate(left, **more), left, reached=True)


MISSING = CertificateSeen(True, trouble="Secret demo-tls does not exist")
SILENT = CertificateSeen(True, trouble="hub.example.org:443 is not reached")
REFUSES = CertificateSeen(True, trouble="shows no certificate", reached=True)
CONDITIONS: list[tuple[str, CertificateSeen, str, str]] = [
    ("", CertificateSeen(), "Unknown", "NotConfigured"),
    ("none", CertificateSeen(), "Unknown", "PlainHttp"),
    ("acme", CertificateSeen(), "Unknown", "NotAsked"),
    ("acme", seen(0.9), "True", "Valid"),
    ("acme", seen(0.34, days=45), "True", "Valid"),
    ("acme", seen(0.19, days=45), "False", "Expiring"),
    ("acme", seen(0.19, days=6), "False", "Expiring"),
    ("offload", seen(0.19), "False", "Expiring"),
    ("acme", seen(-0.01), "False", "Expired"),
    ("acme", seen(1.01), "False", "NotYetValid"),
    ("acme", seen(0.9, names=("other.example.org",)), "False", "WrongNames"),
    ("acme", seen(0.9, names=()), "False", "WrongNames"),
    ("offload", seen(0.9, names=("*.example.org",)), "True", "Valid"),
    ("acme", SILENT, "Unknown", "DoorNotReached"),
    ("acme", REFUSES, "False", "NotIssued"),
    ("secret", MISSING, "False", "SecretMissing"),
    ("secret", CertificateSeen(True, trouble="no key", reached=True), "False", "SecretInvalid"),
    ("offload", SILENT, "Unknown", "NotReached"),
    ("offload", REFUSES, "False", "NotShown"),
    ("gateway", SILENT, "Unknown", "NotReached"),
]


@pytest.mark.parametrize(("way", "found", "status", "reason"), CONDITIONS)
def test_how_the_certificate_stands(way: str, found: CertificateSeen, status: str, reason: str) -> None:
    kind, truth, why, message = condition(spec(way), NAMES, found)
    assert (kind, truth, why) == ("CertificateReady", status, reason), message
    if found.certificate:
        assert "Example CA" in message and found.certificate.not_after in message


def test_the_condition_does_not_change_with_every_look() -> None:
    found = seen(0.9)
    looks = [replace(found, remaining=0.9 + step / 10000) for step in range(0, 400, 7)]
    said = {condition(spec("acme"), NAMES, look)[3] for look in looks}
    assert len(said) == 1


def pem(names: tuple[str, ...] = (HOST,), days: int = 90) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example CA")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.public_bytes(serialization.Encoding.PEM), key.private_bytes(serialization.Encoding.PEM, *form)


def secret(chain: bytes, key: bytes) -> Object:
    data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
    return {"metadata": {"name": "demo-tls", "namespace": "ns"}, "type": "kubernetes.io/tls", "data": data}


def test_a_secret_is_watched_and_its_renewal_is_an_event() -> None:
    hub = bench("secret")
    hub.run()
    assert hub.condition("CertificateReady")["reason"] == "SecretMissing"
    hub.kube.put(SECRET, secret(*pem()))
    hub.run()
    assert hub.condition("CertificateReady")["reason"] == "Valid"
    assert "CertificateRenewed" not in hub.kube.events(), "the first one is no renewal"
    hub.kube.put(SECRET, secret(*pem(days=91)))
    hub.run()
    hub.run()
    assert hub.kube.events().count("CertificateRenewed") == 1
    kept = str(hub.context.hubs) + str(hub.kube.objects[("pdshubs", "ns", "demo")])
    assert "PRIVATE KEY" not in kept


@pytest.mark.parametrize(
    ("chain", "key", "said"),
    [
        (b"", b"", "holds no certificate"),
        (pem()[0], b"x", "holds no private key"),
        (pem()[0], pem()[1], "is not the key of the certificate"),
    ],
)
def test_a_secret_that_is_of_no_use_says_why(chain: bytes, key: bytes, said: str) -> None:
    hub = bench("secret")
    hub.kube.put(SECRET, secret(chain, key))
    hub.run()
    found = hub.condition("CertificateReady")
    assert found["reason"] == "SecretInvalid" and said in found["message"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, certificate(0.9), False),
        (certificate(0.9), None, False),
        (certificate(0.9), certificate(0.8), False),
        (certificate(0.3), certificate(1.0).model_copy(update={"fingerprint": "cd"}), True),
    ],
)
def test_what_a_renewal_is(before: CertificateStatus | None, after: CertificateStatus | None, said: bool) -> None:
    assert bool(renewed(before, after)) is said
