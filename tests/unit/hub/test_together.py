"""The whole package in one hub, as the operator configures it: who may ask it what, and that nothing is said twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from yarl import URL

from pdshub.hub_api.client import opened
from pdshub.reconcile.hub.people.document import Document, People
from pdshub.reconcile.hub.people.document import digest as operators_digest
from pdshub.reconcile.hub.people.removal import Removed, remove
from pdshub_hub import people
from tests.unit.hub.real_hub import PASSWORD, TOKEN, Browser, RealHub, running, said, spec, with_token

LISTS = [
    People(),
    People(frozenset({"ada@example.org", "root"}), frozenset({"root"})),
    People(frozenset({"a+b@x.org"}), suspended=frozenset({"eve"}), domains=frozenset({"asu.edu"})),
    People(allowed_groups=frozenset({"team@x.org", "größe"}), admin_groups=frozenset({"admins@x.org"})),
]


@pytest.mark.parametrize("listed", LISTS)
def test_operator_and_hub_have_one_formula_for_a_list(listed: People) -> None:
    document = Document.of(listed)
    assert people.digest(listed.body()) == operators_digest(listed.body()) == document.digest
    read = people.parse(document.text.encode())
    assert read.digest == document.digest
    for field in ("allowed", "admins", "suspended", "domains", "allowed_groups", "admin_groups"):
        assert getattr(read, field) == getattr(listed, field)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    with running(tmp_path_factory.mktemp("hub"), spec(google=False)) as started:
        yield started


class News:
    """What the hub wrote down since the last look."""

    def __init__(self, hub: RealHub) -> None:
        self.hub, self.last = hub, 0
        self.run = ""
        self.read()

    def read(self) -> list[tuple[str, str, str]]:
        query: dict[str, Any] = {"run": self.run, "after": self.last}
        found = self.hub.operator("GET", "/hub/api/pdshub/audit", params=query).json()
        self.run, self.last = found["run"], found["last"]
        for entry in found["entries"]:
            if entry["event"].startswith("sign-in"):
                assert entry["address"] == "127.0.0.1" and (entry["user"] or entry["claimed"])
        return [(entry["event"], entry["user"], entry.get("reason", "")) for entry in found["entries"]]


ATTEMPTS: list[tuple[str, str, int, tuple[str, str, str]]] = [
    ("ada", PASSWORD, 302, ("sign-in", "ada", "")),
    (" Ada", PASSWORD, 302, ("sign-in", "ada", "")),
    ("ada", "wrong", 403, ("sign-in-refused", "", "not-proven")),
    ("bela", PASSWORD, 403, ("sign-in-refused", "bela", "not-listed")),
    ("eve", PASSWORD, 403, ("sign-in-refused", "eve", "suspended")),
    ("a\u0430a", PASSWORD, 403, ("sign-in-refused", "", "name-refused")),
]


@pytest.mark.parametrize(("name", "password", "status", "entry"), ATTEMPTS)
def test_each_attempt_to_sign_in_is_written_once(
    hub: RealHub, name: str, password: str, status: int, entry: tuple[str, str, str]
) -> None:
    hub.write(allowed=["ada", "eve"], suspended=["eve"])
    news = News(hub)
    assert Browser(hub).fill_in(name, password).status_code == status
    assert news.read() == [entry]


def test_a_list_that_can_not_be_read_is_written_once(hub: RealHub) -> None:
    hub.write(allowed=["ada"])
    hub.spoil("{")
    news = News(hub)
    assert Browser(hub).fill_in("ada", PASSWORD).status_code == 403
    assert news.read() == [("sign-in-refused", "ada", "list-unreadable")]
    hub.write(allowed=["ada"])


def test_who_goes_off_the_list_is_cut_off(hub: RealHub) -> None:
    hub.write(allowed=["ada"])
    browser = Browser(hub)
    browser.fill_in("ada", PASSWORD)
    assert browser.home() == 200
    news = News(hub)
    hub.write(allowed=[])
    hub.until(lambda: browser.home() != 200)
    found = news.read()
    assert found and set(found) == {("cut-off", "ada", "")}


@pytest.mark.parametrize("path", ["/hub/api/pdshub/people", "/hub/api/pdshub/audit"])
def test_what_the_operator_asks_is_answered_to_nobody_else(hub: RealHub, path: str) -> None:
    """Not to users, admins among them, nor to strangers: each has a custom scope that only the operator's role has."""
    hub.write(allowed=["ada"], admins=["root"])
    assert requests.get(hub.url + path, timeout=120).status_code == 403
    assert with_token(hub, "of-nobody", "GET", path) == 403
    for name in ("ada", "root"):
        browser = Browser(hub)
        browser.fill_in(name, PASSWORD)
        assert with_token(hub, browser.token(name), "GET", path) == 403
        assert browser.get(path).status_code == 403
    assert hub.operator("GET", path).status_code == 200


CLOSED: list[tuple[str, str, Any]] = [
    ("POST", "users/eve", None),
    ("PATCH", "users/ada", {"admin": True}),
    ("POST", "users/ada/server", None),
    ("POST", "groups/new", None),
    ("POST", "shutdown", {}),
    ("GET", "proxy", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CLOSED)
def test_the_operators_role_can_no_more_than_it_needs(hub: RealHub, method: str, path: str, body: Any) -> None:
    hub.write(allowed=["ada"])
    Browser(hub).fill_in("ada", PASSWORD)
    answer = hub.operator(method, f"/hub/api/{path}", **({} if body is None else {"json": body}))
    assert answer.status_code in (403, 404), answer.text


def test_the_operators_role_is_enough_to_take_somebody_out(hub: RealHub) -> None:
    hub.write(allowed=["ada", "bela"], admins=["ada"])
    browser, other = Browser(hub), Browser(hub)
    browser.fill_in("ada", PASSWORD)
    other.fill_in("bela", PASSWORD)
    token = browser.token("ada")
    assert with_token(hub, token, "POST", "/hub/api/users/ada/server") in (201, 202)
    hub.until(lambda: bool(hub.operator("GET", "/hub/api/users/ada").json()["servers"][""]["ready"]))
    hub.write(allowed=["bela"])

    async def taken_out() -> Removed:
        async with opened(URL(f"{hub.url}/hub/api"), TOKEN) as client:
            return await remove(client, "ada", lambda step: None, asyncio.Semaphore(1), 0.1)

    done = asyncio.run(taken_out())
    assert (done.found, done.servers) == (True, 1) and done.tokens >= 1
    assert hub.operator("GET", "/hub/api/users/ada").status_code == 404
    assert with_token(hub, token, "GET", "/hub/api/user") == 403
    hub.write(allowed=["ada", "bela"])
    assert browser.home() != 200, "a cookie of before is nobody's, also after they were let in again"
    assert other.home() == 200


PAGES: list[tuple[str, dict[str, Any], str, list[str], str]] = [
    ("bela", {}, "You are not on the list of this hub", ["bela is not on the list", "To be put on the list"], ""),
    ("expired", {}, "You are not on the list of this hub", ["expired is not on the list"], "too old"),
    ("eve", {"suspended": ["eve"]}, "Your access is suspended", ["The access of eve is suspended"], "To be put on"),
    ("a\u0430", {}, "This hub does not take that name", ["U+0430"], "To be put on"),
]


@pytest.mark.parametrize(("name", "listed", "title", "says", "not_said"), PAGES)
def test_the_page_of_a_refusal_says_which_it_is(
    hub: RealHub, name: str, listed: dict[str, Any], title: str, says: list[str], not_said: str
) -> None:
    hub.write(allowed=["ada"], **listed)
    answer = Browser(hub).fill_in(name, PASSWORD)
    text = said(answer)
    assert answer.status_code == 403 and title in text and all(each in text for each in says), text
    assert not not_said or not_said not in text


def test_the_page_while_the_list_can_not_be_read_sends_nobody_to_be_listed(hub: RealHub) -> None:
    hub.write(allowed=["ada"])
    hub.spoil("{")
    text = said(Browser(hub).fill_in("ada", PASSWORD))
    assert "Nobody new is let in at present" in text and "To be put on" not in text
    hub.write(allowed=["ada"])
