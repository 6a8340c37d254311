"""``kubectl pdshub homes move``: grown in place or copied; killed at each step; refused before anybody is stopped."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pdshub.cli import home_move, home_moving, home_record
from pdshub.cli.home_move import MoveError, Seen
from pdshub.cli.home_record import MOVE, Record
from pdshub.cli.hub_choice import HUBS
from tests.unit.cli import backup_cluster
from tests.unit.cli.backup_cluster import ADA, BackupCluster
from tests.unit.cli.fake_cluster import KINDS, Object
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_homes_reset import HUB
from tests.unit.cli.test_hostile import NASTY, harmless

KINDS |= {"persistentvolumes": "volume", "storageclass": "class"}
backup_cluster.OF |= {"PersistentVolumeClaim": "claim"}
LINE = f"homes move {ADA} --class fast --size 20Gi --yes"
ID = home_record.move_id("hub", "sbn", ADA)
COPY, KEPT, POD = f"move-{ID}", f"before-move-{ID}", f"pdshub-move-{ID}"
OLD, NEW = "pv-claim-ada", f"pv-{COPY}"
DIGEST = "ab" * 32
LOOKED = {"entries": 9, "files": 7, "bytes": 4 << 30, "used": 4 << 30, "sockets": 0, "problems": 0, "owners": 0,
          "problemNames": [], "ownerNames": []}  # fmt: skip
COPIED = {**LOOKED, "equal": True, "digest": DIGEST, "copyDigest": DIGEST}
LABELS = {"app": "jupyterhub", "component": "singleuser-storage", "pdshub.dev/hub": "sbn"}
NOTES = {"hub.jupyter.org/username": ADA, "pdshub.dev/home-of": ADA}
BOUND = {"pv.kubernetes.io/bind-completed": "yes"}


class MoveCluster(BackupCluster):
    """A cluster with a provisioner and the controller that binds volumes; pods end as they are told to."""

    def __init__(self, *, grows: bool = False, suspended: Sequence[str] = (), **more: Any) -> None:
        super().__init__(HUB, **more)
        self.__dict__.update(looked=json.dumps(LOOKED), copied=json.dumps(COPIED), ended="Succeeded", kill=0,
                             killed="after", writes=0, numbers=itertools.count(), users_pod=False)  # fmt: skip
        for name in ("slow", "fast"):
            self.put("class", {"metadata": {"name": name}, "allowVolumeExpansion": grows})
        meta = {"name": "claim-ada", "namespace": "hub", "uid": "uid-claim-ada", "labels": LABELS,
                "annotations": NOTES | BOUND}  # fmt: skip
        spec = {"volumeName": OLD, "storageClassName": "slow", "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "10Gi"}}}  # fmt: skip
        self.put("claim", {"metadata": meta, "spec": spec, "status": {"phase": "Bound"}})
        self.found("volume", OLD, "")["spec"] |= {"capacity": {"storage": "10Gi"}, "storageClassName": "slow",
                                                  "persistentVolumeReclaimPolicy": "Delete"}  # fmt: skip
        self.users["suspended"] = list(suspended)
        self.operate()

    looked: str
    copied: str
    ended: str
    kill: int
    """At which write the plugin is killed; 0: at none."""
    killed: str
    writes: int

    def run(self, *arguments: str, seconds: float | None = 60.0, stdin: str = "") -> str:
        if arguments[0] in ("create", "delete", "patch") and "--dry-run=server" not in arguments:
            self.__dict__["writes"] += 1
            if self.kill and self.writes >= self.kill:
                if self.writes == self.kill and self.killed == "after":
                    self._run(arguments, seconds, stdin)
                raise KeyboardInterrupt  # and from then on: nothing is tidied up by a process that is killed
        return self._run(arguments, seconds, stdin)

    def _run(self, arguments: tuple[str, ...], seconds: float | None, stdin: str) -> str:
        if arguments[0] == "logs":
            self.calls.append(arguments)
            return self.looked if arguments[3].startswith("pdshub-look") else self.copied
        if arguments[0] == "delete" and (KINDS[arguments[1]], "hub", arguments[2]) not in self.objects:
            return ""
        said = super().run(*arguments, seconds=seconds, stdin=stdin)
        self.control()
        return said

    def _create(self, arguments: Sequence[str], body: Object) -> str:
        if "--dry-run=server" not in arguments:
            body["metadata"].setdefault("labels", {})
        said = super()._create(arguments, body)
        made = self.objects.get((backup_cluster.OF[body["kind"]], "hub", body["metadata"].get("name", "")))
        if made is not None:
            made["metadata"]["uid"] = f"uid-{next(self.__dict__['numbers'])}"
        return said

    def control(self) -> None:
        """What Kubernetes does: volumes for claims that a pod has, bindings, the ends of pods."""
        pods = [thing for (kind, _, _), thing in self.objects.items() if kind == "pod"]
        for pod in pods:
            if pod["metadata"]["name"].startswith("pdshub-"):
                pod["status"] = {"phase": self.ended}
        wanted = {v["persistentVolumeClaim"]["claimName"] for pod in pods for v in pod["spec"]["volumes"]}
        for (kind, space, name), claim in list(self.objects.items()):
            if kind != "claim":
                continue
            spec = claim["spec"]
            if name in wanted and not spec.get("volumeName"):
                spec["volumeName"] = f"pv-{name}"
                size = spec["resources"]["requests"]["storage"]
                self.put("volume", {"metadata": {"name": f"pv-{name}"}, "spec": {
                    "claimRef": {"namespace": space, "name": name, "uid": claim["metadata"]["uid"]},
                    "capacity": {"storage": size}, "storageClassName": spec["storageClassName"],
                    "persistentVolumeReclaimPolicy": "Delete"}})  # fmt: skip
            volume = self.objects.get(("volume", "", spec.get("volumeName", "")))
            if volume is None:
                continue
            ref, held = volume["spec"]["claimRef"], (space, name)
            if (ref["namespace"], ref["name"]) == held and ref.get("uid") in (None, claim["metadata"]["uid"]):
                ref["uid"] = claim["metadata"]["uid"]
                claim["status"] = {"phase": "Bound"}
            elif ref.get("uid") != claim["metadata"]["uid"]:
                claim["status"] = {"phase": "Lost" if (claim.get("status") or {}).get("phase") else "Pending"}

    def volume(self, name: str) -> Object:
        return self.found("volume", name, "")

    def names(self, kind: str) -> set[str]:
        return {name for k, _, name in self.objects if k == kind}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("pdshub.cli.enforced.POLL_SECONDS", 0.0)


def moved(where: MoveCluster, new: str = NEW, old: str = OLD) -> None:
    """The home is in the new volume under its old name, and the former one is kept."""
    claim, kept = where.found("claim", "claim-ada"), where.found("claim", KEPT)
    assert (claim["spec"]["volumeName"], claim["status"]["phase"]) == (new, "Bound")
    assert (kept["spec"]["volumeName"], kept["status"]["phase"]) == (old, "Bound")
    assert claim["metadata"]["labels"] == LABELS
    notes = claim["metadata"]["annotations"]
    assert notes.items() >= NOTES.items() and not notes.keys() & BOUND.keys()
    assert claim["spec"]["storageClassName"] == where.volume(new)["spec"]["storageClassName"]
    assert claim["spec"]["resources"]["requests"] == where.volume(new)["spec"]["capacity"]
    for name in (old, new):
        assert where.volume(name)["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert not where.users["suspended"] and not where.names("pod")
    assert where.names("claim") == {"claim-ada", "claim-bela", KEPT}
    assert kept["metadata"]["labels"] == {MOVE: ID} and "component" not in kept["metadata"]["labels"]


def untouched(where: MoveCluster, suspended: Sequence[str] = ()) -> None:
    assert where.found("claim", "claim-ada")["metadata"]["uid"] == "uid-claim-ada"
    assert where.names("claim") == {"claim-ada", "claim-bela"}
    assert where.names("volume") == {OLD, "pv-claim-bela"} and not where.names("pod")
    assert where.users["suspended"] == list(suspended)
    assert MOVE not in (where.volume(OLD)["metadata"].get("annotations") or {})


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_the_whole_way(call: Call) -> None:
    where = MoveCluster()
    code, out, err = call(where, LINE)
    assert code == 0, err
    moved(where)
    assert f"the home of {ADA} is claim claim-ada, in volume {NEW}" in out and DIGEST in out
    assert f"kept: volume {OLD}, by claim {KEPT}; it goes with: kubectl pdshub homes move {ADA} --remove-old" in out
    assert where.volume(NEW)["spec"]["storageClassName"] == "fast"


def test_nobody_is_let_in_between(call: Call) -> None:
    """At each write after the copying began the owner is kept out, until all is bound."""
    where, seen = MoveCluster(), list[tuple[str, bool]]()
    real = where._run

    def look(arguments: tuple[str, ...], seconds: float | None, stdin: str) -> str:
        if arguments[0] in ("create", "delete", "patch") and "--dry-run=server" not in arguments:
            seen.append((f"{arguments[0]} {json.loads(stdin)['kind'] if arguments[0] == 'create' else arguments[1]}",
                         ADA in (where.users.get("suspended") or [])))  # fmt: skip
        return real(arguments, seconds, stdin)

    where.__dict__["_run"] = look
    assert call(where, LINE)[0] == 0
    copying = seen.index(("create PersistentVolumeClaim", True))
    last = max(n for n, (what, _) in enumerate(seen) if "Claim" in what or "claim" in what)
    assert all(out for _, out in seen[copying : last + 1])


def operator_that_sleeps(where: MoveCluster, looks: int) -> None:
    """From the moment the owner is to be let in, for so many looks at the hub, the operator does nothing."""
    real, left = where._run, [looks]

    def run(arguments: tuple[str, ...], seconds: float | None, stdin: str) -> str:
        if arguments[0] == "patch" and where.users.get("suspended") and '"/spec/users/suspended' in stdin:
            where.set(works=False)
        if arguments[:2] == ("get", HUBS) and not where.works:
            left[0] -= 1
            if not left[0]:
                where.set(works=True).operate()
        return real(arguments, seconds, stdin)

    where.__dict__["_run"] = run


@pytest.mark.parametrize(("looks", "late"), [(3, False), (1 << 30, True)])
def test_done_means_that_the_owner_is_let_in(
    call: Call, monkeypatch: pytest.MonkeyPatch, looks: int, late: bool
) -> None:
    where = MoveCluster()
    operator_that_sleeps(where, looks)
    monkeypatch.setattr(home_moving, "FENCE_SECONDS", 0.2 if late else 60)
    code, out, err = call(where, LINE)
    people = json.loads(where.found("configmap", "sbn-people")["data"]["people.json"])
    assert code == 0 and not where.users["suspended"], err
    assert (ADA in people["suspended"]) is late and (f"note: {ADA} is not let in yet" in out + err) is late


def test_the_pods(call: Call) -> None:
    where = MoveCluster()
    spec = {"nodeName": "node-2", "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claim-ada"}}]}
    server = {"metadata": {"name": "jupyter-ada", "namespace": "hub"}, "spec": spec, "status": {"phase": "Running"}}
    where.put("pod", server)

    def stops(cluster: Any) -> None:
        if ADA in (cluster.users.get("suspended") or []):
            cluster.objects.pop(("pod", "hub", "jupyter-ada"), None)

    real = where.operate
    where.__dict__["operate"] = lambda: (real(), stops(where))
    code, _, err = call(where, LINE)
    assert code == 0, err
    look, copy = (thing for thing in where.created if thing["kind"] == "Pod")
    assert "node-2" in json.dumps(look["spec"]["affinity"]) and "affinity" not in copy["spec"]
    mounts = {m["mountPath"]: m.get("readOnly", False) for m in copy["spec"]["containers"][0]["volumeMounts"]}
    assert mounts == {"/former": True, "/next": False} and copy["metadata"]["name"] == POD
    for pod in (look, copy):
        container = pod["spec"]["containers"][0]
        assert pod["spec"]["securityContext"]["runAsNonRoot"] and pod["spec"]["securityContext"]["runAsUser"] == 1000
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert not pod["spec"]["automountServiceAccountToken"]
        assert sum(map(len, container["command"])) < 100_000, "arguments have a bound"
    assert not any(ADA in word for pod in (look, copy) for word in pod["spec"]["containers"][0]["command"])


# --- killed -----------------------------------------------------------------------------------------------------------


def writes() -> int:
    where = MoveCluster()
    return _writes(where)


def _writes(where: MoveCluster) -> int:
    from pdshub.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "Kubectl", lambda flags: where)
        patch.setattr("pdshub.cli.backup_run.POLL_SECONDS", 0.0)
        assert main.main(LINE.split()) == 0
    return where.writes


@pytest.mark.parametrize("killed", ["before", "after"])
def test_killed_at_each_write(call: Call, killed: str) -> None:
    number = writes()
    assert number > 10
    for at in range(1, number + 1):
        where = MoveCluster().set(kill=at, killed=killed)
        assert call(where, LINE)[0] == 130
        where.set(kill=0)
        assert {OLD} <= where.names("volume"), "never without the home's volume"
        record = home_record.read(where.volume(OLD))
        if record is not None and record.done:
            moved(where)
            continue
        code, _, err = call(where, f"homes move {ADA} --yes" if record else LINE)
        assert code == 0, f"killed {killed} write {at}: {err}"
        moved(where)


@pytest.mark.parametrize("killed", ["before", "after"])
def test_killed_and_taken_back(call: Call, killed: str) -> None:
    """From every step the home can be as it was; what was copied whole and had become the home is kept then."""
    for at in range(1, writes() + 1):
        where = MoveCluster().set(kill=at, killed=killed)
        call(where, LINE)
        where.set(kill=0)
        if home_record.read(where.volume(OLD)) is None:
            continue
        code, _, err = call(where, f"homes move {ADA} --back --yes")
        assert code == 0, f"killed {killed} write {at}: {err}"
        if KEPT in where.names("claim"):
            moved(where, OLD, NEW)
        else:
            untouched(where)


def test_what_somebody_wrote_meanwhile_is_copied(call: Call) -> None:
    """Killed when all was copied; somebody let the owner in; the next run copies and compares again."""
    where = MoveCluster()
    for at in range(1, writes() + 1):
        where = MoveCluster().set(kill=at, killed="after")
        call(where, LINE)
        record = home_record.read(where.volume(OLD))
        if record and record.next:
            break
    where.set(kill=0)
    where.users["suspended"] = []
    where.operate()
    before = len(where.created)
    assert call(where, f"homes move {ADA} --yes")[0] == 0
    assert "Pod" in [thing["kind"] for thing in where.created[before:]]
    moved(where)


# --- refused ----------------------------------------------------------------------------------------------------------

PROBLEMS = {"problems": 2, "problemNames": [["x/y", "Permission denied"]]}


@pytest.mark.parametrize(
    ("looked", "line", "said"),
    [
        ({"used": 30 << 30}, LINE, "20Gi is too small: 30.0Gi are used, which need 30.6Gi"),
        ({"used": 20 << 30}, LINE, "20Gi is too small"),
        ({"used": 2 << 30}, f"homes move {ADA} --size 2Gi --yes", "2Gi is too small"),
        (PROBLEMS, LINE, "2 paths of the home can not be read with the rights of its owner"),
        ({"owners": 1, "ownerNames": [["x", "0:0"]]}, LINE, "1 path of the home of ada@example.org belong to others"),
        ({"used": "many"}, LINE, "the pod says no used"),
        ({"error": NASTY}, LINE, "2J"),
    ],
)  # fmt: skip
def test_refused_before_anybody_is_stopped(call: Call, looked: dict[str, Any], line: str, said: str) -> None:
    where = MoveCluster().set(looked=json.dumps({**LOOKED, **looked}))
    code, _, err = call(where, line)
    assert (code, said in err) == (1, True), err
    harmless(err)
    untouched(where)
    assert not any(word[0] == "patch" for word in where.calls)


def test_files_of_others_may_be_taken_over(call: Call) -> None:
    looked = {**LOOKED, "owners": 1, "ownerNames": [["x", "0:0"]]}
    where = MoveCluster().set(looked=json.dumps(looked))
    assert call(where, f"{LINE} --take-over")[0] == 0
    copy = [thing for thing in where.created if thing["kind"] == "Pod"][-1]
    assert json.loads(copy["spec"]["containers"][0]["command"][4])["takeOver"] is True


@pytest.mark.parametrize(
    ("copied", "said"),
    [
        ({"equal": False}, "not all of the home was copied"),
        ({"copyDigest": "cd" * 32}, "not all of the home was copied"),
        ({"digest": "x", "copyDigest": "x"}, "not all of the home was copied"),
        ({"problems": 1, "problemNames": [["a", "Input/output error"]]}, "a: Input/output error"),
        ({"error": "there is room for 7 bytes in the new volume"}, "there is room for 7 bytes"),
        ({"files": -1}, "the pod says no files"),
    ],
)
def test_what_is_not_copied_whole_is_taken_back(call: Call, copied: dict[str, Any], said: str) -> None:
    where = MoveCluster().set(copied=json.dumps({**COPIED, **copied}))
    code, _, err = call(where, LINE)
    assert code == 1 and said in err
    assert f"the home is as it was, and {ADA} may come in as before" in err
    untouched(where)


def test_a_pod_that_never_runs(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_moving, "START_SECONDS", 0.0)
    where = MoveCluster()
    where.set(ended="Pending")
    code, _, err = call(where, LINE)
    assert code == 1 and "has not run within" in err
    untouched(where)


def test_a_quota(call: Call) -> None:
    where = MoveCluster()
    where.broken["create&--field-manager"] = "exceeded quota: sbn-storage"
    code, _, err = call(where, LINE)
    assert code == 1 and "exceeded quota" in err
    untouched(where)


def test_who_was_suspended_before_stays_so(call: Call) -> None:
    where = MoveCluster(suspended=[ADA])
    assert call(where, LINE)[0] == 0
    assert where.users["suspended"] == [ADA]
    where.users["suspended"] = []
    moved(where)


def test_an_api_server_that_fails_in_the_middle(call: Call) -> None:
    where = MoveCluster()
    where.broken["delete persistentvolumeclaim claim-ada"] = "etcdserver: request timed out"
    code, _, err = call(where, LINE)
    assert code == 1 and "etcdserver: request timed out" in err
    assert f"{ADA} is kept out meanwhile: kubectl pdshub homes move {ADA} goes on, with --back all is taken back" in err
    where.broken.clear()
    assert call(where, f"homes move {ADA} --yes")[0] == 0
    moved(where)


# --- something comes back meanwhile -----------------------------------------------------------------------------------


def coming_back(name: str = "back", phase: str = "", user: str = ADA, hub: str = "sbn") -> tuple[str, Object]:
    meta = {"name": name, "namespace": "hub", "uid": f"uid-{name}"}
    return "restore", {
        "metadata": meta,
        "spec": {"hub": hub, "user": user},
        "status": {"phase": phase} if phase else {},
    }


class RestoringCluster(MoveCluster):
    """A HubRestore is asked for after a command whose words are ``at``, and ends at a later look at all of them."""

    def __init__(self, at: str, *, ends: bool = True) -> None:
        super().__init__()
        self.__dict__.update(at=at, ends=ends)

    def _run(self, arguments: tuple[str, ...], seconds: float | None, stdin: str) -> str:
        line = " ".join((*arguments, stdin))
        asked = ("restore", "hub", "back") in self.objects
        if arguments[:2] == ("get", "hubrestores.pdshub.dev") and asked and self.__dict__["ends"]:
            found = self.found("restore", "back")
            found["status"] = {"phase": {"Pending": "Running"}.get(found["status"].get("phase", ""), "Completed")}
        said = super()._run(arguments, seconds, stdin)
        if self.__dict__["at"] and all(word in line for word in self.__dict__["at"].split("&")) and not asked:
            self.put(*coming_back(phase="Pending"))
        return said

    @property
    def copies(self) -> int:
        return sum(thing["kind"] == "Pod" and thing["metadata"]["name"] == POD for thing in self.created)


@pytest.mark.parametrize("phase", ["", "Pending", "Running"])
def test_what_comes_back_already_comes_first(call: Call, phase: str) -> None:
    where = MoveCluster()
    where.put(*coming_back(phase=phase))
    code, _, err = call(where, LINE)
    assert code == 1 and f"HubRestore back brings something back into the home of {ADA}: first let it end" in err
    untouched(where)


@pytest.mark.parametrize("other", [
    coming_back(phase="Completed"), coming_back(phase="Failed"), coming_back(phase="PartiallyCompleted"),
    coming_back(phase="Running", user="bela"), coming_back(phase="Running", hub="other"),
])  # fmt: skip
def test_a_restore_that_is_over_or_anothers(call: Call, other: tuple[str, Object]) -> None:
    where = RestoringCluster("")
    where.put(*other)
    assert call(where, LINE)[0] == 0
    assert where.copies == 1
    moved(where)


@pytest.mark.parametrize(("at", "copies"), [
    ("patch&pdshubs", 1),  # while its owner is put out: it is waited for
    ("logs&" + POD, 2),
    ("patch&persistentvolume " + NEW + "&persistentVolumeReclaimPolicy", 2),  # just before the volumes change places
])  # fmt: skip
def test_what_comes_back_while_it_is_copied_is_copied_too(call: Call, at: str, copies: int) -> None:
    where = RestoringCluster(at)
    code, _, err = call(where, LINE)
    assert code == 0 and "HubRestore back" in err, err
    assert where.copies == copies and where.found("restore", "back")["status"]["phase"] == "Completed"
    moved(where)


def test_what_comes_back_and_does_not_end(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdshub.cli.home_restores.PATIENCE", 0.0)
    where = RestoringCluster("logs&" + POD, ends=False)
    code, _, err = call(where, LINE)
    assert code == 1 and f"HubRestore back still brings something back into the home of {ADA}" in err
    assert f"homes move {ADA} goes on, with --back all is taken back" in err
    assert where.found("claim", "claim-ada")["spec"]["volumeName"] == OLD
    where.found("restore", "back")["status"] = {"phase": "Failed"}
    assert call(where, f"homes move {ADA} --yes")[0] == 0
    moved(where)


def test_what_comes_back_while_volumes_change_places_is_said(call: Call) -> None:
    where = RestoringCluster("delete&claim-ada")
    code, _, err = call(where, LINE)
    assert code == 0 and f"what it brought may be in volume {OLD} alone" in err
    moved(where)


def test_without_the_right_to_see_restores_nobody_is_stopped(call: Call) -> None:
    where = MoveCluster()
    where.broken["hubrestores"] = "hubrestores.pdshub.dev is forbidden"
    code, _, err = call(where, LINE)
    assert code == 1 and "is forbidden" in err
    untouched(where)


WRONG = [
    ("homes move", 2, "NAME is missing"),
    (f"homes move {ADA}", 2, "say what shall be another: --size 20Gi, --class NAME"),
    (f"homes move {ADA} --size 20GB -y", 2, "write a number and Gi or Ti"),
    (f"homes move {ADA} --size -1Gi -y", 2, ""),
    (f"homes move {ADA} --class ../x -y", 2, "is no name of a StorageClass"),
    (f"homes move {ADA} --back --remove-old", 2, "stand alone"),
    (f"homes move {ADA} --back --size 1Gi", 2, "stand alone"),
    (f"homes move {ADA} --back -y", 2, "there is no move of the home"),
    (f"homes move {ADA} --remove-old -y", 2, "nothing is kept of a move"),
    ("homes move nobody@example.org --size 20Gi -y", 2, "no home in namespace hub"),
    (f"homes move {ADA} --size 20Gi --class fast", 2, "Nobody is there to be asked"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "said"), WRONG)
def test_what_is_refused(call: Call, line: str, code: int, said: str) -> None:
    where = MoveCluster()
    got, out, err = call(where, line)
    assert (got, said in err) == (code, True), err
    assert not out
    untouched(where)


def test_a_claim_that_names_a_strangers_volume(call: Call) -> None:
    """Whoever rules a hub's namespace writes any volume's name into a claim."""
    where = MoveCluster()
    where.volume(OLD)["spec"]["claimRef"] |= {"namespace": "other"}
    code, _, err = call(where, LINE)
    assert code == 1 and "is bound to no volume of its own" in err
    assert MOVE not in (where.volume(OLD)["metadata"].get("annotations") or {})


def test_another_goal_while_one_is_under_way(call: Call) -> None:
    where = MoveCluster().set(kill=5, killed="after")
    call(where, LINE)
    where.set(kill=0)
    code, _, err = call(where, f"homes move {ADA} --size 30Gi -y")
    assert code == 2 and "is being moved to 20Gi of class fast" in err
    assert call(where, LINE)[0] == 0, "the same again goes on"
    moved(where)


# --- after it ---------------------------------------------------------------------------------------------------------


def test_the_former_volume_goes_when_somebody_says_so(call: Call) -> None:
    where = MoveCluster()
    call(where, LINE)
    assert call(where, f"homes move {ADA} --size 30Gi -y")[0] == 2, "one is kept already"
    assert call(where, f"homes move {ADA} --remove-old")[0] == 2, "asked first"
    assert call(where, f"homes move {ADA} --remove-old --dry-run")[0] == 0
    moved(where)
    code, out, err = call(where, f"homes move {ADA} --remove-old --yes")
    assert code == 0, err
    assert out == f"removed: claim {KEPT} and volume {OLD}\n"
    assert where.names("volume") == {NEW, "pv-claim-bela"}
    assert where.found("claim", "claim-ada")["status"]["phase"] == "Bound"


def test_there_and_back(call: Call) -> None:
    where = MoveCluster()
    call(where, LINE)
    code, out, err = call(where, f"homes move {ADA} --back --yes")
    assert code == 0, err
    moved(where, OLD, NEW)
    assert f"in volume {OLD}" in out
    assert call(where, f"homes move {ADA} --remove-old --yes")[0] == 0
    untouched_but_for_its_uid = where.names("claim"), where.names("volume")
    assert untouched_but_for_its_uid == ({"claim-ada", "claim-bela"}, {OLD, "pv-claim-bela"})
    assert MOVE not in where.volume(OLD)["metadata"]["annotations"]
    assert call(where, LINE)[0] == 0, "and once more"
    moved(where)


# --- in place ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        ({"capacity": {"storage": "20Gi"}}, 0, "claim claim-ada has 20Gi now; nothing was stopped or copied"),
        ({"conditions": [{"type": "FileSystemResizePending", "status": "True"}]}, 0, "with the next server"),
        ({"capacity": {"storage": "10Gi"}}, 3, "is to have 20Gi, and has not yet: kubectl describe pvc claim-ada"),
    ],
)
def test_growing_in_place(call: Call, status: Object, code: int, said: str) -> None:
    where = MoveCluster(grows=True).does("claim", status)
    got, out, err = call(where, f"homes move {ADA} --size 20Gi --timeout 0")
    assert (got, said in out) == (code, True), out + err
    claim = where.found("claim", "claim-ada")
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi" and claim["spec"]["volumeName"] == OLD
    assert not where.created and not where.users["suspended"]


@pytest.mark.parametrize("line", ["--size 20Gi", "--size 20Gi --class slow"])
def test_what_can_not_grow_is_copied(call: Call, line: str) -> None:
    where = MoveCluster(grows=False)
    assert call(where, f"homes move {ADA} {line} --yes")[0] == 0
    moved(where)


def test_smaller_is_copied_where_all_fits(call: Call) -> None:
    where = MoveCluster(grows=True)
    assert call(where, f"homes move {ADA} --size 5Gi --yes")[0] == 0
    moved(where)
    assert where.found("claim", "claim-ada")["spec"]["resources"]["requests"]["storage"] == "5Gi"


def test_as_it_is_already(call: Call) -> None:
    where = MoveCluster()
    code, out, _ = call(where, f"homes move {ADA} --size 10240Mi --class slow")
    assert code == 0 and "has 10Gi of class slow already" in out
    untouched(where)


@pytest.mark.parametrize("grows", [True, False])
def test_a_dry_run(call: Call, grows: bool) -> None:
    where = MoveCluster(grows=grows)
    code, out, err = call(where, f"homes move {ADA} --size 20Gi --dry-run")
    assert code == 0 and out.endswith("nothing was stored: --dry-run\n"), err
    untouched(where)


KEYS = {"hub", "user", "dryRun", "how", "claim", "size", "storageClass", "looked", "copied", "kept", "removed"}


def test_answers_for_programs_are_stable(call: Call) -> None:
    where = MoveCluster()
    for line, how in (
        (f"homes move {ADA} --size 10Gi", "none"), (f"{LINE} --dry-run", "copy"), (LINE, "copy"),
        (f"homes move {ADA} --back -y", "back"), (f"homes move {ADA} --remove-old -y", "removed"),
    ):  # fmt: skip
        answer = json.loads(call(where, f"{line} -o json")[1])
        assert set(answer) == KEYS and answer["how"] == how
    assert answer["removed"] == [KEPT]


# --- the decision -----------------------------------------------------------------------------------------------------

RECORD = Record("hub", "sbn", ADA, "claim-ada", OLD, "20Gi", "fast", True, LABELS, NOTES, ("ReadWriteOnce",))
BOTH = replace(RECORD, next=NEW)


def volume(name: str, claim: str, policy: str = "Retain", namespace: str = "hub", uid: str = "") -> Object:
    ref = {"namespace": namespace, "name": claim, "uid": uid or f"uid-{claim}"}
    return {"metadata": {"name": name}, "spec": {"claimRef": ref, "persistentVolumeReclaimPolicy": policy}}


def seen(record: Record, claims: dict[str, str], *volumes: Object) -> Seen:
    made = {
        name: {"metadata": {"name": name, "namespace": "hub", "uid": f"uid-{name}"}, "spec": {"volumeName": held},
               "status": {"phase": "Bound"}}
        for name, held in claims.items()
    }  # fmt: skip
    return Seen(record, made, {one["metadata"]["name"]: one for one in volumes})


HOME, COPIED_INTO = volume(OLD, "claim-ada"), volume(NEW, COPY)


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (seen(RECORD, {"claim-ada": OLD}, HOME), "copy"),
        (seen(BOTH, {"claim-ada": OLD, COPY: NEW}, HOME, volume(NEW, COPY, "Delete")), "retain"),
        (seen(BOTH, {"claim-ada": OLD, COPY: NEW}, volume(OLD, "claim-ada", "Delete"), COPIED_INTO), "retain"),
        (seen(BOTH, {"claim-ada": OLD, COPY: NEW}, HOME, COPIED_INTO), "drop-home"),
        (seen(BOTH, {COPY: NEW}, HOME, COPIED_INTO), "drop-copy"),
        (seen(BOTH, {}, HOME, COPIED_INTO), "make-home"),
        (seen(BOTH, {"claim-ada": NEW}, HOME, COPIED_INTO), "make-home"),
        (seen(BOTH, {"claim-ada": NEW}, HOME, volume(NEW, "claim-ada")), "make-kept"),
        (seen(BOTH, {"claim-ada": NEW, KEPT: OLD}, HOME, volume(NEW, "claim-ada")), "make-kept"),
        (seen(BOTH, {"claim-ada": NEW, KEPT: OLD}, volume(OLD, KEPT), volume(NEW, "claim-ada")), "release"),
        (seen(replace(BOTH, done=True), {}), "done"),
        (seen(replace(BOTH, back=True), {"claim-ada": NEW, KEPT: OLD}, volume(OLD, KEPT), volume(NEW, "claim-ada")),
         "drop-home"),
        (seen(replace(BOTH, back=True), {KEPT: OLD}, volume(OLD, KEPT), volume(NEW, "claim-ada")), "drop-kept"),
        (seen(replace(BOTH, back=True), {}, volume(OLD, KEPT), volume(NEW, "claim-ada")), "make-home"),
        (seen(replace(BOTH, back=True), {"claim-ada": OLD}, HOME, volume(NEW, "claim-ada", uid="gone")), "make-kept"),
    ],
)  # fmt: skip
def test_the_next_step(found: Seen, step: str) -> None:
    assert home_move.decide(found) == step


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (seen(RECORD, {"claim-ada": "pv-x"}, HOME), "is not the home that was to be copied"),
        (seen(RECORD, {}, HOME), "is not the home that was to be copied"),
        (seen(BOTH, {}, HOME), f"volume {NEW} is gone"),
        (seen(BOTH, {}, HOME, volume(NEW, COPY, namespace="other")), f"volume {NEW} belongs to somebody else"),
        (seen(BOTH, {}, volume(OLD, "claim-bela"), COPIED_INTO), f"volume {OLD} belongs to somebody else"),
        (seen(BOTH, {"claim-ada": "pv-new", COPY: NEW}, HOME, COPIED_INTO), "is another one, made meanwhile"),
    ],
)
def test_what_fits_no_move(found: Seen, said: str) -> None:
    with pytest.raises(MoveError, match=said):
        home_move.decide(found)


# --- the record -------------------------------------------------------------------------------------------------------


def carried(text: str, name: str = OLD) -> Object:
    return {"metadata": {"name": name, "annotations": {MOVE: text}}}


def test_the_record_comes_back_as_it_was_written() -> None:
    assert home_record.read(carried(BOTH.text())) == BOTH
    assert home_record.read({"metadata": {"name": OLD}}) is None
    with pytest.raises(ValueError, match="too large"):
        replace(RECORD, annotations={"x": "y" * 300_000}).text()


GOOD = json.loads(RECORD.text())


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "7", "null", "[" * 100_000,
        json.dumps({**GOOD, "version": 2}),
        json.dumps({**GOOD, "more": 1}),
        json.dumps({**GOOD, "labels": 7}),
        json.dumps({**GOOD, "user": 7}),
        json.dumps({k: v for k, v in GOOD.items() if k != "claim"}),
        json.dumps({**GOOD, "former": "another"}),
    ],
)  # fmt: skip
def test_a_record_that_is_none(text: str) -> None:
    assert home_record.read(carried(text)) is None


def test_a_cluster_that_says_nothing(call: Call) -> None:
    where = MoveCluster()
    where.broken["get storageclass"] = "no rights"
    code, _, err = call(where, f"homes move {ADA} --size 20Gi -y")
    assert code == 1 and "whether StorageClass slow can grow volumes is not known: no rights" in err
