"""Whoever may write a PDSHub may write anything into it: none of it becomes a key, a command, a directive or a line."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub.compose import source
from pdshub.compose.text import ExportError, compose_yaml, literal
from tests.unit.compose.support import FULL, OFFLOAD, compose, exported, hub, manifest, text

EVIL = (
    'x"\n  evil:\n    image: evil',
    "x'\nimport os\nos.system('id')\n#",
    "'''\nimport os\n'''",
    "${HOME} $(id) `id` $$",
    "x\r\nExecStart=/bin/sh",
    "x\u2028import os",
    "x\x85\x0cimport os",
    "{username} {0.__class__} %i %h",
    "<script>alert(1)</script>",
    "\\",
    "*alias &anchor !!python/object/apply:os.system [id]",
    "# \x00comment".replace("\x00", "\x01"),
)


def google(**more: Any) -> dict[str, Any]:
    return {"google": {**FULL["signIn"]["google"], **more}}


def shape(found: Any) -> tuple[Any, ...]:
    """What the files are made of, without the values: keys of YAML, statements of Python, lines of units."""

    def keys(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: keys(held) for key, held in value.items()}
        return [keys(held) for held in value] if isinstance(value, list) else type(value).__name__

    code = ast.parse(text(found, "jupyterhub_config.py"))
    statements = [
        ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ast.unparse(node) for node in code.body
    ]
    calls = sorted(ast.unparse(node.func) for node in ast.walk(code) if isinstance(node, ast.Call))
    units = {name: body for name, (body, _) in found.files.items() if name.startswith("systemd/")}
    return keys(compose(found)), statements, calls, units


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize(
    "changed",
    [
        lambda evil: {"title": evil[:200]},
        lambda evil: {"contact": evil[:200]},
        lambda evil: {"message": evil},
        lambda evil: {"signIn": google(clientId=evil)},
        lambda evil: {"signIn": google(clientSecretRef={"name": evil, "key": evil})},
        lambda evil: {"signIn": google(hostedDomains=[evil])},
        lambda evil: {"server": {**FULL["server"], "home": {"size": "20Gi", "storageClassName": evil}}},
    ],
    ids=["title", "contact", "message", "clientId", "secretRef", "hostedDomains", "storageClass"],
)
@pytest.mark.parametrize("tls", [None, OFFLOAD], ids=["plain", "apache"])
def test_a_value_stays_a_value(changed: Any, evil: str, tls: Any) -> None:
    assert shape(exported(tls=tls, **changed(evil))) == shape(exported(tls=tls))


@pytest.mark.parametrize("evil", EVIL)
def test_keys_of_values_end_no_comment(evil: str) -> None:
    found = exported(values={evil: 1})
    assert shape(found) == shape(exported())
    for name in ("docker-compose.yml", "jupyterhub_config.py"):
        body = text(found, name)
        assert body.isascii()
        head = body.split("\n\n", 1)[0]
        assert all(line.startswith("#") for line in head.splitlines())


@pytest.mark.parametrize("evil", EVIL)
def test_names_of_profiles_that_are_shown_as_html_are_words(evil: str) -> None:
    profiles = [
        {"name": "one", "displayName": evil[:128]}, {"name": "two", "displayName": "Two", "image": "example.org/b:1"},
    ]  # fmt: skip
    found = exported(server={**FULL["server"], "profiles": profiles})
    (line,) = re.findall(r"allowed_images = (.*)", text(found, "jupyterhub_config.py"))
    assert all(re.fullmatch(r"[A-Za-z0-9 .,:()/+_-]+", shown) for shown in ast.literal_eval(line))


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {"name": "x; reboot"}},
        {"metadata": {"name": "x\nExecStart=/bin/sh"}},
        {"metadata": {"name": "../../etc"}},
        {"metadata": {"name": "a" * 60}},
        {"metadata": {"namespace": "a\nb"}},
        {"metadata": {"name": None}},
        {"hostname": 'hub.example.org"\n</VirtualHost>'},
        {"server": {"image": "x\n    privileged: true"}},
        {"server": {"image": "${HOME}"}},
        {"archive": {**FULL["archive"], "mountPath": "/archive/{username}"}},
        {"archive": {**FULL["archive"], "mountPath": "/a:/etc:rw"}},
        {"archive": {**FULL["archive"], "mountPath": "/a\n"}},
        {"users": {"allowed": ["a b"]}},
        {"users": {"allowed": ["#x@example.org"]}},
        {"users": {"admins": ["a\nroot@example.org"]}},
        {"unknown": 1},
    ],
)
def test_what_no_file_could_hold_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ExportError):
        exported(**changes)


@pytest.mark.parametrize(
    ("export", "told"),
    [("/pds main", True), ("/pds,uid=0", True), ("/pds\n/etc /mnt none bind 0 0", False), ("/pds\\040", True)],
)
def test_odd_exports_end_no_line_of_the_table(export: str, told: bool) -> None:
    inline = {**FULL["archive"]["inline"], "sources": [{"name": "main", "nfs": {"server": "nas", "export": export}},
                                                        FULL["archive"]["inline"]["sources"][1]]}  # fmt: skip
    found = exported(archive={"inline": inline})
    lines = [each for each in text(found, "fstab").splitlines() if each and not each.startswith("#")]
    assert len(lines) == (4 if told else 3) and all(len(each.split()) == 6 for each in lines)
    # the archive itself is mounted from this file, which holds the path to the letter
    view = yaml.safe_load(text(found, "archive/view.yaml"))
    assert view["spec"]["sources"][0]["nfs"]["export"] == export


def test_odd_paths_of_the_tree_stay_in_the_views_file() -> None:
    tree = [{"path": "a,b:c", "layers": [{"source": "main"}, {"source": "mission"}]}]
    found = exported(archive={"inline": {**FULL["archive"]["inline"], "tree": tree}})
    assert "not told" in text(found, "fstab")
    assert not any("a,b" in body for name, (body, _) in found.files.items() if name.startswith("systemd"))


@pytest.mark.parametrize("value", EVIL)
def test_a_literal_is_that_value_and_no_more(value: str) -> None:
    for each in (value, {value: [value, 1, None, True]}):
        written = literal(each)
        assert written.isascii() and ast.literal_eval(written) == each


@pytest.mark.parametrize("value", EVIL)
def test_compose_puts_nothing_into_a_text(value: str) -> None:
    """Compose's own rule: ``$$`` is a dollar sign, and no other ``$`` is left."""
    (found,) = yaml.safe_load(compose_yaml({"a": value})).values()
    assert "$" not in found.replace("$$", "") and found.replace("$$", "$") == value


@pytest.mark.parametrize(
    "content",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n" + "d: [" + "[" * 60 + "]" * 60 + "]",
        "kind: PDSHub\nmetadata: {name: [a]}",
        "- 1\n- 2",
        "!!python/object/apply:os.system ['id']",
        "kind: List\nitems: [1, {kind: PDSHub}]",
        "apiVersion: pdshub.dev/v1alpha1\nkind: PDSHub\nmetadata: [x]\nspec: []",
        "\x00",
    ],
)
def test_manifests_that_are_none_are_refused(content: str) -> None:
    with pytest.raises(ExportError):
        source.hub(source.documents(content))


def test_of_several_hubs_one_is_named(tmp_path: Path) -> None:
    both = [manifest(), manifest(metadata={"name": "other"})]
    with pytest.raises(ExportError, match="sbn, other"):
        source.hub(both)
    assert source.hub(both, "other").name == "other" and hub().name == "sbn"
