"""Observations to facts and the decision, as a table without an API server: every refusal, and what is no refusal."""

from __future__ import annotations

import ast
import base64
import inspect
import json
from collections.abc import Mapping
from typing import Any

import pytest

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Installation
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.common.objects import Workload
from pdshub.reconcile.hub import archive_state, database, judge, judge_archive, judge_values, network_state, observation
from pdshub.reconcile.hub import decide as decide_module
from pdshub.reconcile.hub.act import ACTS, EVENT_REASONS
from pdshub.reconcile.hub.decide import Action, Kind, decide
from pdshub.reconcile.hub.drift import Drift, Drifted
from pdshub.reconcile.hub.facts import Attempt, Facts
from pdshub.reconcile.hub.guard import Guard
from pdshub.reconcile.hub.observation import Observation, ReleaseRead
from pdshub.reconcile.hub.release import Release, UnreadableRelease
from pdshub.reconcile.hub.trust import Trust
from pdshub.render import archive, keys, limits, network
from pdshub.render.chart import digest
from pdshub.render.names import Names
from pdshub.render.network import ApiServer
from pdshub.render.signin_rules import Verdict

NAMES = Names("ns", "demo")
INSTALLATION = Installation.model_validate(
    {
        "archive": {"allowed": [{"server": "10.0.0.0/8", "exports": ["/"]}]},
        "defaults": {"images": {"hub": "registry.example.org/hub:1"}},
    }
)
BUNDLED = BundledChart("/charts/airgap", "0.1.0", "abc")
UP = Workload(exists=True, available=True, rolled_out=True)
INLINE: dict[str, Any] = {
    "sources": [{"name": "main", "nfs": {"server": "10.0.0.1", "export": "/pds"}}],
    "tree": [{"path": "pds4", "layers": [{"source": "main"}]}],
}
SPEC: dict[str, Any] = {"signIn": {"development": {}}, "archive": {"inline": INLINE}}
GOOGLE = {"google": {"clientId": "x", "clientSecretRef": {"name": "oauth", "key": "k"}}}
THEIRS = {"pdshub.dev/namespace": "other", "pdshub.dev/hub": "hub"}


def hub(name: str = "demo", spec: Mapping[str, Any] = SPEC, **meta: Any) -> dict[str, Any]:
    base = {"namespace": "ns", "name": name, "uid": name, "generation": 1, "finalizers": ["pdshub.dev/finalizer"]}
    return {"metadata": {**base, "creationTimestamp": "2026-01-02", **meta}, "spec": dict(spec)}


def named(name: str, namespace: str | None = "ns", labels: Any = None, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "uid": name, "resourceVersion": "1", "labels": dict(labels or {})}
    return {"metadata": {**meta, **({"namespace": namespace} if namespace else {})}, **more}


ALLOWED = {"pdshub.dev/hubs": "allowed"}


def secret(key: str, value: Any) -> dict[str, Any]:
    data = base64.b64encode(value.encode()).decode() if isinstance(value, str) else value
    return {"metadata": {"name": "s"}, "data": {key: data}}


def release(values: Mapping[str, Any], owner: str = "demo", status: str = "deployed") -> Release:
    return Release("s", 1, status, "jupyterhub", "4.4.0", {**values, "custom": {"pdshub": {"hub": owner}}})


def observed(spec: Mapping[str, Any] = SPEC, **more: Any) -> Observation:
    """A hub in a development namespace of which nothing is made yet, but for what a case says."""
    parsed = PDSHubSpec.model_validate(spec)
    settled: dict[str, Any] = {
        "hub": hub(spec=spec),
        "spec": parsed,
        "namespace": named("ns", None, {"pdshub.dev/environment": "development", **ALLOWED}),
        "keys_secret": named("demo-keys", data={keys.TOKEN_KEY: base64.b64encode(b"x").decode()}),
        "sign_in_secret": secret("password", "x"),
        "limit_ranges": (limits.limit_range(parsed, NAMES),),
        "policies": tuple(network.policies(parsed, NAMES, "demo", INSTALLATION, ApiServer())),
    }
    return Observation(**{**settled, **more})


def facts_of(seen: Observation, installation: Installation = INSTALLATION) -> Facts:
    return judge.judge(seen, installation, BUNDLED)


def decided(seen: Observation) -> Action:
    return decide(facts_of(seen))


def database_claim(labels: Any = None, helm: tuple[str, str] | None = None, managed: bool = True) -> dict[str, Any]:
    made = named("hub-db-dir", "ns", labels, spec={"volumeName": "pv"})
    if helm:
        made["metadata"]["annotations"] = {database.RELEASE_NAME: helm[0], database.RELEASE_NAMESPACE: helm[1]}
        made["metadata"]["labels"] |= {database.MANAGED_BY: "Helm"} if managed else {}
    return made


def database_volume(labels: Any = None, policy: str = "Retain", **ref: Any) -> dict[str, Any]:
    claim = {"namespace": "ns", "name": "hub-db-dir", "uid": "hub-db-dir", **ref}
    return named("pv", None, labels, spec={"persistentVolumeReclaimPolicy": policy, "claimRef": claim})


LOST = Drifted("v1 Service", "hub")
BARE = {"signIn": {"development": {}}}
MINE = {"pdshub.dev/hub": "demo", "pdshub.dev/namespace": "ns"}
REFUSALS: list[tuple[str, Observation, Kind, str, list[str]]] = [
    ("an older hub", observed(neighbours=(hub("a", creationTimestamp="2026"),)), Kind.STALL, "AnotherHub", ["a"]),
    (
        "the spec is refused",
        Observation(hub=hub(), invalid="spec.x: no", namespace=named("ns", None, ALLOWED)),
        Kind.STALL,
        "InvalidSpec",
        ["spec.x"],
    ),
    (
        "the namespace is going",
        observed(namespace={**named("ns", None), "status": {"phase": "Terminating"}}),
        Kind.SUSPEND,
        "NamespaceTerminating",
        ["ns"],
    ),
    ("suspended", observed({**SPEC, "suspend": True}), Kind.SUSPEND, "Suspended", []),
    (
        "development elsewhere",
        observed(namespace=named("ns", None, ALLOWED)),
        Kind.STALL,
        "DevelopmentSignIn",
        ["label"],
    ),
    (
        "a namespace that admits privileged pods",
        observed(guard=Guard(False)),
        Kind.STALL,
        "NamespaceUnguarded",
        ["kubectl label namespace ns pod-security.kubernetes.io/enforce=restricted"],
    ),
    (
        "an open sign-in",
        observed(
            {"signIn": GOOGLE, "values": {"hub": {"config": {"GoogleOAuthenticator": {"allow_all": True}}}}},
            namespace=named("ns", None, ALLOWED),
        ),
        Kind.STALL,
        "OpenSignIn",
        ["spec.values.hub.config.GoogleOAuthenticator.allow_all"],
    ),
    ("no namespace was found", observed(namespace=None), Kind.STALL, "NamespaceNotAllowed", ["kubectl label"]),
    ("a namespace without hubs", observed(namespace=named("ns", None)), Kind.STALL, "NamespaceNotAllowed", ["label"]),
    ("a namespace that is not opened yet", observed(granted=False), Kind.GRANT, "Preparing", ["namespace ns"]),
    (
        "somebody's release",
        observed(release=ReleaseRead(release({}, owner=""))),
        Kind.STALL,
        "ReleaseNotOurs",
        ["that PDSHub did not install", "another name"],
    ),
    (
        "another hub's release",
        observed(release=ReleaseRead(release({}, owner="other"))),
        Kind.STALL,
        "ReleaseNotOurs",
        ["of PDSHub other"],
    ),
    (
        "an unreadable release",
        observed(release=ReleaseRead(unreadable=UnreadableRelease("sh.x", "Secret sh.x holds no Helm release"))),
        Kind.STALL,
        "ReleaseUnreadable",
        ["sh.x", "namespace ns"],
    ),
    (
        "a forged release",
        observed(release=ReleaseRead(unreadable=UnreadableRelease("sh.x", "Secret sh.x: not ours", forged=True))),
        Kind.STALL,
        "ReleaseForged",
        ["sh.x", "namespace ns", "no data of users", "kubectl delete secret sh.x -n ns"],
    ),
    (
        "a policy that the hub has no more",
        observed(policies=()),
        Kind.PREPARE,
        "Preparing",
        ["NetworkPolicy demo-network-deny", "NetworkPolicy demo-network-server"],
    ),
    (
        "a range that is closed",
        observed({**BARE, "network": {"egress": "cidrs", "cidrs": ["10.0.0.1/32"]}}),
        Kind.STALL,
        "EgressNotAllowed",
        ["10.0.0.1/32", "network.allowedRanges"],
    ),
    ("a manager's view", observed(view=named("ns-demo", None)), Kind.STALL, "NameTaken", ["ArchiveView ns-demo"]),
    ("another hub's view", observed(view=named("ns-demo", None, THEIRS)), Kind.STALL, "NameTaken", ["other/hub"]),
    (
        "another hub's volume",
        observed(named_volume=named("pdshub-ns-demo-archive", None, THEIRS)),
        Kind.STALL,
        "NameTaken",
        ["PersistentVolume pdshub-ns-demo-archive", "or its namespace"],
    ),
    (
        "somebody's claim",
        observed(named_claim=named("demo-archive")),
        Kind.STALL,
        "NameTaken",
        ["PersistentVolumeClaim demo-archive in namespace ns", "another name"],
    ),
    (
        "a template in values",
        observed({**SPEC, "values": {"hub": {"args": ["{{ x }}"]}}}),
        Kind.STALL,
        "ValuesRefused",
        ["spec.values.hub.args"],
    ),
    (
        "no sign-in Secret",
        observed({**BARE, "signIn": GOOGLE}, sign_in_secret=None, notice=named("x", data={"notice.json": "?"})),
        Kind.PREPARE,
        "Preparing",
        ["notice"],
    ),
]


def ready(spec: Mapping[str, Any] = BARE, **more: Any) -> Observation:
    """What ``observed`` gives, with everything prepared: the next action is about the release."""
    seen = observed(spec, **more)
    made = facts_of(seen)
    notices = [step.body for step in made.steps if step.body["kind"] == "ConfigMap"]
    return Observation(**{**seen.__dict__, "notice": dict(notices[0])}) if notices else seen


REFUSALS += [
    ("no Secret", ready({"signIn": GOOGLE}, sign_in_secret=None), Kind.STALL, "SecretMissing", ["Secret oauth", "k"]),
    ("another key", ready({"signIn": GOOGLE}, sign_in_secret=secret("z", "v")), Kind.STALL, "SecretMissing", ["key k"]),
    (
        "an empty key",
        ready({"signIn": GOOGLE}, sign_in_secret=secret("k", " ")),
        Kind.STALL,
        "SecretMissing",
        ["empty"],
    ),
    ("no base64", ready({"signIn": GOOGLE}, sign_in_secret=secret("k", 7)), Kind.STALL, "SecretMissing", ["key k"]),
    (
        "Google anywhere",
        ready({"signIn": GOOGLE}, sign_in_secret=secret("k", "v"), namespace=named("ns", None, ALLOWED)),
        Kind.INSTALL,
        "",
        [],
    ),
    (
        "an airgap chart of another version",
        ready({**BARE, "chart": {"source": "Airgap", "version": "9.9.9"}}),
        Kind.STALL,
        "ChartNotFound",
        ["9.9.9", "spec.chart.version"],
    ),
    (
        "a repository that is not allowed",
        ready({**BARE, "chart": {"repository": "https://x.example.org"}}),
        Kind.STALL,
        "ChartNotAllowed",
        ["allowedRepositories"],
    ),
    ("a new hub", ready(), Kind.INSTALL, "Installing", []),
    ("its own database", ready(database_claim=database_claim(helm=("demo", "ns"))), Kind.INSTALL, "Installing", []),
    ("a database that was marked", ready(database_claim=database_claim(MINE)), Kind.PREPARE, "", ["hub-db-dir"]),
    (
        "a database whose volume was marked",
        ready(database_claim=database_claim(), database_volume=database_volume(MINE)),
        Kind.PREPARE,
        "Preparing",
        ["hub-db-dir"],
    ),
    (
        "a database whose volume's mark is of another's claim",
        ready(database_claim=database_claim(), database_volume=database_volume(MINE, namespace="victim")),
        Kind.STALL,
        "NotOurs",
        ["kubectl label pvc hub-db-dir -n ns pdshub.dev/hub=demo"],
    ),
    ("a database without a mark", ready(database_claim=database_claim()), Kind.STALL, "NotOurs", ["kubectl label"]),
    (
        "half of Helm's marks, and the hub's",
        ready(database_claim=database_claim(MINE, helm=("demo", "ns"), managed=False)),
        Kind.PREPARE,
        "Preparing",
        [],
    ),
    (
        "the database of another Helm release",
        ready(database_claim=database_claim(MINE, helm=("z2jh", "ns"))),
        Kind.STALL,
        "NotOurs",
        ["Helm release z2jh"],
    ),
    (
        "the database of a release of another namespace",
        ready(database_claim=database_claim(helm=("demo", "other"))),
        Kind.STALL,
        "NotOurs",
        ["of other"],
    ),
    (
        "the database of another hub",
        ready(database_claim=database_claim({**MINE, "pdshub.dev/hub": "b"})),
        Kind.STALL,
        "NotOurs",
        ["PDSHub ns/b"],
    ),
    (
        "the database of another namespace",
        ready(database_claim=database_claim({**MINE, "pdshub.dev/namespace": "b"})),
        Kind.STALL,
        "NotOurs",
        ["PDSHub b/demo"],
    ),
    (
        "a volume of another hub under a claim with this hub's mark",
        ready(database_claim=database_claim(MINE), database_volume=database_volume({**MINE, "pdshub.dev/hub": "b"})),
        Kind.STALL,
        "NotOurs",
        ["PDSHub ns/b"],
    ),
    (
        "a database elsewhere",
        ready(
            {**BARE, "values": {"hub": {"db": {"type": "postgres"}}}},
            database_claim=database_claim(helm=("z2jh", "ns")),
        ),
        Kind.INSTALL,
        "Installing",
        [],
    ),
    (
        "a database without a mark that the release has installed",
        ready(database_claim=database_claim(), release=ReleaseRead(release({}))),
        Kind.UPGRADE,
        "Upgrading",
        [],
    ),
]


@pytest.mark.parametrize(("seen", "kind", "reason", "says"), [c[1:] for c in REFUSALS], ids=[c[0] for c in REFUSALS])
def test_judge_and_decide(seen: Observation, kind: Kind, reason: str, says: list[str]) -> None:
    action = decided(seen)
    assert action.kind is kind and (not reason or action.reason == reason)
    assert all(word in action.message for word in says), action.message
    if action.reason in ("NotOurs", "NameTaken"):
        assert not any(word in action.message.lower() for word in ("delete", "remove", "uninstall"))


def test_every_reason_to_stall_or_suspend_is_reached_by_the_table() -> None:
    """Reasons that appear as text in decide.py and that no case reaches would be untested refusals."""
    reached = {decided(case[1]).reason for case in REFUSALS}
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(decide_module))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Action":
            kind, *rest = node.args
            stops = isinstance(kind, ast.Attribute) and kind.attr in ("STALL", "SUSPEND")
            if stops and rest and isinstance(rest[0], ast.Constant):
                found.add(str(rest[0].value))
    assert found - reached == {"NoProgress"}, "that one is the loop's"
    assert {"NameTaken", "ValuesRefused", "ChartNotFound", "ChartNotAllowed", "SecretMissing"} <= reached
    assert {"NamespaceUnguarded", "OpenSignIn"} <= reached


def test_the_reasons_are_those_that_programs_know() -> None:
    assert {kind.name: reason for kind, reason in EVENT_REASONS.items()} == {
        "INSTALL": "Install",
        "UPGRADE": "Upgrade",
        "UNLOCK": "Unlock",
        "REPAIR": "Repair",
        "COPY_DATABASE": "DatabaseCopied",
        "ROLL_BACK": "RollBack",
    }
    assert set(EVENT_REASONS) <= set(ACTS)
    prepared = facts_of(ready())
    changed = {
        Kind.COLLECT_STALE: ({"stale": (("claim", "x"),)}, "Tidying"),
        Kind.PROTECT: ({"unprotected": ("pv",)}, "Protecting"),
        Kind.REPAIR: ({"drift": Drift((LOST,), (LOST,))}, "Repairing"),
        Kind.SEAL: ({"trust": Trust.OWN}, "Sealing"),
        Kind.NOTIFY: ({"notice_pod": "hub-1"}, "Notifying"),
        Kind.TRY_SIGN_IN: ({"sign_in": Verdict(by_code=("x",))}, "TryingSignIn"),
        Kind.COLLECT_DEPENDENTS: ({"deleting": True, "release": None, "dependents": (("pod", "x"),)}, "Deleting"),
        Kind.COLLECT_REVISIONS: ({"deleting": True, "broken_revisions": ("x",)}, "Deleting"),
        Kind.UNINSTALL: ({"deleting": True}, "Deleting"),
        Kind.INSTALL: ({"release": None}, "Installing"),
        Kind.UPGRADE: ({"in_sync": False}, "Upgrading"),
        Kind.ADD_FINALIZER: ({"finalizer": False}, "Starting"),
        Kind.WAIT: ({"settling": "x"}, "Settling"),
    }
    running = {"release": release({}), "trust": Trust.SEALED, "in_sync": True, "hub": UP, "proxy": UP, "unhealthy": ""}
    for kind, (fields, reason) in changed.items():
        action = decide(Facts(**{**prepared.__dict__, **running, **fields}))
        assert (action.kind, action.reason) == (kind, reason)


def test_keys_without_the_operators_token_get_it() -> None:
    ((what, how),) = [
        (s.what, s.how) for s in facts_of(observed(keys_secret=named("demo-keys"))).steps if "keys" in s.what
    ]
    assert (what, how) == ("Secret demo-keys gets the operator's token", "key")
    assert not any("keys" in s.what for s in facts_of(observed()).steps)
    assert not any("keys" in s.what for s in facts_of(observed(keys_secret=None)).steps), "it is made with it"


def test_the_same_observation_gives_the_same_facts() -> None:
    seen = observed(keys_secret=None, sign_in_secret=None)
    assert facts_of(seen) == facts_of(seen)
    assert facts_of(seen).new_secrets == ("demo-keys", "demo-sign-in")


def test_claims_of_the_hub_that_lost_a_label_are_still_its_own() -> None:
    claim, volume = archive.claim(NAMES, "ns-demo"), archive.volume(NAMES, "ns-demo")
    for item in (claim, volume):
        del item["metadata"]["labels"]["pdshub.dev/view"]
    made = facts_of(observed(named_claim=claim, named_volume=volume))
    assert not any("volume" in words or "claim" in words for words in made.preparations)


REMEMBERED = Attempt("1-x", 2, "HelmFailed", "words", 3.0)
STATUS = {
    "failures": 5,
    "attemptedDigest": "1-y",
    "conditions": [
        {"type": "Released", "status": "False", "reason": "ValuesRefused", "lastTransitionTime": "x", "message": "m"}
    ],
}


@pytest.mark.parametrize(
    ("remembered", "status", "expected"),
    [
        (REMEMBERED, {}, REMEMBERED),
        (REMEMBERED, STATUS, REMEMBERED),
        (Attempt(wait=1.0), STATUS, Attempt("1-y", 5, "ValuesRefused", "m", 1.0)),
        (Attempt(), {**STATUS, "conditions": []}, Attempt("1-y", 5, "HelmFailed", "helm failed")),
        (Attempt(), {}, Attempt()),
        (Attempt(), {"conditions": "x"}, Attempt()),
    ],
)
def test_failed_attempts_outlive_a_restart(remembered: Attempt, status: Any, expected: Attempt) -> None:
    seen = observed(hub={**hub(), "status": status}, attempt=remembered)
    assert facts_of(seen).attempt == expected


def test_in_sync_means_that_the_release_has_these_very_values() -> None:
    wanted = facts_of(ready()).values
    for values, same in ((wanted, True), ({**wanted, "debug": {"enabled": True}}, False)):
        found = Release("s", 1, "deployed", "jupyterhub", "4.4.0", values)
        made = facts_of(ready(release=ReleaseRead(found)))
        assert made.in_sync is same
        assert made.chart is not None and made.key == f"1-{digest(made.chart, made.values)}"


@pytest.mark.parametrize(
    ("told", "due"), [(None, True), ("same", False), ("other", True)], ids=["never", "this notice", "an earlier one"]
)
def test_a_pod_is_told_of_a_notice_once(told: str | None, due: bool) -> None:
    failed = {"type": "Ready", "status": "False", "reason": "SourceUnreachable", "message": "away"}
    view = {**archive.own_view(PDSHubSpec.model_validate(SPEC), NAMES), "status": {"conditions": [failed]}}
    running = {"hub_workload": UP, "proxy_workload": UP, "health": "", "view": view}
    plain = observed(release=ReleaseRead(release({})), **running)
    note = judge.keys.digest(facts_of(plain).notice)
    annotations = {} if told is None else {"pdshub.dev/notice": note if told == "same" else "x"}
    pods = ({"metadata": {"name": "hub-1", "annotations": annotations}},)
    seen = observed(release=ReleaseRead(release({})), hub_pods=pods, **running)
    assert facts_of(seen).notice_pod == ("hub-1" if due else "")
    going = ({"metadata": {"name": "hub-1", "annotations": {}, "deletionTimestamp": "x"}},)
    assert not facts_of(observed(release=ReleaseRead(release({})), hub_pods=going, **running)).notice_pod


def test_the_modules_that_judge_do_no_input_or_output() -> None:
    modules = (judge, judge_archive, judge_values, archive_state, database, decide_module, network_state, observation)
    for module in modules:
        tree = ast.parse(inspect.getsource(module))
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]


@pytest.mark.parametrize(
    ("words", "told", "due"),
    [
        ({}, None, False),
        ({"message": "Closed on Friday"}, None, True),
        ({"title": "Small Bodies Node", "contact": "help@example.org"}, None, True),
        ({"message": "Closed on Friday"}, '{"message": "", "motd": "Closed on Friday"}', False),
        # taken away again
        ({}, '{"message": "", "motd": "Closed on Friday"}', True),
    ],
)
def test_the_specs_words_reach_a_running_hub_without_an_archive(
    words: dict[str, str], told: str | None, due: bool
) -> None:
    marks = {"annotations": {"pdshub.dev/notice": keys.digest(told)}} if told else {}
    pod = {"metadata": {"name": "hub-1", **marks}}
    seen = observed({**BARE, **words}, release=ReleaseRead(release({})), hub_pods=(pod,), hub_workload=UP)
    facts = facts_of(seen)
    assert facts.notice_pod == ("hub-1" if due else "")
    (made,) = (step.body for step in facts.steps if step.body["kind"] == "ConfigMap")
    said = json.loads(made["data"]["notice.json"])
    assert said == {"message": "", **{"motd" if key == "message" else key: text for key, text in words.items()}}
