"""VolumeSnapshotClasses of the chart: rights that are there only with one, and values that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdshub import installation
from pdshub.reconcile.hub.backup.snapshot_objects import VOLUME_SNAPSHOT
from tests.unit.chart import Document, rendered, run

EBS = {"driver": "ebs.csi.aws.com", "name": "ebs"}
GROUP = VOLUME_SNAPSHOT.api.rpartition("/")[0]


def values(*classes: Document) -> Document:
    return {"backup": {"snapshotClasses": list(classes)}}


def rules(given: Document) -> dict[str, list[Document]]:
    """Rules about snapshots, by role."""
    found: dict[str, list[Document]] = {}
    for (kind, name), document in rendered(given).items():
        for rule in document["rules"] if kind in ("ClusterRole", "Role") else ():
            if GROUP in rule["apiGroups"]:
                found.setdefault(name, []).append(rule)
    return found


def test_only_with_a_class_and_in_hubs_namespaces_alone_there_are_rights_on_snapshots() -> None:
    assert rules({}) == {}
    verbs = ["get", "list", "create", "delete"]
    wanted = {"apiGroups": [GROUP], "resources": [VOLUME_SNAPSHOT.plural], "verbs": verbs}
    assert rules(values(EBS)) == {"pdshub-hub": [wanted]}


def test_the_operator_reads_what_was_installed(tmp_path: Path) -> None:
    file = tmp_path / "installation.yaml"
    full = {**EBS, "storageClassName": "ebs-brief", "waitSeconds": 1200}
    for given in (EBS, full):
        text = rendered(values(given))["ConfigMap", "pdshub-installation"]["data"]["installation.yaml"]
        file.write_text(text)
        (found,) = installation.load(file).backup.snapshot_classes
        assert found.wire() == {"storageClassName": "", "waitSeconds": 600, **given}


REFUSED: list[tuple[str, list[dict[str, Any]]]] = [
    ("no driver", [{"name": "ebs"}]),
    ("no class", [{"driver": "ebs.csi.aws.com"}]),
    ("PDSHub's own driver, which has checkpoints", [{"driver": "homes.pdshub.dev", "name": "x"}]),
    ("a name that is none", [{**EBS, "name": "Ebs\n"}]),
    ("a class of no object", [{**EBS, "storageClassName": "../x"}]),
    ("no time", [{**EBS, "waitSeconds": 0}]),
    ("all day", [{**EBS, "waitSeconds": 86400}]),
    ("a field more", [{**EBS, "namespace": "kube-system"}]),
]


@pytest.mark.parametrize("classes", [c[1] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_the_chart_refuses(classes: list[Document]) -> None:
    done = run("template", "x", values=values(*classes))
    assert done.returncode and "snapshotClasses" in done.stderr.replace("/", "."), done.stderr


@pytest.mark.parametrize(
    "classes",
    [[EBS, {**EBS, "name": "other"}], [{"driver": "homes.pdshub.dev", "name": "x"}], [{**EBS, "waitSeconds": 1}]],
    ids=["two for a driver", "PDSHub's own", "no time"],
)
def test_what_the_operator_refuses(classes: list[Document]) -> None:
    with pytest.raises(ValueError, match=r"snapshotClasses|greater than"):
        installation.Installation.model_validate(values(*classes))
