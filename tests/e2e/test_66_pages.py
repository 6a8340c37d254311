"""What people see: the pages of a hub in Chromium, a start that fails, a home that is full, a server that is gone.

With PDSHUB_PICTURES=1 in the environment the pictures of the manual (docs/img/pages) are taken anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.pages import FOLDER, HEADINGS
from tests.pictures import Browser

SPACE, HUB = "e2e-pages", "pages"
USERS = {"allowed": ["ada", "bela", "full", "noroom"], "admins": ["root-admin"]}
TEXTS = {
    "title": "Small Bodies Node",
    "contact": "help@sbn.example.org",
    "message": "Maintenance on Friday from 9 to 10 UTC: servers stop, files are kept.",
}
PICTURES = bool(os.environ.get("PDSHUB_PICTURES"))
NEWS = "@jupyterlab/apputils-extension:notification"
FULL_HOME = "/var/pdshub-e2e-full-home"
"""A file system of some MiB on the node."""


@pytest.fixture(scope="module")
def pages(cluster: Cluster, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A hub with the node's words, without an archive, and with room for two servers of the sample's size."""
    namespace(cluster, SPACE)
    hub = variant(sample, HUB, SPACE, archive=None, users=USERS, quota={"memory": "2Gi"}, **TEXTS)
    cluster.apply(hub)
    try:
        wait_ready(cluster, HUB, SPACE)
        yield hub
    finally:
        cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def somebody(cluster: Cluster, user: str) -> Person:
    return person(cluster, user, HUB, SPACE)


def seen(eyes: Browser, name: str, address: str, who: Person | None = None, also: str = "") -> str:
    """The text of a page, which has the words of the manual and ``also``; its picture where pictures are taken."""
    if who:
        eyes.let_in(who.address, who.session.cookies)
    text = eyes.open(address, HEADINGS[name])
    if also:
        text = eyes.wait(also)
    if PICTURES:
        eyes.picture(FOLDER / f"{name}.png")
    return text


def hub_pod(cluster: Cluster) -> tuple[str, int]:
    """The hub's pod and how often it was restarted."""
    (pod,) = cluster.items("pods", SPACE, "component=hub")
    return pod["metadata"]["uid"], sum(s["restartCount"] for s in pod["status"]["containerStatuses"])


def test_the_sign_in_page_has_the_nodes_words_and_new_ones_without_a_restart(
    cluster: Cluster, pages: dict[str, Any], eyes: Browser
) -> None:
    address = cluster.get("pdshub", HUB, SPACE)["status"]["address"]
    front = f"{address.rstrip('/')}/hub/login"
    text = eventually(lambda: seen(eyes, "sign-in", front), lambda t: TEXTS["message"] in t, what="the words are there")
    assert TEXTS["title"] in text and TEXTS["contact"] in text
    before = hub_pod(cluster)
    changed = {**pages["spec"], "message": "<b>Open</b> on Friday"}
    cluster.apply({**pages, "spec": changed})
    eventually(lambda: eyes.open(front), lambda t: "<b>Open</b> on Friday" in t, what="the new message, as text")
    assert hub_pod(cluster) == before
    cluster.apply(pages)


def test_the_first_start_of_a_home_opens_the_welcome_notebook_and_asks_about_no_news(
    cluster: Cluster, pages: dict[str, Any], eyes: Browser
) -> None:
    ada = somebody(cluster, "ada")
    seen(eyes, "home", ada.url("/hub/home"), ada)
    ada.start()
    first = ada.session.get(ada.url("/user/ada/"), timeout=120)
    assert urlsplit(first.url).path == "/user/ada/lab/tree/welcome.ipynb", first.url
    text = seen(eyes, "first-start", first.url, ada)
    assert "Jupyter news" not in text
    setting = ada.call("GET", f"/user/ada/lab/api/settings/{NEWS}").json()
    assert setting["schema"]["properties"]["fetchNews"]["default"] == "false"
    ada.stop()
    ada.start()
    assert urlsplit(ada.session.get(ada.url("/user/ada/"), timeout=120).url).path == "/user/ada/lab"


def test_a_failed_start_says_why_and_many_of_them_restart_nothing(
    cluster: Cluster, pages: dict[str, Any], eyes: Browser
) -> None:
    """The quota is as large as what ada has."""
    ada, bela = somebody(cluster, "ada"), somebody(cluster, "bela")
    ada.start()
    cluster.apply({**pages, "spec": {**pages["spec"], "quota": {"memory": "1Gi"}}})
    wait_ready(cluster, HUB, SPACE)
    before = hub_pod(cluster)
    bela = somebody(cluster, "bela")
    for _ in range(6):
        bela.call("POST", "/hub/api/users/bela/server")
        eventually(lambda: bela.model().get("servers", {}), lambda servers: not servers, what="the start is given up")
    page = bela.session.get(bela.url("/hub/spawn/bela"), timeout=60)
    text = seen(eyes, "failed", bela.url("/hub/spawn-pending/bela"), bela)
    for words in ("All that servers of this hub may use together is in use", "exceeded quota", TEXTS["contact"]):
        assert words in text
    assert page.status_code != 500 and "Start again" in text
    assert hub_pod(cluster) == before, "five failures in a row would have ended the hub"
    cluster.apply(pages)
    wait_ready(cluster, HUB, SPACE)


@pytest.mark.parametrize("how", [(), ("--grace-period=0", "--force")], ids=["asked to end", "killed"])
def test_a_server_whose_pod_was_deleted_never_leaves_the_browser_hanging(
    cluster: Cluster, pages: dict[str, Any], eyes: Browser, how: tuple[str, ...]
) -> None:
    ada = somebody(cluster, "ada")
    ada.start()
    assert ada.session.get(ada.url("/user/ada/lab"), timeout=60).status_code == 200
    cluster.kubectl("delete", "pod", "jupyter-ada", "-n", SPACE, "--wait=false", *how)
    began, longest, text = time.monotonic(), 0.0, ""
    while HEADINGS["not-running"] not in text:
        asked = time.monotonic()
        # raises where nothing answers: that is the browser that hangs
        answer = ada.session.get(ada.url("/user/ada/lab"), headers={"Accept": "text/html"}, timeout=10)
        longest, text = max(longest, time.monotonic() - asked), answer.text
        assert time.monotonic() - began < 30, f"{answer.status_code} at {answer.url}: {text[:500]}"
        time.sleep(0.5)
    assert longest < 10 and time.monotonic() - began < 20
    if not how:
        seen(eyes, "not-running", ada.url("/user/ada/lab"), ada)
    seen(eyes, "no-answer", ada.url("/hub/error/503"))
    ada.start()


@pytest.fixture
def small_home(cluster: Cluster, pages: dict[str, Any]) -> Iterator[str]:
    """User full's claim, bound to a file system of 8 MiB on the node; its path there."""
    cluster.node("mkdir", "-p", FULL_HOME)
    cluster.node("mount", "-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs", FULL_HOME)
    name = "pdshub-e2e-full-home"
    access = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    try:
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    **access,
                    "capacity": {"storage": "1Gi"},
                    "persistentVolumeReclaimPolicy": "Retain",
                    "hostPath": {"path": FULL_HOME},
                    "claimRef": {"name": "claim-full", "namespace": SPACE},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "claim-full", "namespace": SPACE},
                "spec": {**access, "volumeName": name, "resources": {"requests": {"storage": "1Gi"}}},
            },
        )
        yield FULL_HOME
    finally:
        cluster.kubectl("delete", "pvc", "claim-full", "-n", SPACE, "--ignore-not-found", "--wait=false")
        cluster.kubectl("delete", "pod", "jupyter-full", "-n", SPACE, "--ignore-not-found", "--timeout=90s")
        cluster.kubectl("delete", "pv", name, "--ignore-not-found", "--wait=false")
        cluster.node("umount", "-l", FULL_HOME)


def test_a_full_home_never_locks_anybody_out(
    cluster: Cluster, pages: dict[str, Any], small_home: str, eyes: Browser
) -> None:
    cluster.node("sh", "-c", f"dd if=/dev/zero of={small_home}/big bs=64k; chown 1000:1000 {small_home}/big; true")
    full = somebody(cluster, "full")
    full.start()
    with full.kernel() as kernel:
        assert kernel.run("import os; print(6 * 7, os.environ['PDSHUB_RESCUE'])").ok() == "42 No space left on device"
    assert full.call("POST", "/user/full/api/terminals").status_code == 200
    lab = full.session.get(full.url("/user/full/lab"), timeout=120)
    text = seen(eyes, "full-home", lab.url, full, also="Launcher")
    assert "nothing can be saved" in text
    assert full.call("DELETE", "/user/full/api/contents/big").status_code == 204
    full.stop()
    full.start()
    with full.kernel() as kernel:
        assert kernel.run("import os; print('PDSHUB_RESCUE' in os.environ)").ok() == "False"
        kernel.run("from pathlib import Path; Path.home().joinpath('kept').write_text('again')").ok()
    full.stop()


def test_the_page_that_waits_says_what_hinders(cluster: Cluster, pages: dict[str, Any], eyes: Browser) -> None:
    """A server that no computer has room for: the page says so while the hub goes on trying."""
    resources = {**pages["spec"]["server"]["resources"], "memory": {"limit": "900Gi", "guarantee": "900Gi"}}
    huge = {"name": "huge", "displayName": "Huge", "description": "more than any computer has", "resources": resources}
    standard = {"name": "standard", "displayName": "Standard", "description": "2 cores and 1 GiB"}
    server = {**pages["spec"]["server"], "profiles": [standard, huge], "startTimeoutSeconds": 40}
    free = {key: value for key, value in pages["spec"].items() if key != "quota"}
    cluster.apply({**pages, "spec": {**free, "server": server}})
    try:
        wait_ready(cluster, HUB, SPACE)
        noroom = somebody(cluster, "noroom")
        seen(eyes, "choose", noroom.url("/hub/spawn/noroom"), noroom)
        noroom.call("POST", "/hub/api/users/noroom/server", json={"profile": "huge"})
        seen(eyes, "starting", noroom.url("/hub/spawn-pending/noroom"), noroom)
        eyes.wait("No computer of the cluster has as much free as this server asks for. The hub goes on trying.")
        # the page turns into the one that says why
        text = eyes.wait(HEADINGS["failed"])
        assert "No computer of the cluster has as much free" in text and "Insufficient memory" in text
    finally:
        cluster.apply(pages)
        wait_ready(cluster, HUB, SPACE)
