"""Google's sign-in from the page to JupyterLab, in Chromium, against a provider that speaks as Google."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, variant, wait_ready
from tests.e2e.google_hub import GOOGLE, consent, secret
from tests.pictures import Browser
from tests.unit.hub.google_provider import account

SPACE, HUB = "e2e-google-hub", "google"
ADA, EVE, ROOT = "ada@example.org", "eve@example.org", "root@example.org"


@pytest.fixture(scope="module")
def address(cluster: Cluster, sample: dict[str, Any], chart: dict[str, str], provider: str) -> Iterator[str]:
    """A hub with Google's sign-in, and where it answers."""
    # the repository of --chart speaks plain HTTP, which is for development alone; Google's sign-in holds in either
    namespace(cluster, SPACE, development=bool(chart))
    users = {"allowed": [ADA], "admins": [ROOT]}
    cluster.apply(secret(SPACE), variant(sample, HUB, SPACE, archive=None, signIn=GOOGLE, users=users))
    try:
        wait_ready(cluster, HUB, SPACE)
        yield str(cluster.get("pdshub", HUB, SPACE)["status"]["address"]).rstrip("/")
    finally:
        cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def test_from_the_page_over_the_provider_to_the_lab(eyes: Browser, address: str, provider: str) -> None:
    consent(eyes, address, account(provider, uuid.uuid4().hex, "Ada@Example.org"))
    eyes.within = 300
    eyes.wait("", urlsplit(address).netloc)
    eventually(
        lambda: (str(eyes.value("location.pathname")), eyes.text()),
        lambda seen: seen[0].startswith(f"/user/{ADA}/lab"),
        within=300,
        what="the browser is in JupyterLab",
    )
    eventually(lambda: eyes.value("!!document.querySelector('#jp-main-dock-panel')"), what="JupyterLab is there")


def test_somebody_on_no_list_is_told_so(eyes: Browser, address: str, provider: str) -> None:
    consent(eyes, address, account(provider, uuid.uuid4().hex, EVE))
    assert f"{EVE} is not on the list" in eyes.wait("403", urlsplit(address).netloc)
    eyes.open(f"{address}/hub/home", "Sign in with Google")


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("not listed", EVE, {}),
    ("unverified", ADA, {"verified_email": False}),
    ("a look-alike", "\u0430da@example.org", {}),
]


@pytest.mark.parametrize(("email", "claims"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_refused(address: str, provider: str, email: str, claims: dict[str, Any]) -> None:
    sub = account(provider, uuid.uuid4().hex, email, **claims)
    with requests.Session() as session:
        page = session.get(f"{address}/hub/oauth_login", allow_redirects=False, timeout=30).headers["Location"]
        back = requests.post(page, data={"sub": sub}, allow_redirects=False, timeout=30).headers["Location"]
        assert session.get(back, timeout=60).status_code == 403
        assert "/hub/login" in session.get(f"{address}/hub/home", timeout=30).url
        assert session.get(back, timeout=60).status_code == 400, "a second time"


def test_sign_in_ready_says_google(cluster: Cluster, address: str) -> None:
    said = cluster.condition("pdshub", HUB, "SignInReady", SPACE)
    assert (said["status"], said["reason"]) == ("True", "Google")
