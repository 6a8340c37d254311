"""``kubectl pdshub rollback``: what is asked for, refused and followed, and what a status may hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.cli import rollback
from pdshub.wellknown import CHANGED_BY
from tests.unit.cli.backup_cluster import BackupCluster
from tests.unit.cli.fake_cluster import condition, hub
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless


def copy(revision: int, why: str = "Upgrade", **more: Any) -> dict[str, Any]:
    return {
        "revision": revision, "version": f"jupyterhub-4.{revision}.0", "image": "registry.example.org/hub:1",
        "taken": "2026-11-25T10:00:00Z", "sizeBytes": 204800, "why": why, "release": True, **more,
    }  # fmt: skip


COPIES = [copy(8, "Rollback"), copy(7), copy(6), copy(5, release=False)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollback, "POLL_SECONDS", 0.0)


def cluster(*copies: dict[str, Any], revision: int = 9, spec: dict[str, Any] | None = None) -> BackupCluster:
    where = BackupCluster()
    found = hub()
    found["spec"] |= {"upgrade": spec} if spec is not None else {}
    found["status"] |= {"revision": revision, "upgrade": {"copies": list(copies)}}
    where.put("pdshub", found)
    return where


def operated(where: BackupCluster, *states: tuple[str, str, str, str]) -> BackupCluster:
    """The operator's conditions, one with each look after the writing."""
    real, left = where.get, list(states)

    def get(*arguments: str) -> dict[str, Any]:
        found = real(*arguments)
        if left and "metadata" in found and found["metadata"]["generation"] > 1:
            kind, status, reason, message = left.pop(0)
            made = condition(kind, status, reason, message, found["metadata"]["generation"])
            found = {**found, "status": {**found["status"], "conditions": [made]}}
        return found

    where.__dict__["get"] = get
    return where


def test_copies_are_listed(call: Call) -> None:
    code, out, err = call(cluster(*COPIES), "rollback --list")
    assert code == 0, err
    assert out.splitlines()[1] == (
        "revision 7: jupyterhub-4.7.0, image registry.example.org/hub:1, 2026-11-25T10:00:00Z, 200 KiB, "
        "before an upgrade"
    )
    assert "replaced by a return" in out.splitlines()[0] and "nobody can go back to it" in out.splitlines()[3]
    assert "there is no copy yet" in call(cluster(), "rollback --list")[1]


@pytest.mark.parametrize(
    ("line", "revision"), [("rollback", 7), ("rollback --to 6", 6), ("rollback --to 8 --hub hub/sbn", 8)]
)
def test_it_goes_back_and_says_so(call: Call, line: str, revision: int) -> None:
    where = operated(
        cluster(*COPIES),
        ("RolledBack", "Unknown", "RollingBack", "the hub is stopped"),
        ("RolledBack", "True", "RolledBack", f"revision {revision} runs"),
    )
    code, out, err = call(where, f"{line} --yes")
    assert (code, out.strip()) == (0, f"RolledBack: revision {revision} runs"), err
    assert "the hub is stopped" in err and "tokens revoked since then are valid again" in err
    found = where.found("pdshub", "sbn")
    assert found["spec"]["upgrade"] == {"rollback": revision}
    by = json.loads(found["metadata"]["annotations"][CHANGED_BY])
    assert by["by"] == "ada@desk" and f"--to {revision}" in by["command"]


def test_other_fields_of_spec_upgrade_stay(call: Call) -> None:
    where = operated(cluster(*COPIES, spec={"keep": 5}), ("RolledBack", "True", "RolledBack", "done"))
    assert call(where, "rollback --yes")[0] == 0
    assert where.found("pdshub", "sbn")["spec"]["upgrade"] == {"keep": 5, "rollback": 7}


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("rollback --to 4 --yes", 2, "there is no copy of that revision: there are 8, 7, 6"),
        ("rollback --to 5 --yes", 2, "there is no copy of that revision"),
        ("rollback --to x --yes", 2, "is no revision"),
        ("rollback --to 0 --yes", 2, "is no revision"),
        ("rollback --to 6 --end", 2, "not allowed with"),
        ("rollback --end --yes", 1, "nothing is to be ended"),
        ("rollback", 2, "add --yes"),
    ],
)
def test_what_is_refused_changes_nothing(call: Call, line: str, code: int, words: str) -> None:
    where = cluster(*COPIES)
    got, out, err = call(where, line)
    assert got == code and words in out + err
    assert "upgrade" not in where.found("pdshub", "sbn")["spec"]


def test_without_copies_the_operator_is_not_asked(call: Call) -> None:
    got, _, err = call(cluster(), "rollback --yes")
    assert got == 1 and "there is no copy yet" in err


def test_a_dry_run_stores_nothing(call: Call) -> None:
    where = cluster(*COPIES)
    code, out, err = call(where, "rollback --dry-run")
    assert code == 0 and "revision 7" in out and "nothing was stored" in out, err
    assert "upgrade" not in where.found("pdshub", "sbn")["spec"]


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (("RolledBack", "False", "RollbackFailed", "Full: no space"), 1),
        (("RolledBack", "False", "RollbackNotPossible", "there is no copy"), 1),
        (("Stalled", "True", "SecretMissing", "create it"), 1),
    ],
)
def test_an_end_that_is_none(call: Call, state: tuple[str, str, str, str], code: int) -> None:
    got, out, _ = call(operated(cluster(*COPIES), state), "rollback --yes")
    assert got == code and state[3] in out


def test_no_end_in_time_goes_on(call: Call) -> None:
    got, out, _ = call(cluster(*COPIES), "rollback --yes --timeout 0")
    assert got == 3 and "kubectl get pdshub sbn -n hub" in out
    got, out, _ = call(cluster(*COPIES), "rollback --yes --no-wait")
    assert got == 0 and "it is asked for" in out


def test_the_end_of_a_return(call: Call) -> None:
    where = operated(cluster(*COPIES, spec={"rollback": 7}), ("Reconciling", "False", "Settled", ""))
    code, out, err = call(where, "rollback --end --yes")
    assert code == 0, out + err
    assert where.found("pdshub", "sbn")["spec"]["upgrade"] == {}


def test_a_status_draws_nothing_on_the_terminal(call: Call) -> None:
    made = copy(7, version=NASTY, image=NASTY, taken=NASTY)
    for line in ("rollback --list", "rollback --dry-run"):
        _, out, err = call(cluster(made), line)
        assert "revision 7" in out
        harmless(out + err)


@pytest.mark.parametrize("broken", [{"copies": 7}, {"copies": [{"revision": "x"}]}, "x", []])
def test_a_status_that_is_none(call: Call, broken: Any) -> None:
    where = cluster()
    where.found("pdshub", "sbn")["status"]["upgrade"] = broken
    code, out, err = call(where, "rollback --list")
    assert code == 0 and "no copy" in out, err
