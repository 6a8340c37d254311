"""Facts and the decision to conditions and status: pure.

Source: Kubernetes API conventions (Typical status properties); kstatus (Reconciling, Stalled are abnormal-true).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pdshub.api.hub import PDSHubStatus
from pdshub.api.status import Condition
from pdshub.reconcile.decide import Action, Kind
from pdshub.reconcile.facts import Facts
from pdshub.render import signin

Truth = Literal["True", "False", "Unknown"]
Row = tuple[str, Truth, str, str]
CONNECTING = "Connecting"
"""Reason of an archive that is being mounted for the first time."""
_LONGEST = 2000


def truth(value: bool | None) -> Truth:
    """A condition's status of what may not be known."""
    return "Unknown" if value is None else "True" if value else "False"


def carried(rows: Iterable[Row], before: Iterable[Condition], generation: int, now: str) -> list[Condition]:
    """Rows as conditions; the time changes only where the status does, and conditions of others stay."""
    old = {c.type: c for c in before}
    made = []
    for kind, status, reason, message in rows:
        was = old.pop(kind, None)
        made.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message[:_LONGEST],
                observed_generation=generation,
                last_transition_time=was.last_transition_time if was and was.status == status else now,
            )
        )
    return made


def _ready(facts: Facts, action: Action) -> Row:
    if facts.serving:
        worth = action.kind in (Kind.STALL, Kind.SUSPEND, Kind.UPGRADE, Kind.UNLOCK, Kind.WAIT)
        after = f"; {action.message}" if action.message and worth else ""
        return "Ready", "True", "Serving", f"people can sign in at {facts.address or 'the proxy'}{after}"
    if action.kind in (Kind.STALL, Kind.SUSPEND):
        return "Ready", "False", action.reason, action.message
    if action.message:
        return "Ready", "False", action.reason or "Starting", action.message
    return "Ready", "False", "NotServing", facts.hub.trouble or facts.proxy.trouble or facts.unhealthy


def _released(facts: Facts, action: Action) -> Row:
    release = facts.release
    failed = facts.attempt.key == facts.key and facts.attempt.failures > 0
    if release is not None and release.status == "deployed" and facts.in_sync:
        return "Released", "True", "Installed", f"revision {release.revision} of {release.chart} {release.version}"
    if failed:
        return "Released", "False", facts.attempt.reason or "HelmFailed", facts.attempt.message
    if action.kind is not Kind.STALL:
        return "Released", "Unknown", action.reason or "NotInstalled", action.message
    return "Released", "False", action.reason or "NotInstalled", action.message or "the hub is not installed"


def _sign_in(facts: Facts, action: Action) -> Row:
    if facts.spec is None or facts.spec.sign_in is None:
        return "SignInReady", "Unknown", "InvalidSpec", "the spec is refused"
    if action.reason == "DevelopmentSignIn":
        return "SignInReady", "False", action.reason, action.message
    if facts.rival:
        return "SignInReady", "Unknown", action.reason, "the hub is not installed"
    if facts.missing_secret:
        return "SignInReady", "False", "SecretMissing", facts.missing_secret
    name, key = signin.required_secret(facts.spec, facts.names)
    if facts.spec.sign_in.google:
        return "SignInReady", "True", "Google", "people sign in with Google"
    return "SignInReady", "True", "Development", f"everybody's password is in Secret {name}, key {key}"


def rows(facts: Facts, action: Action) -> list[Row]:
    """Every condition of a hub."""
    working = action.kind not in (Kind.NOTHING, Kind.STALL, Kind.SUSPEND)
    stalled = action.kind is Kind.STALL
    found: list[Row] = [
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
    if facts.view is not None:
        archive = facts.archive
        found.append(("ArchiveReady", truth(archive.ready), archive.reason or "NoReport", archive.message))
    if facts.homes is not None:
        found.append(("HomesEnforced", truth(facts.homes.enforced), facts.homes.reason, facts.homes.message))
    return found


def _archive_word(facts: Facts) -> str:
    if facts.view is None:
        return ""
    unknown = "connecting" if facts.archive.reason == CONNECTING else "unknown"
    word = {True: "ready", False: "not ready", None: unknown}[facts.archive.ready]
    return f"{facts.view.folder}: {word}"


def status(facts: Facts, action: Action, now: str) -> PDSHubStatus:
    """The whole status. ``now`` as RFC 3339 text."""
    before = facts.status
    seen = facts.generation if action.settles else before.observed_generation
    release = facts.release
    installed = release is not None and release.owner == facts.names.name
    return PDSHubStatus(
        observed_generation=seen,
        address=facts.address,
        users=len(signin.people(facts.spec)) if facts.spec else before.users,
        version=f"{release.chart}-{release.version}" if release and installed else "",
        revision=release.revision if release and installed else 0,
        archive=_archive_word(facts),
        failures=facts.attempt.failures if facts.attempt.key == facts.key else 0,
        attempted_digest=facts.attempt.key if facts.attempt.failures and facts.attempt.key == facts.key else "",
        conditions=carried(rows(facts, action), before.conditions, seen, now),
    )
