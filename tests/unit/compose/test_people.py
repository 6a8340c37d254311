"""The list of an export is the one that the hub's image believes, and goes on being edited as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pdshub.compose import people, place
from pdshub.compose.text import ExportError
from pdshub_hub.people import Why, parse
from tests.unit.compose.support import exported, text, written


def judged(document: str, name: str) -> Why:
    return parse(document.encode()).judge(name, is_email=True)


@pytest.mark.parametrize(
    ("name", "why", "admin"),
    [
        ("ada@example.org", Why.LISTED, False),
        ("bela.b@example.org", Why.LISTED, False),
        ("root@example.org", Why.LISTED, True),
        ("out@example.org", Why.SUSPENDED, False),
        ("new@example.edu", Why.DOMAIN, False),
        ("eve@example.net", Why.NOT_LISTED, False),
    ],
)
def test_the_hub_believes_it(name: str, why: Why, admin: bool) -> None:
    document = text(exported(), people.LIST)
    assert judged(document, name) is why and parse(document.encode()).is_admin(name) is admin


def test_a_suspended_admin_is_out() -> None:
    found = parse(people.document({"admins": ["a@x.org"], "suspended": ["a@x.org"]}).encode())
    assert found.judge("a@x.org") is Why.SUSPENDED and not found.is_admin("a@x.org")


def test_names_of_objects_are_added() -> None:
    from tests.unit.compose.support import hub

    lists = people.of_spec(hub().spec, {"allowed": ["New@Example.org", "ada@example.org"], "admins": ["x@example.org"]})
    assert lists["allowed"] == ["ada@example.org", "bela.b@example.org", "new@example.org"]
    assert lists["admins"] == ["root@example.org", "x@example.org"]


def test_an_edited_list_is_put_into_effect_and_stays(tmp_path: Path) -> None:
    folder = written(tmp_path, exported())
    (folder / "people/allowed.txt").write_text("# ours\nnew@example.org  # since Monday\n\n")
    assert place.update_list(folder) == "2 may sign in, 1 of them admins; 1 are out"
    assert judged((folder / people.LIST).read_text(), "new@example.org") is Why.LISTED
    said = place.write(folder, exported().files)
    assert any("as somebody changed it" in each for each in said)
    assert "new@example.org" in (folder / "people/allowed.txt").read_text()
    assert "ada@example.org" in (folder / "people/allowed.txt.new").read_text()
    assert judged((folder / people.LIST).read_text(), "ada@example.org") is Why.NOT_LISTED, "what the files say counts"


@pytest.mark.parametrize("content", [b"a b@example.org\n", b"\xff\xfe", "а@example.org".encode()])
def test_a_list_that_is_none_changes_nothing(content: bytes, tmp_path: Path) -> None:
    folder = written(tmp_path, exported())
    before = (folder / people.LIST).read_text()
    (folder / "people/allowed.txt").write_bytes(content)
    with pytest.raises(ExportError):
        place.update_list(folder)
    assert (folder / people.LIST).read_text() == before


def test_the_operators_own_document_is_the_same() -> None:
    from pdshub.reconcile.hub.people import document as operators

    lists: dict[str, Any] = {
        "allowed": ["a@x.org"],
        "admins": ["b@x.org"],
        "suspended": ["c@x.org"],
        "domains": ["y.org"],
    }
    wanted = operators.Document.of(
        operators.People(
            allowed=frozenset({"a@x.org", "b@x.org"}), admins=frozenset({"b@x.org"}), suspended=frozenset({"c@x.org"}),
            domains=frozenset({"y.org"}),
        )
    )  # fmt: skip
    assert json.loads(people.document(lists)) == json.loads(wanted.text)
