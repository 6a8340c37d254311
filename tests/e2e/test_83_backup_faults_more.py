"""Faults of drills and restores, and of the repository's data: what test_78 has of backups.

After each: what comes next succeeds by itself, nothing is left, nothing that was saved is gone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import person, wait_ready
from tests.e2e.test_78_backup_faults import (
    FOUND,
    Estate,
    kill_job,
    kill_operator,
    kill_pod,
    kill_restic,
    opened,
    saved_once,
)

pytestmark = pytest.mark.long
SPACE, HUB, PORT = "e2e-faults-more", "faultier", 18103
DRILLS = "pdshub-drill"
NEVER = {"suspend": True}
OFTEN = {"suspend": False, "schedule": "* * * * *", "sample": 1, "readPercent": 100, "maxAgeDays": 1}
TAKE_AWAY = "import shutil, pathlib; [shutil.rmtree(p) for p in pathlib.Path.home().glob('re*-20*') if p.is_dir()]"


@pytest.fixture(scope="module")
def estate(cluster: Cluster, sample: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with opened(cluster, sample, tmp_path_factory.mktemp("s3"), PORT, SPACE, HUB) as made:
        saved_once(made)
        yield made


@pytest.fixture(autouse=True)
def healed(estate: Estate) -> Iterator[None]:
    yield
    estate.service.heal()
    drills(estate, NEVER)


# --- drills


def drills(estate: Estate, settings: dict[str, Any]) -> None:
    body = json.dumps({"spec": {"backup": {"drill": settings}}})
    estate.cluster.kubectl("patch", "pdshub", HUB, "-n", SPACE, "--type=merge", "-p", body)


def record(estate: Estate) -> dict[str, Any]:
    """What is remembered of the drills."""
    text = estate.cluster.get("configmap", f"{HUB}-drills", SPACE)["data"]["drill.json"]
    found: dict[str, Any] = json.loads(text)
    return found


def begun(estate: Estate) -> int:
    """A new drill begins; its number."""
    shown = estate.cluster.kubectl("get", "configmap", f"{HUB}-drills", "-n", SPACE, "--ignore-not-found", "-o", "name")
    before = record(estate).get("number", 0) if shown.strip() else 0
    drills(estate, OFTEN)
    found: int = eventually(
        lambda: record(estate).get("number", 0), lambda number: number > before, within=180, what="a drill begins"
    )
    return found


def at(estate: Estate, kind: str) -> str:
    """The Job of the first stage of this kind, once it is about to be made."""

    def job() -> str:
        seen = record(estate)
        now = [stage["kind"] for stage in seen["stages"] if stage.get("phase") == "Running"]
        return str(seen.get("job", "")) if now[:1] == [kind] else ""

    return str(eventually(job, within=600, every=0.2, what=f"a drill is at {kind}"))


def over(estate: Estate, number: int) -> dict[str, Any]:
    """The verdict of this drill."""
    found: dict[str, Any] = eventually(
        lambda: record(estate),
        lambda seen: seen.get("number", 0) > number or not seen.get("running"),
        within=1200,
        what=f"drill {number} ends",
    )
    verdict: dict[str, Any] = found["last"]
    return verdict


def left(cluster: Cluster) -> list[str]:
    """What drills of this hub have left in their namespace."""
    kinds = ("secrets", "jobs", "configmaps", "persistentvolumeclaims", "pods")
    found = [item for kind in kinds for item in cluster.items(kind, DRILLS, f"pdshub.dev/namespace={SPACE}")]
    return [item["metadata"]["name"] for item in found]


def is_proved(estate: Estate) -> None:
    """A drill finds all well, and leaves nothing; so does a backup."""
    said = eventually(
        lambda: estate.cluster.condition("pdshub", HUB, "RestoreVerified", SPACE),
        lambda found: found.get("status") == "True",
        within=1200,
        what="a drill goes well",
    )
    assert "came back as they were saved" in said["message"], said
    drills(estate, NEVER)
    eventually(lambda: left(estate.cluster), lambda names: names == [], within=180, what="nothing is left")
    estate.is_well()


STAGES = ("compare", "fetch", "boot", "check")
DRILL_KILLS = [(stage, kill) for stage in STAGES for kill in (kill_restic, kill_job, kill_pod)]


@pytest.mark.parametrize(("stage", "kill"), DRILL_KILLS, ids=[f"{s}-{k.__name__[5:]}" for s, k in DRILL_KILLS])
def test_a_drill_is_killed_at(estate: Estate, stage: str, kill: Callable[[Estate, str, str], None]) -> None:
    number = begun(estate)
    kill(estate, at(estate, stage), DRILLS)
    verdict = over(estate, number)
    assert verdict["ok"] or verdict["reason"] != "Damaged", f"a kill is no damage: {verdict}"
    is_proved(estate)


@pytest.mark.alone  # the operator is everybody's
@pytest.mark.parametrize("stage", ["compare", "boot", "check"])
def test_the_operator_is_killed_while_a_drill_is_at(estate: Estate, stage: str) -> None:
    number = begun(estate)
    at(estate, stage)
    kill_operator(estate)
    assert over(estate, number)["ok"]
    is_proved(estate)


def test_a_drill_that_reaches_nothing_accuses_nobody(estate: Estate) -> None:
    estate.service.kill()
    number = begun(estate)
    verdict = over(estate, number)
    assert not verdict["ok"] and verdict["reason"] in ("Unreachable", "Locked"), verdict
    said = eventually(
        lambda: estate.cluster.condition("pdshub", HUB, "RestoreVerified", SPACE),
        lambda found: found["status"] == "False",
        within=60,
        what="it is not verified",
    )
    assert said["reason"] != "Damaged", said
    estate.service.start()
    drills(estate, OFTEN)
    is_proved(estate)


def test_the_hub_is_deleted_during_a_drill(estate: Estate, cluster: Cluster) -> None:
    """Its keys do not stay in the drills' namespace, and what was saved is there for the hub that comes again."""
    begun(estate)
    at(estate, "compare")
    snapshots = {path.name for path in estate.service.files("snapshots")}
    cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=240s", timeout=250)
    eventually(
        lambda: left(cluster), lambda names: names == [], within=180, what="nothing is left in the drills' namespace"
    )
    assert snapshots <= {path.name for path in estate.service.files("snapshots")}
    estate.apply()
    wait_ready(cluster, HUB, SPACE)
    estate.ada = person(cluster, "ada", HUB, SPACE)
    estate.ada.start()
    estate.is_well()


# --- restores


def changed(estate: Estate) -> None:
    """The file that comes back in its place is another one until then."""
    with estate.ada.kernel() as kernel:
        kernel.run("import pathlib; (pathlib.Path.home() / 'precious.bin').write_bytes(b'changed')").ok()


def came_back(estate: Estate, status: dict[str, Any]) -> None:
    """The file is there with its bytes, what it replaced is beside it, and nothing else is."""
    estate.ada.start()
    with estate.ada.kernel() as kernel:
        found = dict(line.rsplit(" ", 1) for line in kernel.run(FOUND).ok().splitlines())
        assert found.pop("precious.bin") == estate.digest
        (replaced,) = found
        assert replaced == f"{status['replaced']}/precious.bin"
        rest = "import pathlib; print(sorted(p.name for p in pathlib.Path.home().glob('.pdshub-restore*')))"
        assert kernel.run(rest).ok().strip() == "[]"
        kernel.run(TAKE_AWAY).ok()


@pytest.mark.parametrize("kill", [kill_restic, kill_job, kill_pod], ids=["restic", "job", "pod"])
def test_a_restore_in_its_place_is_killed(estate: Estate, kill: Callable[[Estate, str], None]) -> None:
    changed(estate)
    name = estate.ask("HubRestore", user="ada", path="precious.bin", inPlace=True, warnSeconds=0)
    job = eventually(lambda: estate.status(name, "hubrestore").get("job"), within=240, every=0.1, what="a Job")
    kill(estate, str(job))
    status = estate.ended(name, "hubrestore", 600)
    assert status["phase"] == "Completed", status
    came_back(estate, status)
    estate.is_well()


@pytest.mark.alone
@pytest.mark.parametrize("when", ["before its Job", "at its Job"])
def test_the_operator_is_killed_in_a_restore(estate: Estate, when: str) -> None:
    changed(estate)
    name = estate.ask("HubRestore", user="ada", path="precious.bin", inPlace=True, warnSeconds=0)
    wanted = "phase" if when == "before its Job" else "job"
    eventually(lambda: estate.status(name, "hubrestore").get(wanted), within=240, every=0.1, what=when)
    kill_operator(estate)
    status = estate.ended(name, "hubrestore", 600)
    assert status["phase"] == "Completed", status
    came_back(estate, status)
    estate.is_well()


@pytest.mark.alone
def test_the_node_is_started_anew_in_a_restore(estate: Estate) -> None:
    name = estate.ask("HubRestore", user="ada", path="precious.bin")
    eventually(lambda: estate.status(name, "hubrestore").get("job"), within=240, every=0.1, what="a Job")
    estate.node_again()
    status = estate.ended(name, "hubrestore", 900)
    assert status["phase"] == "Completed", status
    estate.ada_again()
    with estate.ada.kernel() as kernel:
        places = "import pathlib; print(*[p.name for p in pathlib.Path.home().glob('restored-*')])"
        assert kernel.run(places).ok().split() == [status["place"]], "one place, and no half of another"
        kernel.run(TAKE_AWAY).ok()
    estate.is_well()


# --- the repository


def test_a_service_that_takes_connections_and_never_answers_is_away(estate: Estate) -> None:
    estate.service.pause()
    status = estate.ended(estate.ask(), within=1500)
    assert status["phase"] == "Failed" and status["message"].startswith("Unreachable:"), status
    estate.service.go_on()
    estate.is_well()


@pytest.mark.parametrize("part", ["init", "forget"])
def test_a_service_that_dies_at_and_comes_back_costs_no_run(estate: Estate, part: str) -> None:
    name = estate.ask()
    estate.at(name, part)
    estate.service.kill()
    time.sleep(20)  # a fault has a length; nothing is measured by it
    estate.service.start()
    status = estate.ended(name, within=900)
    assert status["phase"] in ("Completed", "PartiallyCompleted", "Failed") and status["message"], status
    estate.is_well()


def overwritten(pack: Path) -> bytes:
    """Two bytes in the middle of a pack are others; what it was."""
    whole = pack.read_bytes()
    middle = len(whole) // 2
    pack.write_bytes(whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 2]) + whole[middle + 2 :])
    return whole


def test_a_damaged_pack_is_said_and_costs_what_is_in_it_alone(estate: Estate) -> None:
    """The largest has the large file's bytes. Backups go on, other files come back, the file is not handed out."""
    pack = estate.service.files("data")[0]
    whole = overwritten(pack)
    with estate.ada.kernel() as kernel:
        kernel.run("import pathlib; (pathlib.Path.home() / 'after.txt').write_text('after the damage')").ok()
    try:
        status = estate.ended(estate.ask())
        assert status["phase"] == "Completed", "what is new is saved all the same"
        lost = estate.ended(estate.ask("HubRestore", user="ada", path="precious.bin"), "hubrestore", 600)
        assert lost["phase"] != "Completed", lost
        assert "Damaged" in json.dumps(lost) or "could not be" in json.dumps(lost), lost
        other = estate.ended(estate.ask("HubRestore", user="ada", path="after.txt"), "hubrestore", 600)
        assert other["phase"] == "Completed", other
        number = begun(estate)
        verdict = over(estate, number)
        assert not verdict["ok"] and verdict["reason"] == "Damaged", verdict
    finally:
        pack.write_bytes(whole)
    with estate.ada.kernel() as kernel:
        kernel.run(TAKE_AWAY).ok()
    drills(estate, OFTEN)
    is_proved(estate)


def test_a_pack_that_is_gone_is_said_by_the_next_drill(estate: Estate) -> None:
    pack = estate.service.files("data")[0]
    whole = pack.read_bytes()
    pack.unlink()
    try:
        number = begun(estate)
        verdict = over(estate, number)
        assert not verdict["ok"] and verdict["reason"] == "Damaged", verdict
    finally:
        pack.write_bytes(whole)
    drills(estate, OFTEN)
    is_proved(estate)
