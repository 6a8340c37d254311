"""Homes that have their size, on this node's own disk: a full home meets its own limit, grows while in use, lasts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pdshub.api.base import parse_quantity
from pdshub.wellknown import HOMES_CHECKPOINTS
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import HOMES_CLASS, SYSTEM, UNPRIVILEGED, namespace

pytestmark = pytest.mark.alone  # the driver that all share restarts
SPACE = "e2e-own-disk"
DRIVER = "homes.pdshub.dev"
MI = 1 << 20
FILL = "dd if=/dev/zero of=/home/full bs=1M 2>&1; true"
ROOM = "df --output=size,avail -B1 /home | tail -n 1"


def claim(name: str, size: str = "400Mi") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {
            "storageClassName": HOMES_CLASS,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        },
    }


def pod(cluster: Cluster, name: str) -> dict[str, Any]:
    """As a user's server is: without root, with the home's group."""
    container = {
        "name": "user",
        "image": cluster.facts["IMAGE_OPERATOR"],
        "command": ["sleep", "3600"],
        "securityContext": UNPRIVILEGED,
        "volumeMounts": [{"name": "home", "mountPath": "/home"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsUser": 1000,
                "runAsGroup": 1000,
                "fsGroup": 1000,
                "fsGroupChangePolicy": "OnRootMismatch",
            },
            "containers": [container],
            "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": name}}],
        },
    }


@pytest.fixture(scope="module")
def space(cluster: Cluster) -> Iterator[None]:
    """A namespace with two homes that are in use; their volumes go with it."""
    namespace(cluster, SPACE)
    for name in ("ada", "bela"):
        cluster.apply(claim(name), pod(cluster, name))
    for name in ("ada", "bela"):
        cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", SPACE, "--timeout=180s", timeout=190)
    yield
    volumes = [name for c in cluster.items("pvc", SPACE) if (name := c["spec"].get("volumeName"))]
    cluster.kubectl("delete", "namespace", SPACE, "--timeout=180s", timeout=190)
    for volume in volumes:
        cluster.give_up(volume)


def sh(cluster: Cluster, name: str, script: str, timeout: float = 180) -> str:
    return cluster.kubectl("exec", "-n", SPACE, name, "--", "sh", "-c", script, timeout=timeout).strip()


def room(cluster: Cluster, name: str) -> tuple[int, int]:
    """Size of a home, and what is available in it, as its owner sees them."""
    size, available = sh(cluster, name, ROOM).split()
    return int(size), int(available)


def driver(cluster: Cluster, *words: str) -> str:
    """A command of the driver on the cluster's node."""
    (one,) = cluster.plugin_pods("homes")
    return cluster.kubectl(
        "exec", "-n", SYSTEM, one["metadata"]["name"], "-c", "homes", "--", "pdshub-homes", *words
    ).strip()


def of(cluster: Cluster, name: str) -> dict[str, Any]:
    """The volume of a claim."""
    return cluster.get("pv", cluster.get("pvc", name, SPACE)["spec"]["volumeName"])


def test_a_full_home_meets_its_own_limit_and_nobody_else_s(cluster: Cluster, space: None) -> None:
    spec = of(cluster, "ada")["spec"]
    assert spec["csi"]["driver"] == DRIVER and spec["persistentVolumeReclaimPolicy"] == "Retain"
    assert spec["nodeAffinity"] and parse_quantity(spec["capacity"]["storage"]) == 400 * MI
    size, _ = room(cluster, "ada")
    assert 200 * MI < size <= 400 * MI
    _, before = room(cluster, "bela")
    assert "No space left" in sh(cluster, "ada", FILL)
    assert room(cluster, "ada")[1] < 2 * MI
    assert room(cluster, "bela")[1] == pytest.approx(before, abs=8 * MI)
    sh(cluster, "bela", "dd if=/dev/zero of=/home/work bs=1M count=50 conv=fsync 2>/dev/null")
    with pytest.raises(CommandFailed):
        sh(cluster, "ada", "dd if=/dev/zero of=/home/more bs=1M count=1 conv=fsync 2>/dev/null")


def test_a_home_is_mounted_without_devices_and_set_user_ids(cluster: Cluster, space: None) -> None:
    (line,) = sh(cluster, "ada", "grep ' /home ' /proc/mounts").splitlines()
    _, _, kind, options = line.split()[:4]
    assert kind == "xfs" and {"rw", "nosuid", "nodev"} <= set(options.split(","))
    assert sh(cluster, "ada", "stat -c %g /home") == "1000"


def test_a_home_grows_while_it_is_in_use(cluster: Cluster, space: None) -> None:
    """More room for whoever is full, without a stop; the claim says so when it is there."""
    before, _ = room(cluster, "ada")
    cluster.kubectl(
        *("patch", "pvc", "ada", "-n", SPACE),
        *("-p", json.dumps({"spec": {"resources": {"requests": {"storage": "800Mi"}}}})),
    )
    eventually(
        lambda: cluster.get("pvc", "ada", SPACE)["status"]["capacity"]["storage"],
        lambda told: parse_quantity(told) == 800 * MI,
        what="the claim's own size",
    )
    assert room(cluster, "ada")[0] > before + 350 * MI
    assert not cluster.get("pvc", "ada", SPACE)["status"].get("conditions")
    sh(cluster, "ada", "dd if=/dev/zero of=/home/more bs=1M count=50 conv=fsync 2>/dev/null")


def test_more_than_the_disk_is_refused_and_said(cluster: Cluster, space: None) -> None:
    cluster.apply(claim("greedy", "500Ti"), pod(cluster, "greedy"))
    said = eventually(
        lambda: [e["message"] for e in cluster.items("events", SPACE) if e["reason"] == "ProvisioningFailed"],
        what="an event",
    )
    assert "promise" in said[0]
    cluster.kubectl("delete", "pod/greedy", "pvc/greedy", "-n", SPACE, "--timeout=60s", timeout=70)


def test_servers_go_on_while_the_driver_restarts(cluster: Cluster, space: None) -> None:
    """What is open stays open; the driver finds the same homes; a server that starts then has its data."""
    sh(cluster, "bela", "echo kept > /home/kept; (while echo x >> /home/log; do sleep 0.2; done) >/dev/null 2>&1 &")
    at_once = ("--force", "--grace-period=0")
    cluster.kubectl("delete", "pod", "-n", SYSTEM, "-l", "app.kubernetes.io/component=homes", *at_once)
    cluster.kubectl("rollout", "status", "daemonset/pdshub-homes", "-n", SYSTEM, "--timeout=180s", timeout=190)
    lines = int(sh(cluster, "bela", "wc -l < /home/log"))
    count = "wc -l < /home/log"
    eventually(lambda: int(sh(cluster, "bela", count)), lambda now: now > lines, what="it goes on writing")
    cluster.kubectl("delete", "pod", "bela", "-n", SPACE, "--timeout=120s", timeout=130)
    where = mounted(cluster, "bela")  # the kubelet clears up after a pod without a grace period
    eventually(
        lambda: cluster.node("cat", "/proc/1/mountinfo"), lambda table: where not in table, what="it is not mounted"
    )
    cluster.apply(pod(cluster, "bela"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/bela", "-n", SPACE, "--timeout=180s", timeout=190)
    assert sh(cluster, "bela", "cat /home/kept") == "kept"


def mounted(cluster: Cluster, name: str) -> str:
    """What the node's mount table has of a home in a pod: the claim's volume in the kubelet's folder of pods."""
    return f"volumes/kubernetes.io~csi/{of(cluster, name)['metadata']['name']}/mount"


def test_one_file_comes_back_from_a_checkpoint(cluster: Cluster, space: None) -> None:
    volume = of(cluster, "bela")["spec"]["csi"]["volumeHandle"]
    sh(cluster, "bela", "mkdir -p /home/notebooks; echo yesterday > /home/notebooks/x.ipynb; sync")
    checkpoint = driver(cluster, "checkpoint", volume, "yesterday").split()[0]
    sh(cluster, "bela", "echo today > /home/notebooks/x.ipynb")
    new = driver(cluster, "restore", checkpoint, "notebooks/x.ipynb")
    assert sh(cluster, "bela", f"cat '/home/{new}'") == "yesterday"
    assert sh(cluster, "bela", f"stat -c %u '/home/{new}'") == "1000"
    assert sh(cluster, "bela", "cat /home/notebooks/x.ipynb") == "today"
    assert "is gone" in driver(cluster, "drop", checkpoint)


def test_a_claim_shows_a_home_as_it_was_and_nobody_writes_it(cluster: Cluster, space: None) -> None:
    """As a backup's Job does it; what it shows goes with the claim."""
    sh(cluster, "bela", "echo then > /home/seen; sync")
    looks = claim("look", "1Mi")
    looks["spec"] |= {
        "storageClassName": HOMES_CHECKPOINTS,
        "accessModes": ["ReadOnlyMany"],
        "dataSource": {"kind": "PersistentVolumeClaim", "name": "bela"},
    }
    reads = pod(cluster, "look")
    reads["spec"]["volumes"][0]["persistentVolumeClaim"]["readOnly"] = True
    cluster.apply(looks)
    eventually(
        lambda: cluster.get("pvc", "look", SPACE)["status"]["phase"], lambda p: p == "Bound", what="a checkpoint"
    )
    sh(cluster, "bela", "echo now > /home/seen")
    cluster.apply(reads)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/look", "-n", SPACE, "--timeout=180s", timeout=190)
    assert sh(cluster, "look", "cat /home/seen") == "then"
    for attempt in ("touch /home/x", "rm /home/seen", "mount -o remount,rw /home"):
        with pytest.raises(CommandFailed):
            sh(cluster, "look", attempt)
    shown = of(cluster, "look")
    handle = shown["spec"]["csi"]["volumeHandle"]
    assert handle in driver(cluster, "list")
    cluster.kubectl("delete", "pod/look", "pvc/look", "-n", SPACE, "--timeout=120s", timeout=130)
    cluster.kubectl("wait", "--for=delete", f"pv/{shown['metadata']['name']}", "--timeout=120s", timeout=130)
    assert handle not in driver(cluster, "list") and sh(cluster, "bela", "cat /home/seen") == "now"


def test_no_claim_shows_a_home_of_another_namespace(cluster: Cluster, space: None) -> None:
    """By its name there is none; and nobody is told what there is."""
    looks = claim("peek", "1Mi")
    looks["spec"] |= {
        "storageClassName": HOMES_CHECKPOINTS,
        "accessModes": ["ReadOnlyMany"],
        "dataSource": {"kind": "PersistentVolumeClaim", "name": "ada"},
    }
    elsewhere = f"{SPACE}-other"
    namespace(cluster, elsewhere)
    try:
        looks["metadata"]["namespace"] = elsewhere
        cluster.apply(looks)
        cluster.apply(claim("peek-own", "400Mi"))  # the driver is at work meanwhile
        cluster.apply({**pod(cluster, "peek-own")})
        cluster.kubectl("wait", "--for=condition=Ready", "pod/peek-own", "-n", SPACE, "--timeout=180s", timeout=190)
        assert cluster.get("pvc", "peek", elsewhere)["status"]["phase"] == "Pending"
    finally:
        cluster.kubectl("delete", "namespace", elsewhere, "--wait=false")
        cluster.kubectl("delete", "pod/peek-own", "-n", SPACE, "--timeout=120s", timeout=130)


def test_its_metrics_say_how_full_the_pool_is(cluster: Cluster, space: None) -> None:
    (one,) = cluster.plugin_pods("homes")
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9812/metrics', timeout=10).read().decode())"
    name = one["metadata"]["name"]
    said = eventually(
        lambda: cluster.kubectl("exec", "-n", SYSTEM, name, "-c", "metrics", "--", "python3", "-c", ask),
        lambda text: "pdshub_homes_pool_fill_ratio " in text,
        what="metrics of homes",
    )
    volume = of(cluster, "ada")
    assert "pdshub_homes_metrics_age_seconds " in said
    assert volume["metadata"]["name"] not in said and volume["spec"]["csi"]["volumeHandle"] not in said


def test_hubs_know_that_their_homes_have_their_size(cluster: Cluster, hub: dict[str, Any]) -> None:
    told = cluster.condition("pdshub", "demo", "HomesEnforced", hub["metadata"]["namespace"])
    assert told["status"] == "True" and HOMES_CLASS in told["message"]


def test_a_home_that_is_given_up_leaves_nothing(cluster: Cluster, space: None) -> None:
    cluster.apply(claim("brief"), pod(cluster, "brief"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/brief", "-n", SPACE, "--timeout=180s", timeout=190)
    made = of(cluster, "brief")
    handle = made["spec"]["csi"]["volumeHandle"]
    assert handle in driver(cluster, "list")
    cluster.kubectl("delete", "pod/brief", "pvc/brief", "-n", SPACE, "--timeout=120s", timeout=130)
    assert handle in driver(cluster, "list"), "a claim that is deleted leaves its volume"
    cluster.give_up(made["metadata"]["name"])
    assert handle not in driver(cluster, "list")
    assert handle not in cluster.node("sh", "-c", "ls /var/lib/pdshub/homes/volumes; losetup --list 2>/dev/null; true")
