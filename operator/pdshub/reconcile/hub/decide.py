"""Facts to one next action: pure and total, the heart of the operator."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pdshub.reconcile.hub.facts import Facts

BUDGET = 5
"""Failed runs of helm at the same generation, chart and values before only a human can help."""
SLOW_RETRY = ("RepositoryUnreachable",)
"""Reasons that heal by themselves and harm nothing: tried for ever, slowly."""


class Kind(Enum):
    """What can be done next."""

    NOTHING = "nothing"
    STALL = "stall"
    SUSPEND = "suspend"
    ADD_FINALIZER = "add-finalizer"
    PREPARE = "prepare"
    UNLOCK = "unlock"
    INSTALL = "install"
    UPGRADE = "upgrade"
    PROTECT = "protect"
    NOTIFY = "notify"
    TIDY = "tidy"
    WAIT = "wait"
    UNINSTALL = "uninstall"
    CLEAN = "clean"
    DROP_FINALIZER = "drop-finalizer"


@dataclass(frozen=True)
class Action:
    """The next action, and the words for the conditions."""

    kind: Kind
    reason: str = ""
    message: str = ""

    @property
    def acts(self) -> bool:
        """It changes something, and another look is due at once."""
        return self.kind not in (Kind.NOTHING, Kind.STALL, Kind.SUSPEND, Kind.WAIT)

    @property
    def settles(self) -> bool:
        """The status speaks of the present generation: its release was tried, or will not be."""
        return self.kind in (Kind.NOTHING, Kind.STALL, Kind.SUSPEND, Kind.WAIT, Kind.NOTIFY, Kind.TIDY, Kind.PROTECT)


def decide(facts: Facts) -> Action:
    """The one next action."""
    return _delete(facts) if facts.deleting else (_refuse(facts) or _prepare(facts) or _release(facts) or _keep(facts))


def _delete(facts: Facts) -> Action:
    if not facts.finalizer:
        return Action(Kind.NOTHING)
    if facts.conflicting_hub:
        # a hub that was never installed takes nothing of the other one along
        return Action(Kind.DROP_FINALIZER)
    if facts.release is not None and facts.release.owner == facts.names.name:
        return Action(Kind.UNINSTALL, "Deleting", "the hub is being removed")
    if facts.dependents:
        return Action(Kind.CLEAN, "Deleting", "what the hub left is being removed")
    return Action(Kind.DROP_FINALIZER)


def _refuse(facts: Facts) -> Action | None:
    name = facts.names.name
    if facts.conflicting_hub:
        return Action(
            Kind.STALL,
            "AnotherHub",
            f"namespace {facts.names.namespace} has PDSHub {facts.conflicting_hub} already, and holds one hub only: "
            f"move {name} to a namespace of its own, or delete {facts.conflicting_hub}",
        )
    if facts.spec is None:
        return Action(Kind.STALL, "InvalidSpec", f"the spec is refused: {facts.invalid}")
    if facts.terminating:
        return Action(Kind.SUSPEND, "NamespaceTerminating", f"namespace {facts.names.namespace} is being deleted")
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
    if facts.release is not None and facts.release.owner != name:
        whose = f"of PDSHub {facts.release.owner}" if facts.release.owner else "that PDSHub did not install"
        return Action(
            Kind.STALL,
            "ReleaseNotOurs",
            f"Helm release {name} {whose} is in this namespace: give the PDSHub another name, or uninstall it",
        )
    reason, message = facts.refused
    if message:
        return Action(Kind.STALL, reason, message)
    return None


def _prepare(facts: Facts) -> Action | None:
    if not facts.finalizer:
        return Action(Kind.ADD_FINALIZER, "Starting", "the hub is being prepared")
    if facts.release is not None and facts.release.pending:
        return Action(
            Kind.UNLOCK,
            "Interrupted",
            f"a run of helm was interrupted ({facts.release.status}): it is tried again",
        )
    if facts.settling:
        return Action(Kind.WAIT, "Settling", facts.settling)
    if facts.steps:
        return Action(Kind.PREPARE, "Preparing", "; ".join(step.what for step in facts.steps))
    if facts.missing_secret:
        return Action(Kind.STALL, "SecretMissing", facts.missing_secret)
    if facts.chart is not None and facts.chart.trouble:
        return Action(Kind.STALL, facts.chart.reason, facts.chart.trouble)
    return None


def _release(facts: Facts) -> Action | None:
    deployed = facts.release is not None and facts.release.status == "deployed"
    if deployed and facts.in_sync and not facts.resumed:
        return None
    attempt = facts.attempt
    if attempt.key == facts.key and attempt.failures:
        spent = attempt.failures >= BUDGET
        if spent and attempt.reason not in SLOW_RETRY:
            return Action(Kind.STALL, attempt.reason or "HelmFailed", attempt.message)
        if attempt.wait > 0:
            kind = Kind.STALL if spent else Kind.WAIT
            return Action(kind, attempt.reason or "HelmFailed", f"{attempt.message}; it is tried again")
    if facts.release is None:
        return Action(Kind.INSTALL, "Installing", "the hub is being installed")
    return Action(Kind.UPGRADE, "Upgrading", f"revision {facts.release.revision + 1} is being installed")


def _keep(facts: Facts) -> Action:
    if facts.unprotected:
        return Action(Kind.PROTECT, "Protecting", "the database's volume is set to Retain")
    if facts.notice_pod:
        return Action(Kind.NOTIFY, "Notifying", "the hub's pages are told about the archive")
    if not (facts.hub.rolled_out and facts.proxy.rolled_out) or not facts.serving:
        trouble = facts.hub.trouble or facts.proxy.trouble or facts.unhealthy or "its pods are being replaced"
        return Action(Kind.WAIT, "Starting", f"the hub is starting: {trouble}")
    if facts.stale:
        return Action(Kind.TIDY, "Tidying", "what was made for an earlier archive is removed")
    return Action(Kind.NOTHING)
