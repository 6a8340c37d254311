"""Values of charts/pdshub: what they become, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub import installation
from pdshub.node.source.policy import Policy
from tests.unit.chart import ROOT, VALUES, Document, pods, rendered, run


@VALUES
def test_lint(values: Document) -> None:
    done = run("lint", "--strict", values=values)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("path", sorted((ROOT / "crds").glob("*.yaml")), ids=lambda p: p.stem)
def test_resource_definitions_are_the_generated_ones_and_are_kept(path: Path) -> None:
    wanted = yaml.safe_load(path.read_text())
    found = rendered()["CustomResourceDefinition", wanted["metadata"]["name"]]
    assert found["metadata"].pop("annotations") == {
        **wanted["metadata"].pop("annotations", {}),
        "helm.sh/resource-policy": "keep",
    }
    assert found == wanted


@VALUES
def test_programs_read_what_was_installed(tmp_path: Path, values: Document) -> None:
    file = tmp_path / "installation.yaml"
    file.write_text(rendered(values)["ConfigMap", "pdshub-installation"]["data"]["installation.yaml"])
    found, archive = installation.load(file), values.get("archive", {})
    assert [rule.wire() for rule in found.archive.allowed] == [{"runAs": [], **r} for r in archive.get("allowed", [])]
    assert found.archive.default_run_as.wire() == archive.get("defaultRunAs", {"uid": 65534, "gid": 65534})
    assert Policy.parse(yaml.safe_load(file.read_text())).rules == found.archive.rules
    assert found.defaults.enforces_home_size is values.get("defaults", {}).get("enforcesHomeSize")
    assert found.archive.rules.local_prefixes == tuple(archive.get("allowedLocalPrefixes", []))


@pytest.mark.parametrize(
    ("prefixes", "mounted"),
    [
        ([], []),
        (["/srv/archive"], ["/srv/archive"]),
        (["/srv/archive/", "/srv/archive", "/mnt/nas"], ["/srv/archive", "/mnt/nas"]),
        (["/run/media/disk", "/usr2", "/srv/.hidden", "/srv/..odd"], None),
    ],
    ids=["none", "one", "twice the same", "odd ones"],
)
def test_the_node_plugin_sees_local_directories_where_they_are(prefixes: list[str], mounted: list[str] | None) -> None:
    found = pods({"archive": {"allowedLocalPrefixes": prefixes}})
    spec = found["pdshub-node"]
    volumes = {v["name"]: v["hostPath"] for v in spec["volumes"] if v["name"].startswith("local-")}
    mounts = [m for m in spec["containers"][0]["volumeMounts"] if m["name"] in volumes]
    assert [m["mountPath"] for m in mounts] == (prefixes if mounted is None else mounted)
    for mount in mounts:
        assert mount["readOnly"] is True and mount["mountPropagation"] == "HostToContainer"
        assert volumes[mount["name"]] == {"path": mount["mountPath"], "type": "DirectoryOrCreate"}
    for other in ("pdshub-operator", "pdshub-nfs-helper"):
        assert not [v for v in found[other]["volumes"] if v["name"].startswith("local-")]


def local(path: str) -> Document:
    return {"archive": {"allowedLocalPrefixes": [path]}}


def allowed(**changed: Any) -> Document:
    rule = {"server": "nas", "exports": ["/x"], **changed}
    return {"archive": {"allowed": [{key: value for key, value in rule.items() if value is not None}]}}


REFUSED: list[tuple[str, Document, str]] = [
    ("unknown at the top", {"nosuch": 1}, "nosuch"),
    ("misspelt", {"archive": {"allowedServer": ["nas"]}}, "allowedServer"),
    (
        "the name of before",
        {"archive": {"allowedServers": ["nas"]}},
        "archive.allowed: [{server: NAME, exports: [/PATH]}]",
    ),
    ("the name of before, empty", {"archive": {"allowedServers": []}}, "archive.allowed: [{server"),
    ("unknown part of the node plugin", {"nodePlugin": {"nosuch": 1}}, "nosuch"),
    ("no image", {"image": ""}, "/image"),
    ("source of the chart", {"defaults": {"chart": {"source": "Git"}}}, "/defaults/chart/source"),
    ("version of the chart", {"defaults": {"chart": {"version": "latest"}}}, "/defaults/chart/version"),
    ("repository", {"defaults": {"chart": {"repository": "oci://x"}}}, "/defaults/chart/repository"),
    ("a word for a truth", {"defaults": {"enforcesHomeSize": "no"}}, "/defaults/enforcesHomeSize"),
    ("one server instead of a list", {"archive": {"allowed": "nas"}}, "/archive/allowed"),
    ("a server without exports", allowed(exports=None), "/archive/allowed/0"),
    ("an empty server", allowed(server=""), "/archive/allowed/0/server"),
    ("no export", allowed(exports=[]), "/archive/allowed/0/exports"),
    *(
        (f"export: {e}", allowed(exports=[e]), "/archive/allowed/0/exports/0")
        for e in ("", "x", "/x/../y", "/.", "//x")
    ),
    *(
        (f"runAs: {item}", allowed(runAs=[item]), "/archive/allowed/0/runAs/0")
        for item in (-1, "0-5", "root", "5:0-9", "", 1.5, "007")
    ),
    ("root by default", {"archive": {"defaultRunAs": {"uid": 0}}}, "/archive/defaultRunAs/uid"),
    ("root's group by default", {"archive": {"defaultRunAs": {"gid": 0}}}, "/archive/defaultRunAs/gid"),
    ("no image", {"image": ""}, "./hack/images --push REGISTRY/PATH"),
    ("no size", {"surveyor": {"maxStorage": "much"}}, "/surveyor/maxStorage"),
    ("no store at all", {"surveyor": {"maxStorage": "0"}}, "/surveyor/maxStorage"),
    ("pull policy", {"imagePullPolicy": "Sometimes"}, "/imagePullPolicy"),
    ("relative kubelet directory", {"nodePlugin": {"kubeletDir": "kubelet"}}, "/nodePlugin/kubeletDir"),
    *(
        (f"local: {path}", local(path), "/archive/allowedLocalPrefixes/0")
        for path in ("", "/", "srv", "//srv", "/srv/../etc", "/srv/.", "/a:b")
    ),
    *(
        (f"local: {path}", local(path), f"{path} overlaps {needed}")
        for path, needed in (("/etc", "/etc"), ("/etc/x", "/etc"), ("/var", "/var/lib/kubelet"), ("/dev/shm", "/dev"))
    ),
    ("the kubelet's", {**local("/k/pods"), "nodePlugin": {"kubeletDir": "/k/"}}, "/k/pods overlaps /k"),
]


@pytest.mark.parametrize(("values", "says"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused_values(values: Document, says: str) -> None:
    done = run("template", "pdshub", values=values)
    assert done.returncode != 0 and says in done.stderr
