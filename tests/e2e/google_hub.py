"""Google's sign-in for hubs of the test cluster, against a provider on this machine that speaks as Google.

The installation of the test cluster names that provider (hack/lib/devcluster/install.py): browsers find it on this
machine, hubs by a Service whose endpoint is this machine, as the node sees it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import namespace
from tests.pictures import Browser
from tests.unit.hub import google_provider

SPACE, PORT = "e2e-google", 18085
GOOGLE = {"google": {"clientId": "id", "clientSecretRef": {"name": "oauth", "key": "client-secret"}}}


@contextmanager
def provider(cluster: Cluster) -> Iterator[str]:
    """The provider, and the Service by which pods reach it; gives its address on this machine."""
    namespace(cluster, SPACE, development=False)
    here = machine_address(cluster)
    meta = {"name": "sign-in", "namespace": SPACE}
    port = {"name": "http", "port": PORT, "protocol": "TCP"}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [port]}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": "sign-in"}},
            "addressType": "IPv4",
            "ports": [port],
            "endpoints": [{"addresses": [here]}],
        },
    )
    try:
        with google_provider.running("0.0.0.0", PORT):  # noqa: S104 - pods of the cluster come from outside
            yield f"http://127.0.0.1:{PORT}"
    finally:
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def machine_address(cluster: Cluster) -> str:
    """The address of this machine, as the node sees it."""
    return cluster.node("ip", "-4", "route", "show", "default").split()[2]


def secret(space: str) -> dict[str, Any]:
    """The Secret that ``GOOGLE`` names."""
    data = {"client-secret": base64.b64encode(b"words").decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "oauth", "namespace": space}, "data": data}


def consent(eyes: Browser, address: str, sub: str) -> None:
    """From the hub's page to the provider's, and say there who one is."""
    eyes.open(f"{address}/hub/login", "Sign in with Google")
    eyes.value("document.querySelector('a[href*=oauth_login]').click()")
    eyes.wait("Authorize", f"127.0.0.1:{PORT}")
    field = "document.querySelector('input[name=sub]')"
    eyes.value(f"{field}.value = '{sub}'")
    eyes.value(f"{field}.form.requestSubmit()")
