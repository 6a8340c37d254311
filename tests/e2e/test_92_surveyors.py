"""Surveyors live in a restricted namespace of their own, and none can speak for another view's."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from pdshub import pki, tls_names
from pdshub.render.surveyor import SurveyorNames
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import SURVEYORS, SYSTEM
from tests.unit.test_pki import context, shake

VIEWS = ("e2e-walls-a", "e2e-walls-b")
OPERATOR = f"--as=system:serviceaccount:{SYSTEM}:pdshub-operator"
NODE = f"--as=system:serviceaccount:{SYSTEM}:pdshub-node"
SHOWN = "import ssl; print(ssl.get_server_certificate(('127.0.0.1', 9810)))"


@pytest.fixture(scope="module")
def views(cluster: Cluster) -> Iterator[tuple[str, ...]]:
    """Two views of the same directory, whose surveyors answer."""
    place = cluster.nas_data / "pds-main" / "e2e-walls"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(cluster.nas_data / "pds-main/orex/SUPERSEDED/orex.otes", place / "orex.otes")
    nfs = {"server": cluster.facts["NAS_IP"], "export": "/pds-main"}
    spec: dict[str, Any] = {
        "sources": [{"name": "main", "nfs": nfs}],
        "tree": [{"path": "data", "layers": [{"source": "main", "path": "e2e-walls"}]}],
        "authority": {"settleSeconds": 0},
        "survey": {"intervalSeconds": 3600, "storage": "1Gi"},
    }
    kind = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView"}
    cluster.apply(*({**kind, "metadata": {"name": name}, "spec": spec} for name in VIEWS))
    try:
        for name in VIEWS:
            eventually(
                lambda name=name: cluster.condition("archiveview", name, "Surveyed"),  # type: ignore[misc]
                lambda found: found.get("status") == "True",
                within=240,
                what=f"{name} is surveyed",
            )
        yield VIEWS
    finally:
        cluster.kubectl("delete", "archiveview", *VIEWS, "--timeout=180s", timeout=190)
        shutil.rmtree(place, ignore_errors=True)


def may(cluster: Cluster, who: str, *what: str) -> bool:
    """Whether an account may do something; kubectl ends with an error where it may not."""
    try:
        return cluster.kubectl("auth", "can-i", *what, who).strip() == "yes"
    except CommandFailed as refused:
        assert refused.out.strip() == "no", refused
        return False


def test_surveyors_run_in_a_restricted_namespace(cluster: Cluster, views: tuple[str, ...]) -> None:
    labels = cluster.get("namespace", SURVEYORS)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = cluster.items("pods", SURVEYORS)
    for view in views:
        mine = [p for p in pods if p["metadata"]["labels"].get("pdshub.dev/view") == view]
        assert len(mine) == 1 and mine[0]["status"]["phase"] == "Running"
        assert cluster.get("archiveview", view)["status"]["surveyor"]["namespace"] == SURVEYORS
        for kind in ("deployments", "services", "persistentvolumeclaims", "secrets"):
            assert not cluster.items(kind, SYSTEM, f"pdshub.dev/view={view}")


def test_no_pod_gets_privileges_there(cluster: Cluster) -> None:
    container = {"name": "c", "image": cluster.facts["IMAGE_OPERATOR"], "securityContext": {"privileged": True}}
    metadata = {"name": "e2e-privileged", "namespace": SURVEYORS}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


@pytest.mark.parametrize(
    ("who", "what", "allowed"),
    [
        *((OPERATOR, ("create", kind, "-n", SYSTEM), False) for kind in (
            "pods", "deployments.apps", "daemonsets.apps", "statefulsets.apps", "jobs.batch", "cronjobs.batch",
        )),
        *((OPERATOR, ("patch", kind, "-n", SYSTEM), False) for kind in ("daemonsets.apps", "deployments.apps")),
        (OPERATOR, ("create", "pods", "-n", SURVEYORS), False),
        (OPERATOR, ("create", "deployments.apps", "-n", SURVEYORS), True),
        (OPERATOR, ("get", "secrets/pdshub-ca", "-n", SYSTEM), True),
        (OPERATOR, ("get", "secrets/sh.helm.release.v1.pdshub.v1", "-n", SYSTEM), False),
        (OPERATOR, ("list", "secrets", "-n", SYSTEM), False),
        (NODE, ("get", "secrets", "-n", SURVEYORS), False),
    ],
)  # fmt: skip
def test_what_the_operator_may_do_beside_the_privileged_pods(
    cluster: Cluster, who: str, what: tuple[str, ...], allowed: bool
) -> None:
    assert may(cluster, who, *what) is allowed


def secret(cluster: Cluster, name: str, namespace: str) -> tuple[pki.Pair, bytes]:
    data = {key: base64.b64decode(text) for key, text in cluster.get("secret", name, namespace)["data"].items()}
    return pki.Pair(data[pki.CERTIFICATE], data[pki.KEY]), data[pki.TRUST]


@pytest.mark.parametrize("asking", [pki.OPERATOR, pki.NODE])
def test_the_certificate_of_one_view_is_not_believed_for_another(
    cluster: Cluster, views: tuple[str, ...], asking: str
) -> None:
    client = context(*secret(cluster, asking, SYSTEM), server=False)
    for mine, other in (views, views[::-1]):
        names = SurveyorNames(SURVEYORS, mine)
        server = context(*secret(cluster, names.certificate, SURVEYORS), server=True)
        shake(server, client, tls_names.surveyor(mine))
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(server, client, tls_names.surveyor(other))


def test_each_surveyor_shows_its_own(cluster: Cluster, views: tuple[str, ...]) -> None:
    """What the program on its port shows is what lies in the Secret of its view, and in no other."""
    shown = []
    for view in views:
        names = SurveyorNames(SURVEYORS, view)
        command = ("exec", "-n", SURVEYORS, f"deployment/{names.name}", "--", "python3", "-c", SHOWN)
        shown.append(cluster.kubectl(*command).strip())
        assert shown[-1] == secret(cluster, names.certificate, SURVEYORS)[0].certificate.decode().strip()
    assert len(set(shown)) == len(views)
