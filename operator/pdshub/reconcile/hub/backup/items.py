"""What a run saves, item by item, and the claims that items lie in. Pure."""

from __future__ import annotations

from pdshub.reconcile.hub.backup import checkpoint
from pdshub.reconcile.hub.backup.asked import UNFINISHED, Run
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.reconcile.hub.backup.progress import Stage
from pdshub.reconcile.hub.recovering import is_empty
from pdshub.render.backup_request import DATABASE, KEYS, OBJECTS, home_item, user_of
from pdshub.render.names import DATABASE_CLAIM


def claim_of(facts: Facts, item: str) -> str:
    """The claim that an item lies in; empty for one that lies in none, or whose claim is not known."""
    if user := user_of(item):
        return facts.homes.get(user, "")
    return DATABASE_CLAIM if item == DATABASE else ""


def mounted(facts: Facts, stage: Stage, attempt: int, item: str) -> list[str]:
    """The claims that a Job about an item mounts, but for one of its own that shows a checkpoint."""
    repository, claim = facts.place.claim if facts.place else "", claim_of(facts, item)
    shown = checkpoint.wanted(facts, stage, attempt, item, claim)
    return [claim for claim in ("" if shown else claim, repository) if claim]


def concerned(facts: Facts) -> set[str]:
    """The claims that the next Jobs are about, or those that run."""
    found = {facts.place.claim if facts.place else ""}
    for run in facts.runs:
        if run.unfinished:
            left = (item.item for item in run.status.items if item.phase in UNFINISHED)
            found.add(claim_of(facts, next(left, "")))
    found |= {facts.homes.get(r.spec.user, "") for r in facts.restores if r.unfinished and r.spec}
    return found - {""}


def items_of(facts: Facts, run: Run) -> tuple[list[str], dict[str, str]]:
    """What a run saves, and what of it cannot be saved, with the reason."""
    missing: dict[str, str] = {}
    if facts.backup is None or run.spec is None:
        return [], missing
    what = facts.backup.what
    # an upgrade of the hub touches no home, and waits for its backup
    homes = what.homes and run.spec.trigger != "PreUpgrade"
    users = run.spec.users or (sorted(facts.homes) if homes else [])
    # what was not saved last time comes last: a home that takes until the deadline every day keeps no other waiting
    late = not_saved(facts)
    items = sorted((home_item(user) for user in dict.fromkeys(users)), key=lambda item: item in late)
    for item in items:
        claim = claim_of(facts, item)
        if not claim:
            missing[item] = "nobody of this name has a home here"
        elif claim not in facts.claims:
            missing[item] = f"claim {claim} is missing"
        elif is_empty(facts.claims[claim]):
            missing[item] = f"the content of claim {claim} is still to come from a backup"
    if run.spec.users:
        return items, missing
    if what.database:
        items.append(DATABASE)
        if DATABASE_CLAIM not in facts.claims:
            missing[DATABASE] = f"there is no claim {DATABASE_CLAIM}: the hub keeps its database elsewhere"
    if what.keys:
        items.append(KEYS)
        if not facts.secrets:
            missing[KEYS] = "the hub has no Secret of keys yet"
    return [*items, *([OBJECTS] if what.objects else [])], missing


def not_saved(facts: Facts) -> set[str]:
    """Items that the newest run about everything that has ended did not save."""
    ended = [run for run in facts.runs if run.whole and not run.unfinished]
    return {item.item for item in ended[-1].status.items if item.phase == "Failed"} if ended else set()
