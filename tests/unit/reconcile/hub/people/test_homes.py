"""Whose home each claim is: recorded once, compared ever after; KubeSpawner's names beside its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pdshub.kube import Object
from pdshub.reconcile.hub.people import homes, slug
from pdshub.reconcile.hub.people.document import People
from pdshub.render.names import HOME_CLAIM, Names
from pdshub.wellknown import HOME_OF


def claim(name: str, user: str, marked: str = "", bound: bool = True, server: str = "") -> Object:
    notes = {"hub.jupyter.org/username": user} if user else {}
    notes |= {HOME_OF: marked} if marked else {}
    notes |= {"hub.jupyter.org/servername": server} if server else {}
    return {"metadata": {"name": name, "annotations": notes}, "status": {"phase": "Bound" if bound else "Pending"}}


ADA = People(frozenset({"ada"}))
TWO = People(frozenset({"a.b", "a-2eb"}))
CASES: list[tuple[str, list[Object], dict[str, str], People | None, str, dict[str, str], list[tuple[str, str]]]] = [
    ("a new home", [claim("claim-ada", "ada")], {}, ADA, "AsRecorded", {"ada": "claim-ada"}, [("claim-ada", "ada")]),
    ("not bound yet", [claim("claim-ada", "ada", bound=False)], {}, ADA, "AsRecorded", {}, []),
    ("a named server's", [claim("claim-ada--x", "ada", server="x")], {}, ADA, "AsRecorded", {}, []),
    (
        "as recorded",
        [claim("claim-ada", "ada", "ada")],
        {"ada": "claim-ada"},
        ADA,
        "AsRecorded",
        {"ada": "claim-ada"},
        [],
    ),
    ("known by its mark alone", [claim("claim-ada", "ada", "ada")], {}, ADA, "AsRecorded", {"ada": "claim-ada"}, []),
    ("another one", [claim("claim-ada", "ada")], {"ada": "claim-old"}, ADA, "HomeMoved", {"ada": "claim-old"}, []),
    (
        "a second one",
        [claim("claim-ada", "ada", "ada"), claim("claim-x", "ada")],
        {"ada": "claim-ada"},
        ADA,
        "HomeMoved",
        {"ada": "claim-ada"},
        [],
    ),
    ("two at first", [claim("claim-ada", "ada"), claim("claim-x", "ada")], {}, ADA, "HomeMoved", {}, []),
    ("gone", [], {"ada": "claim-ada"}, ADA, "HomeMissing", {"ada": "claim-ada"}, []),
    ("gone with its user", [], {"bela": "claim-bela"}, ADA, "AsRecorded", {}, []),
    ("gone, and nobody knows the list", [], {"bela": "b"}, None, "HomeMissing", {"bela": "b"}, []),
    (
        "a human decided",
        [claim("claim-ada", "ada", "ada")],
        {"ada": "claim-old"},
        ADA,
        "AsRecorded",
        {"ada": "claim-ada"},
        [],
    ),
    ("a legacy name", [claim("claim-a-2eb", "a.b", "a.b")], {}, ADA, "AsRecorded", {"a.b": "claim-a-2eb"}, []),
    (
        "adopted before its hub",
        [claim("claim-ada", "")],
        {},
        ADA,
        "AsRecorded",
        {"ada": "claim-ada"},
        [("claim-ada", "ada")],
    ),
    ("adopted, and nobody knows the list", [claim("claim-ada", "")], {}, None, "AsRecorded", {}, []),
    ("adopted of somebody unknown", [claim("claim-bela", "")], {}, ADA, "AsRecorded", {}, []),
    ("adopted under a name of two", [claim("claim-a-2eb", "")], {}, TWO, "AsRecorded", {}, []),
    (
        "bound again by hand",
        [claim("home-1", "")],
        {"bela": "home-1"},
        None,
        "HomeWouldMove",
        {"bela": "home-1"},
        [("home-1", "bela")],
    ),
    (
        "says nothing beside one that does",
        [claim("claim-a-2eb", ""), claim("claim-x", "a.b", "a.b")],
        {},
        People(frozenset({"a.b"})),
        "HomeWouldMove",
        {"a.b": "claim-x"},
        [],
    ),
    ("a name of nobody's", [claim("home-1", "ada", "ada")], {}, ADA, "HomeWouldMove", {"ada": "home-1"}, []),
]


@pytest.mark.parametrize(
    ("claims", "record", "people", "reason", "kept", "marks"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_home_is_the_one_recorded(claims: Any, record: Any, people: Any, reason: str, kept: Any, marks: Any) -> None:
    found = homes.judge(claims, record, people, HOME_CLAIM)
    assert (found.reason, dict(found.record), list(found.to_mark)) == (reason, kept, marks)
    assert found.good is (reason == "AsRecorded") and all(user in found.message for user in record if not found.good)


def test_who_comes_by_a_domain_is_known_by_the_hubs_database() -> None:
    who, people = "eve@example.org", People(domains=frozenset({"example.org"}))
    (name, _) = sorted(slug.claims(who, HOME_CLAIM), key=len, reverse=True)
    assert homes.judge([claim(name, "")], {}, people, HOME_CLAIM).record == {}
    found = homes.judge([claim(name, "")], {}, people, HOME_CLAIM, frozenset({who}))
    assert found.good and found.to_mark == ((name, who),)


def test_two_that_say_nothing_are_settled_by_a_human() -> None:
    both = [claim(name, "") for name in slug.claims("a.b", HOME_CLAIM)]
    found = homes.judge(both, {}, People(frozenset({"a.b"})), HOME_CLAIM)
    assert (len(both), found.reason, found.to_mark) == (2, "HomeMoved", ())


def test_another_template_would_move_homes() -> None:
    there = [claim("claim-ada", "ada", "ada")]
    assert homes.judge(there, {}, ADA, "home-{user_server}").reason == "HomeWouldMove"
    assert homes.judge(there, {}, ADA, "home-{something}").good, "what is not understood is not judged"


def test_the_record_survives_its_config_map() -> None:
    record = {f"u{number}@example.org": f"claim-u{number}" for number in range(10_000)}
    body = homes.homes_map(Names("ns", "hub"), "uid", record)
    assert homes.read(body) == record and len(body["binaryData"][homes.FILE]) < 1 << 20
    for broken in (None, {}, {"binaryData": {homes.FILE: "x"}}, {"binaryData": {homes.FILE: "eJw="}}):
        assert homes.read(broken) == {}


NAMES = [
    "ada",
    "ada@example.org",
    "a.b+c@gmail.com",
    "0ada",
    "-",
    "a--b",
    "a-",
    "x" * 46,
    "x" * 47,
    "x" * 48,
    "x" * 63,
    "x" * 254,
    "a.very.long.name.of.somebody.at.an.institution@department.example.org",
    "123456789012345678901234567890123456789012345678",
    "___",
    "A",
]


@pytest.mark.parametrize("name", NAMES)
def test_kubespawner_calls_claims_the_same(name: str) -> None:
    kubespawner = pytest.importorskip("kubespawner")
    user = SimpleNamespace(name=name, id=1)
    spawner = SimpleNamespace(name="", user=user, slug_scheme="safe", _namespace_default=lambda: "ns")
    expand = kubespawner.KubeSpawner._expand_user_properties
    for scheme, ours in (("safe", slug.safe), ("escape", slug.escaped)):
        assert expand(spawner, HOME_CLAIM, slug_scheme=scheme) == f"claim-{ours(name)}"
