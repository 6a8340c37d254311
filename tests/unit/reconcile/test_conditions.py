"""Conditions: what they say of facts, when their time changes, and which events follow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pdshub.api.hub import PDSHubSpec, PDSHubStatus
from pdshub.api.hub_upgrade import RollbackStatus
from pdshub.api.status import Condition
from pdshub.reconcile.common.conditions import OWNED, merge_conditions
from pdshub.reconcile.common.events import happened
from pdshub.reconcile.common.objects import Workload
from pdshub.reconcile.common.status import changes
from pdshub.reconcile.hub.conditions import OWNED as HUB_OWNED
from pdshub.reconcile.hub.conditions import status, unobserved
from pdshub.reconcile.hub.decide import BUDGET, decide
from pdshub.reconcile.hub.drift import Drift, Drifted
from pdshub.reconcile.hub.facts import ArchiveState, Facts
from pdshub.reconcile.hub.guard import Guard
from pdshub.reconcile.hub.network_state import NetworkState
from pdshub.reconcile.hub.release import UnreadableRelease
from pdshub.reconcile.hub.trust import Trust
from pdshub.reconcile.hub.upgrade_state import Upgrade
from pdshub.render.archive import ViewRef
from pdshub.render.homes import Enforcement
from pdshub.render.isolation import Isolation
from tests.unit.reconcile.test_decide import DRIFT, GOOGLE, REPORT, ROLLING, SUSPENDED, facts, release, tried

NOW = "2026-01-02T00:00:00Z"
VIEW = ViewRef("ns-demo", "demo", True)


def conditions(seen: Facts) -> dict[str, Condition]:
    return {c.type: c for c in status(seen, decide(seen), NOW).conditions}


CASES: list[tuple[str, Facts, dict[str, str], list[str]]] = [
    (
        "settled",
        facts(address="http://x"),
        {"Ready": "True", "Reconciling": "False", "Stalled": "False", "Released": "True", "SignInReady": "True"},
        ["http://x"],
    ),
    ("installing", facts(release=None, hub=Workload(), unhealthy="x"), {"Ready": "False", "Reconciling": "True"}, []),
    (
        "upgrading: people still work",
        facts(in_sync=False),
        {"Ready": "True", "Reconciling": "True", "Released": "Unknown"},
        ["revision 2"],
    ),
    ("apart", facts(isolation=Isolation(True, "Subdomain", "x")), {"Ready": "True", "UsersIsolated": "True"}, []),
    (
        "not apart",
        facts(isolation=Isolation(False, "SharedOrigin", "x")),
        {"Ready": "True", "UsersIsolated": "False"},
        [],
    ),
    ("as installed", facts(drift=Drift(compared=3)), {"Ready": "True", "Drifted": "False"}, ["3 objects"]),
    ("drifted", facts(drift=DRIFT), {"Ready": "True", "Drifted": "True"}, ["Service hub is missing"]),
    ("drifted, to be reported", facts(drift=DRIFT, spec=REPORT), {"Drifted": "True"}, ["spec.drift is Report"]),
    (
        "data drifted",
        facts(drift=Drift((Drifted("v1 PersistentVolumeClaim", "hub-db-dir"),))),
        {"Drifted": "True", "Reconciling": "False"},
        ["would be empty"],
    ),
    ("rolling", facts(hub=ROLLING), {"Ready": "False", "Reconciling": "True", "Released": "True"}, ["starting"]),
    (
        "bad values in a running hub",
        facts(in_sync=False, attempt=tried(BUDGET)),
        {"Ready": "True", "Stalled": "True", "Released": "False"},
        ["it failed"],
    ),
    (
        "bad values in a new hub",
        facts(release=None, attempt=tried(BUDGET), hub=Workload(), unhealthy="x"),
        {"Ready": "False", "Stalled": "True", "Released": "False"},
        ["it failed"],
    ),
    (
        "development elsewhere",
        facts(development=False, release=None, hub=Workload(), unhealthy="x"),
        {"SignInReady": "False", "Ready": "False", "Stalled": "True"},
        ["pdshub.dev/environment=development"],
    ),
    (
        "no Secret",
        facts(spec=GOOGLE, missing_secret="Secret s does not exist"),
        {"SignInReady": "False", "Stalled": "True", "Ready": "True"},
        ["Secret s"],
    ),
    ("archive unknown", facts(view=VIEW), {"ArchiveReady": "Unknown", "Ready": "True"}, []),
    (
        "archive lost",
        facts(view=VIEW, archive=ArchiveState(False, "SourceUnreachable", "source main")),
        {"ArchiveReady": "False", "Ready": "True"},
        ["source main"],
    ),
    ("suspended", facts(spec=SUSPENDED, in_sync=False), {"Suspended": "True", "Ready": "True", "Stalled": "False"}, []),
]


@pytest.mark.parametrize(("seen", "expected", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_conditions(seen: Facts, expected: dict[str, str], says: list[str]) -> None:
    found = conditions(seen)
    assert {kind: found[kind].status for kind in expected} == expected
    text = " ".join(c.message for c in found.values())
    assert all(word in text for word in says)


def test_without_an_archive_nothing_is_said_of_one() -> None:
    assert "ArchiveReady" not in conditions(facts())


@pytest.mark.parametrize(
    ("seen", "generation"),
    [
        (facts(generation=2), 2),
        (facts(generation=2, in_sync=False), 1),
        (facts(generation=2, hub=ROLLING), 2),
        (facts(generation=2, in_sync=False, attempt=tried(BUDGET)), 2),
    ],
)
def test_the_generation_counts_as_seen_when_its_release_was_tried(seen: Facts, generation: int) -> None:
    before = Facts(**{**seen.__dict__, "status": PDSHubStatus(observed_generation=1)})
    assert status(before, decide(before), NOW).observed_generation == generation


def condition(kind: str, value: Any, reason: str = "R", message: str = "words") -> Condition:
    return Condition(
        type=kind, status=value, reason=reason, message=message, last_transition_time="2026-01-01T00:00:00Z"
    )


def test_time_changes_with_the_status_alone() -> None:
    before = [condition("Ready", "True"), condition("Released", "True")]
    after = merge_conditions([("Ready", "True", "Other", "new words"), ("Released", "False", "R", "x")], before, 1, NOW)
    assert [c.last_transition_time for c in after] == ["2026-01-01T00:00:00Z", NOW]


def test_a_condition_that_no_longer_applies_is_gone() -> None:
    assert [
        c.type for c in merge_conditions([("Ready", "True", "R", "")], [condition("ArchiveReady", "True")], 1, NOW)
    ] == ["Ready"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["Ready"]),
        (["Mirrored"], ["Ready", "Mirrored"]),
        (["Mirrored", "Ready", "Audited"], ["Ready", "Mirrored", "Audited"]),
        (["Suspended", "Mirrored"], ["Ready", "Mirrored"]),
    ],
)
def test_conditions_of_others_stay_as_they_are(before: list[str], after: list[str]) -> None:
    given = [condition(kind, "False", "Theirs") for kind in before]
    made = merge_conditions([("Ready", "True", "R", "")], given, 7, NOW)
    assert [c.type for c in made] == after
    assert made[1:] == [c for kind in after[1:] for c in given if c.type == kind]


def test_the_caller_says_which_types_are_its_own() -> None:
    given = [condition("ArchiveReady", "True"), condition("Mine", "True")]
    made = merge_conditions([], given, 1, NOW, owned={"Mine"})
    assert [c.type for c in made] == ["ArchiveReady"]


def test_every_condition_of_a_hub_is_known_as_the_operators() -> None:
    homes, network = Enforcement(True, "Enforced", "x"), NetworkState(True, "Probed", "x")
    apart = Isolation(True, "Subdomain", "x")
    found = {kind for case in CASES for kind in conditions(case[1])}
    found |= set(conditions(facts(homes=homes, guard=Guard(True), network=network, isolation=apart)))
    spec = PDSHubSpec.model_validate({"signIn": {"development": {}}, "upgrade": {"rollback": 1}})
    found |= set(conditions(facts(spec=spec, upgrade=Upgrade(rollback=RollbackStatus(revision=1)))))
    assert found == set(HUB_OWNED) and found <= OWNED


def test_a_hub_that_could_not_be_looked_at_keeps_what_was_known() -> None:
    seen = facts(view=VIEW, address="http://x", generation=2)
    before = status(seen, decide(seen), NOW)
    later = facts(view=VIEW, status=before, generation=3)
    after = unobserved(later, "secrets is forbidden", "2027-01-01T00:00:00Z")
    made = {c.type: c for c in after.conditions}
    for kind, value in (("Ready", "Unknown"), ("Reconciling", "True")):
        assert (made[kind].status, made[kind].reason) == (value, "ObservationFailed")
        assert "secrets is forbidden" in made[kind].message
    kept = ("Released", "ArchiveReady")
    assert [c for c in before.conditions if c.type in kept] == [c for c in after.conditions if c.type in kept]
    assert (after.observed_generation, after.address, after.revision) == (2, "http://x", 1)
    again = facts(view=VIEW, status=after, generation=3)
    assert changes(after.wire(), unobserved(again, "secrets is forbidden", NOW).wire()) == {}


def test_a_release_that_cannot_be_read_is_still_installed() -> None:
    before = PDSHubStatus(revision=3, version="jupyterhub-4.4.0")
    seen = facts(status=before, release=None, unreadable_release=UnreadableRelease("s", "no release"))
    after = status(seen, decide(seen), NOW)
    assert (after.revision, after.version) == (3, "jupyterhub-4.4.0")


@pytest.mark.parametrize(
    "found", [{"unreadable_release": UnreadableRelease("s", "s is none")}, {"database_conflict": "s is theirs"}]
)
def test_what_is_found_now_counts_more_than_what_helm_said_before(found: dict[str, Any]) -> None:
    seen = facts(release=None, attempt=tried(BUDGET, "NotOurs"), **found)
    said = conditions(seen)["Released"]
    assert said.status == "False" and "it failed" not in said.message


def test_the_same_look_twice_changes_nothing() -> None:
    seen = facts(view=VIEW)
    first = status(seen, decide(seen), NOW)
    again = Facts(**{**seen.__dict__, "status": first})
    assert changes(first.wire(), status(again, decide(again), "2027-01-01T00:00:00Z").wire()) == {}


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {"a": None}),
        ({}, {"b": [1]}, {"b": [1]}),
        ({"b": [1]}, {"b": [2]}, {"b": [2]}),
        ({"c": {"d": 1, "e": 1}}, {"c": {"d": 1, "e": 1}}, {}),
        ({"c": {"d": 1, "e": 1}}, {"c": {"d": 2}}, {"c": {"d": 2, "e": None}}),
        ({"c": {"d": {"e": 1, "f": 2}}}, {"c": {"d": {"f": 2}}}, {"c": {"d": {"e": None}}}),
        ({"c": {"d": 1}}, {"c": [1]}, {"c": [1]}),
        ({"c": None}, {"c": {"d": 1}}, {"c": {"d": 1}}),
    ],
)
def test_changes(before: dict[str, Any], after: dict[str, Any], patch: dict[str, Any]) -> None:
    assert changes(before, after) == patch


EVENTS: list[tuple[str, list[Condition], list[Condition], list[tuple[bool, str]]]] = [
    ("first look, all well", [], [condition("Ready", "True"), condition("Stalled", "False")], []),
    ("first look, stalled", [], [condition("Stalled", "True", "Bad")], [(True, "Bad")]),
    ("still stalled", [condition("Stalled", "True", "Bad")], [condition("Stalled", "True", "Bad")], []),
    (
        "stalled otherwise",
        [condition("Stalled", "True", "Bad")],
        [condition("Stalled", "True", "Worse")],
        [(True, "Worse")],
    ),
    (
        "archive lost",
        [condition("ArchiveReady", "True")],
        [condition("ArchiveReady", "False", "Gone")],
        [(True, "Gone")],
    ),
    (
        "archive back",
        [condition("ArchiveReady", "False")],
        [condition("ArchiveReady", "True", "Complete")],
        [(False, "ArchiveReadyComplete")],
    ),
    ("reconciling is noise", [], [condition("Reconciling", "True")], []),
    (
        "the hub is not ready while the operator works",
        [condition("Ready", "True")],
        [condition("Ready", "False", "Preparing")],
        [(False, "Preparing")],
    ),
    (
        "pods that do not start are no work",
        [condition("Ready", "True")],
        [condition("Ready", "False", "Starting")],
        [(True, "Starting")],
    ),
    (
        "what took long has failed",
        [condition("Ready", "Unknown", "Fetching")],
        [condition("Ready", "False", "ViewNotReady")],
        [(True, "ViewNotReady")],
    ),
    ("who rejects a generation is told of elsewhere", [], [condition("Released", "False", "Rejected")], []),
    ("a deletion waits", [], [condition("Deleting", "True", "InUse")], [(True, "InUse")]),
    ("unknown is no news", [condition("ArchiveReady", "True")], [condition("ArchiveReady", "Unknown")], []),
    (
        "the same words once",
        [],
        [condition("Stalled", "True", "Bad"), condition("Released", "False", "Bad")],
        [(True, "Bad")],
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), [c[1:] for c in EVENTS], ids=[c[0] for c in EVENTS])
def test_events(before: list[Condition], after: list[Condition], expected: list[tuple[bool, str]]) -> None:
    assert [(h.warning, h.reason) for h in happened(before, after)] == expected


def test_revision_and_version_are_of_our_release_only() -> None:
    assert status(facts(release=release(owner="")), decide(facts(release=release(owner=""))), NOW).revision == 0


@pytest.mark.parametrize(
    ("seen", "releasing", "sealed_by"),
    [
        (facts(release=None, trust=Trust.NONE), 1, "old"),
        (facts(in_sync=False), 2, "now"),
        (facts(trust=Trust.INTENDED), 2, "old"),
        (facts(trust=Trust.OWN), 7, "old"),
        (facts(release=release("pending-upgrade"), trust=Trust.INTENDED), 7, "old"),
        (facts(), 0, "now"),
    ],
    ids=["installing", "upgrading", "going over", "sealing", "unlocking", "sealed"],
)
def test_what_helm_is_about_to_make_is_in_the_status_until_it_is_sealed(
    seen: Facts, releasing: int, sealed_by: str
) -> None:
    before = PDSHubStatus(releasing=7, sealed_by="old")
    seen = replace(seen, status=before, seal_key="now")
    after = status(seen, decide(seen), NOW)
    assert (after.releasing, after.sealed_by) == (releasing, sealed_by)
