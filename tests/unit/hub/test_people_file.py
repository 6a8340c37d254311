"""The list's file: what is a list, what is believed of one that is none, and how often it is looked at."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pdshub_hub.people import LARGEST, People, PeopleFile, Unreadable, Why, digest, parse


def document(**content: Any) -> dict[str, Any]:
    body = {"version": 1, "allowed": ["ada"], "admins": [], "suspended": [], "domains": [], **content}
    body = {key: value for key, value in body.items() if value is not ...}
    return {"digest": digest(body), **body}


def written(**content: Any) -> bytes:
    return json.dumps(document(**content)).encode()


def test_a_list() -> None:
    groups = {"allowed": ["g@example.org"], "admins": ["h"]}
    found = parse(written(admins=["root"], suspended=["eve"], domains=["asu.edu"], groups=groups))
    assert found == People(
        found.digest,
        *(frozenset({one}) for one in ("ada", "root", "eve", "asu.edu", "g@example.org", "h")),
    )
    assert len(found.digest) == 12


NO_LISTS: list[tuple[str, bytes, str]] = [
    ("empty", b"", "JSON"),
    ("no JSON", b"{", "JSON"),
    ("no UTF-8", b"\xff\xfe\x00", "JSON"),
    ("deep", b"[" * 100_000, "JSON"),
    ("a list of JSON", b"[]", "version 1"),
    ("no version", written(version=...), "version 1"),
    ("another version", written(version=2), "version 1"),
    ("a version in words", written(version="1"), "version 1"),
    ("no digest", json.dumps({**document(), "digest": None}).encode(), "digest"),
    ("another digest", json.dumps({**document(), "allowed": ["eve"]}).encode(), "digest"),
    ("no names", written(allowed=...), "allowed is no list"),
    ("one name", written(allowed="ada"), "allowed is no list"),
    ("a number", written(allowed=[1]), "allowed is no list"),
    ("no admins", written(admins=None), "admins is no list"),
    ("nobody suspended", written(suspended=...), "suspended is no list"),
    ("not normal", written(allowed=["Ada"]), "normal form"),
    ("blanks", written(admins=[" ada"]), "normal form"),
    ("look-alike", written(suspended=["\u0430da"]), "CYRILLIC"),
    ("an empty name", written(allowed=[""]), "empty"),
    ("a domain in capitals", written(domains=["ASU.edu"]), "normal form"),
    ("groups", written(groups=[]), "groups is no map"),
    ("a group", written(groups={"allowed": "x"}), "groups.allowed"),
]


@pytest.mark.parametrize(("content", "says"), [c[1:] for c in NO_LISTS], ids=[c[0] for c in NO_LISTS])
def test_what_is_no_list(content: bytes, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        parse(content)


JUDGED: list[tuple[str, tuple[str, ...], bool, Why, bool]] = [
    ("ada", (), False, Why.LISTED, False),
    ("root", (), False, Why.LISTED, True),
    ("eve", (), False, Why.SUSPENDED, False),
    ("boss", ("keepers",), True, Why.SUSPENDED, False),
    ("mallory", (), False, Why.NOT_LISTED, False),
    ("", (), True, Why.NOT_LISTED, False),
    ("x@asu.edu", (), True, Why.DOMAIN, False),
    ("x@asu.edu", (), False, Why.NOT_LISTED, False),
    ("@asu.edu", (), True, Why.NOT_LISTED, False),
    ("a@b@asu.edu", (), True, Why.NOT_LISTED, False),
    ("x@asu.edu@evil.com", (), True, Why.NOT_LISTED, False),
    ("x@cs.asu.edu", (), True, Why.NOT_LISTED, False),
    ("x@notasu.edu", (), True, Why.NOT_LISTED, False),
    ("asu.edu", (), True, Why.NOT_LISTED, False),
    ("mallory", ("sbn",), False, Why.GROUP, False),
    ("mallory", ("keepers",), False, Why.GROUP, True),
    ("ada", ("keepers",), False, Why.LISTED, True),
    ("mallory", ("other",), False, Why.NOT_LISTED, False),
]


@pytest.mark.parametrize(("name", "groups", "is_email", "why", "admin"), JUDGED)
def test_who_is_admitted(name: str, groups: tuple[str, ...], is_email: bool, why: Why, admin: bool) -> None:
    people = People(
        "x",
        allowed=frozenset({"ada", "eve"}),
        admins=frozenset({"root", "boss"}),
        suspended=frozenset({"eve", "boss"}),
        domains=frozenset({"asu.edu"}),
        allowed_groups=frozenset({"sbn"}),
        admin_groups=frozenset({"keepers"}),
    )
    assert people.judge(name, groups, is_email=is_email) is why
    assert people.is_admin(name, groups) is admin


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def replaced(path: Path, content: bytes) -> None:
    """As the kubelet does it: a new folder, and a link that is moved."""
    folder = path.parent / f"..{os.urandom(4).hex()}"
    folder.mkdir()
    (folder / path.name).write_bytes(content)
    link = path.parent / "..new"
    link.symlink_to(folder.name)
    link.rename(path.parent / "..data")
    if not path.is_symlink():
        path.symlink_to(Path("..data") / path.name)


def test_a_new_list_is_read_within_a_second_and_an_old_one_once(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "people.json"
    file = PeopleFile(path, clock)
    assert file.read().people is None and "people.json" in file.read().trouble
    replaced(path, written())
    assert file.read().trouble, "it is looked at once a second"
    clock.now += 1
    first = file.read()
    assert first.people is not None and first.people.allowed == {"ada"} and not first.trouble
    clock.now += 1
    assert file.read() is first, "nothing changed"
    replaced(path, written(allowed=["bob"]))
    assert file.read() is first
    clock.now += 1
    assert file.read().people == parse(written(allowed=["bob"]))


@pytest.mark.parametrize("content", [b"", b"{", b"x" * (LARGEST + 1)], ids=["empty", "half", "too large"])
def test_of_a_list_that_cannot_be_read_the_last_one_remains(tmp_path: Path, content: bytes) -> None:
    clock, path = Clock(), tmp_path / "people.json"
    replaced(path, written())
    file = PeopleFile(path, clock)
    known = file.read().people
    replaced(path, content)
    clock.now += 1
    assert file.read().people is known is not None and file.read().trouble
    (path.parent / "..data").unlink()
    clock.now += 1
    assert file.read().people is known and "No such file" in file.read().trouble
    replaced(path, written(allowed=["bob"]))
    clock.now += 1
    assert file.read().people == parse(written(allowed=["bob"])) and not file.read().trouble
