"""The authenticators by themselves: traits that are refused, states that are used once, what refresh_user says."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Config

from pdshub_hub.development import PDSHubDevelopment
from pdshub_hub.google import GROUP_SECONDS, PDSHubGoogle, verified
from pdshub_hub.listed import Refused
from pdshub_hub.oauth_state import STATE_SECONDS, UsedStates
from pdshub_hub.people import PeopleFile, Why
from tests.unit.hub.test_people_file import Clock, written

REFUSED: list[tuple[type, str, dict[str, Any], str]] = [
    (PDSHubGoogle, "GoogleOAuthenticator", {"hosted_domains": ["x"]}, "is hosted_domain meant?"),
    (PDSHubGoogle, "OAuthenticator", {"client_idd": "x"}, "is client_id meant?"),
    (PDSHubGoogle, "Authenticator", {"allow_al": False}, "is allow_all meant?"),
    (PDSHubGoogle, "PDSHubGoogle", {"xyz": 1}, "no such trait"),
    (PDSHubGoogle, "GoogleOauthenticator", {"hosted_domain": ["x"]}, "is GoogleOAuthenticator meant?"),
    (PDSHubGoogle, "GoogleOAuthentcator", {"hosted_domain": ["x"]}, "is GoogleOAuthenticator meant?"),
    (PDSHubGoogle, "Authenticator", {"allow_all": True}, "allow_all"),
    (PDSHubGoogle, "OAuthenticator", {"allow_existing_users": True}, "allow_existing_users"),
    (PDSHubGoogle, "Authenticator", {"allowed_users": {"eve"}}, "allowed_users"),
    (PDSHubGoogle, "Authenticator", {"whitelist": {"eve"}}, "allowed_users"),
    (PDSHubGoogle, "Authenticator", {"admin_users": {"eve"}}, "admin_users"),
    (PDSHubGoogle, "Authenticator", {"username_map": {"eve": "root"}}, "username_map"),
    (PDSHubGoogle, "Authenticator", {"auth_refresh_age": 0}, "from 1 to 10"),
    (PDSHubGoogle, "Authenticator", {"auth_refresh_age": 300}, "from 1 to 10"),
    (PDSHubGoogle, "Authenticator", {"refresh_pre_spawn": False}, "refresh_pre_spawn"),
    (PDSHubGoogle, "GoogleOAuthenticator", {"strip_domain": True}, "strip_domain"),
    (PDSHubGoogle, "OAuthenticator", {"username_claim": "name"}, "username_claim"),
    (PDSHubGoogle, "OAuthenticator", {"allowed_scopes": ["openid"]}, "allowed_scopes"),
    (PDSHubGoogle, "OAuthenticator", {"enable_pkce": False}, "enable_pkce"),
    (PDSHubDevelopment, "DummyAuthenticator", {"allow_all": True}, "allow_all"),
    (PDSHubDevelopment, "DummyAuthenticator", {"pasword": "x"}, "is password meant?"),
]


@pytest.mark.parametrize(("kind", "section", "traits", "says"), REFUSED)
def test_traits_that_are_refused(kind: Any, section: str, traits: dict[str, Any], says: str) -> None:
    with pytest.raises(TraitError, match="PDSHub: ") as refused:
        kind(config=Config({section: traits}))
    assert says in str(refused.value)


@pytest.mark.parametrize("kind", [PDSHubGoogle, PDSHubDevelopment])
def test_the_traits_of_others_are_theirs(kind: Any) -> None:
    others = {"KubeSpawner": {"x": 1}, "ConfigurableHTTPProxy": {"y": 2}, "PAMAuthenticator": {"z": 3}}
    made = kind(config=Config({**others, "Authenticator": {"auth_refresh_age": 10, "blocked_users": {"eve"}}}))
    assert (made.allow_all, made.refresh_pre_spawn, made.auth_refresh_age) == (False, True, 10)
    assert kind(config=Config()).auth_refresh_age == 1


@pytest.mark.parametrize(
    ("info", "is_verified"),
    [
        ({}, False),
        ({"verified_email": True}, True),
        ({"email_verified": True}, True),
        ({"verified_email": True, "email_verified": True}, True),
        ({"verified_email": True, "email_verified": False}, False),
        ({"verified_email": "true"}, False),
        ({"verified_email": 1}, False),
        ({"verified_email": None}, False),
    ],
)
def test_verified(info: dict[str, Any], is_verified: bool) -> None:
    assert verified(info) is is_verified


def test_a_state_is_used_once_and_forgotten_in_time() -> None:
    clock = Clock()
    used = UsedStates(clock)
    assert used.use("a") and not used.use("a") and used.use("b")
    clock.now += STATE_SECONDS + 1
    assert used.use("c") and list(used._used) == ["c"], "the cookie is older by then than a state may be"


class User(SimpleNamespace):
    async def get_auth_state(self) -> Any:
        return self.state


def judged(tmp_path: Path, user: User, **content: Any) -> Any:
    path = tmp_path / "people.json"
    path.write_bytes(written(**content))
    authenticator = PDSHubGoogle(config=Config())
    authenticator.people = PeopleFile(path)
    return asyncio.run(authenticator.refresh_user(user))


@pytest.mark.parametrize(
    ("name", "admin", "content", "said"),
    [
        ("ada", False, {}, True),
        ("ada", True, {}, {"name": "ada", "admin": False}),
        ("ada", False, {"admins": ["ada"]}, {"name": "ada", "admin": True}),
        ("ada", True, {"admins": ["ada"]}, True),
        ("ada", True, {"admins": ["ada"], "suspended": ["ada"]}, False),
        ("eve", True, {}, False),
    ],
)
def test_refresh_user(tmp_path: Path, name: str, admin: bool, content: dict[str, Any], said: Any) -> None:
    assert judged(tmp_path, User(name=name, admin=admin, state=None), **content) == said


@pytest.mark.parametrize("admin", [True, False])
def test_before_a_list_could_be_read_whoever_is_in_stays(tmp_path: Path, admin: bool) -> None:
    """The hub restarts, and the list is not there: nobody is cut off, nobody becomes or ceases to be an admin."""
    authenticator = PDSHubDevelopment(config=Config())
    authenticator.people = PeopleFile(tmp_path / "none.json")
    assert asyncio.run(authenticator.refresh_user(User(name="ada", admin=admin, state=None))) is True
    with pytest.raises(Refused) as refused:
        asyncio.run(authenticator.check_allowed("ada", {"name": "ada"}))
    assert (refused.value.why, refused.value.status_code) == (Why.LIST_UNREADABLE, 403)


@pytest.mark.parametrize(
    ("age", "said"), [(0, True), (GROUP_SECONDS - 60, True), (GROUP_SECONDS + 1, False), (-60, False)]
)
def test_a_membership_is_believed_for_a_week(tmp_path: Path, age: float, said: bool) -> None:
    info = {"email": "eve@example.org", "domain": "example.org", "google_groups": ["sbn"]}
    user = User(name="eve@example.org", admin=False, state={"google_user": info, "pdshub_time": time.time() - age})
    assert judged(tmp_path, user, groups={"allowed": ["sbn@example.org"]}) is said
    assert judged(tmp_path, user, groups={"allowed": ["sbn@other.org", "sbn"]}) is False
