"""What somebody would write who means harm: nothing is run, nothing is read beside, and it ends soon."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdshub.dockerspawner import bounded_yaml, compose, config, lists
from pdshub.dockerspawner.source import Folder, SourceError
from tests.unit.dockerspawner.samples import imported

SOON = 20.0
"""Seconds: a bound for machines that are busy, far below what the unbounded would take."""


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < SOON


CONFIGS = {
    "runs a program": "import os\nos.system('touch {mark}')\nc.A.b = os.popen('touch {mark}').read()",
    "runs on import": "__import__('os').system('touch {mark}')",
    "a class that runs": "class A:\n    x = open('{mark}', 'w')\n",
    "a decorator that runs": "@open('{mark}', 'w').write\ndef f():\n    pass\n",
    "a default that runs": "def f(x=open('{mark}', 'w')):\n    pass\nc.A.b = f()",
    "deep brackets": "c.A.b = " + "[" * 5000 + "]" * 5000,
    "a long sum": "c.A.b = " + "+".join(["1"] * 100_000),
    "a long chain": "c.A.b = x" + ".y" * 100_000,
    "many calls": "c.A.b = f" + "()" * 100_000,
    "many minus": "c.A.b = " + "-" * 100_000 + "1",
    "many nots": "c.A.b = " + "not " * 100_000 + "1",
    "many elif": "if x:\n    pass\n" + "elif x:\n    pass\n" * 9000,
    "doubled texts": "a = 'x' * 1\n" + "a = a + a\n" * 60 + "c.A.b = a",
    "doubled lists": "a = ['x']\n" + "a = [a, a]\n" * 60 + "c.A.b = a",
    "a list in itself": "a = []\na.append(a)\na += [a]\nc.A.b = a",
    "deep lists": "a = []\n" + "a = [a]\n" * 5000 + "c.A.b = a",
    "loops in loops": "for a in list(x):\n    pass\nr = ['x'] + ['y']\n" + "r = r + r\n" * 13
    + "for a in r:\n    for b in r:\n        for d in r:\n            c.A.b = d\n",
    "a number": "c.A.b = 9" + "9" * 5000,
    "powers": "c.A.b = 99999 ** 99999 ** 99999",
    "many lines": "x = 1\n" * 30_000,
    "binary": "\x00\x01\x02",
    "recursion": "def f():\n    return f()\nc.A.b = f()",
}  # fmt: skip


@pytest.mark.parametrize("case", CONFIGS)
def test_configurations(case: str, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    try:
        found = config.read(CONFIGS[case].replace("{mark}", str(mark)))
        assert found.understood <= found.statements
        repr(found.assignments)[:100]
    except SourceError as error:
        assert len(str(error)) < 500
    assert not mark.exists()


YAMLS = {
    "laughs": "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    ),
    "merges": "a: &a {x1: 1, x2: 1, x3: 1, x4: 1, x5: 1, x6: 1, x7: 1, x8: 1}\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)}\n  <<: [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    ),
    "a circle": "services: &a\n  x: *a\n",
    "deep": "a: " + "[" * 3000 + "]" * 3000,
    "objects": "services: !!python/object/apply:os.system ['touch {mark}']",
    "a number": "services: " + "9" * 100_000,
    "binary": "\x00\x01",
    "a tag": "services: !vault |\n  abc",
    "many documents": "---\na: 1\n---\nb: 1\n",
}  # fmt: skip


@pytest.mark.parametrize("case", YAMLS)
def test_compose_files(case: str, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    (tmp_path / "compose.yaml").write_text(YAMLS[case].replace("{mark}", str(mark)))
    with pytest.raises(SourceError):
        compose.read(Folder(tmp_path))
    assert not mark.exists()


def test_a_circle_of_anchors_is_refused() -> None:
    with pytest.raises(SourceError):
        bounded_yaml.load("a: &a\n- *a\n")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside", "link", "folder-link/outside", "\0"])
def test_nothing_outside_of_the_folder_is_read(name: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "outside").write_text("SECRET=x")
    (inside / "link").symlink_to(tmp_path / "outside")
    (inside / "folder-link").symlink_to(tmp_path)
    folder = Folder(inside)
    assert not folder.has(name)
    with pytest.raises(SourceError):
        folder.text(name)


def test_an_env_file_outside_is_said_and_not_read(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "outside").write_text("SECRET=x")
    (inside / "compose.yaml").write_text(
        "services: {hub: {image: jupyterhub, env_file: [../outside, /etc/passwd, none]}}"
    )
    found = compose.read(Folder(inside))
    assert found.hub and not found.hub.environment
    assert sum("leads out of" in note for note in found.notes) == 2


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "jupyterhub_config.py")
    with pytest.raises(SourceError):
        Folder(tmp_path).text("jupyterhub_config.py")


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "jupyterhub_config.py").write_text("x = 1\n" * 400_000)
    with pytest.raises(SourceError, match="KiB"):
        imported(tmp_path)


@pytest.mark.parametrize("text", ["[1, 2]", "{", '["a", {}]', "\n".join(f"u{n}" for n in range(20_000)), "[" * 9000])
def test_lists_that_are_none(text: str) -> None:
    with pytest.raises(SourceError):
        lists.read(text)


NAMES = (
    "../../etc",
    "ada/../root",
    "a\nb",
    "\x1b[31mred",
    "‮evil",
    "a" * 300,
    "ada@example.org\n  admin: true",
    "%s",
    "{0}",
)


def test_names_that_nobody_may_have_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "jupyterhub_config.py").write_text(f"c.Authenticator.allowed_users = {set(NAMES)!r}\n")
    made = imported(tmp_path)
    for name in made.people.allowed:
        assert name.isprintable() and "/" not in name and len(name) <= 254


def test_a_report_holds_no_line_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "jupyterhub_config.py").write_text("c.JupyterHub.nothing_of = f('\\n\\x1b[2J')\n")
    assert "\x1b" not in imported(tmp_path).report.text()
