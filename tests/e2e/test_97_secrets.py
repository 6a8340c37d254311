"""Planted secrets: every value of every Secret of an installation and its hubs, looked for wherever it does not belong.

Beside what the operator made (cookie secret, encryption keys, private keys of the certificates, the chart's tokens) two
were planted here: a development password and a Google client secret that nobody else has.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import NAMESPACE, SYSTEM, namespace, variant
from tests.e2e.hubclient import Person

SPACES = {"google": "e2e-secrets-google", "password": "e2e-secrets-password"}
"""Hub -> its namespace: one holds one hub only."""
SHORTEST = 12
"""Characters of what is looked for: shorter values are words that stand anywhere."""
PUBLIC = ("tls.crt", "ca.crt", "values.yaml")
"""Certificates, and the chart's values as the hub reads them: these are looked through themselves, in the release."""
OURS = "app.kubernetes.io/name=pdshub"
PLANTED = {"google": "client-secret", "password": "password"}
"""Hub -> name of the Secret with a value of ours."""
PLACES = {f"{SPACES[hub]}/{name}[key]" for hub, name in PLANTED.items()}
PROCESSES = (
    "for p in /proc/[0-9]*; do"
    ' printf "\\n=%s=%s=%s\\n" "$1" "${p#/proc/}" "$(tr "\\n" " " < "$p/cgroup" 2>/dev/null)";'
    ' tr "\\000" "\\n" < "$p/$1" 2>/dev/null; done; true'
)


class Secret(NamedTuple):
    """One value: where it is kept, and how it may be written."""

    namespace: str
    name: str
    key: str
    forms: tuple[str, ...]

    @property
    def place(self) -> str:
        """How failures call it; the value itself is never printed."""
        return f"{self.namespace}/{self.name}[{self.key}]"


def forms(value: bytes) -> tuple[str, ...]:
    """What of a value can be met in a text: a line of a key, a value, and either in base64.

    Of a document, as the chart's rendered values, only the whole: its lines are words that stand anywhere.
    """
    text = value.decode(errors="replace").strip()
    found = [text]
    if text.startswith("-----BEGIN"):
        found = [line.strip() for line in text.splitlines() if not line.startswith("-----")][1:2]
    found = [line for line in found if len(line) >= SHORTEST]
    whole = base64.b64encode(value).decode().rstrip("=")
    return (*found, *([whole[: len(whole) - 4]] if found else []))


def kept(cluster: Cluster, spaces: list[str]) -> list[Secret]:
    """Every Secret's values, but those of releases, which are documents and are looked through themselves."""
    found = []
    for space in spaces:
        for item in cluster.items("secrets", space):
            if item["type"] == "helm.sh/release.v1":
                continue
            for key, encoded in (item.get("data") or {}).items():
                shown = forms(base64.b64decode(encoded)) if key not in PUBLIC else ()
                if shown:
                    found.append(Secret(space, item["metadata"]["name"], key, shown))
    return found


def leaks(text: str, planted: list[Secret]) -> list[str]:
    """The Secrets of which a value stands in a text."""
    return sorted({one.place for one in planted if any(form in text for form in one.forms)})


def started(cluster: Cluster, name: str) -> None:
    """Wait until a hub of ours is released and its pod runs; a hub that signs in by Google needs no Google for that."""
    release = ["get", "secret", "-n", SPACES[name], "-l", f"owner=helm,name={name}", "-o", "name"]
    eventually(lambda: cluster.kubectl(*release).strip(), within=240, what=f"the release of {name}")

    def running() -> bool:
        pods = [
            pod for pod in cluster.items("pods", SPACES[name], "component=hub") if pod["status"]["phase"] == "Running"
        ]
        return bool(pods)

    eventually(running, within=240, what=f"the hub of {name} runs")


@pytest.fixture(scope="module")
def google(cluster: Cluster, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Two hubs with secrets of ours: one signs in by Google, one by a password; both hubs' pods have started."""
    for hub, name in PLANTED.items():
        meta = {"name": name, "namespace": namespace(cluster, SPACES[hub])}
        value = {"key": f"planted-{name}-{secrets.token_hex(16)}"}
        cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": value})
    oauth = {"clientId": "x.apps.googleusercontent.com", "clientSecretRef": {"name": "client-secret", "key": "key"}}
    hubs = [
        variant(
            sample,
            "google",
            SPACES["google"],
            signIn={"google": oauth},
            hostname="planted.example.org",
            archive=None,
        ),
        variant(
            sample,
            "password",
            SPACES["password"],
            signIn={"development": {"passwordSecretRef": {"name": "password", "key": "key"}}},
            archive=None,
        ),
    ]
    try:
        cluster.apply(*hubs)
        for hub in hubs:
            started(cluster, hub["metadata"]["name"])
        yield {"hubs": hubs}
    finally:
        for hub, space in SPACES.items():
            cluster.dismiss(space, hub)


@pytest.fixture(scope="module")
def spaces(cluster: Cluster) -> list[str]:
    """Namespaces of the installation, of its surveyors, and of the hubs that are looked at."""
    parts = {item["metadata"]["namespace"] for item in cluster.items("pods", selector=OURS)}
    return sorted(parts | {SYSTEM, NAMESPACE, *SPACES.values()})


@pytest.fixture(scope="module")
def planted(cluster: Cluster, google: dict[str, Any], hub: dict[str, Any], spaces: list[str]) -> list[Secret]:
    """All values, and proof that both of ours, the operator's and the installation's are among them."""
    found = kept(cluster, spaces)
    places = {one.place for one in found}
    assert places >= PLACES
    assert any(place.startswith(f"{SYSTEM}/pdshub-ca[") for place in places)
    assert any("CryptKeeper" in place for place in places) and any("cookie_secret" in place for place in places)
    assert f"{NAMESPACE}/demo-sign-in[password]" in places
    return found


def test_a_value_that_is_there_is_found(planted: list[Secret]) -> None:
    """The search itself: a text with each form of each value is caught, one without any is not."""
    for one in planted:
        assert all(one.place in leaks(f"x {form} y", planted) for form in one.forms), one.place
    assert leaks("nothing of it", planted) == []


def test_in_no_log(cluster: Cluster, planted: list[Secret], spaces: list[str]) -> None:
    """Operator, node plugin, helper, surveyors, hubs and proxies, and what each said before it was restarted."""
    looked = 0
    for space in spaces:
        for pod in cluster.items("pods", space):
            name, statuses = pod["metadata"]["name"], pod["status"].get("containerStatuses") or []
            for status in statuses:
                again = [[], ["--previous"]] if status.get("restartCount") else [[]]
                for more in again:
                    if not (status.get("state") or {}).get("waiting"):
                        log = cluster.kubectl("logs", "-n", space, name, "-c", status["name"], "--tail=-1", *more)
                        looked += 1
                        assert leaks(log, planted) == [], f"log of {space}/{name} {status['name']}"
    assert looked >= 6


KINDS = [
    "events",
    "pdshubs.pdshub.dev",
    "archiveviews.pdshub.dev",
    "configmaps",
    "pods",
    "deployments.apps",
    "daemonsets.apps",
    "statefulsets.apps",
    "services",
    "persistentvolumeclaims",
    "persistentvolumes",
    "csidrivers",
    "serviceaccounts",
    "rolebindings",
    "networkpolicies",
    "namespaces",
    "leases",
]


@pytest.mark.parametrize("kind", KINDS)
def test_in_no_object(cluster: Cluster, planted: list[Secret], kind: str) -> None:
    """Specs, annotations, statuses and messages, also as kubectl's last-applied configuration keeps them."""
    text = cluster.kubectl("get", kind, "-A", "-o", "yaml", "--show-managed-fields")
    assert leaks(text, planted) == [], kind


def test_in_no_value_of_a_release(cluster: Cluster, planted: list[Secret], spaces: list[str]) -> None:
    """What a release keeps: its values, and all of its manifest but the Secrets in it."""
    looked = 0
    for space in spaces:
        for release in json.loads(cluster.run("helm", "list", "-n", space, "-a", "-o", "json")):
            name = release["name"]
            looked += 1
            assert leaks(cluster.run("helm", "get", "values", name, "-n", space, "--all"), planted) == [], name
            documents = yaml.safe_load_all(cluster.run("helm", "get", "manifest", name, "-n", space))
            others = [document for document in documents if document and document["kind"] != "Secret"]
            assert others and leaks(yaml.safe_dump_all(others), planted) == [], name
    assert looked >= 3


def processes(cluster: Cluster, file: str) -> list[tuple[str, str]]:
    """(cgroup, content) of a file of every process of the node, those in containers too."""
    text = cluster.node("sh", "-c", PROCESSES, "sh", file)
    found = []
    for part in text.split(f"\n={file}=")[1:]:
        head, _, content = part.partition("\n")
        found.append((head.partition("=")[2], content))
    return found


def owners(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """The pods, by how the kubelet calls their cgroups."""
    return {pod["metadata"]["uid"]: pod for pod in cluster.items("pods")}


def pod_of(cgroup: str, pods: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    flat = cgroup.replace("_", "-")
    return next((pod for uid, pod in pods.items() if uid in flat), None)


def test_in_no_command_line(cluster: Cluster, planted: list[Secret]) -> None:
    lines = processes(cluster, "cmdline")
    assert len(lines) > 20
    for cgroup, content in lines:
        assert leaks(content, planted) == [], cgroup


MEANT = ("hub", "proxy")
"""Components of zero-to-jupyterhub's chart that get tokens and the sign-in secret by their environment."""


def test_in_no_environment_but_of_who_is_meant_to_have_it(cluster: Cluster, planted: list[Secret], ada: Person) -> None:
    pods, seen = owners(cluster), set()
    for cgroup, content in processes(cluster, "environ"):
        pod = pod_of(cgroup, pods)
        labels = (pod or {}).get("metadata", {}).get("labels") or {}
        found = leaks(content, planted)
        if labels.get("component") in MEANT and pod is not None:
            space = pod["metadata"]["namespace"]
            assert all(place.startswith(f"{space}/") for place in found), "another namespace's"
            seen.update(found)
        else:
            name = pod["metadata"]["name"] if pod else cgroup
            assert found == [], f"environment of {name}"
    assert seen >= PLACES, "the search reads environments"


def test_in_no_file_that_users_or_nodes_read(cluster: Cluster, planted: list[Secret], ada: Person) -> None:
    """Health and view files of /archive, and what the node plugin keeps on the node."""
    with ada.kernel() as kernel:
        text = kernel.run(
            "import os\n"
            "for top, _, names in os.walk('/archive/.pdshub'):\n"
            "    for name in names:\n"
            "        print(open(os.path.join(top, name), errors='replace').read())\n"
            "print(dict(os.environ))"
        ).ok()
    assert "ready" in text and leaks(text, planted) == []
    kept_there = "find /var/lib/kubelet/plugins/archive.pdshub.dev -xdev -type f -size -4096k -exec cat {} +"
    assert (
        leaks(cluster.node("sh", "-c", f"({kept_there}) 2>/dev/null | LC_ALL=C tr -cd '[:print:]\\n'; true"), planted)
        == []
    )


def test_metrics_say_none(cluster: Cluster, planted: list[Secret], spaces: list[str]) -> None:
    """Every port that a pod of PDSHub calls metrics."""
    looked = 0
    for pod in cluster.items("pods", selector=OURS):
        for container in pod["spec"]["containers"]:
            for port in container.get("ports") or []:
                if "metrics" in port.get("name", ""):
                    address = f"http://{pod['status']['podIP']}:{port['containerPort']}/metrics"
                    text = cluster.node("sh", "-c", f"curl -s -m 10 {address} || true")
                    looked += bool(text)
                    assert leaks(text, planted) == [], address
    assert looked >= 1
