"""The next step of a recovery, as a table of what was found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pdshub.api.hub_bootstrap import Recovery
from pdshub.kube import Object
from pdshub.reconcile.hub.backup.facts import Use
from pdshub.reconcile.hub.recovery import report
from pdshub.reconcile.hub.recovery.decide import decide, trouble
from pdshub.reconcile.hub.recovery.facts import Facts
from pdshub.reconcile.hub.recovery.record import Record, Row, read, written
from pdshub.reconcile.hub.recovery.steps import (
    MakeClaims,
    Nothing,
    Put,
    SayDone,
    Start,
    Step,
    Sweep,
    TakeKeys,
    Unmark,
)
from pdshub.render.names import HOME_LABELS, HUB_LABEL
from pdshub.wellknown import RECOVERING
from tests.unit.reconcile.hub.backup import given
from tests.unit.reconcile.hub.backup.given import NAMES, NOW

LATER = "2026-03-10T12:00:30Z"
RECOVERY = Recovery.model_validate({"repository": {"claim": {"name": "vault"}}})


def claim(name: str, user: str = "", *, marked: bool = True, hub: str = "demo") -> Object:
    labels = {HUB_LABEL: hub, **(HOME_LABELS if user else {})}
    notes = {"hub.jupyter.org/username": user} | ({RECOVERING: "x"} if marked else {})
    return {
        "metadata": {"name": name, "labels": labels, "annotations": notes},
        "spec": {"accessModes": ["ReadWriteOnce"]},
    }


VAULT = given.claim("vault", "ReadWriteMany")
DATABASE = Row(item="database", claim="hub-db-dir", snapshot="aa", there=True)
KEYS = Row(item="keys", snapshot="bb")
ADA = Row(item="home/ada", claim="claim-ada", snapshot="cc", there=True)
BACK = {"phase": "Completed"}


def row(of: Row, **more: Any) -> Row:
    return of.model_copy(update=more)


def a_record(*rows: Row, **more: Any) -> Record:
    return Record(started=NOW, listed=True, rows=list(rows), **more)


def facts(record: Record | None, *claims: Object, backups: dict[str, Any] | None = None, **more: Any) -> Facts:
    known = {item["metadata"]["name"]: item for item in (VAULT, *claims)}
    found = given.facts(claims=known, jobs={}, pods=(), **(backups or {}))
    return Facts(found, RECOVERY, NAMES, record=record, **{"ready": True, **more})


HOME, BASE = claim("claim-ada", "ada"), claim("hub-db-dir")
FULL_BASE = claim("hub-db-dir", marked=False)
CASES: list[tuple[str, Facts, type[Step]]] = [
    ("the hub is not prepared yet", facts(None, ready=False), Nothing),
    ("it is", facts(None), Put),
    ("keys of somebody", facts(None, keys="Others"), Nothing),
    ("a database of somebody", facts(None, FULL_BASE), Nothing),
    ("a release", facts(None, release=True), Nothing),
    ("a database that is half there, and no keys", facts(None, BASE), Put),
    ("back long since", facts(None, FULL_BASE, keys="Completed"), Nothing),
    ("homes still come, and the record is gone", facts(None, FULL_BASE, keys="Homes", ready=False), Put),
    ("the key is missing", facts(None, backups={"key": "Absent"}), Nothing),
    ("nothing is chosen", facts(Record(started=NOW)), Start),
    ("claims are to be made", facts(a_record(row(DATABASE, there=False), KEYS)), MakeClaims),
    ("one that is there is taken down", facts(a_record(row(DATABASE, there=False), KEYS), BASE), Put),
    ("the database", facts(a_record(DATABASE, KEYS, ADA), BASE, HOME), Start),
    ("that waits", facts(a_record(row(DATABASE, not_before=LATER), KEYS), BASE), Nothing),
    ("its mark goes", facts(a_record(row(DATABASE, **BACK), KEYS), BASE), Unmark),
    ("the keys", facts(a_record(row(DATABASE, **BACK), KEYS), FULL_BASE), Start),
    ("keys that nobody saved", facts(a_record(row(DATABASE, **BACK), row(KEYS, phase="Missing")), FULL_BASE), TakeKeys),
    ("who could open the answer is gone", facts(a_record(row(DATABASE, **BACK), row(KEYS, job="j")), FULL_BASE), Start),
    ("the keys are there", facts(a_record(row(DATABASE, **BACK), KEYS), FULL_BASE, keys="Homes"), Put),
    ("a home", facts(a_record(row(DATABASE, **BACK), row(KEYS, **BACK), ADA), FULL_BASE, HOME, keys="Homes"), Start),
    (
        "a home that is back",
        facts(a_record(row(DATABASE, **BACK), row(KEYS, **BACK), row(ADA, **BACK)), FULL_BASE, HOME, keys="Homes"),
        Unmark,
    ),
    (
        "a home that a server has",
        facts(
            a_record(row(KEYS, **BACK), ADA), HOME, keys="Homes",
            backups={"uses": {"claim-ada": (Use("jupyter-ada", "n1"),)}},
        ),
        Put,
    ),
    ("all is back", facts(a_record(row(KEYS, **BACK)), keys="Homes"), Put),
    ("that is said", facts(a_record(row(KEYS, **BACK), ended=NOW), keys="Homes"), SayDone),
    ("and was", facts(a_record(row(KEYS, **BACK), ended=NOW), keys="Completed"), Nothing),
    ("once more", facts(a_record(row(ADA, phase="Failed"), ended=NOW), keys="Completed", again="x"), Put),
]  # fmt: skip


@pytest.mark.parametrize(("found", "step"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_next_step(found: Facts, step: type[Step]) -> None:
    assert isinstance(decide(found), step), decide(found)


def test_a_job_that_nobody_waits_for_goes() -> None:
    found = facts(a_record(KEYS))
    found = replace(found, backups=replace(found.backups, jobs={"stray": given.job("stray")}))
    assert decide(found) == Sweep(("stray",))


@pytest.mark.parametrize(("claims", "at_once"), [((VAULT,), 3), ((given.claim("vault"),), 1)])
def test_a_repository_that_one_node_mounts_is_read_by_one_at_a_time(claims: tuple[Object, ...], at_once: int) -> None:
    found = given.facts(claims={item["metadata"]["name"]: item for item in claims})
    assert Facts(found, RECOVERY, NAMES).side_by_side == at_once


def test_a_record_is_read_as_it_was_written() -> None:
    rows = [Row(item=f"home/user-{n}@example.org", claim=f"claim-{n}", snapshot=f"{n:064x}") for n in range(1000)]
    known = a_record(*rows, again="x")
    body = written(NAMES, "uid", known)
    assert read(body) == known and len(body["binaryData"]["recovery.json.gz"]) < 100_000
    assert read(None) is None and read({"binaryData": {"recovery.json.gz": "eA=="}}) is None


def test_what_is_said_names_what_is_not_back_and_what_there_never_was() -> None:
    rows = [
        row(KEYS, **BACK),
        row(ADA, phase="Failed", reason="Full", message="the home has 3 bytes left"),
        Row(item="home/bela", phase="Missing", claim="claim-bela", there=True),
    ]
    found = facts(a_record(*rows, ended=NOW), HOME, keys="Completed")
    said = report.status(found)
    assert (said.phase, said.items, said.done) == ("PartiallyCompleted", 2, 1)
    for words in ("home/ada (Full: the home has 3 bytes left)", "does not have home/bela", "pdshub.dev/recover-again"):
        assert words in said.message
    assert report.condition(found, said)[1:3] == ("False", "ItemsNotBack")


def test_the_key_has_to_come_from_outside() -> None:
    reason, words = trouble(facts(None, backups={"key": "Absent"}))
    assert reason == "KeyMissing" and "kubectl create secret generic demo-backup-key -n ns" in words
