"""Google's sign-in in a real JupyterHub, against a provider that speaks as Google does: who gets in, and who does not.

The hub is configured by what the operator renders. Nothing here waits for a time to pass: the list is in effect as soon
as the hub says so, and a refusal of ``refresh_user`` is asked for anew with each request.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.unit.hub import google_provider
from tests.unit.hub.google_provider import account
from tests.unit.hub.real_hub import Browser, RealHub, part_of, running, said, spec, with_token

ADA, BELA, ROOT = "ada@example.org", "bela@example.org", "root@example.org"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with google_provider.running() as base:
        yield base


@pytest.fixture(scope="module")
def google(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    folder = tmp_path_factory.mktemp("google")
    with running(folder, spec(hostedDomains=["example.org", "asu.edu"]), provider) as hub:
        yield hub


def person(hub: RealHub, email: str, **claims: Any) -> tuple[Browser, str]:
    """A browser, and an account of its own at the provider."""
    return Browser(hub), account(hub.provider, uuid.uuid4().hex, email, **claims)


def signed_in(hub: RealHub, email: str) -> Browser:
    browser, sub = person(hub, email)
    answer = browser.sign_in(sub)
    assert (answer.status_code, answer.headers.get("Location")) == (302, "/hub/home"), said(answer)
    assert browser.home() == 200
    return browser


def is_out(browser: Browser) -> bool:
    """Whether the hub sends this browser to its sign-in page."""
    answer = browser.get("/hub/home")
    return answer.status_code == 302 and "/hub/login" in answer.headers["Location"]


def out(hub: RealHub, browser: Browser) -> bool:
    """Whether the hub sends this browser to its sign-in page, once it has asked the list again; and then always."""
    hub.until(lambda: is_out(browser))
    return is_out(browser)


def refused(hub: RealHub, email: str, **claims: Any) -> str:
    """What the hub says to somebody whom it does not let in."""
    browser, sub = person(hub, email, **claims)
    answer = browser.sign_in(sub)
    assert answer.status_code == 403, said(answer)
    assert out(hub, browser)
    return said(answer)


@pytest.mark.parametrize("email", [ADA, "Ada@Example.org", "  ADA@example.org\n"])
def test_who_is_listed_gets_in_however_google_writes_it(google: RealHub, email: str) -> None:
    google.write(allowed=[ADA])
    browser, sub = person(google, email, hd="example.org")
    assert browser.sign_in(sub).headers.get("Location") == "/hub/home"
    assert google.operator("GET", f"/hub/api/users/{ADA}").json()["name"] == ADA


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("not listed", "eve@example.org", {}, "not on the list"),
    ("dots count", "a.da@example.org", {}, "not on the list"),
    ("plus signs count", "ada+x@example.org", {}, "not on the list"),
    ("suspended", "sus@example.org", {}, "suspended"),
    ("no hosted domain", ADA, {"hd": None}, "none of the organizations"),
    ("another hosted domain", ADA, {"hd": "evil.com"}, "none of the organizations"),
    ("unverified", ADA, {"verified_email": False}, "not verified"),
    ("verified in words", ADA, {"verified_email": "true"}, "not verified"),
    ("nothing said of it", ADA, {"verified_email": None}, "not verified"),
    ("two claims that differ", ADA, {"email_verified": False}, "not verified"),
    ("a look-alike", "\u0430da@example.org", {}, "U+0430 CYRILLIC SMALL LETTER A"),
    ("a blank inside", "ada @example.org", {}, "U+0020 SPACE"),
    ("no e-mail", "ada", {}, "no e-mail address"),
    ("two at signs", "x@asu.edu@example.org", {}, "no e-mail address"),
    ("an unlisted one of a listed domain's child", "x@cs.asu.edu", {"hd": "asu.edu"}, "not on the list"),
    ("unverified, of a listed domain", "x@asu.edu", {"verified_email": False}, "not verified"),
]


@pytest.mark.parametrize(("email", "claims", "says"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_refused(google: RealHub, email: str, claims: dict[str, Any], says: str) -> None:
    google.write(allowed=[ADA, "sus@example.org"], suspended=["sus@example.org"], domains=["asu.edu"])
    assert says in refused(google, email, **claims)


def test_a_domain_admits_where_it_is_asked_for(google: RealHub) -> None:
    google.write(domains=["asu.edu"])
    browser = signed_in(google, "student@asu.edu")
    assert google.people(user="student@asu.edu") == {"allowed": True, "why": "domain"}
    google.write(allowed=[ADA])
    assert out(google, browser)
    assert google.people(user="student@asu.edu") == {"allowed": False, "why": "not-listed"}


def test_an_empty_list_admits_nobody_and_cuts_everybody_off(google: RealHub) -> None:
    google.write(allowed=[ADA])
    browser = signed_in(google, ADA)
    google.write()
    assert out(google, browser)
    assert "not on the list" in refused(google, ADA)


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[]", '{"version": 1}', '{"version": 2, "allowed": ["bela@example.org"], "digest": "x"}'],
    ids=["none", "empty", "no JSON", "no map", "no digest", "another version"],
)
def test_a_list_that_cannot_be_read_lets_nobody_in_and_cuts_nobody_off(google: RealHub, content: str | None) -> None:
    google.write(allowed=[ADA, BELA], admins=[ROOT])
    ada, root = signed_in(google, ADA), signed_in(google, ROOT)
    google.spoil(content)
    assert "can't be read" in refused(google, BELA)
    assert ada.home() == 200 and root.get("/hub/admin").status_code == 200
    google.write(allowed=[BELA])
    assert out(google, ada)


def test_who_was_removed_stays_out_while_the_list_cannot_be_read(google: RealHub) -> None:
    google.write(allowed=[ADA, BELA])
    ada, bela = signed_in(google, ADA), signed_in(google, BELA)
    google.write(allowed=[BELA])
    google.spoil("{")
    assert out(google, ada) and bela.home() == 200


def test_a_removed_user_with_an_old_cookie_an_old_token_and_an_old_server(google: RealHub) -> None:
    google.write(allowed=[ADA], admins=[ROOT])
    ada = signed_in(google, ADA)
    token, admins = ada.token(ADA), signed_in(google, ROOT).token(ROOT)
    assert with_token(google, token, "GET", "/hub/api/user") == 200
    assert with_token(google, token, "POST", f"/hub/api/users/{ADA}/server") == 201
    google.write(admins=[ROOT])
    assert out(google, ada)
    assert with_token(google, token, "GET", "/hub/api/user") == 403
    assert with_token(google, token, "POST", f"/hub/api/users/{ADA}/tokens", json={}) == 403
    assert google.operator("DELETE", f"/hub/api/users/{ADA}/server").status_code in (202, 204)
    assert with_token(google, token, "POST", f"/hub/api/users/{ADA}/server") == 403
    assert with_token(google, admins, "POST", f"/hub/api/users/{ADA}/server") == 403, "whoever asks for it"
    assert google.operator("DELETE", f"/hub/api/users/{ADA}").status_code == 204
    google.write(allowed=[ADA, BELA])
    assert out(google, ada), "the record was deleted, and its cookies with it"
    assert with_token(google, token, "GET", "/hub/api/user") == 403


def test_an_admin_is_one_by_the_list_at_once_both_ways(google: RealHub) -> None:
    google.write(allowed=[BELA], admins=[ROOT])
    root, bela = signed_in(google, ROOT), signed_in(google, BELA)
    token = root.token(ROOT)
    assert root.get("/hub/admin").status_code == 200 and bela.get("/hub/admin").status_code == 403
    assert with_token(google, token, "GET", "/hub/api/users") == 200
    assert with_token(google, token, "PATCH", f"/hub/api/users/{BELA}", json={"admin": True}) == 200
    google.write(allowed=[ROOT, BELA])
    google.until(lambda: root.get("/hub/admin").status_code == 403)
    assert with_token(google, token, "GET", "/hub/api/users") == 403
    # made one by another admin, and by no list
    google.until(lambda: bela.get("/hub/admin").status_code == 403)
    google.write(allowed=[ROOT], admins=[BELA])
    google.until(lambda: bela.get("/hub/admin").status_code == 200)


# --- the way to the provider and back


def test_a_state_is_used_once(google: RealHub) -> None:
    google.write(allowed=[ADA])
    browser, sub = person(google, ADA)
    page = browser.set_out()
    cookies = browser.session.cookies.copy()
    back = browser.consent(page, sub)
    assert browser.get(back).status_code == 302
    again = Browser(google)
    again.session.cookies.update(cookies)
    assert again.get(back).status_code == 400, "code and state a second time"
    fresh = again.consent(page, sub)
    again.session.cookies.update(cookies)
    answer = again.get(fresh)
    assert answer.status_code == 400 and "used before" in said(answer), "a new code for a state that was used"
    assert out(google, again)


def test_a_code_is_used_once(google: RealHub) -> None:
    google.write(allowed=[ADA])
    browser, sub = person(google, ADA)
    back = browser.consent(browser.set_out(), sub)
    assert browser.get(back).status_code == 302
    other = Browser(google)
    taken = {"code": part_of(back, "code"), "state": part_of(other.set_out(), "state")}
    answer = other.get("/hub/oauth_callback", params=taken)
    assert answer.status_code == 400 and "sign in again" in said(answer) and is_out(other)


@pytest.mark.parametrize(
    "back",
    [
        "/hub/oauth_callback",
        "/hub/oauth_callback?code=x",
        "/hub/oauth_callback?code=x&state=",
        "/hub/oauth_callback?code=x&state=bm8",
        "/hub/oauth_callback?code=x&state=W10=",
        "/hub/oauth_callback?code=x&state=%D0%B0",
        "/hub/oauth_callback?error=access_denied&error_description=no",
    ],
)
def test_a_way_back_that_is_none(google: RealHub, back: str) -> None:
    browser = Browser(google)
    browser.set_out()
    assert browser.get(back).status_code == 400 and out(google, browser)


def test_nobody_is_signed_in_as_somebody_else_by_a_link(google: RealHub) -> None:
    """Login CSRF: the attacker's code, in a browser that did not set out, or that set out on a way of its own."""
    google.write(allowed=[ADA])
    attacker, sub = person(google, ADA)
    link = attacker.consent(attacker.set_out(), sub)
    idle, on_its_way = Browser(google), Browser(google)
    on_its_way.set_out()
    for victim in (idle, on_its_way):
        assert victim.get(link).status_code == 400
        assert is_out(victim)


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.com/x",
        "//evil.com/x",
        "///evil.com",
        "/\\evil.com",
        "\\\\evil.com",
        "http:evil.com",
        "javascript:alert(1)",
        "/hub/home\t//evil.com",
        " //evil.com",
        "/%09/evil.com",
        "https://127.0.0.1@evil.com/",
    ],
)
def test_no_next_leads_away_from_the_hub(google: RealHub, following: str) -> None:
    google.write(allowed=[ADA])
    browser, sub = person(google, ADA)
    answer = browser.sign_in(sub, following)
    leads = answer.headers["Location"]
    assert (
        answer.status_code == 302
        and urlsplit(requests.compat.urljoin(google.url, leads)).netloc == urlsplit(google.url).netloc
    )
    assert leads.startswith("/") and not leads.startswith(("//", "/\\"))
    page = browser.get("/hub/login", params={"next": following}).headers["Location"]
    assert urlsplit(requests.compat.urljoin(google.url, page)).netloc == urlsplit(google.url).netloc


# --- what the operator asks


def test_only_the_operator_may_ask_for_the_list(google: RealHub) -> None:
    google.write(allowed=[ADA], admins=[ROOT])
    root = signed_in(google, ROOT)
    assert requests.get(google.url + "/hub/api/pdshub/people", timeout=30).status_code == 403
    assert signed_in(google, ADA).get("/hub/api/pdshub/people").status_code == 403
    assert with_token(google, root.token(ROOT), "GET", "/hub/api/pdshub/people") == 403


def test_it_is_told_of_people_who_are_in_the_database(google: RealHub) -> None:
    google.write(allowed=[ADA])
    signed_in(google, ADA)
    assert google.people(user=ADA) == {"allowed": True, "why": "listed"}
    assert google.people(user="nobody@example.org") == {"allowed": False, "why": "not-listed"}
    google.write(allowed=[ADA], suspended=[ADA])
    assert google.people(user=ADA) == {"allowed": False, "why": "suspended"}


def test_groups_of_a_claim_admit_and_make_admins(google: RealHub) -> None:
    google.write(groups={"allowed": ["sbn"], "admins": ["keepers"]})
    member, sub = person(google, "m@example.org", groups=["other", "sbn"])
    assert member.sign_in(sub).status_code == 302 and member.home() == 200
    assert google.people(user="m@example.org") == {"allowed": True, "why": "group"}
    keeper, sub = person(google, "k@example.org", groups=["keepers"])
    keeper.sign_in(sub)
    assert keeper.get("/hub/admin").status_code == 200 and member.get("/hub/admin").status_code == 403
    assert "not on the list" in refused(google, "n@example.org", groups="sbn")
    google.write(groups={"allowed": ["other"]})
    assert member.home() == 200 and out(google, keeper)
