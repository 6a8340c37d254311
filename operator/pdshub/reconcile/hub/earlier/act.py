"""Does one step of a question. Each can be done again: an operator killed in it goes on from what is there."""

from __future__ import annotations

import logging

from pdshub.api.earlier import Question
from pdshub.audit_log.entry import HOME_RESTORE
from pdshub.kube import CONFIG_MAP, HUB_RESTORE, JOB, Kube, KubeError
from pdshub.reconcile.hub.earlier import look
from pdshub.reconcile.hub.earlier.context import EarlierContext
from pdshub.reconcile.hub.earlier.decide import Bring, Say, Seen, StartLook
from pdshub.reconcile.hub.earlier.versions import OTHERWISE
from pdshub.render.names import Names

log = logging.getLogger(__name__)


async def act(context: EarlierContext, seen: Seen, step: StartLook | Bring) -> Say:
    """Make the Job or the HubRestore of a question, and what is said of it. Raises KubeError where nobody answers."""
    names, question = seen.facts.names, step.question
    memory = context.memory((names.namespace, names.name))
    try:
        if isinstance(step, Bring):
            made = await context.kube.create(HUB_RESTORE, look.restore(names, seen.facts.uid, question))
            if made:
                memory.restores.spend(1)
                _write_down(context, names, question)
                context.begun((names.namespace, names.name))
        else:
            await start_look(context, seen, step)
            memory.looks.spend(1)
    except KubeError as error:
        if error.status == 0:
            raise
        log.warning("%s/%s: what was asked at the hub cannot be made: %s", names.namespace, names.name, error)
        return Say(question.id, True, False, "Refused", OTHERWISE)
    return Say(question.id, False, True, "Waiting", "It is begun.")


async def start_look(context: EarlierContext, seen: Seen, step: StartLook) -> None:
    """Make a look's ConfigMap and Job. What is there of it already stays. Raises KubeError."""
    names = seen.facts.names
    config_map, job = look.objects(names, look.order(seen.facts, step.question), context.hubs.installation.backup)
    await context.kube.create(CONFIG_MAP, config_map)
    await context.kube.create(JOB, job)


async def remove_look(kube: Kube, namespace: str, job: str) -> None:
    """Take a look's Job and ConfigMap away. Raises KubeError."""
    # the Job last: while it is there, all of it is found again
    await kube.delete(CONFIG_MAP, job, namespace)
    await kube.delete(JOB, job, namespace)


def _write_down(context: EarlierContext, names: Names, question: Question) -> None:
    context.hubs.audit.record(
        HOME_RESTORE,
        f"{names.namespace}/{names.name}",
        user=question.user,
        restore=look.restore_name(question.id),
        path=question.path,
        snapshot=question.snapshot[:12],
        as_of=question.as_of,
    )
