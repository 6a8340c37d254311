"""One module per action; each does one thing and can be done again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from pdshub.reconcile.hub.act import (
    collect,
    finalizer,
    grant,
    notify,
    open_door,
    prepare,
    protect,
    release,
    repair,
    try_sign_in,
    upgrade,
)
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.decide import Kind
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.upgrade import act as database

Act = Callable[[HubContext, Facts], Awaitable[str]]
"""Does the action; returns the message of an event, or nothing. Raises KubeError and HelmError."""

ACTS: Mapping[Kind, Act] = {
    Kind.ADD_FINALIZER: finalizer.add,
    Kind.DROP_FINALIZER: finalizer.drop,
    Kind.GRANT: grant.act,
    Kind.PREPARE: prepare.act,
    Kind.UNLOCK: release.unlock,
    Kind.INSTALL: release.install_or_upgrade,
    Kind.UPGRADE: upgrade.act,
    Kind.COPY_DATABASE: database.act,
    Kind.ROLL_BACK: database.act,
    Kind.SEAL: release.put_seal,
    Kind.REPAIR: repair.act,
    Kind.UNINSTALL: release.uninstall,
    Kind.PROTECT: protect.act,
    Kind.NOTIFY: notify.act,
    Kind.OPEN_DOOR: open_door.open_door,
    Kind.CLOSE_DOOR: open_door.close_door,
    Kind.TRY_SIGN_IN: try_sign_in.act,
    Kind.COLLECT_REVISIONS: collect.collect_revisions,
    Kind.COLLECT_STALE: collect.collect_stale,
    Kind.COLLECT_DEPENDENTS: collect.collect_dependents,
}

EVENT_REASONS: Mapping[Kind, str] = {
    Kind.INSTALL: "Install",
    Kind.UPGRADE: "Upgrade",
    Kind.UNLOCK: "Unlock",
    Kind.COPY_DATABASE: "DatabaseCopied",
    Kind.ROLL_BACK: "RollBack",
    Kind.REPAIR: "Repair",
}
"""Reasons of the events of what was done (docs/conditions.md, Events)."""
