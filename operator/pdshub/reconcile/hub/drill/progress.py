"""A drill, step by step, as its record tells it: pure functions from one record to the next."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from pdshub import rfc3339
from pdshub.api.hub_backup import Drill
from pdshub.reconcile.hub.backup.outcome import Outcome
from pdshub.reconcile.hub.drill import rotation, saved
from pdshub.reconcile.hub.drill.record import Drills, Stage, Verdict
from pdshub.reconcile.hub.drill.saved import Saved
from pdshub.render.backup_request import DATABASE, home_item, user_of
from pdshub.render.names import Names, short

RETRIES = 2
"""How often what was interrupted, or found the repository locked, is begun anew."""
HOPELESS = ("NoRepository", "WrongKey", "Unreachable")
"""Reasons after which nothing else of the drill can go better."""
UNTRIED = (*HOPELESS, "NotDrilled", "BadRecord", "Refused")
"""Reasons of what was not looked at: it keeps its place."""
MOST_SUSPECTS = 20
_JOB = re.compile(r".*-d(\d{1,4})(?:-r(\d))?")
_WORDS = 300
_NAMED = 3


def site(names: Names, namespace: str) -> Names:
    """Names of what a drill makes in its own namespace: of two hubs they are never the same."""
    digest = hashlib.sha256(f"{names.namespace}/{names.name}".encode()).hexdigest()[:8]
    return Names(namespace, f"{short(names.namespace, names.name, limit=31)}-{digest}")


def job_name(names: Names, index: int, attempt: int = 0) -> str:
    """The name of a stage's Job in the drills' namespace: it tells its stage and attempt."""
    return f"{site(names, '').name}-d{index}{f'-r{attempt}' if attempt else ''}"


def is_of(names: Names, job: str) -> bool:
    """Whether a name is that of a Job of this hub's drills: whoever rules the hub's namespace can change the record."""
    return job.startswith(f"{site(names, '').name}-d") and _JOB.fullmatch(job) is not None


def at(job: str) -> tuple[int, int]:
    """Stage and attempt of a Job by its name. Raises ValueError for a name that is none of ours."""
    found = _JOB.fullmatch(job)
    if found is None:
        raise ValueError(f"{job} is no Job of a drill")
    return int(found[1]), int(found[2] or 0)


def begun(before: Drills, settings: Drill, there: Mapping[str, Saved], now: float) -> Drills:
    """A drill begins: what it takes."""
    waiting = rotation.queue(before.queue, saved.users(there))
    homes = map(home_item, rotation.sample(waiting, settings.sample))
    taken = dict.fromkeys([*saved.FIXED, *before.suspects, *homes])
    stages = [_compare(there[item]) for item in taken if item in there]
    if DATABASE in there:
        stages += [_compare(there[DATABASE]).model_copy(update={"kind": "fetch"}), Stage(kind="boot")]
    total = rotation.parts(settings.read_percent)
    stages.append(Stage(kind="check", part=rotation.part(rotation.next_part(before.read, total), total)))
    update = {
        "number": before.number + 1,
        "started": rfc3339.text(now),
        "running": True,
        "stages": stages,
        "job": "",
        "age_seconds": saved.age(there, now),
        "queue": waiting,
        "read": rotation.kept(before.read, total),
    }
    return before.model_copy(update=update)


def _compare(one: Saved) -> Stage:
    return Stage(kind="compare", item=one.item, snapshot=one.snapshot, taken_at=one.at, size_bytes=one.size_bytes)


def next_stage(drills: Drills) -> int | None:
    """The stage that is next; None when all are over."""
    return next((index for index, stage in enumerate(drills.stages) if not stage.over), None)


def _with(drills: Drills, index: int, **update: object) -> Drills:
    stages = list(drills.stages)
    stages[index] = stages[index].model_copy(update=update)
    return drills.model_copy(update={"stages": stages})


def working(drills: Drills, index: int, job: str, now: float) -> Drills:
    """A Job is about to be made: said first, so that one that was made is never forgotten."""
    begun_at = drills.stages[index].begun or rfc3339.text(now)
    return _with(drills, index, phase="Running", begun=begun_at).model_copy(update={"job": job})


def after(drills: Drills, index: int, outcome: Outcome, now: float) -> Drills:
    """A stage's Job has ended: what became of it is taken down."""
    stage, said = drills.stages[index], outcome.answer
    seconds = max(0.0, now - rfc3339.seconds(stage.begun)) if stage.begun else 0.0
    drills = drills.model_copy(update={"job": ""})
    if said is None or not said.ok:
        reason = outcome.reason or "Failed"
        made = _with(drills, index, phase="Failed", reason=reason, message=outcome.message[:_WORDS], seconds=seconds)
        return given_up(made, reason) if reason in HOPELESS else _skipped(made, index)
    item = said.item
    made = _with(
        drills, index, phase="Completed", message=said.message[:_WORDS], seconds=seconds,
        restore_seconds=item.seconds if item else said.seconds, files=said.files,
    )  # fmt: skip
    if stage.kind == "check":
        made = made.model_copy(update={"read": {**made.read, stage.part: rfc3339.text(now)}})
    return made


def given_up(drills: Drills, reason: str) -> Drills:
    """Nothing more is tried."""
    stages = [
        stage if stage.over else stage.model_copy(update={"phase": "Failed", "reason": reason, "message": "not tried"})
        for stage in drills.stages
    ]
    return drills.model_copy(update={"stages": stages})


def _skipped(drills: Drills, index: int) -> Drills:
    """No hub can be booted from a database that did not come back."""
    if drills.stages[index].kind != "fetch" or index + 1 >= len(drills.stages):
        return drills
    return _with(drills, index + 1, phase="Failed", reason="NotFetched", message="the database did not come back")


def finished(drills: Drills) -> Drills:
    """All of a drill is over: the verdict, who goes to the end of the queue, and what has to be tried again."""
    bad = [stage for stage in drills.stages if stage.phase == "Failed"]
    compared = [stage for stage in drills.stages if stage.kind == "compare"]
    suspects = [stage.item for stage in compared if stage.phase == "Failed" and stage.reason not in UNTRIED]
    tried = {user_of(stage.item) for stage in compared if stage.phase == "Completed" or stage.item in suspects}
    untried = [stage.item for stage in compared if stage.item in drills.suspects and stage.reason in UNTRIED]
    verdict = Verdict(
        at=drills.started,
        ok=not bad,
        reason=_reason(bad),
        message=_words(drills, bad)[:1024],
        recovery_seconds=sum(stage.seconds for stage in drills.stages if stage.kind in ("fetch", "boot")),
        age_seconds=drills.age_seconds,
    )
    update = {
        "running": False,
        "job": "",
        "queue": rotation.done(drills.queue, tried),
        "suspects": list(dict.fromkeys([*suspects, *untried]))[:MOST_SUSPECTS],
        "last": verdict,
        **({"good": verdict} if verdict.ok else {}),
    }
    return drills.model_copy(update=update)


def _reason(bad: Sequence[Stage]) -> str:
    if not bad:
        return "Verified"
    reasons = [stage.reason for stage in bad]
    if "Damaged" in reasons:
        return "Damaged"
    return "HubNotBooted" if all(stage.kind in ("fetch", "boot") for stage in bad) else reasons[0]


def _title(stage: Stage) -> str:
    if stage.kind == "compare":
        return stage.item
    return {"fetch": "the database's copy", "boot": "a hub from it"}.get(stage.kind, f"part {stage.part} of the data")


def _words(drills: Drills, bad: Sequence[Stage]) -> str:
    if bad:
        first = "; ".join(f"{_title(stage)}: {stage.reason}: {stage.message}" for stage in bad[:_NAMED])
        return first + (f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else "")
    compared = [stage for stage in drills.stages if stage.kind == "compare"]
    homes = [user_of(stage.item) for stage in compared if user_of(stage.item)]
    size, seconds = sum(stage.size_bytes for stage in compared), sum(stage.restore_seconds for stage in compared)
    names = ", ".join(homes[:_NAMED]) + (f" and {len(homes) - _NAMED} more" if len(homes) > _NAMED else "")
    booted = next((stage for stage in drills.stages if stage.kind == "boot"), None)
    recovery = sum(stage.seconds for stage in drills.stages if stage.kind in ("fetch", "boot"))
    parts = [f"{len(compared)} items came back as they were saved, {size} bytes in {seconds:.1f} s of restic"]
    parts += [f"homes: {names}"] if homes else []
    parts += [f"database and a hub that answers from it: {recovery:.0f} s, {booted.message}"] if booted else []
    parts.append(f"what would have been lost is at most {drills.age_seconds / 3600:.1f} h")
    return "; ".join(parts)
