"""What claims and volumes ask of a node: a table of objects and what is done about them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pdshub.homes import claims, names
from pdshub.homes.claims import Grow, Look, Provision, Release
from pdshub.homes.model import Checkpoint, Volume

GI = 1 << 30
DRIVER = "homes.pdshub.dev"
CLASS: dict[str, Any] = {"metadata": {"name": "pdshub-homes"}, "provisioner": DRIVER, "reclaimPolicy": "Retain"}


def claim(**spec: Any) -> dict[str, Any]:
    """A claim that waits for a volume on node n1."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "claim-ada",
            "namespace": "hub",
            "uid": "u-1",
            "annotations": {claims.PROVISIONER[0]: DRIVER, claims.SELECTED_NODE: "n1"},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "pdshub-homes",
            **spec,
        },
        "status": {"phase": "Pending"},
    }


def noted(**annotations: str | None) -> dict[str, Any]:
    made = claim()
    notes = {"node": claims.SELECTED_NODE, "by": claims.PROVISIONER[0], "beta": claims.PROVISIONER[1]}
    for key, value in annotations.items():
        made["metadata"]["annotations"].pop(notes[key], None)
        if value is not None:
            made["metadata"]["annotations"][notes[key]] = value
    return made


VOLUME = claims.document(Provision(claim(), GI), Volume(names.volume_id("pvc-u-1"), GI, 0), CLASS, "n1")
VOLUME["metadata"]["uid"] = "v-1"


def volume(policy: str = "Retain", phase: str = "Bound", **csi: str) -> dict[str, Any]:
    made = copy.deepcopy(VOLUME)
    made["spec"]["persistentVolumeReclaimPolicy"] = policy
    made["spec"]["csi"] |= csi
    made["status"] = {"phase": phase}
    return made


def bound(asked: str = "1Gi", told: str = "1Gi") -> dict[str, Any]:
    made = claim(volumeName="pvc-u-1", resources={"requests": {"storage": asked}})
    made["status"] = {"phase": "Bound", "capacity": {"storage": told}}
    return made


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (claim(), ""),
        (claim(accessModes=["ReadWriteOncePod"]), ""),
        (noted(by=None, beta=DRIVER), ""),
        (noted(node="n2"), None),
        (noted(node=None), None),
        (noted(by="rancher.io/local-path"), None),
        (claim(volumeName="pvc-u-1"), None),
        (claim(accessModes=["ReadWriteMany"]), "access mode"),
        (claim(accessModes=["ReadWriteOnce", "ReadOnlyMany"]), "access mode"),
        (claim(volumeMode="Block"), "block device"),
        (claim(dataSource={"kind": "VolumeSnapshot", "name": "x"}), "something else"),
        (claim(selector={"matchLabels": {"a": "b"}}), "selector"),
    ],
)
def test_claims_that_wait(asked: dict[str, Any], wanted: str | None) -> None:
    found = claims.actions([asked], [], "n1")
    if wanted is None:
        assert found == []
        return
    (one,) = found
    assert isinstance(one, Provision) and one.name == "pvc-u-1" and one.size == GI
    assert (wanted in one.wrong) if wanted else one.wrong == ""


def test_a_claim_that_goes_gets_nothing() -> None:
    going = claim()
    going["metadata"]["deletionTimestamp"] = "2026-01-31T00:00:00Z"
    assert claims.actions([going], [], "n1") == []


@pytest.mark.parametrize("asked", ["much", "", None, "-1Gi"])
def test_a_size_that_can_t_be_read_is_none(asked: str | None) -> None:
    found = claims.requested(claim(resources={"requests": {"storage": asked}}))
    assert found <= 0


def test_a_volume_says_whose_it_is_and_where() -> None:
    spec = VOLUME["spec"]
    assert VOLUME["metadata"] == {"name": "pvc-u-1", "annotations": {claims.PROVISIONED_BY: DRIVER}, "uid": "v-1"}
    assert spec["capacity"] == {"storage": "1Gi"} and spec["persistentVolumeReclaimPolicy"] == "Retain"
    assert spec["claimRef"]["uid"] == "u-1" and spec["csi"]["volumeHandle"] == names.volume_id("pvc-u-1")
    assert claims.is_here(VOLUME, "n1") and not claims.is_here(VOLUME, "n2")


def elsewhere() -> dict[str, Any]:
    made = volume("Delete", "Released")
    made["spec"]["nodeAffinity"] = None
    return made


def unsigned() -> dict[str, Any]:
    made = volume("Delete", "Released")
    made["metadata"]["annotations"] = {}
    return made


def going() -> dict[str, Any]:
    made = volume("Delete", "Released")
    made["metadata"]["deletionTimestamp"] = "2026-01-31T00:00:00Z"
    return made


def of_another() -> dict[str, Any]:
    other = bound()
    other["metadata"]["uid"] = "u-2"
    return other


@pytest.mark.parametrize(
    ("there", "owners", "goes"),
    [
        (volume("Delete", "Released"), [], True),
        (volume("Delete", "Released"), [of_another()], True),
        (volume("Retain", "Released"), [], False),
        (volume("Delete", "Bound"), [bound()], False),
        (volume("Delete", "Released"), [bound()], False),
        (volume("Delete", "Failed"), [], False),
        (volume("Delete", "Released", driver="ebs.csi.aws.com"), [], False),
        (volume("Delete", "Released", volumeHandle="../x"), [], False),
        (elsewhere(), [], False),
        (unsigned(), [], False),
        (going(), [], False),
    ],
    ids=[
        "given up", "its name is another claim's", "kept", "in use", "claimed still", "unclear", "another driver's",
        "an odd handle", "on no node", "not made here", "going already",
    ],
)  # fmt: skip
def test_volumes_that_go(there: dict[str, Any], owners: list[dict[str, Any]], goes: bool) -> None:
    assert [type(a) for a in claims.actions(owners, [there], "n1")] == ([Release] if goes else [])


@pytest.mark.parametrize(
    ("owner", "size"),
    [
        (bound(), None),
        (bound("2Gi"), 2 * GI),
        (bound("512Mi"), None),
        (bound("1Gi", "300Mi"), GI),
        (of_another(), None),
    ],
    ids=["as it is", "larger", "it never shrinks", "the status was not told", "another claim of that name"],
)
def test_growth(owner: dict[str, Any], size: int | None) -> None:
    found = claims.actions([owner], [volume()], "n1")
    assert [a.size for a in found if isinstance(a, Grow)] == ([size] if size else [])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"provisioner": "rancher.io/local-path"}, "rancher.io/local-path's"),
        ({"parameters": {"fsType": "ext4"}}, "parameters"),
        ({"mountOptions": ["suid"]}, "mountOptions"),
    ],
)
def test_classes(changed: dict[str, Any], why: str) -> None:
    found = claims.why_not_of({**CLASS, **changed}, "pdshub-homes")
    assert why in found if why else found == ""
    assert "does not exist" in claims.why_not_of(None, "x")


@pytest.mark.parametrize(
    ("size", "text"), [(GI, "1Gi"), (1536 << 20, "1536Mi"), (1 << 40, "1Ti"), (1000, "1000"), (0, "0"), (2048, "2Ki")]
)
def test_quantities_are_exact(size: int, text: str) -> None:
    assert claims.quantity(size) == text


def test_a_grown_claim_waits_for_nothing_more() -> None:
    before = bound("2Gi")
    before["status"]["conditions"] = [{"type": "Resizing", "status": "True"}, {"type": "Other", "status": "True"}]
    assert claims.grown_status(before, 2 * GI)["status"] == {
        "capacity": {"storage": "2Gi"},
        "conditions": [{"type": "Other", "status": "True"}],
    }


LOOKS: dict[str, Any] = {
    "metadata": {"name": "pdshub-homes-checkpoints"}, "provisioner": DRIVER, "reclaimPolicy": "Delete",
    "parameters": {"content": "checkpoint"},
}  # fmt: skip


def look(source: str = "claim-ada", **more: Any) -> dict[str, Any]:
    """A claim that wants to show the home of another."""
    made = claim(
        accessModes=["ReadOnlyMany"], dataSource={"kind": "PersistentVolumeClaim", "name": source},
        storageClassName="pdshub-homes-checkpoints", resources={"requests": {"storage": "1Mi"}}, **more,
    )  # fmt: skip
    made["metadata"] = {**made["metadata"], "name": "one-i0", "uid": "u-9"}
    made["metadata"]["annotations"].pop(claims.SELECTED_NODE)
    return made


def elsewhere(made: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**made, "metadata": {**made["metadata"], "namespace": namespace}}


def test_a_claim_shows_a_home_of_its_own_namespace() -> None:
    (found,) = claims.actions([look(), bound()], [volume()], "n1")
    assert isinstance(found, Look) and found.name == "pvc-u-9" and not found.wrong
    kept = Checkpoint(names.checkpoint_id(names.volume_id("pvc-u-1"), found.name), 0.0, GI, False, "reflink", True)
    made = claims.document(found, kept, LOOKS, "n1")["spec"]
    assert made["csi"]["volumeHandle"] == kept.id and made["csi"]["readOnly"] is True
    assert made["accessModes"] == ["ReadOnlyMany"] and made["capacity"] == {"storage": "1Gi"}
    assert made["persistentVolumeReclaimPolicy"] == "Delete" and made["claimRef"]["uid"] == "u-9"
    assert claims.why_not_of(LOOKS, "x", claims.PARAMETERS) == "" and claims.why_not_of(CLASS, "x") == ""
    assert claims.why_not_of(CLASS, "x", claims.PARAMETERS) and claims.why_not_of(LOOKS, "x")


NOBODY_S: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = [
    ("a home of another namespace", [elsewhere(look(), "other"), bound()], [volume()]),
    (
        "a claim of this name whose volume is another's",
        [elsewhere(look(), "other"), elsewhere(bound(), "other")],
        [volume()],
    ),
    ("a claim that only says that a volume is its own", [look("mine"), {
        **bound(), "metadata": {**bound()["metadata"], "name": "mine", "uid": "u-2"},
    }], [volume()]),
    ("a claim that is not bound", [look(), {**bound(), "status": {"phase": "Lost"}}], [volume()]),
    ("a home of another driver", [look(), bound()], [volume(driver="ebs.csi.aws.com")]),
    ("a checkpoint of a checkpoint", [look(), bound()], [volume(volumeHandle=names.checkpoint_id("a" * 32, "x"))]),
    ("a home that is not there", [look("claim-bela"), bound()], [volume()]),
    ("a claim that has its volume", [look(volumeName="pvc-u-9"), bound()], [volume()]),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "volumes"), [c[1:] for c in NOBODY_S], ids=[c[0] for c in NOBODY_S])
def test_what_no_claim_shows(asked: list[dict[str, Any]], volumes: list[dict[str, Any]]) -> None:
    assert not [a for a in claims.actions(asked, volumes, "n1") if isinstance(a, Look | Provision)]


def test_another_node_s_home_is_shown_there() -> None:
    assert claims.actions([look(), bound()], [volume()], "n2") == []


@pytest.mark.parametrize(
    "wrong", [{"volumeMode": "Block"}, {"dataSourceRef": {"namespace": "other", "name": "claim-ada"}}]
)
def test_what_is_no_look(wrong: dict[str, Any]) -> None:
    (found,) = claims.actions([look(**wrong), bound()], [volume()], "n1")
    assert isinstance(found, Look) and found.wrong


def test_a_home_that_begins_as_another_is_still_refused() -> None:
    (found,) = claims.actions([claim(dataSource={"kind": "PersistentVolumeClaim", "name": "claim-bela"})], [], "n1")
    assert isinstance(found, Provision) and "something else" in found.wrong


def test_data_that_two_volumes_name_is_not_given_up_by_one() -> None:
    """Somebody makes a second volume of a home by hand, as for a claim of another name, and deletes the first."""
    first, second = volume("Delete", "Released"), volume("Retain", "Bound")
    assert claims.actions([], [first], "n1") == [Release(first)]
    second["metadata"] = {"name": "again", "uid": "v-2"}
    assert claims.actions([], [first, second], "n1") == []


def test_a_checkpoint_s_volume_goes_and_never_grows() -> None:
    handle = names.checkpoint_id(names.volume_id("pvc-u-1"), "pvc-u-9")
    released = volume("Delete", "Released", volumeHandle=handle)
    (found,) = claims.actions([], [released], "n1")
    assert isinstance(found, Release) and found.handle == handle
    assert claims.actions([bound("9Gi")], [volume(volumeHandle=handle)], "n1") == []


def test_a_refusal_is_said_once_in_the_claim_s_status() -> None:
    asked = look()
    asked["status"]["conditions"] = [{"type": "Other", "status": "True"}, {"type": "CheckpointRefused", "status": "?"}]
    other, told = claims.refused_status(asked, "x" * 2000, "now")["status"]["conditions"]
    assert other["type"] == "Other" and told["type"] == "CheckpointRefused" and len(told["message"]) == 1024
