"""deploy/machine, what it says of etcd's manifest and of a snapshot's file, and what a restore objects to: tables."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdshub_machine import etcd, etcd_restore, static_pods
from pdshub_machine.trouble import Code, Trouble

MANIFEST = """\
apiVersion: v1
kind: Pod
spec:
  containers:
  - command:
    - etcd
    - --advertise-client-urls=https://192.0.2.7:2379
    - --data-dir=/var/lib/etcd
    - --initial-advertise-peer-urls=https://192.0.2.7:2380
    - --initial-cluster=node-1=https://192.0.2.7:2380
    - --listen-client-urls=https://127.0.0.1:2379,https://192.0.2.7:2379
    - --name=node-1
    - --snapshot-count=10000
    image: registry.k8s.io/etcd:3.6.5-0
"""


def test_what_kubeadms_manifest_says_of_etcd() -> None:
    found = static_pods.parse(MANIFEST, Path("etcd.yaml"))
    assert found.data_dir == "/var/lib/etcd"
    assert found.arguments == [
        "--name=node-1",
        "--initial-cluster=node-1=https://192.0.2.7:2380",
        "--initial-advertise-peer-urls=https://192.0.2.7:2380",
        "--initial-cluster-token=etcd-cluster",
    ]
    quoted = MANIFEST.replace("- --name=node-1", '- "--name=node-1"')
    assert static_pods.parse(quoted, Path("etcd.yaml")) == found


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    - --name=node-1\n", "", "does not say --name"),
        ("--data-dir=/var/lib/etcd", "--data-dir=", "does not say --data-dir"),
        ("=node-1=https://192.0.2.7:2380", "=node-1=https://192.0.2.7:2380,node-2=https://192.0.2.8:2380", "several"),
    ],
)
def test_an_etcd_that_kubeadm_did_not_make_for_one_machine_is_refused(old: str, new: str, says: str) -> None:
    assert old in MANIFEST
    with pytest.raises(Trouble, match=says) as found:
        static_pods.parse(MANIFEST.replace(old, new), Path("etcd.yaml"))
    assert found.value.code is Code.REFUSED


def test_manifests_go_aside_and_come_back(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    for name in (*static_pods.PODS, "kube-vip.yaml"):
        (manifests / name).write_text(name)
    for _ in range(2):  # killed, and given again
        static_pods.stop(manifests)
        assert [file.name for file in manifests.iterdir()] == ["kube-vip.yaml"], "somebody else's stays"
        assert static_pods.stopped(manifests) == list(static_pods.PODS)
    (manifests / static_pods.ETCD).write_text("new")
    for _ in range(2):
        static_pods.start(manifests)
    assert (manifests / static_pods.ETCD).read_text() == "new", "somebody wrote it meanwhile"
    assert (manifests / "kube-apiserver.yaml").read_text() == "kube-apiserver.yaml"
    assert static_pods.stopped(manifests) == [static_pods.ETCD], "and that is said by status"


FOUND = etcd_restore.Found(
    runs=False, in_place=False, has_data=False, members=1, data_dir="/d", wanted_data_dir="/d", free=1 << 40, size=1
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "flags", "code", "says"),
    [
        ({}, "", None, ""),
        ({"runs": True}, "", Code.REFUSED, "etcd runs: say --stop"),
        ({"in_place": True}, "", Code.REFUSED, "manifest is in place"),
        ({"runs": True, "in_place": True}, "stop", None, ""),
        ({"has_data": True}, "", Code.REFUSED, "say --replace"),
        ({"has_data": True}, "stop", Code.REFUSED, "say --replace"),
        ({"has_data": True}, "replace", None, ""),
        ({"has_data": True, "runs": True}, "replace", Code.REFUSED, "say --stop"),
        ({"has_data": True, "runs": True, "in_place": True}, "stop replace", None, ""),
        ({"members": 3}, "stop replace", Code.REFUSED, "of 3 members"),
        ({"data_dir": "/e"}, "stop replace", Code.REFUSED, "--data-dir is /e, the settings say /d"),
        ({"free": 1 << 20}, "stop replace", Code.NO_ROOM, "a restore takes 200 MiB in /d, 1 MiB are free"),
    ],
)
def test_what_a_restore_objects_to(changes: dict[str, Any], flags: str, code: Code | None, says: str) -> None:
    found = etcd_restore.objections(replace(FOUND, **changes), "stop" in flags, "replace" in flags)
    assert [one for one, _ in found][:1] == ([code] if code else [])
    assert not found or says in found[0][1]


def test_a_snapshot_has_the_digest_that_etcd_wrote_behind_it(tmp_path: Path) -> None:
    content = b"x" * 4096
    whole = content + hashlib.sha256(content).digest()
    file = tmp_path / "snapshot.db"
    file.write_bytes(whole)
    assert etcd.digest(file) == hashlib.sha256(whole).hexdigest()
    for damaged in (b"y" + whole[1:], whole[:-1] + b"z", whole[:-512], content, b"", whole + b"\0" * 512):
        file.write_bytes(damaged)
        with pytest.raises(Trouble) as found:
            etcd.digest(file)
        assert found.value.code is Code.DAMAGED


FACTS = {"size": 1, "sha256": "0", "hash": 2, "revision": 3, "keys": 4, "version": "3.6.0"}


@pytest.mark.parametrize("wire", [None, [], {}, {**FACTS, "size": "1"}, {**FACTS, "keys": -1}, {**FACTS, "sha256": 1}])
def test_facts_that_are_none(wire: Any) -> None:
    assert etcd.Facts.read(FACTS).wire() == FACTS
    with pytest.raises(ValueError, match="no facts"):
        etcd.Facts.read(wire)
