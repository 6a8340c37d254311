"""Configurations, statement by statement: values, conditions, lines that are not understood."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.dockerspawner import config
from pdshub.dockerspawner.lists import Names
from pdshub.dockerspawner.source import SourceError
from pdshub.dockerspawner.values import Random, Reference, known

HEAD = "import os\nc = get_config()\n"
FILE = Names(("ada", "bela"), ("ada",))


def read(text: str, **environment: str) -> config.Config:
    lists = {"/srv/users.txt": ("users.txt", FILE)}
    return config.read(HEAD + text, environment=environment, names_of=lists.get)


def values(text: str, **environment: str) -> dict[str, Any]:
    return {f"{owner}.{name}": each.value for (owner, name), each in read(text, **environment).last().items()}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("c.A.b = 1", {"A.b": 1}),
        ("x = '/a'\nc.A.b = x + '/b'", {"A.b": "/a/b"}),
        ("c.A.b = y = 'v'\nc.A.c = y", {"A.b": "v", "A.c": "v"}),
        ("x, y = 'a', 'b'\nc.A.b = y", {"A.b": "b"}),
        ("x: str = 'a'\nc.A.b = x", {"A.b": "a"}),
        ("c.A.b = 1\nc.A.b = 2", {"A.b": 2}),
        ("c.A.b = ['a']\nc.A.b += ['b']", {"A.b": ["a", "b"]}),
        ("c.A.b += ['b']", {"A.b": ["b"]}),
        ("c.A.b = {'a'}\nc.A.b |= {'b'}", {"A.b": ["a", "b"]}),
        ("c.A.b = {'a': 1}\nc.A.b['c'] = 2", {"A.b": {"a": 1, "c": 2}}),
        ("c.A.b['c'] = 2", {"A.b": {"c": 2}}),
        ("c.A.b.update({'c': 2})", {"A.b": {"c": 2}}),
        ("c.A.b.append('c')\nc.A.b.extend(['d'])", {"A.b": ["c", "d"]}),
        ("c.A.b.update(x='y')", {"A.b": {"x": "y"}}),
        ("people = set()\nc.A.b = people\npeople.add('ada')", {"A.b": ["ada"]}),
        ("c.A.b = c.A.d = ['x']\nc.A.e = c.A.b", {"A.b": ["x"], "A.d": ["x"], "A.e": ["x"]}),
        ("if os.environ.get('X'):\n    c.A.b = 1\nelse:\n    c.A.b = 2", {"A.b": 2}),
        ("for n in ['a', 'b']:\n    c.A.b[n] = n.upper()", {"A.b": {"a": "A", "b": "B"}}),
        ("for k, v in {'a': 1}.items():\n    c.A.b = [k, v]", {"A.b": ["a", 1]}),
        ("try:\n    import x\n    c.A.b = 1\nexcept ImportError:\n    c.A.b = 2", {"A.b": 1}),
        ("os.environ['Y'] = 'z'\nc.A.b = os.environ['Y']", {"A.b": "z"}),
        ("os.environ.setdefault('Y', 'z')\nc.A.b = os.environ['Y']", {"A.b": "z"}),
        (
            "from dockerspawner import DockerSpawner\nc.A.b = DockerSpawner",
            {"A.b": Reference("dockerspawner.DockerSpawner")},
        ),
        (
            "import dockerspawner as d\nc.A.b = d.SystemUserSpawner",
            {"A.b": Reference("dockerspawner.SystemUserSpawner")},
        ),
        ("class Mine(object):\n    pass\nc.A.b = Mine", {"A.b": Reference("Mine")}),
        ("c.A.b = os.urandom(32).hex()", {"A.b": Random("os.urandom")}),
    ],
)
def test_values(text: str, wanted: dict[str, Any]) -> None:
    assert values(text) == wanted


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("c.A.allowed_users = set(open('/srv/users.txt').read().split())", ["ada", "bela"]),
        ("with open('/srv/users.txt') as f:\n    c.A.allowed_users = {x.strip() for x in f}", ["ada", "bela"]),
        ("w = set()\nwith open('/srv/users.txt') as f:\n    for line in f:\n        w.add(line.strip())\n"
         "c.A.allowed_users = w", ["ada", "bela"]),
        ("def people(p='/srv/users.txt'):\n    return open(p).read().split()\nc.A.allowed_users = people()",
         ["ada", "bela"]),
        ("def people(p):\n    with open(p) as f:\n        return list(f)\nc.A.allowed_users = people('/srv/users.txt')",
         ["ada", "bela"]),
        ("from pathlib import Path\nc.A.allowed_users = set(Path('/srv/users.txt').read_text().splitlines())",
         ["ada", "bela"]),
    ],
)  # fmt: skip
def test_lists_in_files(text: str, names: list[str]) -> None:
    found = read(text)
    assert found.last()["A", "allowed_users"].value == names
    assert found.lists == ["users.txt"] and found.listed_admins == ["ada"]
    assert found.understood == found.statements, found.unread


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("c.A.b = f()", {3: "f() was not run"}),
        ("x = f()\nc.A.b = x", {3: "f() was not run", 4: "f() was not run"}),
        ("def hook(s):\n    s.x = 1\nc.A.b = hook", {3: "function hook was not run"}),
        ("while True:\n    pass", {3: "while is not followed"}),
        ("exec('c.A.b = 1')", {3: "what it calls was not run"}),
        ("if f():\n    c.A.b = 1", {4: "it depends on f()"}),
        ("assert x", {3: "assert is not followed"}),
        ("del c", {3: "delete is not followed"}),
        ("from x import *", {3: "what it imports is not known"}),
        ("class A(B):\n    x = 1", {3: "class A was not run"}),
        ("with open('/srv/none') as f:\n    c.A.b = f.read()", {3: "what it reads is not known"}),
    ],
)
def test_lines_that_are_not_understood_are_listed(text: str, lines: dict[int, str]) -> None:
    found = read(text)
    assert {line.number: line.why for line in found.unread} == lines
    assert 0 <= found.understood < found.statements


def test_what_depends_on_something_unknown_is_no_value() -> None:
    found = read("if f():\n    c.A.b = 1\nelse:\n    c.A.b = 2\n")
    assert not found.last() and [each.condition for each in found.assignments] == ["f()", "not f()"]


def test_assigned_twice() -> None:
    found = read("c.A.b = 1\nc.A.c = []\nc.A.c.append(1)\nc.A.b = 2")
    assert found.twice() == {("A", "b"): [3, 6]}


def test_every_statement_is_counted_once() -> None:
    found = read(
        "c.A.b = 1\nif False:\n    c.A.c = 1\n    c.A.d = 2\nfor x in [1, 2, 3]:\n    c.A.e = x\ndef f():\n    pass"
    )
    assert (found.statements, found.understood) == (10, 8)


def test_secrets_are_not_shown() -> None:
    found = read("client_secret = decrypt('hidden-text')\nc.A.password = decrypt('hidden-text')\n")
    assert found.unread and not any("hidden-text" in line.text for line in found.unread)


def test_the_environment_that_is_asked_for_and_not_there_is_named() -> None:
    assert read("c.A.b = os.environ.get('X', 'y')").unset == ["X"]


def test_a_template_of_ansible() -> None:
    text = "c.A.b = '{{ one }}'\n{% if two %}\nc.A.c = {{ three }}\n{% endif %}\nc.A.d = 'x'\nc.A.e = { {{ four }} }\n"
    found = read(text)
    assert {key for key, each in found.last().items() if known(each.value)} == {("A", "d")}
    assert sorted(line.number for line in found.unread) == [3, 5, 8]
    assert [line.number for line in found.notes] == [4, 6]


@pytest.mark.parametrize("text", ["c.A.b = (", "if True:\nc.A.b = 1", "c.A.b = 'x", "\x00", "c.A.b = 1 1"])
def test_what_is_no_python_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(SourceError):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "people = {'ada'}\nfor line in lines():\n    people.add(line)\nc.A.b = people",
        "people = {'ada'}\nc.A.b = people\nwhile x:\n    people.add(x)",
        "c.A.b = {'ada'}\nfor n in names():\n    c.A.b.add(n)",
        "c.A.b = {'ada'}\nif f():\n    c.A.b.discard('ada')",
        "c.A.b = ['ada']\nif f():\n    c.A.b += ['bela']",
        "c.A.b = {'x': 1}\nfor n in names():\n    c.A.b[n] = 2",
        "x = 'a'\nfor n in names():\n    x = n\nc.A.b = x",
        "for n in ['a', 'b']:\n    if n == 'a':\n        break\n    c.A.b = n",
        "c.A.b = 1\nwith lock():\n    c.A.b = 2",
    ],
)
def test_what_may_have_been_changed_is_not_known(text: str) -> None:
    each = read(text).last()["A", "b"]
    assert not known(each.value)


def test_a_loop_over_an_open_file() -> None:
    found = read("w = set()\nfor line in open('/srv/users.txt'):\n    w.add(line.strip())\nc.A.allowed_users = w")
    assert found.last()["A", "allowed_users"].value == ["ada", "bela"]
