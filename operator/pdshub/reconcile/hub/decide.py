"""Facts to one next action: pure and total, the heart of the operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pdshub.reconcile.hub.drift import in_words
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.guard import UNGUARDED, unguarded
from pdshub.reconcile.hub.recovering import RECOVERING
from pdshub.reconcile.hub.trust import Trust
from pdshub.reconcile.hub.upgrade_state import Turn

BUDGET = 5
"""Failed runs of helm at the same generation, chart and values before only a human can help."""
SLOW_RETRY = ("RepositoryUnreachable",)
"""Reasons that heal by themselves and harm nothing: tried for ever, slowly."""


class Kind(Enum):
    """What can be done next. The values appear in logs alone."""

    NOTHING = "nothing"
    STALL = "stall"
    SUSPEND = "suspend"
    ADD_FINALIZER = "add-finalizer"
    GRANT = "grant"
    PREPARE = "prepare"
    UNLOCK = "unlock"
    COPY_DATABASE = "copy-database"
    ROLL_BACK = "roll-back"
    INSTALL = "install"
    UPGRADE = "upgrade"
    SEAL = "seal"
    REPAIR = "repair"
    PROTECT = "protect"
    NOTIFY = "notify"
    TRY_SIGN_IN = "try-sign-in"
    OPEN_DOOR = "open-door"
    CLOSE_DOOR = "close-door"
    COLLECT_STALE = "collect-stale"
    WAIT = "wait"
    COLLECT_REVISIONS = "collect-revisions"
    UNINSTALL = "uninstall"
    COLLECT_DEPENDENTS = "collect-dependents"
    DROP_FINALIZER = "drop-finalizer"


@dataclass(frozen=True)
class Action:
    """The next action, and the reason and message that the conditions give for it."""

    kind: Kind
    reason: str = ""
    message: str = ""

    @property
    def acts(self) -> bool:
        """Whether it changes something, so that another look is due at once."""
        return self.kind not in (Kind.NOTHING, Kind.STALL, Kind.SUSPEND, Kind.WAIT)

    @property
    def settles(self) -> bool:
        """Whether status.observedGeneration may advance to the present generation.

        It may when the release of this generation was tried, or is not going to be.
        """
        return self.kind in (
            Kind.NOTHING,
            Kind.STALL,
            Kind.SUSPEND,
            Kind.WAIT,
            Kind.NOTIFY,
            Kind.TRY_SIGN_IN,
            Kind.OPEN_DOOR,
            Kind.COLLECT_STALE,
            Kind.PROTECT,
            Kind.SEAL,
            Kind.REPAIR,
        )


def decide(facts: Facts) -> Action:
    """The one next action for these facts. Raises nothing."""
    if facts.deleting:
        return _delete(facts)
    return _refuse(facts) or _prepare(facts) or _returns(facts) or _release(facts) or _keep(facts)


def _delete(facts: Facts) -> Action:
    if not facts.finalizer:
        return Action(Kind.NOTHING)
    if facts.conflicting_hub:
        # a hub that was never installed takes nothing of the other one along
        return Action(Kind.DROP_FINALIZER)
    if facts.terminating:
        # Kubernetes removes what is in the namespace, in any order, and with it the right to do anything there
        if facts.dependents:
            return Action(Kind.COLLECT_DEPENDENTS, "Deleting", "what the hub left outside of its namespace is removed")
        return Action(Kind.DROP_FINALIZER)
    if not facts.granted:
        return _grant(facts)
    if facts.broken_revisions:
        return Action(Kind.COLLECT_REVISIONS, "Deleting", "revisions that cannot be read are being removed")
    if facts.release is not None and facts.release.owner == facts.names.name:
        return Action(Kind.UNINSTALL, "Deleting", "the hub is being removed")
    if facts.dependents:
        return Action(Kind.COLLECT_DEPENDENTS, "Deleting", "what the hub left is being removed")
    return Action(Kind.DROP_FINALIZER)


def _grant(facts: Facts) -> Action:
    """What the namespace's account needs before anything in the namespace can be read."""
    if facts.barred:
        return Action(Kind.STALL, "NamespaceNotAllowed", facts.barred)
    return Action(Kind.GRANT, "Preparing", f"namespace {facts.names.namespace} is opened for its hub")


def _refuse(facts: Facts) -> Action | None:
    name = facts.names.name
    if facts.conflicting_hub:
        return Action(
            Kind.STALL,
            "AnotherHub",
            f"namespace {facts.names.namespace} has PDSHub {facts.conflicting_hub} already, and holds one hub only: "
            f"move {name} to a namespace of its own, or delete {facts.conflicting_hub}",
        )
    if facts.terminating:
        return Action(Kind.SUSPEND, "NamespaceTerminating", f"namespace {facts.names.namespace} is being deleted")
    if facts.barred or (facts.finalizer and not facts.granted):
        return _grant(facts)
    if facts.spec is None:
        return Action(Kind.STALL, "InvalidSpec", f"the spec is refused: {facts.invalid}")
    if facts.spec.suspend:
        return Action(Kind.SUSPEND, "Suspended", "spec.suspend is true: nothing is installed, upgraded or repaired")
    if facts.spec.sign_in and facts.spec.sign_in.development and not facts.development:
        return Action(
            Kind.STALL,
            "DevelopmentSignIn",
            f"signIn.development lets in everybody who knows one password: use signIn.google, or label the "
            f"namespace for development (kubectl label namespace {facts.names.namespace} "
            f"pdshub.dev/environment=development)",
        )
    if facts.guard.enforced is False:
        return Action(Kind.STALL, UNGUARDED, unguarded(facts.names.namespace))
    if facts.release is not None and facts.release.owner != name:
        whose = f"of PDSHub {facts.release.owner}" if facts.release.owner else "that PDSHub did not install"
        return Action(
            Kind.STALL,
            "ReleaseNotOurs",
            f"Helm release {name} {whose} is in this namespace: give the PDSHub another name or a "
            f"namespace of its own. Do not uninstall it: its database may go with it",
        )
    if facts.unreadable_release is not None and facts.unreadable_release.forged:
        broken = facts.unreadable_release
        return Action(
            Kind.STALL,
            "ReleaseForged",
            f"{broken.why}. Nothing of it is executed. Look at it, and who may write Secrets in namespace "
            f"{facts.names.namespace}; it holds no data of users: once it is taken away (kubectl delete secret "
            f"{broken.secret} -n {facts.names.namespace}) the hub goes on from the revision before, or is installed "
            f"over what runs",
        )
    if facts.unreadable_release is not None:
        broken = facts.unreadable_release
        return Action(
            Kind.STALL,
            "ReleaseUnreadable",
            f"{broken.why}. It is Helm's record of one revision in namespace {facts.names.namespace}, and holds no "
            f"data of users: put it back from a backup, or take it away, so that Helm goes on from the revision "
            f"before (kubectl delete secret {broken.secret} -n {facts.names.namespace})",
        )
    reason, message = facts.refused
    if message:
        return Action(Kind.STALL, reason, message)
    return None


def _prepare(facts: Facts) -> Action | None:
    if not facts.finalizer:
        return Action(Kind.ADD_FINALIZER, "Starting", "the hub is being prepared")
    if not facts.granted:
        return _grant(facts)
    if facts.release is not None and facts.release.pending:
        return Action(
            Kind.UNLOCK,
            "Interrupted",
            f"a run of helm was interrupted ({facts.release.status}): it is tried again",
        )
    if facts.trust is Trust.OWN:
        return Action(Kind.SEAL, "Sealing", "what was installed is being sealed")
    if facts.settling:
        return Action(Kind.WAIT, "Settling", facts.settling)
    if facts.front_door.stale:
        # before the release is changed: the proxy may need the port again
        gone = ", ".join(f"{kind} {name}" for kind, name in facts.front_door.stale)
        return Action(Kind.CLOSE_DOOR, "Tidying", f"the front door of an earlier mode is removed: {gone}")
    if facts.preparations:
        return Action(Kind.PREPARE, "Preparing", "; ".join(facts.preparations))
    if facts.missing_secret:
        return Action(Kind.STALL, "SecretMissing", facts.missing_secret)
    if facts.chart is not None and facts.chart.trouble:
        return Action(Kind.STALL, facts.chart.reason, facts.chart.trouble)
    return None


_TURNS = {"copy": Kind.COPY_DATABASE, "rollback": Kind.ROLL_BACK, "wait": Kind.WAIT, "stall": Kind.STALL}


def _turn(turn: Turn | None) -> Action | None:
    return Action(_TURNS[turn.how], turn.reason, turn.message) if turn else None


def _returns(facts: Facts) -> Action | None:
    """What is next of a return to a former release."""
    return _turn(facts.upgrade.turn) if facts.upgrade else None


def _release(facts: Facts) -> Action | None:
    deployed = facts.release is not None and facts.release.status == "deployed"
    # one that is not sealed is gone over: what it says it is, nobody can tell
    if deployed and facts.in_sync and not facts.resumed and facts.trust is Trust.SEALED:
        return None
    if facts.recovering:
        return Action(Kind.WAIT, RECOVERING, facts.recovering)
    if facts.database_conflict:
        return Action(Kind.STALL, "NotOurs", facts.database_conflict)
    attempt = facts.attempt
    if attempt.key == facts.key and attempt.failures:
        spent = attempt.failures >= BUDGET
        if spent and attempt.reason not in SLOW_RETRY:
            return Action(Kind.STALL, attempt.reason or "HelmFailed", attempt.message)
        if attempt.wait > 0:
            kind = Kind.STALL if spent else Kind.WAIT
            return Action(kind, attempt.reason or "HelmFailed", f"{attempt.message}; it is tried again")
    if (moving := _moves_homes(facts)) is not None:
        return moving
    if facts.release is None:
        return Action(Kind.INSTALL, "Installing", "the hub is being installed")
    if facts.upgrade and (first := _turn(facts.upgrade.copying)):
        return first
    return Action(Kind.UPGRADE, "Upgrading", f"revision {facts.release.revision + 1} is being installed")


def _claim_names(values: Mapping[str, Any]) -> Any:
    """What names claims of homes in values of a release."""
    found: Any = values
    for key in ("singleuser", "storage", "dynamic", "pvcNameTemplate"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _moves_homes(facts: Facts) -> Action | None:
    """Why an upgrade that names claims of homes anew is not done, or not yet; the loop of people compares them."""
    if facts.release is None or _claim_names(facts.release.values) in (None, _claim_names(facts.values)):
        return None
    known = next((c for c in facts.status.conditions if c.type == "HomesKnown"), None)
    if known is None:
        return None
    if known.observed_generation < facts.generation:
        return Action(Kind.WAIT, "ComparingHomes", "homes are compared with the names that they would get")
    return Action(Kind.STALL, known.reason, known.message) if known.reason == "HomeWouldMove" else None


def _keep(facts: Facts) -> Action:
    if facts.unprotected:
        return Action(Kind.PROTECT, "Protecting", "the database's volume is set to Retain and marked as this hub's")
    if facts.drift is not None and facts.drift.due and facts.spec is not None and facts.spec.drift == "Repair":
        return Action(Kind.REPAIR, "Repairing", f"put back as it was installed: {in_words(facts.drift.due)}")
    if facts.front_door.steps:
        # after the release: the proxy has given up its port
        return Action(Kind.OPEN_DOOR, "Preparing", "; ".join(step.what for step in facts.front_door.steps))
    if facts.notice_pod:
        return Action(Kind.NOTIFY, "Notifying", "the hub's pages are told about the archive")
    if not (facts.hub.rolled_out and facts.proxy.rolled_out) or not facts.serving:
        trouble = facts.hub.trouble or facts.proxy.trouble or facts.unhealthy or "its pods are being replaced"
        return Action(Kind.WAIT, "Starting", f"the hub is starting: {trouble}")
    if facts.sign_in.by_code and facts.sign_in_attempt is None:
        return Action(Kind.TRY_SIGN_IN, "TryingSignIn", "a name that nobody allowed tries to sign in")
    if facts.stale:
        return Action(Kind.COLLECT_STALE, "Tidying", "what was made for an earlier archive is removed")
    if facts.front_door.trouble:
        return Action(Kind.WAIT, "DoorNotServing", facts.front_door.trouble)
    return Action(Kind.NOTHING)


@dataclass(frozen=True)
class Done:
    """One step of an action that was done, for comparison with what the next look asks for."""

    words: str
    """Names the object, and what is done to it."""
    content: Any = None
    """What is written, where the same words can mean another content a moment later."""


def steps(facts: Facts, action: Action) -> tuple[Done, ...]:
    """What an action does, step by step; empty when it does nothing."""
    if action.kind is Kind.PREPARE:
        made = (Done(f"Secret {name} is made") for name in facts.new_secrets)
        return (*made, *(Done(step.what, step.body if step.how == "apply" else None) for step in facts.steps))
    if action.kind is Kind.OPEN_DOOR:
        return tuple(Done(step.what, step.body) for step in facts.front_door.steps)
    objects: Mapping[Kind, tuple[str, ...]] = {
        Kind.CLOSE_DOOR: tuple(f"{kind} {name}" for kind, name in facts.front_door.stale),
        Kind.COLLECT_DEPENDENTS: tuple(f"{kind} {name}" for kind, name in facts.dependents),
        Kind.COLLECT_STALE: tuple(f"{kind} {name}" for kind, name in facts.stale),
        Kind.COLLECT_REVISIONS: tuple(f"Secret {name}" for name in facts.broken_revisions),
        Kind.PROTECT: tuple(f"PersistentVolume {name}" for name in facts.unprotected),
        Kind.NOTIFY: (f"pod {facts.notice_pod}",),
        Kind.UNLOCK: (f"Secret {facts.release.secret}",) if facts.release else (),
    }
    about = objects.get(action.kind, (f"PDSHub {facts.names.name}",) if action.acts else ())
    content = facts.notice if action.kind is Kind.NOTIFY else None
    return tuple(Done(f"{what}: {action.message or action.kind.value}", content) for what in about)


def repeated(done: tuple[Done, ...], facts: Facts, action: Action) -> tuple[str, ...]:
    """Which steps of an action were done by the action before, and so changed nothing, in words."""
    return tuple(step.words for step in steps(facts, action) if step in done)


def no_progress(facts: Facts, again: tuple[str, ...]) -> Action:
    """What follows when steps were done and the next look asks for exactly the same ones again."""
    names = facts.names
    return Action(
        Kind.STALL,
        "NoProgress",
        f"{'; '.join(again)}: that was done and changed nothing. Something else in namespace {names.namespace} has an "
        f"object of that name or takes the change back: look what writes it (kubectl get --show-managed-fields -o "
        f"yaml), or give PDSHub {names.name} another name",
    )
