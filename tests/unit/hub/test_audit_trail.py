"""What a real JupyterHub writes down, each event once, and who may fetch it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jupyterhub")

from tests.unit.hub.audit_hub import (
    ADA,
    BARE,
    BELA,
    BELAS_ADDRESS,
    ROOT_USER,
    Hub,
    ask_from,
    running,
)

HERE = "127.0.0.1"
Entry = dict[str, Any]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder: Path = tmp_path_factory.mktemp("hub")
    with running(folder) as hub:
        yield hub


@pytest.fixture
def hub(started: Hub) -> Hub:
    started.news()
    return started


def test_who_signs_in_and_out(hub: Hub) -> None:
    person = hub.person()
    assert person.sign_in(ADA) == 302
    assert hub.news() == [{"event": "sign-in", "user": ADA, "address": HERE}]
    person.get("/hub/logout")
    assert hub.news() == [{"event": "sign-out", "user": ADA, "address": HERE}]
    person.get("/hub/logout")  # nobody is there any more
    assert hub.news() == []


REFUSED = [
    # name, password, the form's token (None: as it should be), the entry
    ("eve@example.org", None, None, {"user": "eve@example.org", "reason": "not-allowed"}),
    (ADA, "wrong", None, {"user": "", "reason": "not-proven", "claimed": ADA}),
    ("x" * 5000, "wrong", None, {"user": "", "reason": "not-proven", "claimed": "x" * 299 + "…"}),
    ("a\x1b[2Jb", "wrong", None, {"user": "", "reason": "not-proven", "claimed": "a [2Jb"}),
    (ADA, None, "forged", {"user": "", "reason": "bad-request", "status": 403}),
]


@pytest.mark.parametrize(("name", "password", "token", "entry"), REFUSED)
def test_who_is_refused_and_why(hub: Hub, name: str, password: str | None, token: str | None, entry: Entry) -> None:
    person = hub.person()
    more = {"password": password} if password else {}
    assert person.sign_in(name, token=token, **more) == 403
    assert hub.news() == [{"event": "sign-in-refused", "address": HERE, **entry}]


def test_a_token_by_a_password_is_a_sign_in(hub: Hub) -> None:
    for password, status, events in (
        ("wrong", 403, ["sign-in-refused"]),
        ("the-shared-password", 201, ["sign-in", "token-made"]),
    ):
        body = {"auth": {"username": ADA, "password": password}}
        assert hub.api("POST", f"users/{ADA}/tokens", token="", json=body).status_code == status
        found = hub.news()
        assert [entry["event"] for entry in found] == events
        assert "the-shared-password" not in str(found)


def test_servers_of_others(hub: Hub) -> None:
    ada, bela, root = hub.person(), hub.person(), hub.person()
    assert [each.sign_in(name) for each, name in ((ada, ADA), (bela, BELA), (root, ROOT_USER))] == [302] * 3
    hub.news()
    # one's own is nobody's business
    assert bela.api("POST", f"users/{BELA}/server").status_code in (201, 202)
    _until_ready(hub, BELA)
    assert bela.enter(BELA) == 302
    assert hub.news() == []
    # by the page, where the hub asks whether one wants to
    assert root.enter(BELA) == 302
    assert hub.news() == [{"event": "access", "user": ROOT_USER, "owner": BELA, "way": "page", "address": HERE}]
    assert ada.enter(BELA) == 403
    assert hub.news() == [{"event": "access-refused", "user": ADA, "owner": BELA, "way": "page", "address": HERE}]
    # with a token, which the server itself asks about
    made = root.api("POST", f"users/{ROOT_USER}/tokens", json={"note": "x"})
    hub.news()
    token = made.json()["token"]
    assert ask_from(BELAS_ADDRESS, hub.base, token) == 200
    assert hub.news() == [{"event": "access", "user": ROOT_USER, "owner": BELA, "way": "token"}]
    assert ask_from(BELAS_ADDRESS, hub.base, token) == 200  # still there
    assert ask_from(HERE, hub.base, token) == 200  # no server is at this address
    assert hub.news() == []
    # stopped and started by another
    assert root.api("DELETE", f"users/{BELA}/server").status_code in (202, 204)
    assert hub.news() == [{"event": "server-stop", "user": ROOT_USER, "owner": BELA, "way": "api"}]
    assert root.api("POST", f"users/{ADA}/server").status_code in (201, 202)
    assert hub.news() == [{"event": "server-start", "user": ROOT_USER, "owner": ADA, "way": "api"}]
    _until_ready(hub, ADA)
    assert hub.api("DELETE", f"users/{ADA}/server").status_code in (202, 204)
    assert hub.news() == [{"event": "server-stop", "user": "service pdshub-operator", "owner": ADA, "way": "api"}]


def _until_ready(hub: Hub, name: str) -> None:
    for _ in range(300):
        if hub.api("GET", f"users/{name}").json().get("server"):
            return
        time.sleep(0.2)
    raise AssertionError("no server")


def test_rights_and_records_of_people(hub: Hub) -> None:
    root = hub.person()
    assert root.sign_in(ROOT_USER) == 302
    hub.news()
    new = "cora@example.org"
    steps: list[tuple[str, str, Any, int, list[Entry]]] = [
        ("POST", f"users/{new}", {}, 201, [{"event": "user-added", "target": new}]),
        ("PATCH", f"users/{new}", {"admin": True}, 200, [{"event": "admin-change", "target": new, "admin": True}]),
        ("PATCH", f"users/{new}", {"admin": False}, 200, [{"event": "admin-change", "target": new, "admin": False}]),
        ("POST", f"users/{new}/tokens", {"note": "n"}, 201,
         [{"event": "token-made", "target": new, "asked": "POST"}]),
        ("POST", "groups/teams", {}, 201, [{"event": "group-change", "target": "teams", "asked": "POST"}]),
        ("POST", "groups/teams/users", {"users": [new]}, 200,
         [{"event": "group-change", "target": "teams", "asked": "POST"}]),
        ("DELETE", f"users/{new}", None, 204, [{"event": "user-deleted", "target": new, "asked": "DELETE"}]),
        ("DELETE", f"users/{new}", None, 404, []),
    ]  # fmt: skip
    for method, page, body, status, entries in steps:
        answer = root.api(method, page, **({} if body is None else {"json": body}))
        assert answer.status_code == status, answer.text
        assert hub.news() == [{**entry, "user": ROOT_USER} for entry in entries]


@pytest.mark.parametrize(
    ("token", "query", "status"),
    [
        ("", {}, 403),
        (BARE, {}, 403),
        ("nonsense", {}, 403),
        (None, {"after": "-1"}, 400),
        (None, {"after": "1e9"}, 400),
        (None, {"limit": "٣"}, 400),
        (None, {"after": "9" * 30}, 400),
        (None, {"limit": "999999", "run": "another"}, 200),
    ],
)
def test_who_may_fetch_it_and_how(hub: Hub, token: str | None, query: dict[str, str], status: int) -> None:
    more = {} if token is None else {"token": token}
    assert hub.api("GET", "pdshub/audit", params=query, **more).status_code == status


def test_fetching_goes_on_where_it_ended_and_waits(hub: Hub) -> None:
    for _ in range(3):
        hub.person().sign_in(ADA, "wrong")
    whole = hub.spool()
    assert [entry["seq"] for entry in whole["entries"]] == list(range(1, whole["last"] + 1))
    page = hub.spool(run=whole["run"], after=whole["last"] - 2, limit=1)
    assert [entry["seq"] for entry in page["entries"]] == [whole["last"] - 1] and page["first"] == 1
    assert hub.spool(run="another", after=whole["last"])["entries"] == whole["entries"]
    assert hub.spool(run=whole["run"], after=whole["last"], wait=1)["entries"] == []
