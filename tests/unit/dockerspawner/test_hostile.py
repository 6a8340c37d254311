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
"""Seconds of the processor: far below what the unbounded would take, and the same on a machine that is busy."""


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    begun = time.process_time()
    yield
    assert time.process_time() - begun < SOON


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
    "a file whose name is in it": "def f():\n    return open(f()).read()\nc.A.allowed_users = f()",
    "a number as a text": "c.A.b = f'{0x" + "f" * 100_000 + "}'",
    "differences of lists": "a = [" + ",".join(f"'{n}'" for n in range(9000)) + "]\nb = [x + 'y' for x in a]\n"
    + "c.A.b = a - b\n" * 5000,
    "loops over what is not followed": f"for a in {list(range(400))}:\n    while x:\n"
    + "        y = [1, 2, 3]\n" * 15_000,
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
    "a time that is none": "services: !!timestamp soon",
    "a truth that is none": "services: !!bool perhaps",
    "a key that is a list": "services: {? [a, b] : c}",
    "many services": "services: {" + ", ".join(f"s{n}: {{}}" for n in range(5000)) + "}",
}  # fmt: skip


@pytest.mark.parametrize("case", YAMLS)
def test_compose_files(case: str, tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    (tmp_path / "compose.yaml").write_text(YAMLS[case].replace("{mark}", str(mark)))
    with pytest.raises(SourceError):
        compose.read(Folder(tmp_path))
    assert not mark.exists()


def test_numbers_to_the_base_of_sixty_are_texts() -> None:
    """As Compose reads them; and a long one of PyYAML's would take an hour."""
    assert bounded_yaml.load("a: 22:22\nb: 1_0\nc: 1.5") == {"a": "22:22", "b": 10, "c": 1.5}
    assert isinstance(bounded_yaml.load("a: " + "1:" * 200_000 + "1")["a"], str)


LONG = "A0=" + "x" * 60_000 + "\n"
DEPLOYMENTS: dict[str, dict[str, str]] = {
    "variables that multiply": {".env": LONG + "".join(f"B{n}=$A0\n" for n in range(50_000))},
    "many variables": {".env": "".join(f"B{n}=x\n" for n in range(100_000))},
    "a file that multiplies them": {".env": LONG, "compose.yaml": "services: {hub: {image: jupyterhub, labels: ["
                                    + "$A0, " * 40_000 + "]}}"},
    "files of variables without end": {"a": LONG * 10, "compose.yaml": "services: {hub: {image: jupyterhub, env_file: ["
                                       + ", ".join("./" * n + "a" for n in range(600)) + "]}}"},
    "a Dockerfile that copies": {"Dockerfile": "COPY " + "a " * 300_000 + "/srv\n",
                                 "compose.yaml": "services: {hub: {image: jupyterhub, build: .}}"},
    "lists without end": {"jupyterhub_config.py": "".join(
        f"a{n} = set(open('/srv/users{n}'))\n" for n in range(15_000))},
    "seconds without end": {"jupyterhub_config.py": "c.Spawner.start_timeout = 1e400\nc.Spawner.mem_limit = -1e400\n"},
    "more cores than there are": {"jupyterhub_config.py": "c.DockerSpawner.extra_host_config = {'nano_cpus': 0x"
                                  + "f" * 2000 + ", 'cpu_quota': float('inf'), 'mem_limit': float('nan')}\n"},
    "mounts of mounts": {"fstab": "".join(f"/m{n}a:/m{n}b:/m{n}c /m{n - 1}a mergerfs x 0 0\n" for n in range(1900)),
                         "jupyterhub_config.py": "c.DockerSpawner.volumes = {" + ", ".join(
                             f"'/m{n}a': {{'bind': '/d/{n}', 'mode': 'ro'}}" for n in range(200)) + "}\n"},
    "promises without end": {"README.md": "read-only data\n" * 70_000,
                             "jupyterhub_config.py": "c.DockerSpawner.volumes = {" + ", ".join(
                                 f"'/s{n}': '/d/{n}x'" for n in range(3000)) + "}\n"},
}  # fmt: skip


@pytest.mark.parametrize("case", DEPLOYMENTS)
def test_deployments(case: str, tmp_path: Path) -> None:
    for name, text in {"jupyterhub_config.py": "c.JupyterHub.port = 1\n", **DEPLOYMENTS[case]}.items():
        (tmp_path / name).write_text(text)
    try:
        imported(tmp_path).report.text()
    except SourceError as error:
        assert len(str(error)) < 500


def test_commands_in_variables_are_text(tmp_path: Path) -> None:
    mark = tmp_path / "was-run"
    (tmp_path / ".env").write_text(f"A=$(touch {mark})\nB=`touch {mark}`\nC=${{A:-$(touch {mark})}}\n")
    (tmp_path / "compose.yaml").write_text("services: {hub: {image: jupyterhub, environment: {X: $A$B$C}}}")
    found = compose.read(Folder(tmp_path))
    assert found.hub and found.hub.environment["X"].count("touch") == 3 and not mark.exists()


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
