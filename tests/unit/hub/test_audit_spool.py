"""The spool of a hub: bounded, numbered, and not to be buried; and what an authenticator's answer is called."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from pdshub_hub import audit
from pdshub_hub.audit import Spool

pytest.importorskip("jupyterhub")

from jupyterhub.auth import Authenticator
from tornado.web import HTTPError

from pdshub_hub.audit_attempts import ATTEMPT, watched
from pdshub_hub.audit_servers import AGAIN, Entered
from pdshub_hub.listed import refuse
from pdshub_hub.people import Why


def test_numbers_grow_and_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    spool = Spool(clock=lambda: now[0])
    assert spool.bounds == (1, 0)
    for number in range(audit.LIMIT + 5):
        now[0] += 60.0
        spool.record("sign-in", f"u{number}")
    assert spool.bounds == (6, audit.LIMIT + 5)
    assert [entry["seq"] for entry in spool.after(0, 2)] == [6, 7]
    assert spool.after(audit.LIMIT + 4)[0]["user"] == f"u{audit.LIMIT + 4}"


@pytest.mark.parametrize(("event", "most"), [("sign-in-refused", 60), ("sign-in", 120), ("anything", 120)])
def test_what_comes_too_often_is_counted(event: str, most: int) -> None:
    now = [600.0]
    spool = Spool(clock=lambda: now[0])
    for number in range(1000):
        spool.record(event, f"u{number}", reason="not-proven")
    spool.record("access", "root", owner="ada")  # another event is not buried
    assert spool.bounds[1] == most + 1
    now[0] = 661.0
    (more,) = [entry for entry in spool.after(0, 5000) if entry["event"] == audit.MORE]
    assert (more["of"], more["count"]) == (event, 1000 - most)
    spool.record(event, "again")
    assert spool.after(most + 2)[0]["user"] == "again"


HOSTILE = ["x" * 10_000, "a\x1b[2J\nb", "\u202e", "\ud800"]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_are_short_and_on_one_line(text: str) -> None:
    spool = Spool()
    spool.record("sign-in", text, said=text, seq=99, time=0, count=3)
    (entry,) = spool.after(0)
    for key in ("user", "said"):
        assert len(entry[key]) <= audit.LONGEST and entry[key].isprintable()
    assert entry["seq"] == 1 and entry["time"] > 0 and entry["count"] == 3


def test_who_waits_is_told_at_once() -> None:
    async def scenario() -> None:
        spool = Spool()
        await spool.newer(0, 0.01)  # nothing comes
        waiting = asyncio.create_task(spool.newer(0, 600))
        await asyncio.sleep(0)
        spool.record("sign-in", "ada")
        await waiting
        await spool.newer(0, 600)  # there is one already
        assert not spool._waiting

    asyncio.run(scenario())


def test_who_is_in_somebodys_server_enters_once_an_hour() -> None:
    now = [0.0]
    entered = Entered(clock=lambda: now[0])
    assert [entered.new("root", "ada"), entered.new("root", "ada"), entered.new("root", "bela")] == [True, False, True]
    now[0] = AGAIN
    assert entered.new("root", "ada")


class Kind(Authenticator):  # type: ignore[misc]
    """Proves, and lets in, what the name says."""

    async def authenticate(self, handler: Any, data: Any = None, **_: Any) -> Any:
        name = data["username"]
        if name.startswith("status-"):
            raise HTTPError(int(name.removeprefix("status-")), "as the provider says")
        if name == "broken":
            raise RuntimeError("a secret")
        if name == "unverified":
            raise refuse(Why.UNVERIFIED_EMAIL, name)
        return None if name == "nobody" else {"name": name.upper()}

    def check_allowed(self, username: str, authentication: Any = None) -> bool:
        if username == "said":
            audit.record(audit.SIGN_IN_REFUSED, username, reason="list-unreadable")
        if username == "suspended":
            raise refuse(Why.SUSPENDED, username)
        return username == "ada"

    async def refresh_user(self, user: Any, handler: Any = None, **_: Any) -> bool:
        return bool(user.name == "ada")


ATTEMPTS: list[tuple[str, str, str, bool]] = [
    # what is typed, who is proven, the reason, whether the class said it itself
    ("ada", "ada", "", False),
    ("eve", "eve", "not-allowed", False),
    ("said", "said", "not-allowed", True),
    ("suspended", "suspended", "suspended", False),
    ("unverified", "", "unverified-email", False),
    ("nobody", "", "not-proven", False),
    ("status-403", "", "not-allowed", False),
    ("status-400", "", "not-proven", False),
    ("status-503", "", "failed", False),
    ("broken", "", "failed", False),
]


@pytest.mark.parametrize(("typed", "name", "reason", "recorded"), ATTEMPTS)
def test_why_somebody_is_refused(typed: str, name: str, reason: str, recorded: bool) -> None:
    handler = SimpleNamespace()
    authenticator = watched(Kind)()
    try:
        asyncio.run(authenticator.get_authenticated_user(handler, {"username": typed, "password": "secret"}))
    except (HTTPError, RuntimeError):
        assert reason in ("failed", "not-allowed", "not-proven", "suspended", "unverified-email")
    found = getattr(handler, ATTEMPT)
    assert (found.name, found.reason, found.recorded) == (name, reason, recorded)
    assert "secret" not in str(found.details)
    assert found.details.get("claimed", "") == ("" if name or not reason else typed)


def test_who_is_cut_off_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool()
    monkeypatch.setattr(audit, "SPOOL", spool)
    authenticator = watched(Kind)()
    for name in ("ada", "eve"):
        asyncio.run(authenticator.refresh_user(SimpleNamespace(name=name)))
    assert [(entry["event"], entry["user"]) for entry in spool.after(0)] == [("cut-off", "eve")]


@pytest.mark.parametrize(
    ("configured", "name"),
    [
        (Kind, "Kind"),
        ("dummy", "DummyAuthenticator"),
        ("jupyterhub.auth.DummyAuthenticator", "DummyAuthenticator"),
        ("oauthenticator.google.GoogleOAuthenticator", "GoogleOAuthenticator"),
    ],
)
def test_the_class_keeps_its_name_and_so_its_settings(configured: Any, name: str) -> None:
    found = watched(configured)
    assert found.__name__ == name and issubclass(found, Authenticator)
    assert watched(found) is found


@pytest.mark.parametrize("configured", ["no.such.Class", "nonsense", "os.path", 7, dict])
def test_what_is_no_authenticator_is_left_to_jupyterhub(configured: Any) -> None:
    assert watched(configured) is configured
