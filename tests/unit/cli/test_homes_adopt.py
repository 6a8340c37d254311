"""``kubectl pdshub homes adopt``: what a deleted namespace left is a hub's again, or it is said why not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.cli import adopt_plan, homes_adopt
from pdshub.cli.home_record import MOVE
from pdshub.wellknown import HOME_OF
from tests.unit.cli.backup_cluster import ADA, OF
from tests.unit.cli.day_two_cluster import DayTwoCluster
from tests.unit.cli.fake_cluster import Object, hub
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless

OF |= {"PersistentVolumeClaim": "claim"}
TARGET = ("hub", "sbn")
LABELS = ["/metadata/labels/pdshub.dev~1hub", "/metadata/labels/pdshub.dev~1namespace"]
MARKED = {"pdshub.dev/hub": "sbn", "pdshub.dev/namespace": "hub"}
ADAS = "claim-ada-example-org---cfe00dde"
"""KubeSpawner's name for ada@example.org (docs/administrator.md)."""


def left(
    name: str, claim: str, *, space: str = "hub", phase: str = "Released", labels: Any = None, **spec: Any
) -> Object:
    """A volume whose claim is gone."""
    ref = {"namespace": space, "name": claim, "uid": f"uid-{claim}"}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"claimRef": ref, "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"],
                 "storageClassName": "fast", "persistentVolumeReclaimPolicy": "Retain", **spec},
        "status": {"phase": phase},
    }  # fmt: skip


HALF = {"claimRef": {"namespace": "hub", "name": "claim-x"}}


@pytest.mark.parametrize(
    ("volume", "found", "why"),
    [
        (left("v", "claim-x"), "home", ""),
        (left("v", "hub-db-dir"), "database", ""),
        (left("v", "claim-x", space="old"), "", ""),
        (left("v", "claim-x", phase="Bound"), "", ""),
        (left("v", "claim-x", phase="Available", **HALF), "home", ""),
        (left("v", "backups"), "", ""),
        (left("v", "sbn-copies"), "", ""),
        (left("v", "claim-x", csi={"driver": "archive.pdshub.dev"}), "", ""),
        (left("v", "claim-x", labels={"pdshub.dev/repository": "x"}), "", ""),
        (left("v", "claim-x", labels={"pdshub.dev/hub": "sbn"}), "home", ""),
        (left("v", "claim-x", labels={"pdshub.dev/hub": "other"}), "home", "it is marked as of hub other"),
        (left("v", "claim-x", labels={MOVE: "id"}), "home", "kept beside a home that moved"),
        (left("v", "claim-x", volumeMode="Block"), "home", "it is no file system"),
        (left("v", "../x"), "", ""),
        (left("v", "claim-" + NASTY), "", ""),
        (left("../v", "claim-x"), "", ""),
    ],
)
def test_what_is_left(volume: Object, found: str, why: str) -> None:
    listed = adopt_plan.left([volume], "hub", TARGET)
    assert [one.kind for one in listed] == ([found] if found else [])
    assert not found or (why in listed[0].why and bool(why) is bool(listed[0].why))


def test_two_volumes_of_one_claim() -> None:
    listed = adopt_plan.left([left("a", "claim-x"), left("b", "claim-x")], "hub", TARGET)
    assert ["--volume" in one.why for one in listed] == [True, True]
    assert [adopt_plan.alone(one).why for one in listed] == ["", ""]


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (None, ""),
        ({"spec": {"volumeName": "v"}}, ""),
        ({"spec": {"volumeName": "other"}}, "has volume other: its user began with an empty home"),
        ({"spec": {}}, "waits for a volume of its own"),
    ],
)
def test_a_claim_that_is_there(claim: Any, why: str) -> None:
    (one,) = adopt_plan.left([left("v", "claim-x")], "hub", TARGET)
    found = adopt_plan.taken(one, claim)
    assert why in found and bool(found) is bool(why)


@pytest.mark.parametrize(
    ("now", "ops"),
    [
        (left("v", "claim-x"), ["/spec/claimRef", *LABELS]),
        (left("v", "claim-x", persistentVolumeReclaimPolicy="Delete",
              labels=MARKED),
         ["/spec/claimRef", "/spec/persistentVolumeReclaimPolicy"]),
        (left("v", "claim-x", phase="Bound"), []),
        (left("v", "claim-x", phase="Available", labels=MARKED, **HALF), []),
        (left("v", "claim-y"), None),
        (left("v", "claim-x", space="stolen"), None),
    ],
)  # fmt: skip
def test_what_frees_a_volume(now: Object, ops: list[str] | None) -> None:
    (one,) = adopt_plan.left([left("v", "claim-x")], "hub", TARGET)
    if ops is None:
        with pytest.raises(ValueError, match="somebody else by now"):
            adopt_plan.freed(now, one, TARGET)
    else:
        made = adopt_plan.freed(now, one, TARGET)
        assert [op["path"] for op in made if op["path"] != "/metadata/labels"] == ops


class Storage(DayTwoCluster):
    """A namespace made anew, and a controller that binds claims to volumes that are free for them."""

    def __init__(self, *volumes: Object, there: bool = False, binds: bool = True) -> None:
        super().__init__(*(("volume", one) for one in volumes), ("namespace", {"metadata": {"name": "hub"}}))
        for found in [key for key in self.objects if key[0] == "claim" or (key[0] == "pdshub" and not there)]:
            del self.objects[found]
        for name in [key for key in self.objects if key[0] == "volume" and key[2].startswith("pv-")]:
            del self.objects[name]
        if binds:
            self.does("claim", Storage.bind)

    def bind(self: Any, claim: Object) -> None:
        volume = self.objects.get(("volume", "", claim["spec"].get("volumeName", "")))
        ref = (volume or {"spec": {}})["spec"].get("claimRef") or {}
        if (
            volume
            and not ref.get("uid")
            and (ref.get("namespace"), ref.get("name")) == ("hub", claim["metadata"]["name"])
        ):
            ref["uid"], volume["status"]["phase"], claim["status"] = (
                claim["metadata"]["uid"],
                "Bound",
                {"phase": "Bound"},
            )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes_adopt, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(homes_adopt, "CHANGE_SECONDS", 0.2)


TWO = [left("pvc-1", ADAS), left("pvc-2", "claim-bela"), left("pvc-3", "hub-db-dir")]
HOMES = "homes adopt --hub hub/sbn"


@pytest.mark.parametrize(
    ("line", "code", "adopted", "words"),
    [
        (HOMES, 0, [], "say which: NAME, --database, --all or --volume"),
        (f"{HOMES} --all --yes", 0, ["claim-bela", ADAS, "hub-db-dir"], "apply PDSHub hub/sbn"),
        (f"homes adopt {ADA} --hub hub/sbn --yes", 0, [ADAS], f"{ADAS}: bound to volume pvc-1, 10Gi"),
        (f"{HOMES} --database --yes", 0, ["hub-db-dir"], "pvc-3"),
        (f"homes adopt {ADA} --hub hub/sbn --database --yes", 0, [ADAS, "hub-db-dir"], "pvc-3"),
        (f"{HOMES} --volume pvc-2 --yes", 0, ["claim-bela"], "pvc-2"),
        (f"{HOMES} --volume pvc-9 --yes", 2, [], "--volume pvc-9: no home or database"),
        ("homes adopt nobody@example.org --hub hub/sbn --yes", 2, [], "no home of theirs is left"),
        (f"{HOMES} --all", 2, [], "Nobody is there to be asked"),
        ("homes adopt --all --yes", 2, [], "say whose they are with --hub"),
        (f"{HOMES} --from ../x", 2, [], "is no name of a namespace"),
        (f"{HOMES} --from old --all --yes", 0, [], "no volume is left of a claim of namespace old"),
    ],
)
def test_adopt(call: Call, line: str, code: int, adopted: list[str], words: str) -> None:
    where = Storage(*json.loads(json.dumps(TWO)))
    got, out, err = call(where, line)
    assert got == code and words in out + err, out + err
    claims = {name: one for (kind, _, name), one in where.objects.items() if kind == "claim"}
    assert sorted(claims) == sorted(adopted)
    for name, claim in claims.items():
        assert claim["status"]["phase"] == "Bound" and claim["metadata"]["labels"]["pdshub.dev/hub"] == "sbn"
        base = name == "hub-db-dir"
        assert claim["metadata"]["labels"]["component"] == ("hub" if base else "singleuser-storage")
        assert claim["spec"]["resources"]["requests"]["storage"] == ("1Gi" if base else "10Gi")
        volume = where.found("volume", claim["spec"]["volumeName"], "")
        assert volume["metadata"]["labels"] == {"pdshub.dev/hub": "sbn", "pdshub.dev/namespace": "hub"}
    if ADA in line and claims:
        assert claims[ADAS]["metadata"]["annotations"][HOME_OF] == ADA


def test_names_of_people_come_from_the_hub_that_is_there(call: Call) -> None:
    where = Storage(left("pvc-1", ADAS), there=True)
    where.put("pdshub", hub(allowed=[ADA]))
    assert call(where, f"{HOMES} --all --yes")[0] == 0
    assert where.found("claim", ADAS)["metadata"]["annotations"][HOME_OF] == ADA


def test_what_began_empty_meanwhile_stays(call: Call) -> None:
    where = Storage(left("pvc-1", ADAS), left("pvc-3", "hub-db-dir"))
    meta = {"name": "hub-db-dir", "namespace": "hub", "uid": "new"}
    where.put("claim", {"metadata": meta, "spec": {"volumeName": "empty"}, "status": {"phase": "Bound"}})
    code, out, _ = call(where, f"{HOMES} --all --yes")
    assert code == 1 and "hub-db-dir: NOT adopted" in out and "the hub began with an empty database" in out
    assert where.found("volume", "pvc-3", "")["spec"]["claimRef"]["uid"] == "uid-hub-db-dir"
    assert where.found("claim", ADAS)["status"]["phase"] == "Bound", "the others are not kept from theirs"


def test_again_it_goes_on(call: Call) -> None:
    where = Storage(left("pvc-1", ADAS), binds=False)
    code, out, _ = call(where, f"{HOMES} --all --yes")
    assert code == 1 and "is not bound after" in out
    where.does("claim", Storage.bind)
    code, out, err = call(where, f"{HOMES} --all --yes")
    assert code == 0 and "bound to volume pvc-1" in out, out + err


def test_a_dry_run_changes_nothing(call: Call) -> None:
    where = Storage(*json.loads(json.dumps(TWO)))
    before = json.dumps(sorted(map(str, where.objects.values())))
    code, out, err = call(where, f"{HOMES} --all --dry-run")
    assert code == 0 and "would be bound" in out, out + err
    assert json.dumps(sorted(map(str, where.objects.values()))) == before


@pytest.mark.parametrize(
    ("namespace", "words"),
    [
        (None, "make it with the labels that it had"),
        ({"metadata": {"name": "hub", "deletionTimestamp": "x"}}, "is still being deleted"),
    ],
)
def test_the_namespace_has_to_be_there(call: Call, namespace: Any, words: str) -> None:
    where = Storage(left("pvc-1", ADAS))
    del where.objects["namespace", "", "hub"]
    if namespace:
        where.put("namespace", namespace)
    code, _, err = call(where, f"{HOMES} --all --yes")
    assert code == 1 and words in err


def test_volumes_that_draw(call: Call) -> None:
    odd = left("pvc-1", ADAS, labels={"pdshub.dev/hub": NASTY}, storageClassName=NASTY)
    _, out, err = call(Storage(odd), HOMES)
    harmless(out)
    harmless(err)
