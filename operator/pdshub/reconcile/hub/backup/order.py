"""The Job of a step: what it is asked, what it mounts, and where it has to run. Pure."""

from __future__ import annotations

from pdshub.api.backup_job import JobRequest
from pdshub.api.hub_backup import Backup
from pdshub.reconcile.hub.backup import checkpoint, items, progress
from pdshub.reconcile.hub.backup.asked import Restore, Run
from pdshub.reconcile.hub.backup.facts import Facts, nodes_of, works
from pdshub.reconcile.hub.backup.steps import Start
from pdshub.render import backup_request
from pdshub.render.backup_job import Order, host_of, owner_of
from pdshub.render.backup_repository import Place
from pdshub.render.backup_request import DATABASE, KEYS, OBJECTS, How, user_of
from pdshub.render.names import DATABASE_CLAIM


def _checkpoint(facts: Facts, step: Start) -> bool:
    """Whether a step's Job saves a home from a checkpoint."""
    return checkpoint.wanted(facts, step.stage, step.attempt, step.item, items.claim_of(facts, step.item))


def how(facts: Facts, item: str, *, shown: bool = False) -> How:
    """How consistent what is saved of an item will be. ``shown``: from a checkpoint."""
    if shown:
        return "Snapshot"
    if item == DATABASE:
        return "SQLite"
    if not user_of(item):
        return ""
    used = any(not use.going for use in facts.uses.get(items.claim_of(facts, item), ()))
    return "InUse" if used else "Stopped"


def _request(facts: Facts, backup: Backup, place: Place, step: Start) -> JobRequest:
    about, names = step.about, facts.names
    if isinstance(about, Restore):
        assert about.spec is not None  # noqa: S101 - decided before
        return backup_request.of_restore(backup, place, names, about.name, about.spec)
    assert isinstance(about, Run) and about.spec is not None  # noqa: S101 - decided before
    if step.stage.action == "init":
        return backup_request.of_init(backup, place, names, about.name)
    if step.stage.action == "forget":
        return backup_request.of_forget(backup, place, names, about.name, facts.upgrades)
    said = how(facts, step.item, shown=_checkpoint(facts, step))
    return backup_request.of_item(backup, place, names, about.name, about.spec, step.item, said)


def order(facts: Facts, step: Start) -> Order:
    """The Job that a step asks for. ``facts`` are of a hub with a repository: decided before."""
    assert facts.backup is not None and facts.place is not None  # noqa: S101
    about, item, job = step.about, step.item, progress.job_name(step.about.name, step.stage, step.attempt)
    host, unlocks = host_of(facts.names, facts.uid), step.stage.exclusive
    if unlocks and works(facts.pods, host):
        host = ""  # locks of that name may be those of a living one: only those go that are too old
    return Order(
        job=job,
        run=about.name,
        owner=owner_of(about.resource.kind, about.name, about.uid),
        request=_request(facts, facts.backup, facts.place, step).model_copy(update={"unlock": unlocks}),
        place=facts.place,
        key=facts.key_secret,
        home=items.claim_of(facts, item) if user_of(item) else "",
        database=DATABASE_CLAIM if item == DATABASE else "",
        secrets=facts.secrets if item == KEYS else (),
        objects=facts.objects if item == OBJECTS else {},
        identity=facts.identity,
        checkpoint=_checkpoint(facts, step),
        snapshot=checkpoint.taken(facts, step, job, items.claim_of(facts, item)),
        nodes=nodes_of(facts, items.mounted(facts, step.stage, step.attempt, item))[0],
        host=host,
    )
