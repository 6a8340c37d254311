"""Writes what a hub needs beside its release: secrets, the archive's view and volumes, the notice, its database."""

from __future__ import annotations

import logging

from pdshub.kube import SECRET
from pdshub.reconcile.common.write import write
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Attempt, Facts
from pdshub.render import keys

log = logging.getLogger(__name__)


async def act(context: HubContext, facts: Facts) -> str:
    """Every step. An object that is there already stays as it is: if it is not what the hub needs, the next look
    asks for it again, and reconcile stalls with its name. Raises KubeError.
    """
    names = facts.names
    for name in facts.new_secrets:
        body = keys.hub_keys(names) if name == names.keys else keys.password(names)
        if not await context.kube.create(SECRET, body):
            log.info("%s/%s: Secret %s is there already", names.namespace, names.name, name)
    for step in facts.steps:
        if not await write(context.kube, step):
            log.info("%s/%s: %s: it is there already", names.namespace, names.name, step.what)
        if step.how == "adopt":
            # what helm refused before may succeed now: the attempts are counted anew
            context.memory(names.namespace, names.name).attempt = Attempt(key=facts.key)
    return ""
