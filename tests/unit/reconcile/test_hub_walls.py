"""A hub's namespace and its sign-in: what is asked, how often, and what the conditions say of it."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub import hub_api
from pdshub.hub_api import Credentials, SignInAttempt
from pdshub.kube import LIMIT_RANGE, NAMESPACE, RESOURCE_QUOTA, KubeError
from pdshub.reconcile.hub.conditions import status
from pdshub.reconcile.hub.decide import Kind, decide
from pdshub.reconcile.hub.guard import Guard
from pdshub.render.signin import GOOGLE_CLASS
from pdshub.render.signin_rules import Verdict
from tests.unit.reconcile.hubs import SPEC, Bench
from tests.unit.reconcile.test_decide import GOOGLE, facts

CODE = {"hub": {"extraConfig": {"99-x": "pass"}}}
ENFORCE = "pod-security.kubernetes.io/enforce"
HUBS = {"pdshub.dev/hubs": "allowed"}


def guarded(bench: Bench, level: str | None) -> None:
    labels = {**HUBS, "pdshub.dev/environment": "development", **({ENFORCE: level} if level else {})}
    bench.kube.put(NAMESPACE, {"metadata": {"name": "ns", "labels": labels}})


# --- the namespace


def test_a_namespace_that_admits_privileged_pods_stalls_its_hub_until_it_is_labelled() -> None:
    bench = Bench()
    guarded(bench, None)
    bench.run()
    stalled = bench.condition("Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "NamespaceUnguarded")
    assert f"kubectl label namespace ns {ENFORCE}=restricted" in stalled["message"]
    assert bench.condition("NamespaceGuarded")["status"] == "False"
    assert bench.kube.events().count("NamespaceUnguarded") == 1
    assert bench.helm.runs == []
    guarded(bench, "restricted")
    bench.run()
    assert bench.condition("Ready")["status"] == bench.condition("NamespaceGuarded")["status"] == "True"


def test_it_is_asked_once_for_each_version_of_the_namespace() -> None:
    bench = Bench()
    bench.run()
    assert len(bench.kube.tried) == 2, "the privileged pod, and one that asks for nothing"
    for _ in range(3):
        bench.run()
    assert len(bench.kube.tried) == 2
    guarded(bench, "baseline")
    bench.run()
    assert len(bench.kube.tried) == 4
    assert not bench.names("pods"), "neither is ever made"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (KubeError(403, "exceeded quota: demo-servers"), "exceeded quota"),
        (KubeError(403, 'pods is forbidden: User "x" cannot create resource "pods"'), "cannot create"),
        (KubeError(500, "failed calling webhook"), "failed calling webhook"),
    ],
)
def test_what_refuses_every_pod_says_nothing_about_privileged_ones(error: KubeError, says: str) -> None:
    bench = Bench()
    bench.kube.refuses_all = error
    bench.run()
    found = bench.condition("NamespaceGuarded")
    assert found["status"] == "Unknown" and says in found["message"]
    assert bench.condition("Stalled")["status"] == "False"
    bench.kube.refuses_all = None
    bench.run()
    assert bench.condition("NamespaceGuarded")["status"] == "True", "nobody knew, so it was asked again"


def test_the_pods_that_are_tried_differ_in_nothing_but_their_rights() -> None:
    bench = Bench()
    bench.run()
    privileged, control = ({**pod["spec"]["containers"][0]} for pod in bench.kube.tried)
    assert privileged.pop("securityContext") == {"privileged": True}
    assert control.pop("securityContext")["runAsNonRoot"]
    assert privileged == control


# --- its bounds


def test_bounds_are_written_kept_and_taken_away_with_the_field() -> None:
    bench = Bench({**SPEC, "quota": {"servers": 3, "memory": "80Gi"}})
    bench.run()
    assert bench.names("resourcequotas") == {"demo-servers"} and bench.names("limitranges") == {"demo-defaults"}
    bench.kube.writes.clear()
    bench.run()
    assert bench.kube.writes == []
    quota = bench.kube.objects["resourcequotas", "ns", "demo-servers"]
    bench.kube.put(
        RESOURCE_QUOTA, {**quota, "spec": {**quota["spec"], "hard": {"pods": "99", "limits.memory": "80Gi"}}}
    )
    bench.run()
    assert bench.kube.objects["resourcequotas", "ns", "demo-servers"]["spec"]["hard"]["pods"] == "3"
    bench.apply(SPEC)
    bench.run()
    assert bench.names("resourcequotas") == set()
    bench.delete()
    bench.run()
    assert bench.names("limitranges") == set()


def test_somebody_elses_bounds_stay() -> None:
    bench = Bench()
    theirs = {"metadata": {"name": "theirs", "namespace": "ns"}, "spec": {}}
    bench.kube.put(RESOURCE_QUOTA, dict(theirs))
    bench.kube.put(LIMIT_RANGE, {"metadata": dict(theirs["metadata"]), "spec": {}})
    bench.run()
    bench.delete()
    bench.run()
    assert bench.names("resourcequotas") == bench.names("limitranges") == {"theirs"}


# --- the sign-in

OAUTH: dict[str, Any] = {
    **SPEC,
    "signIn": {"google": {"clientId": "x", "clientSecretRef": {"name": "oauth", "key": "k"}}},
}


def outside(bench: Bench) -> None:
    """The namespace is not for development."""
    bench.kube.put(NAMESPACE, {"metadata": {"name": "ns", "labels": {**HUBS, ENFORCE: "restricted"}}})


def test_values_that_open_the_sign_in_are_refused_outside_of_development() -> None:
    values = {"hub": {"config": {"JupyterHub": {"authenticator_class": "dummy"}}}}
    bench = Bench({**OAUTH, "values": values})
    outside(bench)
    bench.run()
    assert bench.condition("Stalled")["reason"] == bench.condition("SignInReady")["reason"] == "OpenSignIn"
    assert "spec.values.hub.config.JupyterHub.authenticator_class" in bench.condition("SignInReady")["message"]
    assert bench.helm.runs == []


class Hub:
    """Stands for the hub's own answers; remembers who tried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: bool | None) -> None:
        self.answers, self.tried = list(answers), list[Credentials]()
        self.by: list[str] = []
        monkeypatch.setattr(hub_api, "try_sign_in", self.try_sign_in)

    async def try_sign_in(self, kube: Any, where: str, base: str, who: Credentials, by: str = "") -> SignInAttempt:
        self.tried.append(who)
        self.by.append(by)
        return SignInAttempt(self.answers.pop(0), "so it went")


@pytest.mark.parametrize(
    ("admitted", "expected"),
    [
        (False, ("Unknown", "ConfiguredByCode")),
        (True, ("False", "OpenSignIn")),
        (None, ("Unknown", "ConfiguredByCode")),
    ],
)
def test_where_code_decides_a_name_that_nobody_allowed_tries(
    monkeypatch: pytest.MonkeyPatch, admitted: bool | None, expected: tuple[str, str]
) -> None:
    hub = Hub(monkeypatch, admitted)
    bench = Bench({**SPEC, "values": CODE})
    for _ in range(3):
        bench.run()
    (who,) = hub.tried
    found = bench.condition("SignInReady")
    assert (found["status"], found["reason"]) == expected
    assert "spec.values.hub.extraConfig.99-x" in found["message"] and "so it went" in found["message"]
    secret = bench.kube.objects["secrets", "ns", "demo-sign-in"]["data"]["password"]
    assert who.password and who.password not in (secret, repr(who)) and who.name not in ("ada", "root")


def test_it_tries_once_for_each_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, False, True)
    bench = Bench({**SPEC, "values": CODE})
    bench.run()
    bench.run()
    assert len(hub.tried) == 1
    bench.apply({**SPEC, "values": {"hub": {"extraConfig": {"99-x": "pass  # again"}}}})
    bench.run()
    assert len(hub.tried) == 2 and hub.tried[0].name != hub.tried[1].name
    assert bench.condition("SignInReady")["status"] == "False"


def test_without_code_nobody_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch)
    bench = Bench()
    bench.run()
    assert hub.tried == [] and bench.condition("SignInReady")["status"] == "True"


DECIDED: list[tuple[str, dict[str, Any], Kind]] = [
    ("admits privileged pods", {"guard": Guard(False)}, Kind.STALL),
    ("admits privileged pods, not installed", {"guard": Guard(False), "release": None}, Kind.STALL),
    ("nobody knows what it admits", {"guard": Guard(None, "the webhook is away")}, Kind.NOTHING),
    ("code", {"sign_in": Verdict(by_code=("spec.values.hub.args",))}, Kind.TRY_SIGN_IN),
    (
        "code, tried",
        {"sign_in": Verdict(by_code=("spec.values.hub.args",)), "sign_in_attempt": SignInAttempt(True, "")},
        Kind.NOTHING,
    ),
    ("code, not serving", {"sign_in": Verdict(by_code=("x",)), "unhealthy": "it answers 500"}, Kind.WAIT),
    ("open, in development", {"sign_in": Verdict("spec.values.hub.config")}, Kind.NOTHING),
    ("open", {"refused": ("OpenSignIn", "x"), "spec": GOOGLE}, Kind.STALL),
]


@pytest.mark.parametrize(("seen", "kind"), [c[1:] for c in DECIDED], ids=[c[0] for c in DECIDED])
def test_decide(seen: dict[str, Any], kind: Kind) -> None:
    assert decide(facts(**seen)).kind is kind


@pytest.mark.parametrize(
    ("seen", "expected", "says"),
    [
        ({"spec": GOOGLE, "sign_in": Verdict(authenticator=GOOGLE_CLASS)}, ("True", "Google"), "with Google"),
        ({"sign_in": Verdict("spec.values.x is open")}, ("True", "Development"), "spec.values.x is open"),
        (
            {"sign_in": Verdict(by_code=("spec.values.hub.args",))},
            ("Unknown", "ConfiguredByCode"),
            "no sign-in was tried",
        ),
    ],
)
def test_what_sign_in_ready_says(seen: dict[str, Any], expected: tuple[str, str], says: str) -> None:
    found = facts(**seen)
    said = {c.type: c for c in status(found, decide(found), "2026-01-02T00:00:00Z").conditions}["SignInReady"]
    assert (said.status, said.reason) == expected and says in said.message
