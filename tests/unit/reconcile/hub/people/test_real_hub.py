"""The removal against a real JupyterHub: its API answers as the fake one of other tests says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from pdshub.hub_api import HubClient, HubError
from pdshub.hub_api.client import opened
from pdshub.reconcile.hub.people.removal import Step, remove
from tests.unit.hub_process import HubProcess, jupyterhub
from tests.unit.reconcile.hub.people.fake_hub import Killed
from tests.unit.waiting import eventually

pytest.importorskip("jupyterhub")


class Dying(HubClient):
    """The operator ends after so many calls, each of which was done."""

    left = 10**6

    async def _call(self, *args: object, **kwargs: object) -> tuple[int, object]:  # type: ignore[override]
        answer = await super()._call(*args, **kwargs)  # type: ignore[arg-type]
        self.left -= 1
        if self.left == 0:
            raise Killed
        return answer


def allow(hub: HubProcess | Path, *names: str) -> None:
    folder = hub if isinstance(hub, Path) else hub.folder
    (folder / "list.json").write_text(json.dumps({"allowed": names, "digest": "abc"}))


async def furnish(hub: HubProcess, name: str) -> tuple[dict[str, str], str]:
    """Somebody with servers, tokens, a group, shares and the admin's role; their cookies and one token."""
    cookies = await hub.signed_in(name)
    assert await hub.is_in(cookies)
    assert (await hub.api("PATCH", f"users/{name}", {"admin": True}))[0] == 200
    status, made = await hub.api("POST", f"users/{name}/tokens", {})
    assert status == 201
    for server in ("server", "servers/two"):
        status, _ = await hub.api("POST", f"users/{name}/{server}")
        assert status in (201, 202)
    await hub.serving(name)
    assert (await hub.api("POST", "groups/team/users", {"users": [name]}))[0] == 200
    assert (await hub.api("POST", "shares/bela/", {"user": name}))[0] == 200, hub.log.read_text()[-2000:]
    assert (await hub.api("POST", f"shares/{name}/", {"user": "bela"}))[0] == 200
    assert (await hub.api("GET", "user", token=made["token"]))[0] == 200
    return cookies, made["token"]


async def assert_gone(hub: HubProcess, name: str, cookies: dict[str, str], token: str) -> None:
    assert not await hub.is_in(cookies)
    assert (await hub.api("GET", "user", token=token))[0] == 403
    assert (await hub.api("GET", f"users/{name}"))[0] == 404
    assert not list((hub.folder / "servers").glob(f"{name}-*"))
    assert (await hub.api("GET", "groups/team"))[1]["users"] == []
    assert (await hub.api("GET", "users/bela/shared"))[1]["items"] == []


def test_somebody_is_taken_out_of_a_real_hub(tmp_path: Path) -> None:
    """By the operator's own role; killed after each of its calls; and others keep what they have."""

    async def main() -> None:
        allow(tmp_path, "ada", "bela")
        async with jupyterhub(tmp_path) as hub, opened(hub.url, hub.token) as client:
            assert await client.list_in_effect() == ("abc", "")
            assert await client.admits("ada") is False
            belas = await hub.signed_in("bela")
            assert (await hub.api("POST", "users/bela/server"))[0] in (201, 202)
            kills = 0
            while True:
                cookies, token = await furnish(hub, "ada")
                users = {user.name: user for user in await client.users()}
                assert users["ada"].admin and len(users["ada"].servers) == 2 and users["ada"].groups == ("team",)
                kills += 1
                dying = Dying(client._session, hub.url, hub.token)
                dying.left = kills
                over = False
                try:
                    await remove(dying, "ada", lambda step: None, asyncio.Semaphore(1), 0.1)
                    over = True
                except Killed:
                    await remove(client, "ada", lambda step: None, asyncio.Semaphore(1), 0.1)
                await assert_gone(hub, "ada", cookies, token)
                if over:
                    break
            assert kills > 10, "every call was one after which the operator was killed"
            assert await hub.is_in(belas) and (await client.user("bela")).servers  # type: ignore[union-attr]
            # the user comes back as if for the first time: old cookies stay dead
            again = await hub.signed_in("ada")
            assert await hub.is_in(again) and not await hub.is_in(cookies)

    asyncio.run(main())


def test_a_server_that_starts_or_is_slow_to_end_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        allow(tmp_path, "slow", "starting", "bela")
        (tmp_path / "slow").touch()
        async with jupyterhub(tmp_path) as hub, opened(hub.url, hub.token) as client:
            for name in ("slow", "starting"):
                await hub.signed_in(name)
                assert (await hub.api("POST", f"users/{name}/server"))[0] in (201, 202)
            await hub.serving("slow")
            steps: list[Step] = []
            slow = asyncio.create_task(remove(client, "slow", steps.append, asyncio.Semaphore(4), 0.1))
            await remove(client, "starting", lambda step: None, asyncio.Semaphore(4), 0.1)
            assert await client.user("starting") is None
            await eventually("it waits", lambda: Step.STOPPING in steps)
            assert not slow.done() and await client.tokens("slow") == []
            (tmp_path / "slow").unlink()
            assert (await slow).found and await client.user("slow") is None

    asyncio.run(main())


def test_what_a_hub_refuses_is_said_with_its_status(tmp_path: Path) -> None:
    async def main() -> None:
        allow(tmp_path, "bela")
        async with jupyterhub(tmp_path) as hub, opened(hub.url, "another token") as client:
            with pytest.raises(HubError, match="403") as said:
                await client.users()
            assert said.value.status == 403 and "another token" not in str(said.value)

    asyncio.run(main())
