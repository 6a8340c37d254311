"""The token for Google's directory, and the groups that are asked by it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tornado.httpclient import HTTPClientError
from traitlets.config import Config

from pdshub_hub.google import PDSHubGoogle
from pdshub_hub.google_directory import SCOPE, Directory, DirectoryError
from tests.unit.hub.test_people_file import Clock

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
ACCOUNT = {"client_email": "hub@p.iam", "private_key": PEM, "token_uri": "https://oauth2.example.org/token"}


class Google:
    """Stands for httpfetch: gives tokens, and groups of those of whom it is asked."""

    def __init__(self, groups: dict[str, list[str]] | None = None, error: Exception | None = None) -> None:
        self.groups, self.error = groups or {}, error
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, url: str, label: str = "", **more: Any) -> Any:
        self.asked.append((url, more))
        if self.error:
            raise self.error
        if url == ACCOUNT["token_uri"]:
            return {"access_token": f"t{len(self.asked)}"}
        member = url.rpartition("userKey=")[2]
        return {"groups": [{"email": name} for name in self.groups.get(member, [])]}


def written(folder: Path, content: Any) -> str:
    file = folder / "key.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


def test_a_token_is_asked_as_the_administrator_and_kept(tmp_path: Path) -> None:
    clock, google = Clock(), Google()
    clock.now = 1_000_000.0
    directory, key = Directory(clock), written(tmp_path, ACCOUNT)

    def token() -> str:
        return asyncio.run(directory.token(google, "example.org", key, "boss@example.org"))

    assert token() == token() == "t1"
    ((url, asked),) = google.asked
    body = parse_qs(asked["body"])
    options: Any = {"verify_exp": False, "verify_iat": False}
    said = jwt.decode(body["assertion"][0], KEY.public_key(), algorithms=["RS256"], audience=url, options=options)
    assert (said["iss"], said["sub"], said["scope"]) == ("hub@p.iam", "boss@example.org", SCOPE)
    assert (said["iat"], said["exp"]) == (1_000_000, 1_003_600)
    clock.now += 3301
    assert token() == "t2"


@pytest.mark.parametrize(
    "content",
    ["", "[]", {}, {**ACCOUNT, "private_key": "x"}, {**ACCOUNT, "token_uri": "http://oauth2.example.org/token"}],
    ids=["empty", "a list", "nothing", "no key", "plain HTTP"],
)
def test_a_key_that_is_none(tmp_path: Path, content: Any) -> None:
    google = Google()
    with pytest.raises(DirectoryError) as refused:
        asyncio.run(Directory().token(google, "example.org", written(tmp_path, content), "boss@example.org"))
    assert google.asked == [] and PEM[30:60] not in str(refused.value)


def groups(tmp_path: Path, google: Google, **traits: Any) -> set[str]:
    config = {
        "google_service_account_keys": {"example.org": written(tmp_path, ACCOUNT)},
        "gsuite_administrator": {"example.org": "boss"},
        **traits,
    }
    made = PDSHubGoogle(config=Config({"GoogleOAuthenticator": config}))
    made.directory, made.httpfetch = Directory(), google
    return asyncio.run(made._fetch_member_groups("ada@example.org", "example.org"))


MEMBERS = {"ada@example.org": ["sbn@example.org"], "sbn@example.org": ["all@example.org"]}


@pytest.mark.parametrize(
    ("google", "traits", "found"),
    [
        (Google(MEMBERS), {}, {"sbn"}),
        (Google(MEMBERS), {"include_nested_groups": True}, {"sbn", "all"}),
        (Google(), {}, set()),
        (Google(MEMBERS), {"gsuite_administrator": {}}, set()),
        (Google(MEMBERS, HTTPClientError(403)), {}, set()),
        (Google(MEMBERS, ConnectionRefusedError()), {}, set()),
    ],
    ids=["direct", "nested", "none", "no administrator", "refused", "away"],
)
def test_groups(tmp_path: Path, google: Google, traits: dict[str, Any], found: set[str]) -> None:
    assert groups(tmp_path, google, **traits) == found
