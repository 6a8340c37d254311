"""From sources to one list: what a text says, what is refused, what is too large a loss, and what a ConfigMap holds."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pdshub.api import name_file
from pdshub.api.hub_users import Users
from pdshub.reconcile.hub.people.document import LIMIT, Document, People, digest, people_map, read
from pdshub.reconcile.hub.people.effective import Groups, effective, shrunk
from pdshub.reconcile.hub.people.sources import Refused, Source, text_of
from pdshub.render.names import Names

HUB = Names("ns", "hub")
LIST = Source("ConfigMap", "people", "list")
SECRET = Source("Secret", "people", "list", "admins")

TEXTS: list[tuple[str, list[str]]] = [
    ("", []),
    ("ada@example.org", ["ada@example.org"]),
    ("ada@example.org\nbela@example.org\n", ["ada@example.org", "bela@example.org"]),
    (
        "# staff\n\n  ada@example.org  \r\nbela@example.org # on leave\n#cleo@example.org\n",
        ["ada@example.org", "bela@example.org"],
    ),
    ("a#b@example.org\n", ["a#b@example.org"]),
    ("\ufeffada\n\t\n", ["ada"]),
    ("ada bela\n", ["ada bela"]),
]


@pytest.mark.parametrize(("text", "names"), TEXTS)
def test_a_name_a_line(text: str, names: list[str]) -> None:
    assert name_file.names(text) == names


def packed(text: bytes) -> str:
    return base64.b64encode(text).decode()


OBJECTS: list[tuple[Source, Any, str]] = [
    (LIST, None, "SourceMissing"),
    (LIST, {"data": {"other": "x"}}, "SourceMissing"),
    (LIST, {}, "SourceMissing"),
    (LIST, {"data": {"list": "ada"}}, "ada"),
    (LIST, {"binaryData": {"list": packed(b"ada")}}, "ada"),
    (LIST, {"binaryData": {"list": packed(b"\xff\xfe")}}, "SourceUnreadable"),
    (SECRET, {"data": {"list": packed(b"\xef\xbb\xbfada")}}, "ada"),
    (SECRET, {"data": {"list": "no base64!"}}, "SourceUnreadable"),
    (SECRET, {"data": {}}, "SourceMissing"),
]


@pytest.mark.parametrize(("source", "item", "says"), OBJECTS)
def test_what_an_object_says(source: Source, item: Any, says: str) -> None:
    found = text_of(source, item)
    assert (found.reason if isinstance(found, Refused) else found) == says


def listed(users: dict[str, Any], *texts: tuple[Source, str | Refused]) -> Document | Refused:
    return effective(Users.model_validate(users), texts, Groups())


def test_names_of_all_sources_make_one_list() -> None:
    spec = {"allowed": [" Ada@Example.org"], "admins": ["root@example.org"], "suspended": ["bela@example.org"]}
    found = listed(
        {**spec, "domains": ["ASU.edu"]}, (LIST, "bela@example.org\ncleo@example.org"), (SECRET, "Dora@example.org")
    )
    assert isinstance(found, Document)
    people = found.people
    assert people.allowed == {f"{name}@example.org" for name in ("ada", "root", "cleo", "dora")}
    assert people.admins == {"root@example.org", "dora@example.org"} and people.suspended == {"bela@example.org"}
    lets_in = {
        name: people.lets_in(name) for name in ("x@asu.edu", "x@y@asu.edu", "@asu.edu", "asu.edu", "x@a.asu.edu")
    }
    assert lets_in == {
        "x@asu.edu": True,
        "x@y@asu.edu": False,
        "@asu.edu": False,
        "asu.edu": False,
        "x@a.asu.edu": False,
    }
    assert not people.lets_in("bela@example.org"), "suspended wins"


GROUPS: list[tuple[Any, set[str], set[str]]] = [
    ({}, set(), set()),
    ({"allowed_google_groups": {"asu.edu": ["sbn", "rms"]}}, {"sbn@asu.edu", "rms@asu.edu"}, set()),
    ({"admin_google_groups": {"asu.edu": ["root"]}, "allowed_google_groups": "x"}, set(), {"root@asu.edu"}),
    ("no map", set(), set()),
]


@pytest.mark.parametrize(("traits", "allowed", "admins"), GROUPS)
def test_groups_of_the_values_are_on_the_list(traits: Any, allowed: set[str], admins: set[str]) -> None:
    found = effective(Users(), (), Groups.of({"hub": {"config": {"GoogleOAuthenticator": traits}}}))
    assert isinstance(found, Document)
    assert (found.people.allowed_groups, found.people.admin_groups) == (allowed, admins)


REFUSED: list[tuple[dict[str, Any], tuple[tuple[Source, str | Refused], ...], str, str]] = [
    ({"allowed": ["ad\u0430@example.org"]}, (), "NameRefused", "spec.users.allowed"),
    ({"suspended": ["a b"]}, (), "NameRefused", "spec.users.suspended"),
    ({}, ((LIST, "ada\nbe la\n"),), "NameRefused", "ConfigMap people"),
    ({"allowed": ["ada"]}, ((LIST, Refused("SourceMissing", "gone")),), "SourceMissing", "gone"),
    (
        {"allowed": ["ada"]},
        ((LIST, "\n".join(f"{n:06}{'x' * 60}" for n in range(20000))),),
        "TooManyUsers",
        "20001 names",
    ),
]


@pytest.mark.parametrize(("users", "texts", "reason", "says"), REFUSED)
def test_a_list_with_a_hole_is_none(users: Any, texts: Any, reason: str, says: str) -> None:
    found = listed(users, *texts)
    assert isinstance(found, Refused) and found.reason == reason and says in found.message
    if reason == "TooManyUsers":
        assert "1 MiB" in found.message


def test_ten_thousand_names_of_forty_characters_fit() -> None:
    found = listed({}, (LIST, "\n".join(f"{n:05}.{'x' * 22}@example.org" for n in range(10_000))))
    assert isinstance(found, Document) and len(found.people.allowed) == 10_000
    assert {len(name) for name in found.people.allowed} == {40} and len(found.text) < LIMIT // 2


def of(names: int, *more: str) -> Document:
    return Document.of(People(frozenset([*(f"u{n}" for n in range(names)), *more])))


LOSSES: list[tuple[Document | None, int, Document, dict[str, Any], bool]] = [
    (of(10), 10, of(10), {}, False),
    (of(10), 10, of(7), {}, False),
    (of(10), 10, of(6), {}, True),
    (of(10), 10, of(6), {"shrinkLimit": 40}, False),
    (of(10), 10, of(9), {"shrinkLimit": 0}, True),
    (of(10), 10, of(0), {"shrinkLimit": 100}, False),
    (of(10), 10, of(0), {}, True),
    (of(4), 4, of(3), {}, False),
    (of(4), 4, of(2), {}, True),
    (of(1), 1, of(0), {}, False),
    (of(2), 2, of(0), {}, True),
    (of(5), 5, of(4), {}, False),
    (of(5), 5, of(3), {}, True),
    (None, 0, of(3), {}, False),
    (None, 10, of(6), {}, True),
    (None, 10, of(8), {}, False),
]


@pytest.mark.parametrize(("before", "known", "after", "users", "waits"), LOSSES)
def test_a_loss_waits_for_a_human(
    before: Document | None, known: int, after: Document, users: dict[str, Any], waits: bool
) -> None:
    spec = Users.model_validate(users)
    found = shrunk(HUB, before, known, after, spec, "")
    assert bool(found) is waits
    if found is not None:
        assert found.reason == "ShrunkTooMuch" and f"pdshub.dev/approve-users={after.digest}" in found.message
        assert shrunk(HUB, before, known, after, spec, after.digest) is None
        assert shrunk(HUB, before, known, after, spec, of(1, "other").digest), "another list was approved"


def test_who_is_suspended_is_no_loss() -> None:
    before, after = of(3), Document.of(People(frozenset({"u0"}), suspended=frozenset({"u1", "u2"})))
    assert shrunk(HUB, before, 3, after, Users(), "") is None


def test_a_list_survives_its_config_map() -> None:
    groups = frozenset({"team@example.org"})
    made = Document.of(
        People(frozenset({"b", "a"}), frozenset({"a"}), frozenset({"c"}), frozenset({"d.e"}), groups, groups)
    )
    body = people_map(HUB, "uid-1", made)
    assert body["metadata"]["name"] == "hub-people" and body["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    assert read(body) == made
    text = json.loads(body["data"]["people.json"])
    assert text["digest"] == digest(text) and text["allowed"] == ["a", "b"] and text["version"] == 1


BROKEN = ["", "{", "[]", "null", '{"version": 2}', '{"version": 1, "digest": "000000000000"}', "[" * 100_000]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_what_the_hub_would_not_believe_is_no_list(text: str) -> None:
    assert read({"metadata": {}, "data": {"people.json": text}}) is None


def test_a_list_that_somebody_changed_is_no_list() -> None:
    body = json.loads(of(3).text)
    body["allowed"].append("mallory")
    assert read({"metadata": {}, "data": {"people.json": json.dumps(body)}}) is None
    body["digest"] = digest(body)
    body["groups"] = []
    body["digest"] = digest(body)
    assert read({"metadata": {}, "data": {"people.json": json.dumps(body)}}) is None
