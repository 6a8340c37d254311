"""The page of earlier versions at a real hub: who sees what, and what strangers, forms and tokens cannot do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

pytest.importorskip("jupyterhub")

from tests.unit.hub import running
from tests.unit.hub.running import Hub

TOKEN, OTHER = "operators-token-of-the-test", "token-of-a-service-without-scopes"
ONE, TWO = "1a" * 32, "2b" * 32
MORE = f"""
c.JupyterHub.services = [
    {{"name": "pdshub-operator", "api_token": {TOKEN!r}}},
    {{"name": "other", "api_token": {OTHER!r}}},
]
c.JupyterHub.load_roles = [
    {{"name": "pdshub-operator", "services": ["pdshub-operator"],
     "scopes": ["custom:pdshub:earlier", "custom:pdshub:audit"]}},
    {{"name": "a-mistake", "users": ["carl"], "scopes": ["self", "custom:pdshub:earlier"]}},
]
"""
HOSTILE = "<img src=x onerror=alert(1)>\"'&.ipynb"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running.hub(tmp_path_factory.mktemp("hub"), MORE) as made:
        yield made


def operator(hub: Hub, method: str = "GET", token: str = TOKEN, **more: Any) -> requests.Response:
    headers = {"Authorization": f"token {token}"} if token else {}
    return requests.request(method, f"{hub.address}/hub/api/pdshub/earlier", headers=headers, timeout=120, **more)


def asks(hub: Hub) -> dict[str, Any]:
    answer = operator(hub)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def of(hub: Hub, user: str) -> dict[str, Any]:
    """The open question of somebody."""
    (found,) = [ask for ask in asks(hub)["asks"] if ask["user"] == user]
    return dict(found)


def answer(hub: Hub, user: str, **body: Any) -> int:
    """The operator answers somebody's open question."""
    told = {"run": asks(hub)["run"], "id": of(hub, user)["id"], "done": True, "ok": True, **body}
    return operator(hub, "POST", json=told).status_code


def page(hub: Hub, user: str, query: str = "") -> str:
    found = hub.get(f"/hub/earlier{query}", hub.sessions[user])
    assert found.status_code == 200, found.text
    return found.text


def token_of(hub: Hub, session: requests.Session) -> str:
    """The token of a session's forms."""
    found = re.search(r'xsrf_token: "([^"]+)"', hub.get("/hub/home", session).text)
    assert found
    return found[1]


def form(hub: Hub, user: str, /, xsrf: str | None = None, **fields: Any) -> requests.Response:
    """Send the page's form; by default with the session's own token."""
    session = hub.sessions[user]
    data = {"_xsrf": token_of(hub, session) if xsrf is None else xsrf, **fields}
    return session.post(f"{hub.address}/hub/earlier", data=data, timeout=120, allow_redirects=False)


def begin(hub: Hub, user: str, *ids: str) -> None:
    """Somebody signs in and has a list of versions."""
    asks(hub)
    hub.sign_in(user)
    page(hub, user)
    rows = [{"snapshot": id, "at": "2026-03-10T02:30:05Z", "files": 3, "sizeBytes": 4096} for id in ids]
    assert answer(hub, user, versions=rows) == 204


def test_a_home_is_listed_looked_into_and_brought_back(hub: Hub) -> None:
    begin(hub, "ada", ONE)
    text = page(hub, "ada")
    assert "2026-03-10 02:30 UTC" in text and "4.1 KB" in text and ONE in text
    sent = form(hub, "ada", version=ONE, open=".")
    assert sent.status_code == 303 and sent.headers["Location"] == f"/hub/earlier?version={ONE}&path=."
    asked = of(hub, "ada")
    assert (asked["what"], asked["snapshot"], asked["path"]) == ("browse", ONE, ".")
    assert 'http-equiv="refresh"' in page(hub, "ada", f"?version={ONE}&path=.")
    rows = [{"name": "notebooks", "kind": "Folder"}, {"name": HOSTILE, "kind": "File", "sizeBytes": 12}]
    assert answer(hub, "ada", entries=rows, taken="2026-03-10T02:31:00Z", more=7) == 204
    text = page(hub, "ada", f"?version={ONE}&path=.")
    assert "notebooks/" in text and "7 more" in text and "2026-03-10 02:31" in text
    assert "<img src=x" not in text and "&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;.ipynb" in text
    assert form(hub, "ada", version=ONE, back=HOSTILE).status_code == 303
    asked = of(hub, "ada")
    assert (asked["what"], asked["path"], asked["user"]) == ("restore", HOSTILE, "ada")
    assert answer(hub, "ada", done=False, message="It waits for its turn.") == 204
    assert "It waits for its turn." in page(hub, "ada")
    assert answer(hub, "ada", done=False, message="It is being brought back.") == 204
    assert page(hub, "ada").count("It is being brought back.") == 1, "nothing is said twice"
    assert answer(hub, "ada", message="It is in restored-2026-03-10 of your home: 1 files.") == 204
    assert "It is in restored-2026-03-10 of your home" in page(hub, "ada")


def test_nobody_asks_for_somebody_else(hub: Hub) -> None:
    begin(hub, "bela", TWO)
    begin(hub, "dora", ONE)
    sent = form(hub, "dora", version=TWO, back="x", user="bela", owner="bela")
    assert sent.status_code == 404 and "no such earlier version" in sent.text
    assert not [ask for ask in asks(hub)["asks"] if ask["user"] in ("bela", "dora") and ask["what"] != "list"]
    sent = form(hub, "dora", version=ONE, back="x", user="bela", id="0" * 32)
    assert sent.status_code == 303 and of(hub, "dora")["user"] == "dora"
    assert TWO not in page(hub, "dora", f"?version={TWO}&user=bela") and ONE not in page(hub, "bela", f"?version={ONE}")


PATHS = ["..", "../bela/x", "/etc/passwd", "a/../../b", "a\0b", "a\nb", "x" * 600, ""]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leads_elsewhere_is_refused(hub: Hub, path: str) -> None:
    begin(hub, f"path{PATHS.index(path)}", ONE)
    sent = form(hub, f"path{PATHS.index(path)}", version=ONE, back=path)
    assert sent.status_code == 400 and "no path in your home" in sent.text
    assert all(ask["user"] != f"path{PATHS.index(path)}" for ask in asks(hub)["asks"])


def test_a_text_that_is_none_is_refused(hub: Hub) -> None:
    begin(hub, "bytes", ONE)
    xsrf = requests.utils.quote(token_of(hub, hub.sessions["bytes"]))
    body = f"_xsrf={xsrf}&version={ONE}&back=%ff%fe"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = hub.sessions["bytes"].post(f"{hub.address}/hub/earlier", data=body, headers=headers, timeout=120)
    assert sent.status_code == 400


def test_a_form_of_another_site_does_nothing(hub: Hub) -> None:
    begin(hub, "emma", ONE)
    for wrong in ("", "guessed"):
        assert form(hub, "emma", xsrf=wrong, version=ONE, back="x").status_code == 403
    hub.sign_in("frank")
    franks = token_of(hub, hub.sessions["frank"])
    assert form(hub, "emma", xsrf=franks, version=ONE, back="x").status_code == 403, "a token of another session"
    assert all(ask["user"] != "emma" for ask in asks(hub)["asks"])


def test_nobody_without_a_session_sees_anything(hub: Hub) -> None:
    for token in ("", TOKEN, OTHER):
        headers = {"Authorization": f"token {token}"} if token else {}
        found = requests.get(f"{hub.address}/hub/earlier", headers=headers, allow_redirects=False, timeout=120)
        assert found.status_code == 302 and "/hub/login" in found.headers["Location"]
        sent = requests.post(f"{hub.address}/hub/earlier", headers=headers, data={"back": "x"}, timeout=120)
        assert sent.status_code == 403


def test_a_persons_token_opens_no_page(hub: Hub) -> None:
    """So no server that somebody visits asks in the visitor's name."""
    begin(hub, "gina", ONE)
    session = hub.sessions["gina"]
    xsrf = token_of(hub, session)
    made = session.post(
        f"{hub.address}/hub/api/users/gina/tokens", params={"_xsrf": xsrf}, json={"note": "x"}, timeout=120
    )
    token = made.json()["token"]
    seen = requests.get(
        f"{hub.address}/hub/earlier", headers={"Authorization": f"token {token}"}, allow_redirects=False, timeout=120
    )
    assert seen.status_code == 302
    assert operator(hub, token=token).status_code == 403


@pytest.mark.parametrize("token", ["", OTHER, "nonsense"])
def test_questions_and_answers_are_the_operators(hub: Hub, token: str) -> None:
    user = f"hugo{len(token)}"
    begin(hub, user, ONE)
    form(hub, user, version=ONE, back="x")
    told = {"run": asks(hub)["run"], "id": of(hub, user)["id"], "done": True, "ok": True, "message": "hacked"}
    assert operator(hub, token=token).status_code == 403
    assert operator(hub, "POST", token=token, json=told).status_code == 403
    assert of(hub, user)["what"] == "restore", "it is still open"
    assert answer(hub, user, message="done") == 204


def test_a_person_to_whom_a_role_gives_the_scope_may_not_either(hub: Hub) -> None:
    begin(hub, "ida", ONE)
    session = hub.sign_in("carl")
    query = {"_xsrf": token_of(hub, session)}
    seen = session.get(f"{hub.address}/hub/api/pdshub/earlier", params=query, timeout=120)
    assert seen.status_code == 403 and "ida" not in seen.text


BODIES = [b"", b"x", b"[]", b"{}", b'{"id": 1}', b'{"id": "x", "run": 5}', json.dumps({"id": "a" * 3_000_000}).encode()]


@pytest.mark.parametrize("body", BODIES)
def test_what_is_no_answer_is_refused(hub: Hub, body: bytes) -> None:
    sent = operator(hub, "POST", data=body)
    assert sent.status_code in (400, 404, 413)


def test_ten_thousand_questions_are_few(hub: Hub) -> None:
    begin(hub, "jack", ONE)
    xsrf = token_of(hub, hub.sessions["jack"])
    # as many as a test has time for; the desk's own test sends ten thousand
    seen = {form(hub, "jack", xsrf=xsrf, version=ONE, back=f"f{n}").status_code for n in range(50)}
    assert seen == {303, 409}
    assert len([ask for ask in asks(hub)["asks"] if ask["user"] == "jack"]) == 1


def test_it_is_written_down(hub: Hub) -> None:
    begin(hub, "kim", ONE)
    form(hub, "kim", version=ONE, back="data/x.csv")
    answer(hub, "kim", message="done")
    form(hub, "kim", version=TWO, back="y")
    found = requests.get(
        f"{hub.address}/hub/api/pdshub/audit", headers={"Authorization": f"token {TOKEN}"}, timeout=120
    ).json()["entries"]
    mine = [entry for entry in found if entry["user"] == "kim" and entry["event"].startswith("earlier")]
    assert [(entry["event"], entry.get("path", ""), entry.get("reason", "")) for entry in mine] == [
        ("earlier-restore", "data/x.csv", ""),
        ("earlier-refused", "", "not-found"),
    ]
    assert mine[0]["version"] == ONE[:12] and mine[0]["address"]


def test_the_first_page_leads_there(hub: Hub) -> None:
    begin(hub, "lena", ONE)
    assert 'href="/hub/earlier"' in hub.get("/hub/home", hub.sessions["lena"]).text
    assert hub.get("/hub/earlier", hub.sessions["lena"]).headers["Cache-Control"] == "no-store"
