"""Earlier versions for people themselves: at the hub's page, from JupyterLab, each their own and nobody else's."""

from __future__ import annotations

import html
import os
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.pages import FOLDER, HEADINGS
from tests.pictures import PROGRAM, Browser, browser

pytestmark = pytest.mark.long
SPACE, HUB = "e2e-earlier", "earlier"
WRITE = """
from pathlib import Path
folder = Path.home() / "notebooks"
folder.mkdir(exist_ok=True)
(folder / "x.txt").write_text({text!r})
(folder / "<b>bold.txt").write_text("odd")
"""
FOUND = """
from pathlib import Path
print(sorted(f"{p.relative_to(Path.home())} {p.read_text()}" for p in Path.home().rglob("x.txt")))
"""
PEOPLE = ("ada", "bela")
PICTURES = bool(os.environ.get("PDSHUB_PICTURES"))
"""Whether the pictures of the manual are taken anew, as in test_66_pages.py."""


@pytest.fixture(scope="module")
def people(cluster: Cluster, sample: dict[str, Any]) -> Iterator[dict[str, Person]]:
    """A hub with a backup of two homes; both people have gone on since."""
    namespace(cluster, SPACE)
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "vault", "namespace": SPACE}
    cluster.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": claim})
    backup = {"suspend": True, "repository": {"claim": {"name": "vault"}}}
    users = {"allowed": list(PEOPLE), "admins": ["root-admin"]}
    cluster.apply(variant(sample, HUB, SPACE, archive=None, users=users, backup=backup))
    try:
        wait_ready(cluster, HUB, SPACE)
        found = {name: person(cluster, name, HUB, SPACE) for name in PEOPLE}
        for name, one in found.items():
            one.start()
            with one.kernel() as kernel:
                kernel.run(WRITE.format(text=f"first of {name}")).ok()
        run = {
            "apiVersion": "pdshub.dev/v1alpha1",
            "kind": "HubBackup",
            "metadata": {"name": "one", "namespace": SPACE},
        }
        cluster.apply({**run, "spec": {"hub": HUB}})
        eventually(
            lambda: cluster.get("hubbackup", "one", SPACE).get("status", {}).get("phase"),
            lambda phase: phase == "Completed",
            within=400,
            what="a backup",
        )
        for name, one in found.items():
            with one.kernel() as kernel:
                kernel.run(WRITE.format(text=f"second of {name}")).ok()
        yield found
    finally:
        cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def page(one: Person, query: str = "") -> str:
    return one.page(f"/hub/earlier{query}")


def listed(one: Person) -> str:
    """The only version of somebody's home."""
    text = eventually(lambda: page(one), lambda text: 'name="version"' in text, within=120, what="a list of versions")
    (found,) = set(re.findall(r'name="version" value="([0-9a-f]{64})"', text))
    return str(found)


def send(one: Person, **fields: str) -> requests.Response:
    found = re.search(r'xsrf_token: "([^"]+)"', one.page("/hub/home"))
    assert found
    form = {"_xsrf": found[1], **fields}
    return one.session.post(one.url("/hub/earlier"), data=form, timeout=60, allow_redirects=False)


def files(one: Person) -> str:
    with one.kernel() as kernel:
        return kernel.run(FOUND).ok()


def test_somebody_looks_and_brings_a_file_back_while_their_server_runs(people: dict[str, Person]) -> None:
    ada = people["ada"]
    version = listed(ada)
    assert "Earlier versions of your files" in ada.page("/hub/home"), "the first page leads there"
    assert send(ada, version=version, open="notebooks").status_code == 303
    address = f"?version={version}&path=notebooks"
    text = eventually(lambda: page(ada, address), lambda text: "x.txt" in text, within=120, what="the folder is shown")
    assert "<b>bold" not in text and "<b>bold.txt" in html.unescape(text)
    began = time.monotonic()
    assert send(ada, version=version, back="notebooks/x.txt").status_code == 303
    found = eventually(lambda: files(ada), lambda text: "first of ada" in text, within=120, what="the file is back")
    print(f"one file back by its owner after {time.monotonic() - began:.0f} s")
    assert "notebooks/x.txt second of ada" in found and "restored-" in found, "beside what is there"


@pytest.mark.skipif(not PROGRAM, reason="needs chromium")
def test_the_page_as_somebody_sees_it(people: dict[str, Person], eyes: Browser) -> None:
    ada = people["ada"]
    version = listed(ada)
    eyes.let_in(ada.address, ada.session.cookies)
    eyes.open(ada.url(f"/hub/earlier?version={version}&path=notebooks"), "x.txt")
    text = eyes.text()
    assert HEADINGS["earlier"] in text and "<b>bold.txt" in text, "a name is a name, and not a page's"
    if PICTURES:
        eyes.picture(FOLDER / "earlier.png")


def test_nobody_gets_anything_of_somebody_else(cluster: Cluster, people: dict[str, Person]) -> None:
    ada, bela = people["ada"], people["bela"]
    theirs = listed(bela)
    assert theirs != listed(ada) and theirs not in page(ada)
    before = {item["metadata"]["name"] for item in cluster.items("hubrestores.pdshub.dev", SPACE)}
    for fields in (
        {"version": theirs, "back": "notebooks/x.txt"},
        {"version": theirs, "back": "notebooks/x.txt", "user": "bela"},
        {"version": theirs, "open": "."},
    ):
        # what was asked for before is given up first
        status = eventually(
            lambda fields=fields: send(ada, **fields).status_code,  # type: ignore[misc]
            lambda code: code != 409,
            within=120,
            what="nothing else is being done",
        )
        assert status == 404
    for path in ("../bela/notebooks/x.txt", "/home/bela", "a\0b"):
        assert send(ada, version=listed(ada), back=path).status_code == 400
    assert {item["metadata"]["name"] for item in cluster.items("hubrestores.pdshub.dev", SPACE)} == before
    assert "of bela" not in files(ada)


def test_a_servers_own_token_opens_no_page_and_answers_no_question(people: dict[str, Person]) -> None:
    """A notebook of ada's, or whoever runs code in her server, has her token; not her session."""
    ada = people["ada"]
    for path in ("/hub/earlier", "/hub/api/pdshub/earlier"):
        answer = requests.get(
            ada.url(path), headers={"Authorization": f"token {ada.token}"}, timeout=60, allow_redirects=False
        )
        assert answer.status_code in (302, 403)


def test_nothing_is_left_of_looks(cluster: Cluster, people: dict[str, Person]) -> None:
    eventually(
        lambda: cluster.items("jobs", SPACE, "component=backup-look"),
        lambda jobs: jobs == [],
        within=60,
        what="no look",
    )


def test_it_is_in_the_audit_log(cluster: Cluster, people: dict[str, Person]) -> None:
    def written() -> str:
        return cluster.kubectl("pdshub", "audit", "--user", "ada", "--hub", f"{SPACE}/{HUB}", "--since", "1h")

    eventually(
        written,
        lambda text: "home-restore" in text and "earlier-refused" in text,
        within=60,
        what="both sides' entries",
    )


LABELS = "[...document.querySelectorAll('.lm-Menu-itemLabel')].map(label => label.innerText).join('|')"
FILE = """
(() => {
  const file = [...document.querySelectorAll('.lm-MenuBar-item')].find(item => item.innerText.trim() === 'File');
  const at = file && file.getBoundingClientRect();
  return at ? [at.x + at.width / 2, at.y + at.height / 2] : [];
})()
"""


def file_menu(eyes: Browser) -> str:
    """What is in the menu File; opened where it is not, which a page that was just drawn may not hear."""
    labels = str(eyes.value(LABELS) or "")
    if not labels and (at := eyes.value(FILE)):
        eyes.press(*at)
    return labels


@pytest.mark.skipif(not PROGRAM, reason="needs chromium")
def test_jupyterlab_has_earlier_versions_in_its_menu(people: dict[str, Person]) -> None:
    ada = people["ada"]
    with browser() as eyes:
        eyes.let_in(ada.address, ada.session.cookies)
        eyes.open(ada.url(f"/user/{ada.slug}/lab"), "File")
        eventually(
            lambda: file_menu(eyes),
            lambda labels: "Earlier Versions of Files" in labels,
            within=60,
            every=2,
            what="the menu File has it",
        )


@pytest.mark.skipif(not PROGRAM, reason="needs chromium")
def test_jupyterlab_warns_before_a_restore_in_place_stops_the_server(
    cluster: Cluster, people: dict[str, Person]
) -> None:
    """Two looks of JupyterLab long; who reads it has the time that is left."""
    ada = people["ada"]
    spec = {"hub": HUB, "user": "ada", "path": "notebooks", "inPlace": True, "warnSeconds": 40}
    meta = {"name": "over", "namespace": SPACE}
    with browser() as eyes:
        eyes.let_in(ada.address, ada.session.cookies)
        eyes.open(ada.url(f"/user/{ada.slug}/lab"), "File")
        cluster.apply({"apiVersion": "pdshub.dev/v1alpha1", "kind": "HubRestore", "metadata": meta, "spec": spec})
        eventually(
            eyes.text,
            lambda text: "Your server is stopped then" in text and HEADINGS["before-a-restore"] in text,
            within=40,
            what="the warning",
        )
        assert ada.model()["servers"][""]["ready"], "it goes on meanwhile"
        if PICTURES:
            eyes.picture(FOLDER / "before-a-restore.png")
    assert "Your server is stopped then" in ada.page("/hub/home")
    done = eventually(
        lambda: cluster.get("hubrestore", "over", SPACE).get("status", {}),
        lambda status: status.get("phase") in ("Completed", "Failed"),
        within=300,
        what="the restore",
    )
    assert done["phase"] == "Completed" and done["replaced"], done
    assert {c["type"]: c["status"] for c in done["conditions"]} == {"UserWarned": "True", "ServerStopped": "True"}
    ada.start()
    assert "notebooks/x.txt first of ada" in files(ada)
