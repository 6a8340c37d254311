"""The words of the pages, as the operator writes them and as anything else would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pdshub.api.hub import PDSHubSpec
from pdshub.render import notice as rendered
from pdshub_hub import notice
from pdshub_hub.notice import Words

SPEC = {
    "signIn": {"development": {}},
    "title": " Small Bodies Node ",
    "contact": "help@sbn.example.org",
    "message": "a\nb",
}


def test_both_sides_have_the_same_file_and_keys() -> None:
    assert f"{rendered.DIRECTORY}/{rendered.FILE}" == str(notice.FILE)
    text = rendered.content("away", "", rendered.texts(PDSHubSpec.model_validate(SPEC)))
    assert notice.parse(text) == Words("Small Bodies Node", "help@sbn.example.org", "a\nb")


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"title": 7, "contact": null, "motd": ["x"]}', "{}"])
def test_what_is_none_of_the_operators_says_nothing(text: str) -> None:
    assert notice.parse(text) == Words()


def test_a_file_that_is_missing_or_unreadable_says_nothing(tmp_path: Path) -> None:
    assert notice.read(tmp_path / "none") == Words() == notice.read(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert notice.read(tmp_path / "bytes") == Words()
    (tmp_path / "long").write_text(json.dumps({"title": "x" * notice.MOST_BYTES}))
    assert notice.read(tmp_path / "long") == Words()


@pytest.mark.parametrize(
    ("contact", "address"),
    [
        ("", ""),
        ("help@sbn.example.org", "mailto:help@sbn.example.org"),
        ("a.b+c@example.org", "mailto:a.b+c@example.org"),
        ("https://help.example.org/new?to=hub", "https://help.example.org/new?to=hub"),
        ("Ada, room 12", ""),
        ("help@sbn.example.org?subject=x&body=y", ""),
        ("javascript:alert(1)", ""),
        ('https://x" onclick="alert(1)', ""),
        ("help@sbn.example.org\nbcc:x@example.org", ""),
        ("help@sbn.example.org\n", ""),
    ],
)
def test_only_addresses_of_known_kinds_become_links(contact: str, address: str) -> None:
    assert Words(contact=contact).contact_address == address


def test_a_node_without_a_name_has_the_softwares() -> None:
    assert Words().name == "PDSHub" and Words(title="SBN").name == "SBN"
