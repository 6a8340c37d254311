"""A home is its owner's alone and outlives everything around it."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.api.base import parse_quantity
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import NAMESPACE, SYSTEM, person, variant, wait_ready
from tests.e2e.hubclient import Person


def write(someone: Person, name: str, text: str) -> None:
    """Put a file into a home."""
    with someone.kernel() as kernel:
        kernel.run(f"from pathlib import Path; Path.home().joinpath({name!r}).write_text({text!r})").ok()


def read(someone: Person, name: str) -> str:
    """Read a file from a home."""
    with someone.kernel() as kernel:
        return kernel.run(f"from pathlib import Path; print(Path.home().joinpath({name!r}).read_text())").ok()


def rolled(cluster: Cluster, *targets: tuple[str, str]) -> None:
    """Restart workloads, (name, namespace) each, all at once, and wait for their new pods."""
    for target, where in targets:
        cluster.kubectl("rollout", "restart", target, "-n", where)
    for target, where in targets:
        cluster.kubectl("rollout", "status", target, "-n", where, "--timeout=180s", timeout=190)


SEARCH = """
import os
hits = []
for top in ("/home", "/tmp", "/var", "/srv", "/mnt"):
    for where, _, files in os.walk(top):
        hits += [os.path.join(where, f) for f in files if f == "private.txt"]
print(hits)
"""
ASK_THE_HUB = """
import os, urllib.error, urllib.request
address = os.environ["JUPYTERHUB_API_URL"] + "/users/ada"
request = urllib.request.Request(address, headers={"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"]})
try:
    print(urllib.request.urlopen(request, timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def test_one_user_cannot_read_another(ada: Person, bela: Person) -> None:
    write(ada, "private.txt", "only ada")
    with bela.kernel() as kernel:
        found = kernel.run(SEARCH).ok()
        refused = kernel.run(ASK_THE_HUB).ok()
    assert found == "[]"
    assert refused in {"403", "404"}
    assert bela.call("GET", "/user/ada/api/contents/private.txt").status_code in {403, 404}


@pytest.mark.alone  # operator and node plugin restart
def test_a_home_survives_restarts_of_everything(cluster: Cluster, ada: Person) -> None:
    write(ada, "lasting.txt", "still here")
    with ada.kernel() as kernel:
        kernel.run("answer = 41").ok()
        rolled(
            cluster,
            ("deployment/hub", NAMESPACE),
            ("deployment/proxy", NAMESPACE),
            ("deployment/pdshub-operator", SYSTEM),
            ("daemonset/pdshub-node", SYSTEM),
        )
        eventually(
            lambda: ada.call("GET", "/user/ada/api/status").status_code, lambda code: code == 200, what="ada's server"
        )
        kernel.connect()
        assert kernel.run("print(answer + 1)").ok() == "42"
    again = person(cluster, "ada")
    again.stop()
    again.start()
    assert read(again, "lasting.txt") == "still here"


def test_a_changed_limit_is_revision_two_and_reaches_the_next_server(
    cluster: Cluster, hub: dict[str, Any], bela: Person
) -> None:
    import copy
    import json

    write(bela, "lasting.txt", "through the upgrade")
    before = json.loads(cluster.run("helm", "history", "demo", "-n", NAMESPACE, "-o", "json"))
    changed = copy.deepcopy(hub)
    changed["spec"].setdefault("server", {}).setdefault("resources", {})["memory"] = {
        "limit": "1500Mi",
        "guarantee": "64Mi",
    }
    for profile in changed["spec"]["server"].get("profiles", []):
        profile.get("resources", {}).pop("memory", None)
    with bela.kernel() as kernel:
        kernel.run("kept = 'alive'").ok()
        cluster.apply(changed)
        wait_ready(cluster, "demo", NAMESPACE)
        after = json.loads(cluster.run("helm", "history", "demo", "-n", NAMESPACE, "-o", "json"))
        assert after[-1]["revision"] == before[-1]["revision"] + 1
        assert after[-1]["status"] == "deployed"
        eventually(
            lambda: bela.call("GET", "/user/bela/api/status").status_code,
            lambda code: code == 200,
            what="bela's server",
        )
        kernel.connect()
        assert kernel.run("print(kept)").ok() == "alive"
    again = person(cluster, "bela")
    again.stop()
    again.start()
    pod = cluster.get("pod", "jupyter-bela", NAMESPACE)
    assert parse_quantity(pod["spec"]["containers"][0]["resources"]["limits"]["memory"]) == 1500 * 2**20
    assert read(again, "lasting.txt") == "through the upgrade"


def test_values_arrive_by_helms_rules(cluster: Cluster, hub: dict[str, Any]) -> None:
    import json

    values = {
        "singleuser": {"extraEnv": {"E2E_MARK": "arrived"}, "startTimeout": 123},
        "hub": {
            "concurrentSpawnLimit": None,
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "extraVolumeMounts": [],
            "extraVolumes": [],
        },
    }
    cluster.apply(variant(hub, "demo", NAMESPACE, values=values))
    wait_ready(cluster, "demo", NAMESPACE)
    got = json.loads(cluster.run("helm", "get", "values", "demo", "-n", NAMESPACE, "-o", "json"))
    assert got["singleuser"]["extraEnv"]["E2E_MARK"] == "arrived"
    assert got["singleuser"]["startTimeout"] == 123
    assert got["hub"].get("concurrentSpawnLimit") is None
    assert got["hub"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert got["hub"]["extraVolumes"] == []  # lists replace: the operator's own notice is not merged in
    cluster.apply(variant(hub, "demo", NAMESPACE))
    wait_ready(cluster, "demo", NAMESPACE)
    back = json.loads(cluster.run("helm", "get", "values", "demo", "-n", NAMESPACE, "-o", "json"))
    assert "E2E_MARK" not in back["singleuser"].get("extraEnv", {})
    assert back["hub"]["extraVolumes"]


def test_homes_are_retained_and_their_size_is_honest(cluster: Cluster, ada: Person) -> None:
    claims = [c for c in cluster.items("pvc", NAMESPACE) if "ada" in c["metadata"]["name"]]
    assert claims
    volumes = {v["metadata"]["name"]: v for v in cluster.items("pv")}
    for claim in claims:
        assert volumes[claim["spec"]["volumeName"]]["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    honest = cluster.condition("pdshub", "demo", "HomesEnforced", NAMESPACE)
    assert honest["status"] == "True" and honest["reason"] == "Enforced"
    assert "pdshub-homes" in honest["message"]


def test_delete_and_apply_again_finds_users_and_files(cluster: Cluster, hub: dict[str, Any], bela: Person) -> None:
    write(person(cluster, "bela"), "after.txt", "found again")
    users = {u["name"] for u in person(cluster, "root-admin").call("GET", "/hub/api/users").json()}
    cluster.kubectl("delete", "pdshub", "demo", "-n", NAMESPACE, "--timeout=180s", timeout=190)
    left = {d["metadata"]["name"] for d in cluster.items("deployments", NAMESPACE)}
    assert not left & {"hub", "proxy"}
    kept = {c["metadata"]["name"] for c in cluster.items("pvc", NAMESPACE)}
    assert "hub-db-dir" in kept and any("bela" in name for name in kept)
    cluster.apply(hub)
    wait_ready(cluster, "demo", NAMESPACE)
    assert {u["name"] for u in person(cluster, "root-admin").call("GET", "/hub/api/users").json()} >= users
    again = person(cluster, "bela")
    again.start()
    assert read(again, "after.txt") == "found again"
