"""Facts and the decision to conditions and status: pure.

Source: Kubernetes API conventions (Typical status properties); kstatus (Reconciling, Stalled are abnormal-true).
"""

from __future__ import annotations

from pdshub.api.hub import PDSHubStatus
from pdshub.api.hub_tls import mode_of
from pdshub.api.hub_upgrade import UpgradeStatus
from pdshub.api.status import CertificateStatus
from pdshub.reconcile.common.conditions import CONNECTING, ConditionDraft, merge_conditions, truth
from pdshub.reconcile.hub import certificate, front_door
from pdshub.reconcile.hub.decide import Action, Kind
from pdshub.reconcile.hub.drift import Drift
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.guard import UNGUARDED, unguarded
from pdshub.reconcile.hub.judge import installed
from pdshub.reconcile.hub.judge_tls import REFUSED
from pdshub.reconcile.hub.trust import Trust
from pdshub.reconcile.hub.upgrade_state import FAILED, NOT_POSSIBLE, ROLLED_BACK, ROLLING_BACK, Upgrade, asked
from pdshub.render import signin, signin_rules

OWNED = (
    "Ready",
    "Reconciling",
    "Stalled",
    "Released",
    "SignInReady",
    "Suspended",
    "ArchiveReady",
    "HomesEnforced",
    "Drifted",
    "NamespaceGuarded",
    "NetworkEnforced",
    "UsersIsolated",
    "CertificateReady",
    "RolledBack",
)
"""Types of the conditions that the operator writes of hubs. All others belong to somebody else, and stay."""


def _ready(facts: Facts, action: Action) -> ConditionDraft:
    if facts.serving and facts.front_door.trouble:
        return "Ready", "False", "DoorNotServing", facts.front_door.trouble
    if facts.serving:
        worth = action.kind in (Kind.STALL, Kind.SUSPEND, Kind.UPGRADE, Kind.UNLOCK, Kind.WAIT)
        after = f"; {action.message}" if action.message and worth else ""
        return "Ready", "True", "Serving", f"people can sign in at {facts.address or 'the proxy'}{after}"
    if action.kind in (Kind.STALL, Kind.SUSPEND):
        return "Ready", "False", action.reason, action.message
    if action.message:
        return "Ready", "False", action.reason or "Starting", action.message
    return "Ready", "False", "NotServing", facts.hub.trouble or facts.proxy.trouble or facts.unhealthy


def _released(facts: Facts, action: Action) -> ConditionDraft:
    release = facts.release
    failed = facts.attempt.key == facts.key and facts.attempt.failures > 0
    if release is not None and release.status == "deployed" and facts.in_sync:
        return "Released", "True", "Installed", f"revision {release.revision} of {release.chart} {release.version}"
    if failed and not (facts.unreadable_release or facts.database_conflict):
        return "Released", "False", facts.attempt.reason or "HelmFailed", facts.attempt.message
    if action.kind is not Kind.STALL:
        return "Released", "Unknown", action.reason or "NotInstalled", action.message
    return "Released", "False", action.reason or "NotInstalled", action.message or "the hub is not installed"


def _by_code(facts: Facts) -> ConditionDraft:
    """A sign-in about which code decides: what was tried tells more than what is written."""
    values, attempt = ", ".join(facts.sign_in.by_code), facts.sign_in_attempt
    if attempt is not None and attempt.admitted:
        message = f"{attempt.said}: look at {values}, which decide who gets in, and at /hub/admin for who came in"
        return "SignInReady", "False", signin_rules.OPEN, message
    tried = attempt.said if attempt is not None else "no sign-in was tried yet"
    message = f"{values} can change who gets in, and what code does is not known from its text; {tried}"
    return "SignInReady", "Unknown", signin_rules.BY_CODE, message


def _guarded(facts: Facts) -> ConditionDraft:
    guard = facts.guard
    if guard.enforced is False:
        return "NamespaceGuarded", "False", UNGUARDED, unguarded(facts.names.namespace)
    if guard.enforced is None:
        return "NamespaceGuarded", "Unknown", "NotJudged", guard.why
    return "NamespaceGuarded", "True", "Enforced", "the namespace refuses privileged pods"


def _sign_in(facts: Facts, action: Action) -> ConditionDraft:
    if facts.spec is None or facts.spec.sign_in is None:
        return "SignInReady", "Unknown", "InvalidSpec", "the spec is refused"
    if action.reason in ("DevelopmentSignIn", signin_rules.OPEN):
        return "SignInReady", "False", action.reason, action.message
    if facts.conflicting_hub:
        return "SignInReady", "Unknown", action.reason, "the hub is not installed"
    if facts.missing_secret:
        return "SignInReady", "False", "SecretMissing", facts.missing_secret
    if facts.sign_in.by_code:
        return _by_code(facts)
    name, key = signin.required_secret(facts.spec, facts.names)
    if facts.sign_in.open:
        return "SignInReady", "True", "Development", f"in a namespace for development: {facts.sign_in.open}"
    if facts.spec.sign_in.google:
        return "SignInReady", "True", "Google", "people sign in with Google"
    return "SignInReady", "True", "Development", f"everybody's password is in Secret {name}, key {key}"


def _drifted(facts: Facts, drift: Drift) -> ConditionDraft:
    if not drift.found:
        return "Drifted", "False", "AsInstalled", f"{drift.compared} objects are as they were installed"
    after = ""
    if facts.spec is not None and facts.spec.drift == "Report":
        after = "; spec.drift is Report: it stays so"
    elif any(each.is_data for each in drift.found):
        after = "; a claim is not made anew, as a new one would be empty"
    return "Drifted", "True", "Changed", drift.words + after


def _rolled_back(due: Upgrade) -> ConditionDraft:
    """Whether the hub is the former one that the spec wants."""
    turn, back = due.turn, due.rollback
    if turn is not None and turn.reason in (NOT_POSSIBLE, FAILED):
        return "RolledBack", "False", turn.reason, turn.message
    if turn is not None or back is None or back.phase != "Done":
        words = turn.message if turn else back.message if back else "it begins"
        return "RolledBack", "Unknown", ROLLING_BACK, words
    after = (
        "The spec is not installed while spec.upgrade.rollback is there: correct what led here, then take it away "
        "(kubectl pdshub rollback --end), and the spec is installed again"
    )
    return "RolledBack", "True", ROLLED_BACK, f"{back.message}, since {back.at}. {after}"


def drafts(facts: Facts, action: Action) -> list[ConditionDraft]:
    """Every condition of a hub that applies now."""
    working = action.kind not in (Kind.NOTHING, Kind.STALL, Kind.SUSPEND)
    stalled = action.kind is Kind.STALL
    found: list[ConditionDraft] = [
        _ready(facts, action),
        (
            "Reconciling",
            truth(working),
            action.reason if working else "Settled",
            action.message if working else "nothing is under way",
        ),
        (
            "Stalled",
            truth(stalled),
            action.reason if stalled else "Working" if working else "Settled",
            action.message if stalled else "",
        ),
        _released(facts, action),
        _sign_in(facts, action),
    ]
    if action.reason == "Suspended":
        found.append(("Suspended", "True", action.reason, action.message))
    if facts.upgrade is not None and asked(facts.spec) is not None:
        found.append(_rolled_back(facts.upgrade))
    if facts.view is not None:
        archive = facts.archive
        found.append(("ArchiveReady", truth(archive.ready), archive.reason or "NoReport", archive.message))
    if facts.drift is not None:
        found.append(_drifted(facts, facts.drift))
    if facts.guard.enforced is not None or facts.guard.why:
        found.append(_guarded(facts))
    if facts.homes is not None:
        found.append(("HomesEnforced", truth(facts.homes.enforced), facts.homes.reason, facts.homes.message))
    if facts.spec is not None and action.reason == REFUSED:
        found.append(("CertificateReady", "False", REFUSED, action.message))
    elif facts.spec is not None:
        found.append(certificate.condition(facts.spec, facts.names, facts.certificate))
    if facts.network is not None:
        found.append(("NetworkEnforced", truth(facts.network.enforced), facts.network.reason, facts.network.message))
    if facts.isolation is not None:
        apart = facts.isolation
        found.append(("UsersIsolated", truth(apart.isolated), apart.reason, apart.message))
    return found


def _archive_word(facts: Facts) -> str:
    if facts.view is None:
        return ""
    unknown = "connecting" if facts.archive.reason == CONNECTING else "unknown"
    word = {True: "ready", False: "not ready", None: unknown}[facts.archive.ready]
    return f"{facts.view.folder}: {word}"


def _releasing(facts: Facts, action: Action) -> int:
    """The revision that helm is about to make: written before it runs, and kept until that revision is sealed."""
    if action.kind in (Kind.INSTALL, Kind.UPGRADE):
        return facts.release.revision + 1 if facts.release else 1
    return 0 if facts.trust is Trust.SEALED else facts.status.releasing


def _certificate(facts: Facts) -> CertificateStatus | None:
    """The certificate as it was seen last: while nobody answers, its end comes nearer all the same."""
    if facts.spec is not None and mode_of(facts.spec.tls) in ("", "None"):
        return None
    return facts.certificate.certificate or facts.status.certificate


def _front_door(facts: Facts) -> str:
    """The mode whose objects there may be. What could not be judged stays."""
    if facts.spec is None or not facts.granted or facts.refused[0]:
        return facts.status.front_door
    return front_door.present(facts.status.front_door, facts.front_door, mode_of(facts.spec.tls))


def _upgrade(facts: Facts) -> UpgradeStatus | None:
    """Copies and the return as they are known; what was not looked at stays."""
    due = facts.upgrade
    if due is None:
        return facts.status.upgrade
    found = UpgradeStatus(copies=list(due.copies), rollback=due.rollback)
    return found if found.copies or found.rollback or facts.status.upgrade else None


def status(facts: Facts, action: Action, now: str) -> PDSHubStatus:
    """The whole status of a hub. ``now`` is RFC 3339 text."""
    before = facts.status
    seen = facts.generation if action.settles else before.observed_generation
    release = facts.release if installed(facts) else None
    # a release that cannot be read is still there
    unread = facts.unreadable_release is not None or not facts.granted
    version = before.version if unread else ""
    revision = before.revision if unread else 0
    return PDSHubStatus(
        observed_generation=seen,
        address=facts.address if facts.granted else before.address,
        users=before.users,
        version=f"{release.chart}-{release.version}" if release else version,
        revision=release.revision if release else revision,
        archive=_archive_word(facts),
        front_door=_front_door(facts),
        certificate=_certificate(facts),
        failures=facts.attempt.failures if facts.attempt.key == facts.key else 0,
        releasing=_releasing(facts, action),
        sealed_by=facts.seal_key if facts.trust is Trust.SEALED else before.sealed_by,
        attempted_digest=facts.attempt.key if facts.attempt.failures and facts.attempt.key == facts.key else "",
        upgrade=_upgrade(facts),
        conditions=merge_conditions(drafts(facts, action), before.conditions, seen, now, OWNED),
    )


def unobserved(facts: Facts, why: str, now: str) -> PDSHubStatus:
    """The status of a hub that could not be looked at: what was known stays, but nobody knows whether it is so still.

    ``facts`` tell no more than the PDSHub itself (see judge.basics), ``why`` is what the look failed with.
    """
    before = facts.status
    message = f"the hub could not be looked at, it is tried again: {why}"
    failed: list[ConditionDraft] = [
        ("Ready", "Unknown", "ObservationFailed", message),
        ("Reconciling", "True", "ObservationFailed", message),
    ]
    present = {draft[0] for draft in failed}
    conditions = merge_conditions(failed, before.conditions, before.observed_generation, now, present)
    return before.model_copy(update={"conditions": conditions})
