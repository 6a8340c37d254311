"""There and back: the older hub with its own database, killed at each write, refused, attacked."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pdshub.kube import CLAIM, CONFIG_MAP, DEPLOYMENT, JOB, SECRET
from pdshub.reconcile.hub.seal import ANNOTATION
from tests.unit.reconcile.fakes import release_secret
from tests.unit.reconcile.hub.upgrade.estate import Estate, Killed, spec


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Estate:
    """Revision 1 of chart 4.3.0 with ada, then revision 2 of 4.4.0, where bela signed in."""
    return upgraded(tmp_path, monkeypatch)


def upgraded(top: Path, monkeypatch: pytest.MonkeyPatch) -> Estate:
    made = Estate(top, monkeypatch)
    made.settle()
    made.signed_in("ada")
    made.now += 3600
    made.installed(4)
    made.signed_in("bela")
    made.now += 3600
    return made


def back(estate: Estate, revision: int, minor: int = 4, **more: Any) -> None:
    estate.apply(spec(minor, upgrade={"rollback": revision}, **more))


def version(estate: Estate) -> str:
    return str(estate.status["version"])


def test_the_older_hub_runs_with_its_own_database_and_users_are_told(estate: Estate) -> None:
    back(estate, 1)
    estate.settle()
    assert version(estate) == "jupyterhub-4.3.0" and estate.status["revision"] == 3
    assert estate.database() == (3, ["ada"]) and estate.starts == [3, 4, 3]
    held = estate.condition("RolledBack")
    assert (held["status"], held["reason"]) == ("True", "RolledBack") and "rollback --end" in held["message"]
    assert estate.condition("Ready")["status"] == "True" and estate.condition("Released")["status"] == "True"
    notice = json.loads(estate.kube.objects[CONFIG_MAP.plural, "ns", "demo-notice"]["data"]["notice.json"])
    assert "set back to its state of 2026-03-01 13:" in notice["message"]
    assert estate.copies == [(2, "Rollback"), (1, "Upgrade")] and estate.there(JOB) == []
    assert "RollBack" in estate.kube.events()


def test_it_stays_so_whatever_the_spec_asks_for_and_comes_once(estate: Estate) -> None:
    back(estate, 1)
    estate.settle()
    estate.signed_in("cora")
    runs = len(estate.helm.runs)
    for minor, more in ((4, {}), (5, {}), (5, {"culling": {"idleSeconds": 7201}})):
        back(estate, 1, minor, **more)
        estate.restart()
        estate.settle()
    assert len(estate.helm.runs) == runs and estate.database() == (3, ["ada", "cora"])
    assert estate.jobs == ["copy", "put-back"]


def test_without_the_field_the_spec_is_installed_again_after_a_copy(estate: Estate) -> None:
    back(estate, 1)
    estate.settle()
    estate.signed_in("cora")
    estate.now += 3600
    estate.installed(4)
    assert version(estate) == "jupyterhub-4.4.0" and estate.database() == (4, ["ada", "cora"])
    assert estate.copies == [(3, "Upgrade"), (2, "Rollback"), (1, "Upgrade")]
    assert estate.condition("RolledBack") == {} and estate.status["upgrade"].get("rollback") is None
    notice = json.loads(estate.kube.objects[CONFIG_MAP.plural, "ns", "demo-notice"]["data"]["notice.json"])
    assert notice["message"] == ""


def test_the_way_back_from_the_way_back(estate: Estate) -> None:
    """What a return replaced is a copy like any other."""
    back(estate, 1)
    estate.settle()
    estate.now += 3600
    back(estate, 2)
    estate.settle()
    assert version(estate) == "jupyterhub-4.4.0" and estate.database() == (4, ["ada", "bela"])


def test_a_hub_that_does_not_start_any_more_goes_back(estate: Estate) -> None:
    """The case that it is for: the newer chart fails, or its hub crashes over the database."""
    from pdshub.helm import HelmError

    estate.helm.error = HelmError("HelmFailed", "half of it", permanent=False)
    estate.apply(spec(5))
    estate.settle()
    estate.helm.error = None
    back(estate, 2, 5)
    estate.settle()
    assert estate.condition("RolledBack")["reason"] == "RollbackNotPossible"
    assert "revision 2 is the one that runs" in estate.condition("RolledBack")["message"]
    back(estate, 1, 5)
    estate.settle()
    assert version(estate) == "jupyterhub-4.3.0" and estate.database() == (3, ["ada"])


def test_a_chart_that_can_be_had_nowhere_any_more(estate: Estate) -> None:
    """The spec's own chart is refused by now: what is installed comes out of the record."""
    hub = spec(4, upgrade={"rollback": 1})
    estate.apply({**hub, "chart": {"repository": "https://gone.example.org/", "version": "4.9.0"}})
    estate.settle()
    assert version(estate) == "jupyterhub-4.3.0" and estate.database() == (3, ["ada"])


WRITES = 16
"""More than a return has."""


@pytest.mark.parametrize("count", range(WRITES))
def test_killed_at_each_write_of_an_upgrade_it_comes_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    estate = Estate(tmp_path, monkeypatch)
    estate.settle()
    estate.signed_in("ada")
    estate.apply(spec(4))
    _killed(estate, count)
    assert version(estate) == "jupyterhub-4.4.0" and estate.database() == (4, ["ada"])
    assert estate.copies and all(copy == (1, "Upgrade") for copy in estate.copies)
    back(estate, 1)
    estate.settle()
    assert estate.database() == (3, ["ada"])


@pytest.mark.parametrize("count", range(WRITES))
def test_killed_at_each_write_of_a_return_it_comes_to_its_end_and_never_over_newer_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    estate = upgraded(tmp_path, monkeypatch)
    back(estate, 1)
    _killed(estate, count)
    assert version(estate) == "jupyterhub-4.3.0" and estate.database() == (3, ["ada"]) and not estate.crashed
    assert estate.copies == [(2, "Rollback"), (1, "Upgrade")]
    estate.signed_in("cora")
    estate.restart()
    estate.settle()
    assert estate.database() == (3, ["ada", "cora"])
    aside = next(p for p in estate.folders["demo-copies"].iterdir() if p.name.startswith("2-"))
    assert estate.database(aside / "jupyterhub.sqlite") == (4, ["ada", "bela"])


@pytest.mark.parametrize("count", range(0, WRITES, 2))
def test_a_field_that_is_taken_away_in_the_middle_leaves_a_hub_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    estate = upgraded(tmp_path, monkeypatch)
    back(estate, 1)
    _killed(estate, count, goes_on=False)
    estate.installed(4)
    assert version(estate) == "jupyterhub-4.4.0" and not estate.crashed
    assert estate.condition("Ready")["status"] == "True"
    assert estate.database()[0] == 4 and "ada" in estate.database()[1]
    assert estate.kube.objects[DEPLOYMENT.plural, "ns", "hub"]["spec"]["replicas"] == 1


def _killed(estate: Estate, count: int, goes_on: bool = True) -> None:
    estate.dies_at = count
    with suppress(Killed):
        estate.settle()
    estate.dies_at = -1
    estate.restart()
    if goes_on:
        estate.settle()


def test_helm_that_dies_on_the_way_back(estate: Estate) -> None:
    back(estate, 1)
    estate.helm.dies = True
    with pytest.raises(RuntimeError):
        estate.settle()
    estate.helm.dies = False
    estate.restart()
    estate.settle()
    assert version(estate) == "jupyterhub-4.3.0" and estate.database() == (3, ["ada"])


def test_a_copy_that_cannot_be_put_in_place_leaves_the_hub_as_it_was(estate: Estate) -> None:
    estate.fails = lambda arguments: arguments[0] == "put-back"
    back(estate, 1)
    estate.settle()
    assert estate.condition("RolledBack")["reason"] == "RollbackFailed"
    assert "no space" in estate.condition("RolledBack")["message"]
    assert version(estate) == "jupyterhub-4.4.0" and estate.database() == (4, ["ada", "bela"])
    assert estate.condition("Ready")["status"] == "True"
    estate.fails = lambda arguments: False
    estate.settle()
    assert estate.jobs == ["copy", "put-back"]  # the hub is not stopped again and again
    estate.installed(4)
    back(estate, 1)
    estate.settle()
    assert estate.database() == (3, ["ada"])


def test_nothing_is_put_in_place_while_a_pod_of_the_hub_has_the_database(estate: Estate) -> None:
    estate.stays = True
    back(estate, 1)
    for _ in range(5):
        estate.run()
        estate.kubernetes()
    assert estate.jobs == ["copy"]
    assert "pod hub-1 is ending" in estate.condition("RolledBack")["message"]
    estate.stays = False
    estate.settle()
    assert estate.database() == (3, ["ada"])


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        (2, "revision 2 is the one that runs"),
        (7, "there is no copy of the database of revision 7 with its release: there are copies of 1"),
    ],
)
def test_what_nobody_can_go_back_to(estate: Estate, revision: int, words: str) -> None:
    back(estate, revision)
    estate.settle()
    assert words in estate.condition("Stalled")["message"] and estate.starts == [3, 4]
    assert estate.condition("RolledBack")["reason"] == "RollbackNotPossible"
    assert estate.condition("Ready")["status"] == "True"


def test_a_hub_that_is_not_installed_goes_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PDSHub that was deleted and comes back from a file in which a return still stands."""
    estate = Estate(tmp_path, monkeypatch)
    back(estate, 1, 3)
    estate.settle()
    assert "not installed" in estate.condition("Stalled")["message"] and estate.helm.runs == []


# --- somebody who writes Secrets and ConfigMaps in the namespace


def _text(record: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(base64.b64decode(record["data"]["record.json"])))


def _with(record: dict[str, Any], **changes: Any) -> str:
    return base64.b64encode(json.dumps({**_text(record), **changes}).encode()).decode()


def _evil(estate: Estate) -> str:
    """A release with a manifest of an attacker's."""
    document = {
        "name": "demo",
        "namespace": "ns",
        "version": 1,
        "info": {"status": "deployed"},
        "chart": {"metadata": {"name": "evil", "version": "6.6.6"}},
        "config": {"custom": {"pdshub": {"hub": "demo", "chart": "evil"}}},
        "manifest": "kind: Pod",
    }
    return str(release_secret("demo", "ns", document)["data"]["release"])


@pytest.mark.parametrize("attack", ["release", "digest", "copy", "revision", "seal", "no seal", "another name"])
def test_a_record_that_somebody_wrote_or_changed_is_none(estate: Estate, attack: str) -> None:
    record = estate.record(1)
    data, notes = record["data"], record["metadata"]["annotations"]
    if attack == "release":
        data["release"] = _evil(estate)
    elif attack == "digest":
        data["record.json"] = _with(record, digest="0" * 64)
    elif attack == "copy":
        data["record.json"] = _with(record, copyId="9-20260301t120000z")
    elif attack == "revision":
        data["record.json"] = _with(record, revision=5)
    elif attack == "seal":
        notes[ANNOTATION] = "0" * 64
    elif attack == "no seal":
        del notes[ANNOTATION]
    else:
        estate.kube.objects.pop((SECRET.plural, "ns", record["metadata"]["name"]))
        estate.kube.put(SECRET, {**record, "metadata": {**record["metadata"], "name": "demo-release-x"}})
    back(estate, 1)
    estate.settle()
    words = estate.condition("Stalled")["message"]
    assert "there is no copy of the database of revision 1" in words and "without the operator's seal" in words
    assert estate.starts == [3, 4] and estate.database() == (4, ["ada", "bela"])


def test_a_seal_of_a_release_is_none_of_a_record(estate: Estate) -> None:
    """The same key seals both: neither passes for the other."""
    newest = max((k[2] for k in estate.kube.objects if ".v1.demo.v" in k[2]), key=lambda n: int(n.rpartition("v")[2]))
    sealed = estate.kube.objects[SECRET.plural, "ns", newest]["metadata"]["annotations"][ANNOTATION]
    estate.record(1)["metadata"]["annotations"][ANNOTATION] = sealed
    back(estate, 1)
    estate.settle()
    assert estate.condition("RolledBack")["reason"] == "RollbackNotPossible"


def test_a_record_of_another_hub_is_none(estate: Estate) -> None:
    """Sealed by the operator, for a hub of the same installation: copied over, with the right name and labels."""
    from pdshub.reconcile.hub.upgrade import record
    from pdshub.render.names import Names

    key = base64.b64decode(estate.kube.objects[SECRET.plural, "pdshub-system", "pdshub-release-seal"]["data"]["key"])
    mine = estate.record(1)
    about = record.About.model_validate_json(base64.b64decode(mine["data"]["record.json"]))
    for other in (Names("elsewhere", "demo"), Names("ns", "other")):
        made = record.written(key, other, about, mine["data"]["release"])
        mine["metadata"]["annotations"][ANNOTATION] = made["metadata"]["annotations"][ANNOTATION]
        assert record.opened(key, Names("ns", "demo"), mine) is None


def test_a_copy_that_somebody_exchanged_is_not_put_in_place(estate: Estate) -> None:
    (copy,) = estate.folders["demo-copies"].iterdir()
    (copy / "jupyterhub.sqlite").write_bytes(b"SQLite format 3\0 and an admin's token")
    back(estate, 1)
    estate.settle()
    assert estate.condition("RolledBack")["reason"] == "RollbackFailed"
    assert "somebody changed it" in estate.condition("RolledBack")["message"]
    assert estate.database() == (4, ["ada", "bela"]) and estate.condition("Ready")["status"] == "True"


def test_a_sign_in_that_is_refused_today_does_not_come_back(estate: Estate) -> None:
    """Of a time when the namespace was one for development."""
    del estate.kube.objects["namespaces", "", "ns"]["metadata"]["labels"]["pdshub.dev/environment"]
    secret = {"clientId": "x", "clientSecretRef": {"name": "google", "key": "secret"}}
    estate.kube.put(SECRET, {"metadata": {"name": "google", "namespace": "ns"}, "data": {"secret": "eA=="}})
    base = {k: v for k, v in spec(4).items() if k != "signIn"}
    estate.apply({**base, "hostname": "hub.example.org", "signIn": {"google": secret}, "upgrade": {"rollback": 1}})
    estate.settle()
    assert "lets in people who are on no list" in estate.condition("Stalled")["message"]
    assert estate.starts == [3, 4]


def test_a_flood_of_records_costs_a_bounded_number_of_looks(estate: Estate) -> None:
    genuine = estate.record(1)
    for number in range(300):
        meta = {**genuine["metadata"], "name": f"demo-release-{number}"}
        estate.kube.put(SECRET, {"metadata": meta, "data": {"record.json": "eA=="}})
    back(estate, 1)
    estate.settle()
    assert estate.database() == (3, ["ada"])


@pytest.mark.parametrize(("policy", "stays"), [("Retain", True), ("Delete", False)])
def test_copies_go_with_the_database_and_not_before(estate: Estate, policy: str, stays: bool) -> None:
    estate.kube.put(CLAIM, {**estate.kube.objects[CLAIM.plural, "ns", "demo-copies"]})
    estate.apply(spec(4, deletionPolicy={"database": policy}))
    estate.settle()
    estate.delete()
    for _ in range(5):
        if estate.run() is None:
            break
    assert ("demo-copies" in estate.there(CLAIM)) is stays and bool(estate.records()) is stays
