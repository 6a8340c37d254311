"""``kubectl pdshub weekly``: from logs, counts and conditions to a page that can be passed on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.cli import census as counted
from pdshub.cli import weekly, weekly_count, weekly_words
from pdshub.cli.weekly_count import Known
from tests.unit.cli.backup_cluster import ADA, BACKUP, backup
from tests.unit.cli.day_two_cluster import DayTwoCluster
from tests.unit.cli.fake_cluster import census, condition, hub
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless

SINCE, NOW = "2026-11-19T00:00:00Z", "2026-11-26T00:00:00Z"
IN, BEFORE = "2026-11-20T10:00:00Z", "2026-11-01T10:00:00Z"
NEW, OLD = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def entry(event: str, at: str = IN, **more: Any) -> dict[str, Any]:
    return {"n": 1, "time": at, "hub": "hub/sbn", "event": event, **more}


VIEW: dict[str, Any] = {
    "metadata": {"name": "hub-sbn"},
    "status": {
        "generation": {"name": NEW, "asOf": IN, "counts": {"files": 7, "bytes": 2048}},
        "generations": [{"name": NEW, "asOf": IN}, {"name": OLD, "asOf": BEFORE}],
        "decisions": [{"kind": "Approved", "generation": NEW, "at": IN, "reason": "checked"},
                      {"kind": "Rejected", "generation": OLD, "at": BEFORE}],
        "conditions": [condition("Intact", "False", "Violated", "1 file of 200", 1) | {"lastTransitionTime": IN}],
    },
}  # fmt: skip
ENTRIES = [
    entry("sign-in", user=ADA), entry("sign-in", user=ADA), entry("sign-in", user="cyd"),
    entry("sign-in-refused", reason="not-listed"), entry("more", of="sign-in-refused", count=9),
    entry("list-change", added=["allowed:cyd", "allowed:dee"], removed=["allowed:zed"]), entry("access", user="root"),
    entry("hub-restarted"), entry("gap", missing=3), {"n": 2, "time": IN, "event": "log-failed"},
]  # fmt: skip
USERS = [
    {"name": ADA, "lastActivity": IN}, {"name": "bela", "lastActivity": IN},
    {"name": "old", "lastActivity": BEFORE},
]  # fmt: skip
HOMES = [
    {"claim": "a", "size": "20Gi", "created": IN},
    {"claim": "b", "size": "10Gi", "created": BEFORE, "orphan": True},
]


def known(**more: Any) -> Known:
    found = hub()
    found["spec"]["backup"], found["status"]["users"] = BACKUP, 3
    whole: dict[str, Any] = {
        "hub": found, "census": counted.read(census(users=USERS, homes=HOMES)), "entries": ENTRIES, "views": [VIEW],
        "backups": [backup("a", IN)[1], backup("b", BEFORE)[1], backup("c", IN, hub="other")[1]], "restores": [],
    }  # fmt: skip
    return Known(**{**whole, **more})


@pytest.mark.parametrize(
    ("more", "path", "expected"),
    [
        ({}, "users.listed", 3),
        ({}, "users.active", 3),
        ({}, "users.signIns", 3),
        ({}, "users.refused", 10),
        ({}, "users.added", 2),
        ({}, "users.removed", 1),
        ({}, "users.enteredByOthers", 1),
        ({"entries": None}, "users.signIns", None),
        ({"entries": None}, "users.added", None),
        ({"entries": None}, "users.active", 2),
        ({"entries": None, "census": counted.Census()}, "users.active", None),
        ({}, "hours.servers", None),
        ({"server_hours": 12.34}, "hours.servers", 12.3),
        ({}, "storage.homes", 2),
        ({}, "storage.bytes", 30 << 30),
        ({}, "storage.new", 1),
        ({}, "storage.unneeded", 1),
        ({"census": counted.Census()}, "storage.homes", None),
        ({}, "releases.0.new", True),
        ({}, "releases.0.surveyed", 1),
        ({}, "releases.0.decisions.0.reason", "checked"),
        ({}, "releases.0.files", 7),
        ({"views": []}, "releases", []),
        ({}, "backups.completed", 1),
        ({}, "backups.failed", 0),
        ({"backups": None}, "backups.completed", None),
        ({"restores": None}, "backups.restores", None),
        ({}, "incidents.0.what", "view hub-sbn: Intact, Violated"),
        ({}, "incidents.0.since", IN),
        ({"entries": [], "views": []}, "incidents", []),
    ],
)
def test_figures(more: dict[str, Any], path: str, expected: Any) -> None:
    found: Any = weekly_count.count(known(**more), SINCE, NOW)
    for part in path.split("."):
        found = found[int(part)] if part.isdigit() else found[part]
    assert found == expected


def test_incidents_of_the_log_are_counted() -> None:
    found = weekly_count.count(known(), SINCE, NOW)["incidents"]
    assert {one["what"]: one["count"] for one in found if not one["lasts"]} == {
        "hub-restarted": 1, "gap": 1, "log-failed": 1,
    }  # fmt: skip


def test_a_week_without_end_is_cut() -> None:
    views = [{"metadata": {"name": f"v{n}"}, "status": VIEW["status"]} for n in range(50)]
    found = weekly_count.count(known(views=views), SINCE, NOW)["incidents"]
    assert len(found) == weekly_count.MOST_SHOWN + 1 and found[-1]["words"].startswith("33 more")


@pytest.mark.parametrize(
    ("one", "mine"),
    [
        (entry("sign-in"), True),
        (entry("sign-in", BEFORE), False),
        (entry("sign-in") | {"hub": "hub/other"}, False),
        (entry("sign-in") | {"at": BEFORE}, False),
        (entry("sign-in", "yesterday"), False),
        ({"event": "log-failed", "time": IN}, True),
    ],
)
def test_whose_entries(one: dict[str, Any], mine: bool) -> None:
    assert bool(weekly_count.of_hub([one], "hub/sbn", SINCE)) is mine


def test_a_page_names_nobody() -> None:
    found = weekly_count.count(known(), SINCE, NOW)
    for page in (weekly_words.text(found, []), weekly_words.markdown(found, []), json.dumps(found)):
        assert not [name for name in (ADA, "cyd", "bela", "zed") if name in page]


def test_a_page() -> None:
    page = weekly_words.text(weekly_count.count(known(), SINCE, NOW), ["x is not read"])
    lines = [line.strip() for line in page.splitlines()]
    assert lines[:8] == [
        "Hub hub/sbn, 2026-11-19 to 2026-11-26", "", "Users", "on the list: 3", "active this week: 3",
        "sign-ins: 3; refused: 10", "let in: 2; taken out: 1", "servers of others entered: 1",
    ]  # fmt: skip
    assert "hub-sbn: Approved aaaaaaaaaaaa at 2026-11-20T10:00:00Z: checked" in lines and "note: x is not read" in lines
    marked = weekly_words.markdown(weekly_count.count(known(), SINCE, NOW), [])
    assert marked.startswith("# Hub hub/sbn, 2026\\-11\\-19") and "\n## Incidents\n\n- view" in marked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("[x](javascript:alert(1))", r"\[x\]\(javascript:alert\(1\)\)"),
        ("<img src=x>", r"\<img src=x\>"),
        ("![x](http://evil)", r"\!\[x\]\(http://evil\)"),
        ("a | b", r"a \| b"),
        ("\x1b[2J", r"\\x1b\[2J"),
    ],
)
def test_markdown_shows_what_others_wrote(text: str, shown: str) -> None:
    assert weekly_words.escaped(text) == shown


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weekly.rfc3339, "now", lambda: NOW)


def cluster(*entries: dict[str, Any]) -> DayTwoCluster:
    where = DayTwoCluster(("view", VIEW), ("configmap", census(users=USERS, homes=HOMES)), backup("a", IN))
    answer = "\n".join(json.dumps(one) for one in [*entries, {"matched": len(entries), "shown": len(entries)}])
    return where.set(audit=answer)  # type: ignore[return-value]


def test_the_command(call: Call) -> None:
    where = cluster(*ENTRIES)
    code, out, err = call(where, "weekly --hub hub/sbn")
    assert code == 0 and "sign-ins: 3; refused: 10" in out and "of servers: not known" in out, out + err
    (asked,) = where.executed
    assert asked[:3] == ("pdshub-system", "pdshub-audit-0", "pdshub-audit") and f"--since={SINCE}" in asked
    assert "# Hub" in call(where, "weekly --markdown")[1]
    answer = json.loads(call(where, "weekly -o json")[1])["hubs"][0]
    assert answer["users"]["signIns"] == 3 and answer["notes"] == []


def test_hours_by_prometheus(call: Call) -> None:
    where = cluster()
    where.texts["services/http:prometheus:9090/proxy"] = json.dumps({"data": {"result": [{"value": [0, "99.94"]}]}})
    code, out, _ = call(where, "weekly --prometheus monitoring/prometheus:9090")
    assert code == 0 and "of servers: 99.9 (Prometheus monitoring/prometheus, 7 days)" in out
    where.texts["services/http:prometheus:9090/proxy"] = "no JSON"
    assert "it does not tell" in call(where, "weekly --prometheus monitoring/prometheus:9090")[1]


def test_what_may_not_be_read_is_said(call: Call) -> None:
    where = cluster().set(audit="")
    where.broken["hubbackups"] = "hubbackups is forbidden"
    code, out, _ = call(where, "weekly")  # type: ignore[arg-type]
    assert code == 0 and "sign-ins: not known" in out and "the audit log is not read" in out
    assert "not known complete" in out and "hubbackups is forbidden" in out


@pytest.mark.parametrize(("line", "code"), [("weekly --since soon", 2), ("weekly --since 2027-01-01", 2)])
def test_wrong_use(call: Call, line: str, code: int) -> None:
    assert call(cluster(), line)[0] == code


@pytest.mark.parametrize("form", ["", "--markdown", "-o json"])
def test_pages_that_draw(call: Call, form: str) -> None:
    where = cluster(*(one | {"user": NASTY, "added": [NASTY]} for one in ENTRIES))
    view = json.loads(json.dumps(VIEW).replace("checked", "x"))
    view["status"]["decisions"][0]["reason"] = NASTY
    view["status"]["conditions"][0]["message"] = NASTY
    where.put("view", view)
    code, out, err = call(where, f"weekly {form}")
    assert code == 0, err
    harmless(out)
