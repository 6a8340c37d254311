"""charts/pdshub as helm renders it."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.test_airgap_chart import helm

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "pdshub"
SYSTEM = "pdshub-system"
SURVEYORS = "pdshub-surveyors"
DRILLS = "pdshub-drill"
IMAGE = "registry.example.org/pdshub/operator:0"
"""The one value that has no default."""
POLICIES = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"
"""What the API server of a cluster tells helm, and no cluster does not."""
Document = dict[str, Any]


def run(what: str, *more: str, values: Document | None = None) -> subprocess.CompletedProcess[str]:
    # a helm built from its module claims Kubernetes 1.20
    version = ["--kube-version", "1.34.0", "--namespace", SYSTEM]
    version += ["--api-versions", POLICIES] if what == "template" else []
    command = [helm(), what, *more, str(CHART), *version, "--values", "-"]
    given = {"image": IMAGE, **(values or {})}
    return subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)


@functools.cache
def _rendered(values: str) -> str:
    done = run("template", "pdshub", values=json.loads(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


def rendered(values: Document | None = None) -> dict[tuple[str, str], Document]:
    """Objects by kind and name."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = [d for d in yaml.load_all(_rendered(json.dumps(values or {}, sort_keys=True)), loader) if d]
    return {(d["kind"], d["metadata"]["name"]): d for d in found}


def pods(values: Document | None = None) -> dict[str, Document]:
    """Pod specs by the name of their workload."""
    kinds = ("Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob")
    return {name: d["spec"]["template"]["spec"] for (kind, name), d in rendered(values).items() if kind in kinds}


FULL: Document = {
    "image": "registry.example.org/pdshub:1",
    "imagePullSecrets": [{"name": "pull"}],
    "defaults": {
        "chart": {"source": "Airgap", "version": "4.4.0"},
        "images": {"hub": "h:1", "proxy": "p:1", "user": "u:1"},
        "enforcesHomeSize": True,
    },
    "archive": {
        "allowed": [
            {
                "server": "nas.example.org",
                "exports": ["/pds", "/volume1/pds/"],
                "runAs": [1000, "2000-2999:100", "users"],
            },
            {"server": "10.0.0.0/8", "exports": ["/"], "runAs": [0]},
        ],
        "defaultRunAs": {"uid": 4000, "gid": 4001},
        "allowedLocalPrefixes": ["/srv/archive"],
    },
    "operator": {"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}], "affinity": {"podAffinity": {}}},
    "hubs": {"namespaces": ["planets"], "allowLoadBalancers": True},
    "nodePlugin": {"kubeletDir": "/var/lib/k0s/kubelet/", "nodeSelector": {"a": "b"}},
}
VALUES = pytest.mark.parametrize("values", [{}, FULL], ids=["defaults", "everything set"])
