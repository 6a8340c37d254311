"""Logging in to the API server: who is trusted, and with what token."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import ssl
from pathlib import Path

import kopf
import pytest
from kubernetes.aio.config import incluster_config

from pdshub import pki
from pdshub.kopf_handlers import by_address
from pdshub.kube import POD, Kube, KubeError
from tests.unit.apiserver import TOKEN, ApiServer, listening
from tests.unit.test_kube import thing
from tests.unit.test_pki import context


def authority_and_server() -> tuple[pki.Pair, pki.Pair]:
    now = datetime.datetime.now(datetime.UTC)
    authority = pki.issue(now, "test-ca", None, server=False)
    return authority, pki.issue(now, "localhost", authority, server=True)


def kubeconfig(folder: Path, url: str, authority: bytes, token: str) -> Path:
    file = folder / "kubeconfig"
    trust = base64.b64encode(authority).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority-data": trust}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    file.write_text(json.dumps(document))
    return file


@pytest.mark.parametrize(
    ("known", "token", "status"),
    [(True, TOKEN.removeprefix("Bearer "), None), (False, TOKEN.removeprefix("Bearer "), 0), (True, "other", 401)],
    ids=["known", "another authority", "another token"],
)
def test_logging_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool, token: str, status: int | None
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    authority, own = authority_and_server()
    trusted = authority if known else authority_and_server()[0]
    tls = context(own, authority.certificate, server=True)
    tls.verify_mode = ssl.CERT_NONE  # it wants a token, no certificate

    async def test() -> None:
        server = ApiServer()
        server.put(POD, thing("a"))
        async with listening(server.handle, tls) as port:
            file = kubeconfig(tmp_path, f"https://localhost:{port}", trusted.certificate, token)
            monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
            kube = await Kube.connect(())
            try:
                if status is None:
                    assert await kube.get(POD, "a", "ns")
                    return
                with pytest.raises(KubeError) as caught:
                    await kube.get(POD, "a", "ns")
                assert caught.value.status == status
            finally:
                await kube.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("host", "port", "server"),
    [("10.96.0.1", "443", "https://10.96.0.1:443"), ("fd00::1", "6443", "https://[fd00::1]:6443")],
)
def test_a_pod_needs_no_cluster_dns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, port: str, server: str
) -> None:
    """A cluster whose DNS is down, or not up yet, has an operator all the same."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    for name, text in (("TOKEN", b"t"), ("CERT", authority_and_server()[0].certificate)):
        (tmp_path / name).write_bytes(text)
        monkeypatch.setattr(incluster_config, f"SERVICE_{name}_FILENAME", str(tmp_path / name))

    async def main() -> tuple[str, bool]:
        kube = await Kube.connect(())
        await kube.close()
        return kube._client.configuration.host, kube.in_cluster

    assert asyncio.run(main()) == (server, True)


@pytest.mark.parametrize(
    ("environ", "server"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}, "https://10.96.0.1:443"),
        ({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, "https://[fd00::1]:6443"),
        ({}, "https://kubernetes.default.svc"),
    ],
)
def test_the_watches_need_no_cluster_dns(environ: dict[str, str], server: str) -> None:
    info = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="t", ca_path="/ca", default_namespace="n")
    found = by_address(info, environ)
    assert found is not None
    assert (found.server, found.token, found.ca_path) == (server, "t", "/ca")
    assert by_address(None, environ) is None
