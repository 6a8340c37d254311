"""Writes what a hub needs beside its release: secrets, the archive's view and volumes, the notice, its database."""

from __future__ import annotations

import logging

from pdshub.kube import SECRET
from pdshub.reconcile.common.objects import Step
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
        make = {names.keys: keys.hub_keys, names.door: keys.door_token}.get(name, keys.password)
        body = make(names)
        if not await context.kube.create(SECRET, body):
            log.info("%s/%s: Secret %s is there already", names.namespace, names.name, name)
    for step in facts.steps:
        if step.how == "key":
            await _add_token(context, step)
        elif not await write(context.kube, step):
            log.info("%s/%s: %s: it is there already", names.namespace, names.name, step.what)
        if step.how == "adopt":
            # what helm refused before may succeed now: the attempts are counted anew
            context.memory(names.namespace, names.name).attempt = Attempt(key=facts.key)
    return ""


async def _add_token(context: HubContext, step: Step) -> None:
    """Add the operator's token to a hub's keys, unless somebody wrote them meanwhile. Raises KubeError."""
    meta = step.body["metadata"]
    body = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "stringData": keys.operator_token()}
    await context.kube.patch(SECRET, str(meta["name"]), body, str(meta["namespace"]))
