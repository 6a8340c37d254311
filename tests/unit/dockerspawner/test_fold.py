"""Constants of expressions: what is folded, and what is not and says why."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from pdshub.dockerspawner import fold_calls
from pdshub.dockerspawner.fold import Scope
from pdshub.dockerspawner.values import Random, Reference, Unknown, known, why

ENVIRONMENT = {"A": "a", "EMPTY": "", "PEOPLE": "ada, bela,,cyd"}


def folded(text: str, **names: Any) -> Any:
    scope = Scope(dict(ENVIRONMENT), dict(names), {"os": "os", "DockerSpawner": "dockerspawner.DockerSpawner"},
                  called=fold_calls.called)  # fmt: skip
    scope.imports |= {"getenv": "os.getenv", "environ": "os.environ", "Path": "pathlib.Path", "sys": "sys"}
    return scope.fold(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'a' 'b'", "ab"),
        ("'a' + \"b\"", "ab"),
        ("b'abc'", "abc"),
        ("1 + 2 * 3", 7),
        ("60 * 60 / 2", 1800.0),
        ("2 ** 8", 256),
        ("-5", -5),
        ("not ''", True),
        ("None or 'x'", "x"),
        ("'' or 'x'", "x"),
        ("'y' and 'x'", "x"),
        ("os.environ['A']", "a"),
        ("environ['A']", "a"),
        ("os.environ.get('A')", "a"),
        ("os.environ.get('NONE')", None),
        ("os.environ.get('NONE', 'd')", "d"),
        ("os.getenv('EMPTY') or 'd'", "d"),
        ("getenv('NONE', default='d')", "d"),
        ("os.environ.get('NONE') or os.getenv('A') or 'd'", "a"),
        ("f\"{os.environ['A']}-{x}\"", "a-y"),
        ("f'/srv/{x}/{{username}}'", "/srv/y/{username}"),
        ("f'{x!s}'", "y"),
        ("'/srv/%s/%s' % (x, 1)", "/srv/y/1"),
        ("'{}/{name}'.format(x, name='n')", "y/n"),
        ("'{0}{0}/{{username}}'.format('a')", "aa/{username}"),
        ("['a', x]", ["a", "y"]),
        ("{'a', 'b', 'a'}", ["a", "b"]),
        ("{'a': x, **{'b': 2}}", {"a": "y", "b": 2}),
        ("[*['a'], 'b']", ["a", "b"]),
        ("dict(a=1, b='x')", {"a": 1, "b": "x"}),
        ("set()", []),
        ("set(['a', 'a'])", ["a"]),
        ("{'a': 'b'}['a']", "b"),
        ("['a', 'b'][1]", "b"),
        ("{'a': 'b'}.get('c', 'd')", "d"),
        ("'a b'.split()", ["a", "b"]),
        ("[p.strip() for p in os.environ['PEOPLE'].split(',') if p.strip()]", ["ada", "bela", "cyd"]),
        ("{p for p in ['a', 'a']}", ["a"]),
        ("','.join(['a', 'b'])", "a,b"),
        ("os.path.join('/srv', 'hub', 'x')", "/srv/hub/x"),
        ("os.path.dirname(__file__)", "/srv/jupyterhub"),
        ("Path('/srv') / 'hub'", "/srv/hub"),
        ("Path(__file__).parent / 'users'", "/srv/jupyterhub/users"),
        ("int('8000')", 8000),
        ("float('1.5')", 1.5),
        ("bool('')", False),
        ("str(8)", "8"),
        ("'x' if x == 'y' else 'z'", "x"),
        ("x in ('y', 'z')", True),
        ("x is not None", True),
        ("os.environ['A'].lower() == 'a'", True),
        ("DockerSpawner", Reference("dockerspawner.DockerSpawner")),
        ("os.urandom(32)", Random("os.urandom")),
    ],
)  # fmt: skip
def test_known(text: str, value: Any) -> None:
    assert folded(text, x="y") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("os.environ['NONE']", "NONE is set nowhere"),
        ("somewhere", "somewhere is not set above"),
        ("subprocess_output()", "was not run"),
        ("os.listdir('/')", "os.listdir() was not run"),
        ("open('/etc/passwd').read()", "was not run"),
        ("lambda: 1", "Lambda is not evaluated"),
        ("'{{ ansible_host }}'", "a template fills it in"),
        ("'{:>100000000}'.format('a')", "not evaluated"),
        ("'{0.__class__}'.format('a')", "not evaluated"),
        ("f'{x:>100000000}'", "not evaluated"),
        ("'%100000000s' % 'a'", "not evaluated"),
        ("'a' * 1000000000", "not evaluated"),
        ("10 ** 10 ** 10", "too large"),
        ("['a'][7]", "no such entry"),
        ("1 / 0", "can not be calculated"),
        ("int('x')", "no number"),
        ("x.__class__.__mro__", "not evaluated"),
        ("().__class__.__bases__[0]", "not evaluated"),
        ("__import__('os').system('touch /tmp/pdshub-was-run')", "not"),
    ],
)
def test_unknown_says_why(text: str, said: str) -> None:
    value = folded(text, x="y")
    assert not known(value) and said in why(value)


def test_what_is_unknown_may_stand_inside() -> None:
    value = folded("{'/a': '/b', os.environ['NONE']: '/c', '/d': f()}")
    assert value["/a"] == "/b" and not known(value) and isinstance(value["/d"], Unknown)


@pytest.mark.parametrize(
    "text",
    [
        "[a, a, a, a, a, a, a, a, a, a]",  # of lists of lists: few characters, more values than there are atoms
        "a + a",
        "''.join([s, s, s])",
        "f'{s}{s}{s}{s}'",
        "s.replace('x', s)",
        "[p for p in a]",
    ],
)
def test_what_grows_is_cut(text: str) -> None:
    big: list[Any] = ["x"] * 1000
    for _ in range(8):
        big = [big] * 10
    value = folded(text, a=big, s="x" * 60_000)
    assert not known(value) or isinstance(value, str | list)
    assert value == Unknown("a value is too large") or len(value) < 200_000


def test_depth_is_bounded() -> None:
    assert not known(folded("+".join(["'a'"] * 500)))
    assert not known(folded("[" * 60 + "x.y" + "]" * 60))
