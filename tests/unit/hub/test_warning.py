"""What people are warned of: within bounds, at a real hub, each their own and by the operator alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from pdshub_hub.warning import FURTHEST, LONGEST, MOST, MOST_EACH, Board

GOOD: dict[str, Any] = {"id": "uid-1", "user": "ada", "seconds": 60, "message": "Your server is stopped then."}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def board() -> tuple[Board, Clock]:
    clock = Clock()
    return Board(clock), clock


def test_a_warning_is_ones_own_and_goes_at_its_moment() -> None:
    made, clock = board()
    made.put(GOOD)
    clock.now += 20
    assert [(one.message, left) for one, left in made.of("ada")] == [("Your server is stopped then.", 40)]
    assert made.of("bela") == [] and made.of("") == []
    clock.now += 40
    assert made.of("ada") == []


def test_the_same_is_said_once_and_can_be_taken_back() -> None:
    made, _ = board()
    made.put(GOOD)
    made.put({**GOOD, "seconds": 90})
    assert [left for _, left in made.of("ada")] == [90]
    made.put({**GOOD, "seconds": 0})
    assert made.of("ada") == []


def test_it_has_bounds() -> None:
    made, _ = board()
    for n in range(MOST + 10):
        made.put({**GOOD, "id": f"a-{n}", "seconds": 10 + n % 50, "message": "x\n\u202e" * 1000})
    mine = made.of("ada")
    assert len(mine) == MOST_EACH and [left for _, left in mine] == sorted(left for _, left in mine)
    assert all(len(one.message) <= LONGEST and one.message.isprintable() for one, _ in mine)


BAD: list[dict[str, Any]] = [
    {},
    {**GOOD, "id": ""},
    {**GOOD, "id": "../x"},
    {**GOOD, "id": 5},
    {**GOOD, "user": ""},
    {**GOOD, "user": ["ada"]},
    {**GOOD, "message": ""},
    {**GOOD, "seconds": -1},
    {**GOOD, "seconds": True},
    {**GOOD, "seconds": float("nan")},
    {**GOOD, "seconds": FURTHEST + 1},
    {**GOOD, "seconds": "60"},
]


@pytest.mark.parametrize("body", BAD)
def test_what_is_no_warning_is_refused(body: dict[str, Any]) -> None:
    made, _ = board()
    with pytest.raises(ValueError):
        made.put(body)
    assert made.of("ada") == []


# --- at a hub

OPERATOR, OTHER, ADAS, VISITORS, CARLS = (
    "operators-token",
    "another-services",
    "adas-servers",
    "visitors",
    "carls-token",
)
MORE = f"""
c.JupyterHub.services = [
    {{"name": "pdshub-operator", "api_token": {OPERATOR!r}}}, {{"name": "other", "api_token": {OTHER!r}}},
]
c.JupyterHub.load_roles = [
    {{"name": "pdshub-operator", "services": ["pdshub-operator"], "scopes": ["custom:pdshub:warnings"]}},
    {{"name": "a-mistake", "users": ["carl"], "scopes": ["self", "custom:pdshub:warnings"]}},
]
c.JupyterHub.api_tokens = {{{CARLS!r}: "carl"}}
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("jupyterhub")
    from tests.unit.hub import running

    with running.hub(tmp_path_factory.mktemp("hub"), MORE) as made:
        yield made


def call(hub: Any, token: str, method: str = "GET", **more: Any) -> requests.Response:
    headers = {"Authorization": f"token {token}"} if token else {}
    return requests.request(method, f"{hub.address}/hub/api/pdshub/warnings", headers=headers, timeout=120, **more)


def token(hub: Any, user: str, *scopes: str) -> str:
    """A token of somebody's with these scopes, as their server has one, or a visitor leaves with a server."""
    session = hub.sessions.get(user) or hub.sign_in(user)
    answer = session.post(
        f"{hub.address}/hub/api/users/{user}/tokens",
        json={"scopes": list(scopes)},
        headers={"X-XSRFToken": session.cookies.get("_xsrf", path="/hub/")},
        timeout=120,
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def test_somebodys_server_hears_what_the_operator_says(hub: Any) -> None:
    servers = token(hub, "ada", "users:activity!user=ada", "access:servers!user=ada")
    assert call(hub, servers).json() == {"warnings": []}
    assert call(hub, OPERATOR, "POST", json={**GOOD, "message": "<b>Save</b> your work."}).status_code == 204
    ((one),) = call(hub, servers).json()["warnings"]
    assert one["id"] == "uid-1" and one["message"] == "<b>Save</b> your work." and 0 < one["seconds"] <= 60
    page = hub.get("/hub/home", hub.sessions["ada"]).text
    assert "UTC: &lt;b&gt;Save&lt;/b&gt; your work." in page and "<b>Save" not in page
    hub.sign_in("bela")
    assert "your work" not in hub.get("/hub/home", hub.sessions["bela"]).text
    belas = token(hub, "bela", "users:activity!user=bela")
    assert call(hub, belas).json() == {"warnings": []}


def test_what_a_visitor_leaves_with_a_server_tells_it_nothing(hub: Any) -> None:
    left = token(hub, "ada", "access:servers!user=ada", "read:users:name!user=ada")
    assert call(hub, left).status_code == 403
    assert call(hub, "").status_code == 403 and call(hub, "no-token").status_code == 403
    assert call(hub, OPERATOR).status_code == 403


def test_nobody_but_the_operator_warns(hub: Any) -> None:
    servers = token(hub, "ada", "users:activity!user=ada")
    for who in (servers, OTHER, CARLS, "", "no-token"):
        assert call(hub, who, "POST", json={**GOOD, "user": "bela", "id": "uid-2"}).status_code == 403
    belas = token(hub, "bela", "users:activity!user=bela")
    assert call(hub, belas).json() == {"warnings": []}


@pytest.mark.parametrize("body", [[], "x", {}, {**GOOD, "seconds": "soon"}, None])
def test_what_the_operator_says_wrong_is_refused(hub: Any, body: Any) -> None:
    assert call(hub, OPERATOR, "POST", json=body).status_code == 400


def test_a_warning_without_end_is_refused(hub: Any) -> None:
    assert call(hub, OPERATOR, "POST", json={**GOOD, "message": "x" * 100_000}).status_code == 413
