"""The decision as a table: what is seen, what is done next."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from pdshub.api.hub import PDSHubSpec, PDSHubStatus
from pdshub.reconcile.common.objects import Step, Workload
from pdshub.reconcile.hub.act import ACTS
from pdshub.reconcile.hub.decide import BUDGET, Kind, decide, no_progress, repeated, steps
from pdshub.reconcile.hub.drift import Drift, Drifted
from pdshub.reconcile.hub.facts import Attempt, Facts
from pdshub.reconcile.hub.release import Release
from pdshub.reconcile.hub.trust import Trust
from pdshub.render.chart import ChartRef
from pdshub.render.names import Names

SPEC = PDSHubSpec.model_validate({"signIn": {"development": {}}})
SUSPENDED = PDSHubSpec.model_validate({"signIn": {"development": {}}, "suspend": True})
GOOGLE = PDSHubSpec.model_validate(
    {"signIn": {"google": {"clientId": "x", "clientSecretRef": {"name": "s", "key": "k"}}}}
)
NEWER = PDSHubSpec.model_validate({"signIn": {"development": {}}, "chart": {"version": "99.0.0"}})
CARRIED = ChartRef("Airgap", "/charts/jupyterhub-airgap", None, "0.1.0", "airgap/0.1.0", "no such version")
PUBLIC = ChartRef("Repository", "jupyterhub", "https://charts.example.org", "99.0.0", "x@99.0.0")
UP = Workload(exists=True, available=True, rolled_out=True)
ROLLING = Workload(exists=True, available=False, rolled_out=False)
REPORT = PDSHubSpec.model_validate({"signIn": {"development": {}}, "drift": "Report"})
DRIFT = Drift((Drifted("v1 Service", "hub"),), (Drifted("v1 Service", "hub"),), 3)
STEP = Step("Secret is made", {"kind": "Secret"})


def release(status: str = "deployed", owner: str = "demo", revision: int = 1) -> Release:
    values = {"custom": {"pdshub": {"hub": owner}}} if owner else {}
    return Release("sh.helm.release.v1.demo.v1", revision, status, "jupyterhub", "4.4.0", values)


def facts(**seen: Any) -> Facts:
    """A settled hub in a development namespace, but for what a case says."""
    settled: dict[str, Any] = {
        "names": Names("ns", "demo"),
        "generation": 1,
        "status": PDSHubStatus(),
        "spec": SPEC,
        "development": True,
        "release": release(),
        "trust": Trust.SEALED,
        "in_sync": True,
        "key": "1-a",
        "hub": UP,
        "proxy": UP,
        "unhealthy": "",
    }
    return Facts(**{**settled, **seen})


def tried(failures: int, reason: str = "HelmFailed", wait: float = 0.0, key: str = "1-a") -> Attempt:
    return Attempt(key, failures, reason, "it failed", wait)


CASES: list[tuple[str, Facts, Kind, str]] = [
    ("settled", facts(), Kind.NOTHING, ""),
    ("new", facts(finalizer=False, release=None), Kind.ADD_FINALIZER, ""),
    ("objects missing", facts(release=None, steps=(STEP,)), Kind.PREPARE, "Secret is made"),
    ("old claim still going", facts(release=None, steps=(STEP,), settling="claim x is going"), Kind.WAIT, "claim x"),
    ("absent", facts(release=None), Kind.INSTALL, ""),
    ("out of sync", facts(in_sync=False), Kind.UPGRADE, "revision 2"),
    ("not sealed", facts(trust=Trust.INTENDED), Kind.UPGRADE, "revision 2"),
    ("from before there were seals", facts(trust=Trust.EARLIER), Kind.UPGRADE, "revision 2"),
    ("made, not sealed yet", facts(trust=Trust.OWN), Kind.SEAL, "sealed"),
    ("drifted", facts(drift=DRIFT, hub=ROLLING), Kind.REPAIR, "Service hub is missing"),
    ("drifted, to be reported", facts(drift=DRIFT, spec=REPORT), Kind.NOTHING, ""),
    ("drifted, just put back", facts(drift=Drift(DRIFT.found)), Kind.NOTHING, ""),
    ("drifted, and to be upgraded", facts(drift=DRIFT, in_sync=False), Kind.UPGRADE, ""),
    ("failed before", facts(release=release("failed"), in_sync=True), Kind.UPGRADE, ""),
    ("superseded is no state to stay in", facts(release=release("superseded")), Kind.UPGRADE, ""),
    ("interrupted install", facts(release=release("pending-install")), Kind.UNLOCK, "pending-install"),
    ("interrupted upgrade", facts(release=release("pending-upgrade")), Kind.UNLOCK, ""),
    ("interrupted uninstall", facts(release=release("uninstalling")), Kind.UNLOCK, ""),
    ("somebody's release", facts(release=release(owner="")), Kind.STALL, "uninstall it"),
    ("another hub's release", facts(release=release(owner="other")), Kind.STALL, "other"),
    ("another hub", facts(conflicting_hub="first"), Kind.STALL, "first"),
    ("its name is taken", facts(refused=("NameTaken", "ArchiveView a-b-c belongs")), Kind.STALL, "a-b-c"),
    (
        "its name is taken, not installed",
        facts(refused=("NameTaken", "x"), finalizer=False, release=None),
        Kind.STALL,
        "x",
    ),
    ("refused", facts(spec=None, invalid="spec.x: no"), Kind.STALL, "spec.x: no"),
    ("suspended", facts(spec=SUSPENDED, in_sync=False), Kind.SUSPEND, ""),
    ("suspended and interrupted", facts(spec=SUSPENDED, release=release("pending-upgrade")), Kind.SUSPEND, ""),
    ("namespace going", facts(terminating=True, release=None, steps=(STEP,)), Kind.SUSPEND, "being deleted"),
    ("development elsewhere", facts(development=False, release=None), Kind.STALL, "pdshub.dev/environment=development"),
    ("a version not carried", facts(spec=NEWER, chart=CARRIED, release=None), Kind.STALL, "no such version"),
    ("a version to look for", facts(spec=NEWER, chart=PUBLIC, release=None), Kind.INSTALL, ""),
    ("Google anywhere", facts(development=False, spec=GOOGLE), Kind.NOTHING, ""),
    ("no Secret", facts(spec=GOOGLE, missing_secret="Secret s does not exist", release=None), Kind.STALL, "Secret s"),
    ("one failure", facts(in_sync=False, attempt=tried(1)), Kind.UPGRADE, ""),
    ("too early to try again", facts(in_sync=False, attempt=tried(1, wait=9)), Kind.WAIT, "tried again"),
    ("budget spent", facts(in_sync=False, attempt=tried(BUDGET)), Kind.STALL, "it failed"),
    ("budget of another spec", facts(in_sync=False, attempt=tried(BUDGET, key="0-b")), Kind.UPGRADE, ""),
    ("repository away", facts(release=None, attempt=tried(9, "RepositoryUnreachable")), Kind.INSTALL, ""),
    ("repository away, lately", facts(release=None, attempt=tried(9, "RepositoryUnreachable", 5)), Kind.STALL, ""),
    ("spent, but mended by hand", facts(attempt=tried(BUDGET)), Kind.NOTHING, ""),
    ("resumed", facts(resumed=True), Kind.UPGRADE, "revision 2"),
    ("resumed, too early to try again", facts(resumed=True, attempt=tried(1, wait=9)), Kind.WAIT, "tried again"),
    ("resumed, budget spent", facts(resumed=True, attempt=tried(BUDGET)), Kind.STALL, "it failed"),
    ("database at risk", facts(unprotected=("pv",), hub=ROLLING), Kind.PROTECT, ""),
    ("rolling", facts(hub=ROLLING), Kind.WAIT, "starting"),
    ("image missing", facts(hub=Workload(True, False, False, "ImagePullBackOff")), Kind.WAIT, "ImagePullBackOff"),
    ("hub ill", facts(unhealthy="the hub answers 500"), Kind.WAIT, "500"),
    ("pages not told", facts(notice_pod="hub-1"), Kind.NOTIFY, ""),
    ("old volumes", facts(stale=(("claim", "x"),)), Kind.COLLECT_STALE, ""),
    ("old volumes while rolling", facts(stale=(("claim", "x"),), hub=ROLLING), Kind.WAIT, ""),
    ("deleted", facts(deleting=True), Kind.UNINSTALL, ""),
    (
        "deleted, release gone",
        facts(deleting=True, release=None, dependents=(("pod", "x"),)),
        Kind.COLLECT_DEPENDENTS,
        "",
    ),
    ("deleted, all gone", facts(deleting=True, release=None), Kind.DROP_FINALIZER, ""),
    ("deleted, finalizer gone", facts(deleting=True, finalizer=False, release=None), Kind.NOTHING, ""),
    (
        "deleted beside another",
        facts(deleting=True, conflicting_hub="first", release=release()),
        Kind.DROP_FINALIZER,
        "",
    ),
    ("deleted, somebody's release", facts(deleting=True, release=release(owner="")), Kind.DROP_FINALIZER, ""),
    ("deleted, spec refused", facts(deleting=True, spec=None), Kind.UNINSTALL, ""),
    ("deleted while suspended", facts(deleting=True, spec=SUSPENDED), Kind.UNINSTALL, ""),
]


@pytest.mark.parametrize(("seen", "kind", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_decide(seen: Facts, kind: Kind, says: str) -> None:
    action = decide(seen)
    assert action.kind is kind
    assert says in action.message


def test_every_action_that_acts_has_its_module() -> None:
    for case in CASES:
        action = decide(case[1])
        assert action.acts is (action.kind in ACTS)


def test_decide_is_total_and_uninstalls_only_what_is_deleted() -> None:
    releases = [None, *(release(s, o) for s in ("deployed", "failed", "pending-upgrade") for o in ("demo", ""))]
    for deleting, found, spec, in_sync, conflicting_hub, attempt in itertools.product(
        (True, False), releases, (None, SPEC, SUSPENDED), (True, False), ("", "first"), (Attempt(), tried(BUDGET))
    ):
        action = decide(
            facts(
                deleting=deleting,
                release=found,
                spec=spec,
                in_sync=in_sync,
                conflicting_hub=conflicting_hub,
                attempt=attempt,
            )
        )
        assert action.kind is not Kind.UNINSTALL or deleting
        assert action.kind not in (Kind.UNINSTALL, Kind.COLLECT_DEPENDENTS) or not conflicting_hub
        if action.kind is Kind.STALL:
            assert action.reason and action.message


def config(text: str, how: str = "apply") -> Step:
    return Step("the notice is written", {"kind": "ConfigMap", "data": {"k": text}}, how)


REPEATED: list[tuple[str, Facts, Facts, tuple[str, ...]]] = [
    ("nothing done", facts(), facts(), ()),
    ("the same Secret", facts(new_secrets=("a", "b")), facts(new_secrets=("b",)), ("Secret b is made",)),
    ("the same content", facts(steps=(config("x"),)), facts(steps=(config("x"),)), ("the notice is written",)),
    ("other content", facts(steps=(config("x"),)), facts(steps=(config("y"),)), ()),
    (
        "another version of what is only created",
        facts(steps=(config("x", "create"),)),
        facts(steps=(config("y", "create"),)),
        ("the notice is written",),
    ),
    ("another step", facts(steps=(config("x"),)), facts(steps=(STEP,)), ()),
    ("another pod", facts(notice_pod="a", notice="n"), facts(notice_pod="b", notice="n"), ()),
    ("another notice", facts(notice_pod="a", notice="n"), facts(notice_pod="a", notice="m"), ()),
    ("the next revision", facts(in_sync=False), facts(in_sync=False, release=release(revision=2)), ()),
    ("the same pod, once more", facts(stale=(("pod", "x"),)), facts(stale=(("pod", "x"), ("pod", "y"))), ("pod x",)),
    ("waiting is no step", facts(hub=ROLLING), facts(hub=ROLLING), ()),
]


@pytest.mark.parametrize(("first", "then", "again"), [c[1:] for c in REPEATED], ids=[c[0] for c in REPEATED])
def test_a_step_is_repeated_when_its_object_and_content_are_the_same(
    first: Facts, then: Facts, again: tuple[str, ...]
) -> None:
    found = repeated(steps(first, decide(first)), then, decide(then))
    assert len(found) == len(again)
    assert all(words.startswith(start) for words, start in zip(found, again, strict=True))
    if found:
        stall = no_progress(then, found)
        assert (stall.kind, stall.reason) == (Kind.STALL, "NoProgress")
        assert again[0] in stall.message and "namespace ns" in stall.message


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_every_act_names_its_object(case: tuple[str, Facts, Kind, str]) -> None:
    action = decide(case[1])
    assert bool(steps(case[1], action)) is action.acts


def named(template: str | None) -> dict[str, Any]:
    """Values that name claims of homes; None: they do not say."""
    return {"singleuser": {"storage": {"dynamic": {"pvcNameTemplate": template}}}} if template else {}


HOMES: list[tuple[str | None, str, tuple[str, int] | None, Kind]] = [
    ("claim-{user_server}", "claim-{user_server}", ("HomeWouldMove", 2), Kind.UPGRADE),
    ("claim-{user_server}", "home-{user_server}", None, Kind.UPGRADE),
    ("claim-{user_server}", "home-{user_server}", ("AsRecorded", 1), Kind.WAIT),
    ("claim-{user_server}", "home-{user_server}", ("AsRecorded", 2), Kind.UPGRADE),
    ("claim-{user_server}", "home-{user_server}", ("HomeWouldMove", 2), Kind.STALL),
    (None, "home-{user_server}", ("HomeWouldMove", 2), Kind.UPGRADE),
]


@pytest.mark.parametrize(("before", "after", "known", "kind"), HOMES)
def test_claims_of_homes_get_no_other_names_by_an_upgrade(
    before: str | None, after: str, known: tuple[str, int] | None, kind: Kind
) -> None:
    there = replace(release(), values={**release().values, **named(before)})
    conditions = []
    if known:
        reason, generation = known
        said = {
            "type": "HomesKnown",
            "status": "False",
            "reason": reason,
            "message": "ada",
            "observedGeneration": generation,
        }
        conditions.append({**said, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    status = PDSHubStatus.model_validate({"conditions": conditions})
    seen = facts(release=there, in_sync=False, values=named(after), generation=2, status=status)
    assert decide(seen).kind is kind
