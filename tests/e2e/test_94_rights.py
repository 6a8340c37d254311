"""Who may see which archive: exports and readers that the installation allows, namespaces that the view allows, and
what users can read of where it all comes from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person

VIEW, SPACE, OTHER, HUB = "e2e-rights", "e2e-rights", "e2e-rights-other", "rights"
TOP = "/archive/rights/data"


def source(cluster: Cluster, export: str = "/pds-main", **more: Any) -> dict[str, Any]:
    return {"name": "main", "nfs": {"server": cluster.facts["NAS_IP"], "export": export}, **more}


def spec(cluster: Cluster, **more: Any) -> dict[str, Any]:
    return {
        "folder": "rights",
        "sources": [source(cluster)],
        "tree": [
            {"path": "data", "layers": [{"source": "main", "path": "e2e-rights/data"}]},
            {"path": "now", "live": True, "layers": [{"source": "main", "path": "e2e-rights/now"}]},
        ],
        "authority": {"settleSeconds": 0},
        "survey": {"intervalSeconds": 3600, "storage": "1Gi"},
        **more,
    }


@dataclass
class Rights:
    """A view that one namespace may show, its files on the NAS, the hub there, and somebody with a server."""

    cluster: Cluster
    folder: Path
    person: Person

    def allow(self, **allowed: Any) -> None:
        patch = [{"op": "add", "path": "/spec/allowedNamespaces", "value": allowed}]
        self.cluster.kubectl("patch", "archiveview", VIEW, "--type=json", "-p", json.dumps(patch))


@pytest.fixture(scope="module")
def rights(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Rights]:
    folder = cluster.nas_data / "pds-main/e2e-rights"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("data/open.txt", "data/private.txt", "now/live.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    os.chown(folder / "data/private.txt", 1000, 1000)  # the id of every user's process in every hub
    (folder / "data/private.txt").chmod(0o600)
    namespace(cluster, SPACE)
    kind = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView"}
    allowed = {"allowedNamespaces": {"names": [SPACE]}}
    cluster.apply({**kind, "metadata": {"name": VIEW}, "spec": spec(cluster, **allowed)})
    users = {"allowed": ["ada", "bela"], "admins": []}
    cluster.apply(variant(sample, HUB, SPACE, archive={"viewRef": VIEW}, users=users))
    try:
        wait_ready(cluster, HUB, SPACE)
        eventually(
            lambda: cluster.get("archiveview", VIEW)["status"]["generation"]["name"], what="a generation", within=240
        )
        ada = person(cluster, "ada", HUB, SPACE)
        ada.start()
        yield Rights(cluster, folder, ada)
    finally:
        cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "archiveview", VIEW, "--timeout=120s", timeout=130)
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")
        shutil.rmtree(folder, ignore_errors=True)


REFUSED = [
    ("export", {"export": "/homes"}, ["export /homes", "archive.allowed of"]),
    ("export beside", {"export": "/pds-main-too"}, ["export /pds-main-too", "archive.allowed of"]),
    ("all exports", {"export": "/"}, ["export / ", "archive.allowed of"]),
    ("root", {"runAs": {"uid": 0, "gid": 0}}, ["uid 0, gid 0", "add 0:0"]),
    ("another reader", {"runAs": {"uid": 1001, "gid": 1001}}, ["uid 1001, gid 1001"]),
    ("another group", {"runAs": {"uid": 1000, "gid": 0}}, ["uid 1000, gid 0"]),
]


@pytest.mark.parametrize(("name", "fields", "says"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_the_installation_does_not_allow_is_not_mounted(
    cluster: Cluster, sample: dict[str, Any], name: str, fields: dict[str, Any], says: list[str]
) -> None:
    where = f"e2e-refused-{name.replace(' ', '-')}"
    before = {line.split()[2] for line in cluster.mounts()}
    namespace(cluster, where)
    tree = [{"path": "x", "layers": [{"source": "main"}]}]
    inline = {"sources": [source(cluster, **fields)], "tree": tree, "form": "live"}
    cluster.apply(variant(sample, "bad", where, archive={"inline": inline}))
    try:
        eventually(
            lambda: cluster.condition("pdshub", "bad", "ArchiveReady", where),
            lambda c: c.get("reason") == "NotAllowed" and all(word in c["message"] for word in says),
            within=120,
            what=f"ArchiveReady says {says}",
        )
        view = f"{where}-bad"
        eventually(  # the node judges by itself, and says so for the same source
            lambda: cluster.get("archiveview", view)["status"]["nodes"],
            lambda nodes: nodes and all(says[0] in node["message"] for node in nodes),
            within=60,
            what="every node refuses it",
        )
        nas = cluster.facts["NAS_IP"]
        after = [line for line in cluster.mounts() if f"{nas}:{fields.get('export', '/pds-main')} " in line]
        # views of tests beside this one may show the same export, of a device that was there
        assert not [line for line in after if line.split()[2] not in before]
    finally:
        cluster.kubectl("delete", "pdshub", "bad", "-n", where, "--timeout=120s", timeout=130)
        cluster.kubectl("delete", "namespace", where, "--wait=false")


def test_nobody_reads_where_nobody_is_named(rights: Rights) -> None:
    """The file is the user's by its mode, but the NAS sees neither root nor them."""
    code = f"""
import os
print(open({TOP!r} + '/open.txt').read())
print(oct(os.stat({TOP!r} + '/private.txt').st_mode & 0o777), os.getuid())
try:
    print('read', open({TOP!r} + '/private.txt').read())
except OSError as error:
    print('refused', error.errno)
"""
    with rights.person.kernel() as kernel:
        shown, mode, read = kernel.run(code).ok().splitlines()
    assert (shown, mode) == ("data/open.txt", "0o600 1000") and read in ("refused 13", "refused 1")


def test_users_read_no_names_of_servers_exports_and_ids(rights: Rights) -> None:
    code = """
import json, os
found = {}
for top, _, names in os.walk('/archive/.pdshub'):
    found.update({os.path.join(top, name): open(os.path.join(top, name)).read() for name in names})
print(json.dumps(found))
"""
    with rights.person.kernel() as kernel:
        found = json.loads(kernel.run(code).ok())
    assert {path.rpartition("/")[2] for path in found} >= {"view.json", "health.json", "generation.json"}
    secrets = (rights.cluster.facts["NAS_IP"], "pds-main", "65534", "runAs", "/var/lib/kubelet")
    for path, text in found.items():
        assert not [word for word in secrets if word in text], (path, text)
    view = json.loads(next(text for path, text in found.items() if path.endswith("/view.json")))
    assert view["sources"] == ["main"] and view["tree"][0]["layers"] == [{"source": "main", "path": "e2e-rights/data"}]


def test_a_hub_elsewhere_may_not_show_it(rights: Rights, cluster: Cluster, sample: dict[str, Any]) -> None:
    """It stalls with the fix, and nothing is made; by name, and then by label, it may."""
    namespace(cluster, OTHER)
    cluster.apply(variant(sample, HUB, OTHER, archive={"viewRef": VIEW}))
    try:
        eventually(
            lambda: cluster.condition("pdshub", HUB, "Stalled", OTHER),
            lambda c: c.get("reason") == "ViewNotAllowed" and "spec.allowedNamespaces" in c["message"],
            what="the hub stalls",
        )
        assert cluster.condition("pdshub", HUB, "ArchiveReady", OTHER)["reason"] == "ViewNotAllowed"
        assert not cluster.items("pvc", OTHER) and not cluster.items("deployments", OTHER)
        cluster.kubectl("label", "namespace", OTHER, "audience=public")
        rights.allow(names=[SPACE], selector={"matchLabels": {"audience": "public"}})
        eventually(
            lambda: cluster.get("archiveview", VIEW)["status"].get("selectedNamespaces", {}).get("names"),
            lambda names: names == [OTHER],
            within=60,
            what="what the selector chooses",
        )
        wait_ready(cluster, HUB, OTHER)
        cluster.kubectl("label", "namespace", OTHER, "audience-")
        eventually(
            lambda: cluster.condition("pdshub", HUB, "Stalled", OTHER).get("reason"),
            lambda reason: reason == "ViewNotAllowed",
            within=180,
            what="without the label it stalls again",
        )
    finally:
        rights.allow(names=[SPACE])
        cluster.kubectl("delete", "pdshub", HUB, "-n", OTHER, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", OTHER, "--wait=false")


def test_the_node_refuses_a_namespace_that_is_not_allowed(rights: Rights, cluster: Cluster) -> None:
    """When the list shrinks a server that runs keeps its archive, and no other starts with it, whatever volumes there
    are already."""
    with rights.person.kernel() as kernel:
        rights.allow(names=["somewhere-else"])
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "late", "namespace": SPACE},
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "late",
                        "image": cluster.facts["IMAGE_OPERATOR"],
                        "command": ["sleep", "600"],
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                        "volumeMounts": [{"name": "archive", "mountPath": "/archive", "readOnly": True}],
                    }
                ],
                "volumes": [
                    {"name": "archive", "persistentVolumeClaim": {"claimName": _claim(cluster), "readOnly": True}}
                ],
            },
        }
        cluster.apply(pod)
        try:
            eventually(
                lambda: " ".join(
                    event["message"]
                    for event in cluster.items("events", SPACE)
                    if event["involvedObject"]["name"] == "late"
                ),
                lambda text: "PermissionDenied" in text and "spec.allowedNamespaces" in text,
                within=120,
                what="the kubelet says why",
            )
            assert cluster.get("pod", "late", SPACE)["status"]["phase"] == "Pending"
            assert kernel.run(f"print(open({TOP!r} + '/open.txt').read())").ok() == "data/open.txt"
            rights.allow(names=[SPACE])
            eventually(
                lambda: cluster.get("pod", "late", SPACE)["status"]["phase"],
                lambda phase: phase == "Running",
                within=180,
                what="allowed again, it starts",
            )
        finally:
            rights.allow(names=[SPACE])
            cluster.kubectl("delete", "pod", "late", "-n", SPACE, "--grace-period=1", timeout=130)


def _claim(cluster: Cluster) -> str:
    """The hub's claim of the view."""
    (found,) = [
        c for c in cluster.items("pvc", SPACE) if c["metadata"].get("labels", {}).get("pdshub.dev/view") == VIEW
    ]
    return str(found["metadata"]["name"])
