"""An upgrade waits for a copy of the database; what is none makes none; what fails is said, with the way on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdshub.kube import CLAIM, HUB_BACKUP, JOB
from tests.unit.reconcile.hub.upgrade.estate import Estate, spec

BACKUP = {"repository": {"claim": {"name": "vault"}}}


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Estate:
    made = Estate(tmp_path, monkeypatch)
    made.settle()
    made.signed_in("ada")
    return made


def test_a_first_install_has_nothing_to_copy(estate: Estate) -> None:
    assert estate.jobs == [] and estate.records() == [] and estate.status.get("upgrade") is None
    assert "demo-copies" not in estate.there(CLAIM)


@pytest.mark.parametrize(
    ("change", "copies"),
    [
        ({"chart": {"version": "4.4.0"}}, True),
        ({"values": {"hub": {"image": {"tag": "2"}}}}, True),
        ({"values": {"hub": {"image": {"name": "registry.example.org/other", "tag": "1"}}}}, True),
        ({"values": {"hub": {"image": {"pullPolicy": "Always"}}}}, False),
        ({"users": {"allowed": ["ada", "bela"]}}, False),
        ({"server": {"resources": {"memory": {"limit": "1Gi"}}}}, False),
        ({"culling": {"idleSeconds": 7201}}, False),
        ({"upgrade": {"keep": 5}}, False),
        ({"chart": {"version": "4.4.0"}, "upgrade": {"copyDatabase": False}}, False),
    ],
)
def test_what_counts_as_an_upgrade(estate: Estate, change: dict[str, object], copies: bool) -> None:
    estate.apply({**spec(3), **change})
    estate.settle()
    assert bool(estate.jobs) is copies and (estate.copies == [(1, "Upgrade")]) is copies
    assert estate.condition("Ready")["status"] == "True"


def test_helm_is_run_once_for_an_upgrade_and_not_before_the_copy_is_recorded(estate: Estate) -> None:
    estate.apply(spec(4))
    estate.run()
    assert estate.helm.runs == ["upgrade"] and estate.condition("Reconciling")["reason"] == "CopyingDatabase"
    assert estate.there(JOB) and not estate.records()
    estate.settle()
    assert estate.helm.runs == ["upgrade"] * 2 and estate.status["revision"] == 2
    assert estate.database() == (4, ["ada"]) and estate.there(JOB) == []
    (copy,) = estate.folders["demo-copies"].iterdir()
    assert estate.database(copy / "jupyterhub.sqlite") == (3, ["ada"])
    assert estate.kube.events().count("DatabaseCopied") == 1


def test_as_many_copies_stay_as_asked(estate: Estate) -> None:
    for minor in range(4, 10):
        estate.now += 3600
        estate.apply(spec(minor, upgrade={"keep": 2}))
        estate.settle()
    assert [revision for revision, _ in estate.copies] == [6, 5]
    assert len(list(estate.folders["demo-copies"].iterdir())) == 2 == len(estate.records())


def test_a_copy_that_fails_stops_the_upgrade_says_the_way_on_and_is_tried_again(estate: Estate) -> None:
    estate.fails = lambda arguments: True
    estate.apply(spec(4))
    estate.settle()
    stalled = estate.condition("Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "DatabaseNotCopied")
    assert "no space" in stalled["message"] and "spec.upgrade.copyDatabase to false" in stalled["message"]
    assert estate.condition("Ready")["status"] == "True" and estate.status["revision"] == 1
    estate.fails = lambda arguments: False
    estate.settle()
    assert estate.status["revision"] == 1  # not at once
    estate.now += 601
    estate.settle()
    assert estate.status["revision"] == 2 and estate.copies == [(1, "Upgrade")]


def test_the_way_on_without_a_copy(estate: Estate) -> None:
    estate.fails = lambda arguments: True
    estate.apply(spec(4))
    estate.settle()
    estate.apply(spec(4, upgrade={"copyDatabase": False}))
    estate.settle()
    assert estate.status["revision"] == 2 and estate.copies == []


@pytest.mark.parametrize("later", [3600, -86400], ids=["an hour", "a day back"])
def test_helm_that_fails_for_a_while_upgrades_over_a_copy_of_then(estate: Estate, later: float) -> None:
    """A chart that cannot be fetched for hours: users go on, and what they did is in the copy. So it is when the first
    copy is dated ahead, by a clock that was a day fast."""
    from pdshub.helm import HelmError

    estate.helm.error = HelmError("RepositoryUnreachable", "away", permanent=False)
    estate.apply(spec(4))
    estate.settle()
    estate.signed_in("bela")
    estate.now += later
    estate.context.memory("ns", "demo").retry_at = 0.0
    estate.helm.error = None
    estate.settle()
    assert estate.status["revision"] == 2
    copies = [estate.database(path / "jupyterhub.sqlite") for path in estate.folders["demo-copies"].iterdir()]
    assert (3, ["ada", "bela"]) in copies


def test_helm_that_is_given_up_is_not_copied_for_for_ever(estate: Estate) -> None:
    from pdshub.helm import HelmError

    estate.helm.error = HelmError("ValuesRefused", "correct spec.values", permanent=True)
    estate.apply(spec(4))
    estate.settle()
    for _ in range(5):
        estate.now += 3600
        estate.settle()
    assert estate.jobs == ["copy"]


def test_with_backups_the_upgrade_waits_for_one_of_its_own_that_is_kept(estate: Estate) -> None:
    estate.apply(spec(3, backup=BACKUP))
    estate.settle()
    estate.apply(spec(4, backup=BACKUP))
    estate.settle()
    (name,) = estate.there(HUB_BACKUP)
    run = estate.kube.objects[HUB_BACKUP.plural, "ns", name]
    assert run["spec"] == {"hub": "demo", "trigger": "PreUpgrade"}
    assert estate.status["revision"] == 1 and "waits for HubBackup" in estate.condition("Reconciling")["message"]
    item = {"item": "database", "phase": "Completed"}
    run["status"] = {"phase": "Completed", "items": [item], "ended": "2026-03-01T12:00:00Z"}
    estate.settle()
    assert estate.status["revision"] == 2 and estate.copies == [(1, "Upgrade")]


def test_a_change_of_the_list_meanwhile_asks_for_no_other_backup_or_copy(estate: Estate) -> None:
    for name in ("bela", "cora"):
        estate.apply(spec(4, backup=BACKUP, users={"allowed": ["ada", name]}, culling={"idleSeconds": 7201}))
        estate.settle()
    assert len(estate.there(HUB_BACKUP)) == 1


def test_a_backup_before_the_upgrade_that_fails_stops_it_and_is_made_again(estate: Estate) -> None:
    estate.apply(spec(4, backup=BACKUP))
    estate.settle()
    (name,) = estate.there(HUB_BACKUP)
    run = estate.kube.objects[HUB_BACKUP.plural, "ns", name]
    run["status"] = {"phase": "Failed", "message": "Unreachable: away", "ended": "2026-03-01T12:10:00Z"}
    estate.now = max(estate.now, 1772367000.0 + 60)
    estate.settle()
    assert estate.condition("Stalled")["reason"] == "DatabaseNotCopied"
    assert "Unreachable: away" in estate.condition("Stalled")["message"] and estate.jobs == []
    estate.now += 601
    estate.settle()
    again = estate.kube.objects[HUB_BACKUP.plural, "ns", name]
    assert again["metadata"]["uid"] != run["metadata"]["uid"] and estate.status["revision"] == 1


def test_no_image_for_jobs_is_said(estate: Estate) -> None:
    estate.context.installation = estate.context.installation.model_copy(
        update={"backup": estate.context.installation.backup.model_copy(update={"image": ""})}
    )
    estate.apply(spec(4))
    estate.settle()
    assert "names no image" in estate.condition("Stalled")["message"]


def test_a_database_that_lies_elsewhere_is_nobodys_to_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estate = Estate(tmp_path, monkeypatch)
    elsewhere = {"hub": {"db": {"type": "postgres", "url": "postgresql://db/hub"}}}
    estate.apply(spec(3, values=elsewhere))
    estate.settle()
    estate.apply(spec(4, values=elsewhere))
    estate.settle()
    assert estate.status["revision"] == 2 and estate.jobs == []


def test_a_hub_at_rest_asks_nothing_for_the_way_back(estate: Estate) -> None:
    estate.installed(4)
    read: list[str] = []
    get = estate.kube.get

    async def counted(resource, name, namespace=None):  # type: ignore[no-untyped-def]
        read.append(name)
        return await get(resource, name, namespace)

    estate.kube.get = counted  # type: ignore[method-assign]
    estate.run()
    assert not [name for name in read if "copies" in name or "release-1" in name]
