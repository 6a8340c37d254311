"""As whom the operator acts, and with which login Helm does."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from pdshub import tenant
from pdshub.helm import Helm, HelmError
from pdshub.installation import Hubs, namespace_refusal
from pdshub.kube import CLAIM, CONFIG_MAP, EVENT, NAMESPACE, PDSHUB, POD, ROLE_BINDING, SECRET, VOLUME, Resource
from pdshub.render.chart import ChartRef
from pdshub.tenant_kubeconfig import Kubeconfigs, document, login
from tests.unit.apiserver import OWN, listening, serving
from tests.unit.test_airgap_chart import helm

NS = "system:serviceaccount:ns:pdshub-helm"
ROLE = Resource("rbac.authorization.k8s.io/v1", "roles", "Role")
CASES: list[tuple[str, Resource, str | None, str | None, str, str]] = [
    ("the hub's own kind", PDSHUB, "ns", "hub", "", ""),
    ("its status", PDSHUB, "ns", "hub", "status", ""),
    ("the hubs of all namespaces", PDSHUB, None, None, "", ""),
    ("what has no namespace", VOLUME, None, "pv", "", ""),
    ("a namespace itself", NAMESPACE, None, "ns", "", ""),
    ("the binding that opens a namespace", ROLE_BINDING, "ns", "pdshub-hub", "", ""),
    ("another binding", ROLE_BINDING, "ns", "hub", "", NS),
    ("the bindings of a namespace", ROLE_BINDING, "ns", None, "", NS),
    ("a role of the binding's name", ROLE, "ns", "pdshub-hub", "", NS),
    ("a Secret", SECRET, "ns", "s", "", NS),
    ("the Secrets of a namespace", SECRET, "ns", None, "", NS),
    ("an event about a hub", EVENT, "ns", None, "", NS),
    ("a pod's log", POD, "ns", "hub-1", "log", NS),
    ("through the proxy of the API server", POD, "ns", "hub-1", "proxy", ""),
    ("a certificate of the installation", SECRET, "pdshub-system", "pdshub-ca", "", ""),
    ("an event about a view", EVENT, "default", None, "", ""),
    ("a foreign Secret", SECRET, "kube-system", "s", "", "system:serviceaccount:kube-system:pdshub-helm"),
]


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "sub", "who"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_as_whom(resource: Resource, namespace: str | None, name: str | None, sub: str, who: str) -> None:
    assert tenant.acting_as(resource.path(namespace, name, sub), OWN) == who


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/api/v1/namespaces/ns/services/proxy-public:http/proxy/hub/health", ""),
        ("/api/v1/namespaces/ns/services/proxy", NS),
        ("/apis/pdshub.dev.evil/v1/namespaces/ns/pdshubs/hub", NS),
        ("/apis/apps/v1/namespaces/ns/deployments/hub/scale", NS),
        ("/version", ""),
    ],
)
def test_as_whom_by_path(path: str, who: str) -> None:
    assert tenant.acting_as(path, OWN) == who


def test_every_way_of_asking_says_as_whom() -> None:
    async def main() -> None:
        async with serving() as (server, kube):
            server.put(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "ns"}})
            await kube.get(CONFIG_MAP, "a", "ns")
            await kube.items(CONFIG_MAP, "ns")
            await kube.get_metadata(CONFIG_MAP, "a", "ns")
            await kube.create(CONFIG_MAP, {"metadata": {"name": "b", "namespace": "ns"}})
            await kube.apply(CONFIG_MAP, {"metadata": {"name": "b", "namespace": "ns"}}, "m")
            await kube.patch(CONFIG_MAP, "b", {}, "ns")
            await kube.delete(CONFIG_MAP, "b", "ns")
            query = {"watch": "true", "resourceVersion": "0"}
            async with kube.stream(CONFIG_MAP.path("ns"), query, "application/json", 5.0):
                pass
            assert len(server.asked) == 8
            assert {asked.acting for asked in server.asked} == {NS}
            server.asked.clear()
            await kube.items(CLAIM, OWN[0])
            await kube.items(VOLUME)
            assert {asked.acting for asked in server.asked} == {""}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("change", "granted"),
    [
        ({}, True),
        ({"subjects": [{**tenant.binding("ns")["subjects"][0], "apiGroup": ""}]}, True),
        ({"roleRef": {**tenant.binding("ns")["roleRef"], "name": "cluster-admin"}}, False),
        ({"subjects": []}, False),
        ({"subjects": None}, False),
        ({"subjects": [*tenant.binding("ns")["subjects"], {"kind": "User", "name": "eve"}]}, False),
        ({"subjects": tenant.binding("other")["subjects"]}, False),
        ({"metadata": {"name": "pdshub-hub", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, False),
    ],
)
def test_granted(change: dict[str, Any], granted: bool) -> None:
    assert tenant.granted({**tenant.binding("ns"), **change}, "ns") is granted


def test_without_a_binding_nothing_is_granted() -> None:
    assert not tenant.granted(None, "ns")


ALLOWED = {"pdshub.dev/hubs": "allowed"}


@pytest.mark.parametrize(
    ("namespace", "labels", "hubs", "words"),
    [
        ("ns", ALLOWED, {}, ""),
        ("ns", {}, {}, "kubectl label namespace ns pdshub.dev/hubs=allowed"),
        ("ns", {"pdshub.dev/hubs": "no"}, {}, "hubs.namespaces"),
        ("ns", {}, {"namespaces": ["ns"]}, ""),
        ("other", {}, {"namespaces": ["ns"]}, "kubectl label namespace other"),
        ("ns", {"a": "b"}, {"namespaceSelector": {"matchLabels": {"a": "b", "c": "d"}}}, "a=b c=d"),
        ("ns", {"a": "b", "c": "d"}, {"namespaceSelector": {"matchLabels": {"a": "b", "c": "d"}}}, ""),
        ("ns", {}, {"namespaceSelector": {"matchLabels": {}}}, ""),
        ("kube-system", ALLOWED, {"namespaces": ["kube-system"]}, "never holds hubs"),
        ("default", ALLOWED, {}, "never holds hubs"),
        ("pdshub-system", ALLOWED, {}, "never holds hubs"),
    ],
)
def test_which_namespaces_may_hold_hubs(namespace: str, labels: dict[str, str], hubs: Any, words: str) -> None:
    said = namespace_refusal(namespace, labels, Hubs.model_validate(hubs), OWN)
    assert (said == "") is (words == "") and words in said


# --- the login of Helm

KUBECONFIG = {
    "current-context": "two",
    "contexts": [
        {"name": "one", "context": {"cluster": "a", "user": "a"}},
        {"name": "two", "context": {"cluster": "b", "user": "b"}},
    ],
    "clusters": [
        {"name": "a", "cluster": {"server": "https://a"}},
        {"name": "b", "cluster": {"server": "https://b", "certificate-authority": "ca.crt"}},
    ],
    "users": [{"name": "a", "user": {"token": "A"}}, {"name": "b", "user": {"client-key": "/k", "as": "somebody"}}],
}
POD_OF = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "6443"}


def test_a_pod_gives_helm_no_token_but_the_place_of_its_own() -> None:
    kept = Kubeconfigs(POD_OF)
    found = yaml.safe_load(kept.path("ns").read_text())
    (user,) = (entry["user"] for entry in found["users"])
    assert user == {"as": NS, "tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}
    (cluster,) = (entry["cluster"] for entry in found["clusters"])
    assert cluster == {
        "server": "https://10.96.0.1:6443",
        "certificate-authority": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    }
    assert found["contexts"][0]["context"]["namespace"] == "ns"


def test_nobody_else_reads_the_file() -> None:
    kept = Kubeconfigs(POD_OF)
    made = kept.path("ns")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.parent.stat().st_mode) == 0o700
    assert kept.path("ns") == made != kept.path("other")


@pytest.mark.parametrize(
    ("host", "server"), [("10.96.0.1", "https://10.96.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")]
)
def test_the_address_of_the_api_server(host: str, server: str) -> None:
    assert login({**POD_OF, "KUBERNETES_SERVICE_HOST": host})[0]["server"] == server


def test_outside_a_cluster_the_login_is_that_of_the_kubeconfig(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(KUBECONFIG))
    kept = Kubeconfigs({"KUBECONFIG": os.pathsep.join((str(file), "/nowhere"))})
    found = yaml.safe_load(kept.path("ns").read_text())
    assert found["users"][0]["user"] == {"client-key": "/k", "as": NS}
    assert found["clusters"][0]["cluster"] == {
        "server": "https://b",
        "certificate-authority": str(tmp_path / "ca.crt"),
    }


@pytest.mark.parametrize("text", ["", "current-context: x", "[]", "current-context: x\ncontexts: []"])
def test_a_kubeconfig_without_a_login(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ValueError, match="has no current context"):
        login({"KUBECONFIG": str(tmp_path / "config")})


HELM = """#!/bin/sh
echo "$@" >> {log}
while [ $# -gt 0 ]; do [ "$1" = --kubeconfig ] && cat "$2" >> {log}; shift; done
echo "Error: forbidden: it is only a test" >&2
exit 1
"""


def test_every_run_of_helm_acts_as_the_namespaces_account(tmp_path: Path) -> None:
    program, log = tmp_path / "helm", tmp_path / "log"
    program.write_text(HELM.format(log=log))
    program.chmod(0o755)
    door = Helm(Kubeconfigs(POD_OF).path, str(program))
    chart = ChartRef("Repository", "jupyterhub", "https://hub.example.org/", "9.9.9", "x")
    for namespace, run in (
        ("one", door.install_or_upgrade("hub", "one", chart, {})),
        ("two", door.uninstall("hub", "two")),
    ):
        log.write_text("")
        with pytest.raises(HelmError):
            asyncio.run(run)  # type: ignore[arg-type]
        said = log.read_text()
        runs = [line for line in said.splitlines() if "--kubeconfig" in line]
        assert runs and said.count(f"as: {tenant.user(namespace)}") == len(runs)
        assert "--kube-token" not in said


def test_helm_does_what_the_kubeconfig_says(tmp_path: Path) -> None:
    """The real program, whose every request says as whom it is made."""

    asked: set[tuple[str, str | None]] = set()

    async def answer(request: web.Request) -> web.Response:
        asked.add((request.path, request.headers.get("Impersonate-User")))
        return web.json_response({"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []})

    async def main() -> int:
        async with listening(answer) as port:
            file = tmp_path / "kubeconfig"
            file.write_text(yaml.safe_dump(document(({"server": f"http://127.0.0.1:{port}"}, {}), "ns")))
            program = await asyncio.create_subprocess_exec(helm(), "list", "--kubeconfig", str(file))
            return await program.wait()

    assert asyncio.run(main()) == 0
    assert (SECRET.path("ns"), NS) in asked
    assert {who for _, who in asked} == {NS}
