"""What one administrator needs at three in the night, as it is typed: status, why, suspend, reinstall, report, adopt.

Tests go by each other; the last ones delete the hub's namespace. That hub has no archive: held servers are of another.
Names and files are of the development sign-in.
"""

from __future__ import annotations

import base64
import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdshub import rfc3339
from pdshub.render.names import DATABASE_CLAIM
from pdshub.wellknown import HOME_OF
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import SYSTEM, namespace, person, variant, wait_ready
from tests.e2e.releases import OTES
from tests.e2e.test_30_homes import read, write

pytestmark = pytest.mark.long
SPACE, HUB = "e2e-day-two", "ops"
HUGE = "900Gi"
"""More memory than any node of a test has."""
PROFILES = [
    {"name": "small", "displayName": "Small"},
    {"name": "huge", "displayName": "Huge", "resources": {"memory": {"limit": HUGE, "guarantee": HUGE}}},
    {"name": "nowhere", "displayName": "Nowhere", "image": "registry.invalid/pdshub/no-such-image:1"},
]


@pytest.fixture(scope="module")
def spec(sample: dict[str, Any]) -> dict[str, Any]:
    """A hub without an archive, with a choice of servers, of which two run at a time at most."""
    server = {**sample["spec"]["server"], "profiles": PROFILES, "defaultProfile": "small", "startTimeoutSeconds": 90}
    users = {"allowed": ["ada", "bela", "cyd"], "admins": ["root-admin"], "shrinkLimit": 90}
    return variant(sample, HUB, SPACE, archive=None, users=users, server=server, quota={"servers": 2})


@pytest.fixture(scope="module")
def ops(cluster: Cluster, spec: dict[str, Any]) -> Iterator[Cluster]:
    """The hub, with a file in ada's home."""
    namespace(cluster, SPACE)
    for volume in left(cluster):  # of a run that was killed: adopt would find two of each
        if (volume.get("status") or {}).get("phase") == "Released":
            cluster.give_up(volume["metadata"]["name"])
    cluster.apply(spec)
    try:
        wait_ready(cluster, HUB, SPACE)
        ada = person(cluster, "ada", HUB, SPACE)
        ada.start()
        write(ada, "lasting.txt", "outlives the namespace")
        yield cluster
    finally:
        cluster.dismiss(SPACE, HUB)
        for name in cluster.volumes_of(SPACE):
            cluster.let_go(name)


def left(cluster: Cluster) -> list[dict[str, Any]]:
    """Volumes that belong, or belonged, to claims of the namespace."""
    return [v for v in cluster.items("pv") if (v["spec"].get("claimRef") or {}).get("namespace") == SPACE]


def plugin(cluster: Cluster, *words: str, timeout: float = 400) -> str:
    return cluster.run("kubectl", "pdshub", *words, "--hub", f"{SPACE}/{HUB}", timeout=timeout)


def answer(cluster: Cluster, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plugin(cluster, *words, "-o", "json"))
    return found


def kinds(cluster: Cluster, who: str) -> list[str]:
    """What is in the way of somebody's server."""
    return [str(reason["kind"]) for reason in answer(cluster, "why", who)["reasons"]]


def hub_pod(cluster: Cluster) -> str:
    return str(cluster.items("pods", SPACE, "component=hub")[0]["metadata"]["uid"])


def ask(cluster: Cluster, who: str, profile: str) -> Any:
    """Somebody asks for a server that will not start; nobody waits for it."""
    someone = person(cluster, who, HUB, SPACE)
    someone.call("POST", f"/hub/api/users/{someone.slug}/server", json={"profile": profile})
    return someone


def test_versions_fit(ops: Cluster) -> None:
    known = json.loads(ops.run("kubectl", "pdshub", "--version", "-o", "json"))
    assert known["operator"] == known["chart"] == known["client"] and known["kubernetes"], known
    assert known["differences"] == [] and "v1alpha1" in known["resources"]
    assert "nothing differs" in ops.run("kubectl", "pdshub", "--version")


def test_this_cluster_can_hold_pdshub(ops: Cluster) -> None:
    try:
        said = ops.run("kubectl", "pdshub", "check", "-o", "json")
    except CommandFailed as error:
        said = error.out
    found = {(point["what"], point["result"]) for point in json.loads(said)["points"]}
    # NFS: views of other tests name servers that are not there
    assert [what for what, result in found if result == "failed" and what != "NFS"] == [], said
    assert {("Kubernetes", "ok"), ("rights", "ok"), ("API versions", "ok"), ("installed", "ok")} <= found, said
    assert ("network", "ok") in found, said


def test_who_may_not_install_is_told_what_lacks(ops: Cluster, tmp_path: Path) -> None:
    config = json.loads(ops.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    token = ops.kubectl("create", "token", "default", "-n", SPACE).strip()
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": token}}]
    file = tmp_path / "config"
    file.write_text(json.dumps(config))
    file.chmod(0o600)
    with pytest.raises(CommandFailed) as error:
        ops.run("kubectl", "pdshub", "check", "--kubeconfig", str(file))
    assert error.value.code == 1 and "you may not create customresourcedefinitions" in error.value.out


def test_one_screen(ops: Cluster) -> None:
    said = plugin(ops, "status")
    assert said.startswith(f"hub {SPACE}/{HUB}: ready") and "nothing blocks" in said and len(said.splitlines()) <= 24
    (summary,) = answer(ops, "status")["summary"]
    assert summary["users"]["listed"] == 4 and summary["blocks"] == [] and summary["release"]["revision"] >= 1
    assert f"hub {SPACE}/{HUB}" in ops.run("kubectl", "pdshub", "status")


def test_a_server_that_runs_has_nothing_in_its_way(ops: Cluster) -> None:
    found = answer(ops, "why", "ada")
    assert (found["state"], found["reasons"]) == ("running", []), found
    assert found["facts"]["list"] == "on it" and "claim-ada" in found["facts"]["home"]


def test_who_may_not_sign_in(ops: Cluster) -> None:
    assert kinds(ops, "nobody") == ["NotListed"]
    plugin(ops, "users", "suspend", "cyd", "--yes", "--timeout", "180")
    assert kinds(ops, "cyd") == ["UserSuspended"]
    plugin(ops, "users", "suspend", "cyd", "--undo", "--timeout", "180")


@pytest.mark.parametrize(("profile", "kind"), [("huge", "NoRoom"), ("nowhere", "Image")])
def test_why_while_it_is_tried_and_when_it_is_over(ops: Cluster, profile: str, kind: str) -> None:
    bela = ask(ops, "bela", profile)
    eventually(lambda: kinds(ops, "bela"), lambda found: kind in found[:1], within=120, what=f"{kind} is named")
    eventually(
        lambda: bela.model().get("servers", {}).get(""), lambda server: not server, within=180, what="the hub gave up"
    )
    eventually(lambda: answer(ops, "why", "bela")["state"], lambda state: state == "none", within=120)
    found = answer(ops, "why", "bela")
    assert kind in [reason["kind"] for reason in found["reasons"]], found
    assert "in the hub's log" in found["facts"]["failedStarts"] and "none" not in found["facts"]["failedStarts"]


def test_why_where_a_quota_is_used_up(ops: Cluster) -> None:
    bela = person(ops, "bela", HUB, SPACE)
    bela.start(profile="small")
    eventually(lambda: kinds(ops, "cyd"), lambda found: "Quota" in found, within=120, what="the quota is named")
    bela.stop()
    eventually(lambda: kinds(ops, "cyd"), lambda found: "Quota" not in found, within=120, what="there is room")


def test_suspended_nothing_is_repaired_and_then_it_is(ops: Cluster) -> None:
    plugin(ops, "suspend")
    assert answer(ops, "status")["summary"][0]["state"] == "suspended"
    ops.kubectl("delete", "configmap", "hub", "-n", SPACE)
    ada = person(ops, "ada", HUB, SPACE)
    assert read(ada, "lasting.txt") == "outlives the namespace", "people go on working"
    time.sleep(5)
    with pytest.raises(CommandFailed, match="NotFound"):  # nothing repairs it
        ops.get("configmap", "hub", SPACE)
    done = answer(ops, "resume")
    assert done["ready"] is True
    assert ops.get("configmap", "hub", SPACE), "Helm ran once anew"


def test_a_reinstall_is_a_revision_that_nobody_notices(ops: Cluster) -> None:
    ada = person(ops, "ada", HUB, SPACE)
    ada.start()
    before, pod = answer(ops, "status")["summary"][0]["release"]["revision"], hub_pod(ops)
    with pytest.raises(CommandFailed, match="Nobody is there to be asked"):
        plugin(ops, "reinstall")
    done = answer(ops, "reinstall", "--yes")
    assert done["ready"] is True and done["revision"] > before, done
    assert hub_pod(ops) == pod, "its pod is the same, so it was not restarted"
    assert read(ada, "lasting.txt") == "outlives the namespace", "and the server went on"
    assert not ops.get("pdshub", HUB, SPACE)["spec"].get("suspend")


def test_a_report_has_no_secret_of_the_hub(ops: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "report.zip"
    plugin(ops, "report", "--to", str(file), timeout=600)
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as found:
        files = {name: found.read(name).decode() for name in found.namelist()}
    whole = "\n".join(files.values())
    secrets = ops.items("secrets", SPACE)
    assert {f"secrets/{SPACE}.txt", f"secrets/{SYSTEM}.txt", "status.txt", "version.json"} <= files.keys()
    for one in secrets:
        if one["type"] == "helm.sh/release.v1":
            continue  # a release is no secret by itself; its Secret's content is not in the report either
        for key, value in (one.get("data") or {}).items():
            assert f"{key}=" in files[f"secrets/{SPACE}.txt"]
            plain = base64.b64decode(value).decode("utf-8", "replace")
            assert len(plain) < 8 or (plain not in whole and value not in whole), (one["metadata"]["name"], key)
    assert [name for name in files if name.startswith(f"logs/{SYSTEM}/pdshub-operator")]
    assert all(line.isprintable() for text in files.values() for line in text.split("\n"))


def test_a_week(ops: Cluster) -> None:
    (week,) = answer(ops, "weekly")["hubs"]
    assert week["users"]["listed"] == 4 and week["users"]["active"] >= 1, week
    assert week["users"]["signIns"] is None or week["users"]["signIns"] >= 1
    assert week["storage"]["homes"] >= 1 and week["hours"]["servers"] is None
    assert plugin(ops, "weekly", "--markdown").startswith("# Hub ")


HELD, HELD_VIEW, HELD_TOP = "e2e-held", "e2e-held-ops", "/archive/held/data"
MAX_HOLD = 90


@pytest.fixture
def delivered(ops: Cluster, sample: dict[str, Any]) -> Iterator[Path]:
    """A hub with an archive of its own, whose only bundle is in the directory that is given."""
    place = ops.nas_data / "pds-mission/e2e-held"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(ops.nas_data / f"pds-mission/orex/{OTES}", place / OTES)
    nas = {"server": ops.facts["NAS_IP"], "export": "/pds-mission"}
    inline = {
        "folder": "held",
        "sources": [{"name": "mission", "nfs": nas}],
        "tree": [{"path": "data", "layers": [{"source": "mission", "path": "e2e-held"}]}],
        "authority": {"settleSeconds": 0},
        "survey": {"intervalSeconds": 3600, "storage": "1Gi"},
    }
    namespace(ops, HELD)
    ops.apply(variant(sample, HUB, HELD, archive={"inline": inline, "maxHoldSeconds": MAX_HOLD}))
    try:
        wait_ready(ops, HUB, HELD)
        yield place
    finally:
        ops.dismiss(HELD, HUB)
        shutil.rmtree(place, ignore_errors=True)


def on_all_nodes(cluster: Cluster, other_than: str = "") -> str:
    """Wait until every node shows what is released; its name."""

    def name() -> str:
        status = cluster.get("archiveview", HELD_VIEW).get("status", {})
        released = str((status.get("generation") or {}).get("name", ""))
        same = all(node.get("generation") == released for node in status.get("nodes", []))
        return released if same and status.get("nodes") else ""

    found: str = eventually(name, lambda found: found and found != other_than, within=240, what="it is everywhere")
    return found


def deliver(cluster: Cluster, place: Path, before: str, name: str) -> str:
    """Something new on the NAS, as users see it; the name of its generation."""
    (place / OTES / name).write_text("delivered later")
    cluster.run("kubectl", "pdshub", "archive", "refresh", HELD_VIEW, "--wait", timeout=240)
    return on_all_nodes(cluster, before)


def whose(cluster: Cluster, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.run("kubectl", "pdshub", *words, "-o", "json"))
    return found


def test_whose_servers_are_held_at_which_generation_since_when_and_until_when(ops: Cluster, delivered: Path) -> None:
    first, hub = on_all_nodes(ops), f"{HELD}/{HUB}"
    ada = person(ops, "ada", HUB, HELD)
    ada.start()

    def mine() -> dict[str, Any]:
        found: dict[str, Any] = whose(ops, "why", "ada", "--hub", hub)
        assert found["reasons"] == [], "it keeps nobody from working"
        return found["held"] or {}

    with ada.kernel() as kernel:
        kernel.run(f"import os; os.chdir({HELD_TOP!r})").ok()
        assert mine() == {} and "HELD AT" not in ops.run("kubectl", "pdshub", "archive", "status", HELD_VIEW)
        second = deliver(ops, delivered, first, "second.txt")
        held = eventually(mine, within=60, what="ada is held")
        pod = ops.items("pods", HELD, "component=singleuser-server")[0]
        assert (held["user"], held["generation"], held["namespace"]) == ("ada", first[7:19], HELD), held
        assert (held["pod"], held["uid"]) == (pod["metadata"]["name"], pod["metadata"]["uid"])
        assert held["node"] == pod["spec"]["nodeName"]
        assert rfc3339.seconds(held["until"]) - rfc3339.seconds(held["since"]) == MAX_HOLD
        assert abs(rfc3339.seconds(held["since"]) - time.time()) < MAX_HOLD
        assert whose(ops, "archive", "status", HELD_VIEW)["held"] == [held]
        said = ops.run("kubectl", "pdshub", "archive", "status", HELD_VIEW)
        assert f"{first[7:19]}  ada" in said and held["until"] in said, said
        (summary,) = whose(ops, "status", "--hub", hub)["summary"]
        assert summary["archive"]["held"] == [held] and summary["blocks"] == []
        said = ops.run("kubectl", "pdshub", "status", "--hub", hub)
        assert f"1 servers are held at another: {first[7:19]} 1, until {held['until']} at the latest" in said, said
        eventually(lambda: mine() == {}, within=2 * MAX_HOLD, what="the time is over")
        assert time.time() >= rfc3339.seconds(held["until"]) - 2, "and not before"
        assert second[7:19] in whose(ops, "why", "ada", "--hub", hub)["facts"]["generation"]

    change = {"spec": {"archive": {"updates": "nextServer"}}}
    ops.kubectl("patch", "pdshub", HUB, "-n", HELD, "--type=merge", "-p", json.dumps(change))
    eventually(
        lambda: [one["updates"] for one in ops.get("archiveview", HELD_VIEW)["status"]["volumes"]],
        lambda found: found == ["nextServer"],
        what="nodes are told",
    )
    deliver(ops, delivered, second, "third.txt")
    held = eventually(mine, within=60, what="ada keeps what her server began with")
    assert (held["user"], held["generation"], held["until"]) == ("ada", second[7:19], None), held
    assert "its server ends" in ops.run("kubectl", "pdshub", "archive", "status", HELD_VIEW)
    ada.stop()
    ada.start()
    eventually(lambda: mine() == {}, within=60, what="the next server has what is released")


def test_a_deleted_namespace_comes_back_by_one_command(ops: Cluster, spec: dict[str, Any]) -> None:
    kept = {v["spec"]["claimRef"]["name"]: str(v["metadata"]["name"]) for v in left(ops)}
    assert {"claim-ada", DATABASE_CLAIM} <= kept.keys()
    eventually(
        lambda: {v["spec"]["persistentVolumeReclaimPolicy"] for v in left(ops)}, lambda found: found == {"Retain"},
        within=120, what="homes and database are kept",
    )  # fmt: skip
    ops.kubectl("delete", "namespace", SPACE, "--timeout=300s", timeout=310)
    with pytest.raises(CommandFailed, match="make it with the labels that it had"):
        plugin(ops, "homes", "adopt")
    namespace(ops, SPACE)
    looked = answer(ops, "homes", "adopt")
    assert {one["claim"]: one["why"] for one in looked["found"]}.items() >= {
        "claim-ada": None,
        DATABASE_CLAIM: None,
    }.items()
    assert ops.items("pvc", SPACE) == [], "a look binds nothing"
    assert answer(ops, "homes", "adopt", "--all", "--dry-run")["dryRun"] and ops.items("pvc", SPACE) == []
    done = answer(ops, "homes", "adopt", "--all", "--yes")
    assert set(done["adopted"]) >= {"claim-ada", DATABASE_CLAIM} and done["failed"] == [], done
    ops.apply(spec)
    wait_ready(ops, HUB, SPACE)
    ada = person(ops, "ada", HUB, SPACE)
    ada.start()
    assert read(ada, "lasting.txt") == "outlives the namespace"
    for claim in ("claim-ada", DATABASE_CLAIM):
        assert ops.get("pvc", claim, SPACE)["spec"]["volumeName"] == kept[claim]
    eventually(
        lambda: (ops.get("pvc", "claim-ada", SPACE)["metadata"].get("annotations") or {}).get(HOME_OF),
        lambda found: found == "ada", within=90, what="the home is known as ada's, so that backups hold it",
    )  # fmt: skip
    ada.stop()
