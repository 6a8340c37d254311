"""Homes on their way: real files, real archives, a receiver in a process of its own; the old side never changes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli import import_homes, import_plan, import_receiver, import_sources, import_tree, main
from pdshub.cli.import_tree import Entry
from tests.unit.cli.local_pods import LocalPods, state

CONFIG = """
c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.volumes = {"/srv/homes/{username}": "%s", "/pds": {"bind": "%s/archive/pds4", "mode": "ro"}}
c.Authenticator.allowed_users = {"ada@example.org", "bela@example.org"}
"""
ADA, BELA = "ada-40example-2eorg", "bela_40example_2Eorg"
"""Directories by the rule of DockerSpawner 12, and by that before."""
Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalPods:
    return LocalPods(tmp_path / "cluster", monkeypatch)


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[Path]:
    """Two homes as an old machine has them."""
    root = tmp_path / "old" / "homes"
    for name in (ADA, BELA):
        (root / name / "notebooks").mkdir(parents=True)
        (root / name / "archive" / "pds4").mkdir(parents=True)  # what Docker left of a mount
        (root / name / "notebooks" / "one.ipynb").write_text(f"notebook of {name}")
        (root / name / ".profile").write_text("x=1\n")
    run = root / ADA / "run.sh"
    run.write_text("#!/bin/sh\n")
    run.chmod(0o4755)
    os.symlink("notebooks/one.ipynb", root / ADA / "latest")
    os.symlink("/etc/passwd", root / ADA / "elsewhere")
    (root / ADA / "empty").touch()
    (root / ADA / "closed").mkdir(mode=0o700)
    with open(os.path.join(os.fsencode(root / ADA), b"caf\xe9.txt"), "wb") as odd:
        odd.write(b"odd")
    (root / ADA / "line\nbreak").write_text("x")
    (root / ADA / ("n" * 200)).write_text("long")
    os.mkfifo(root / ADA / "pipe")
    os.utime(root / ADA / ".profile", ns=(1_700_000_000_123_456_789,) * 2)
    yield root


@pytest.fixture
def run(tmp_path: Path, homes: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    folder = tmp_path / "deployment"
    folder.mkdir()
    (folder / "jupyterhub_config.py").write_text(CONFIG % ("/home/jovyan", "/home/jovyan"))

    def made(*more: str) -> tuple[int, dict[str, Any], str]:
        line = [
            "import",
            "dockerspawner",
            str(folder),
            "--to",
            str(tmp_path / "out"),
            "--homes",
            str(homes),
            "--name",
            "sbn",
        ]
        code = main.main([*line, "-o", "json", *more])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else {}, said.err

    return made


def of(answer: dict[str, Any], user: str) -> dict[str, Any]:
    return next(row for row in answer["homes"]["homes"] if row["user"] == user)


def test_homes_arrive_as_they_were(run: Run, pods: LocalPods, homes: Path) -> None:
    before = state(homes)
    code, answer, err = run("--final")
    assert code == 0, err
    for user, name in (("ada@example.org", ADA), ("bela@example.org", BELA)):
        row = of(answer, user)
        assert row["equal"] and row["stubs"] == ["archive/pds4", "archive"] and not row["different"], row
        old, new = state(homes / name), state(pods.claim(user))
        wanted = {path for path in old if path not in ("archive", "archive/pds4", "pipe")}
        assert set(new) == wanted
        for path in wanted:
            if old[path][3] is not None and not os.path.islink(homes / name / path):
                assert (new[path][2], new[path][3]) == (old[path][2], old[path][3]), (
                    "content, and time to the nanosecond"
                )
    assert os.readlink(pods.claim("ada@example.org") / "elsewhere") == "/etc/passwd", "a link stays a link"
    assert state(pods.claim("ada@example.org"))["run.sh"][1] & 0o7777 == 0o755, "without its set-id bit"
    assert of(answer, "ada@example.org")["leftOut"] == ["pipe"]
    assert state(homes) == before, "the old side is only read"


def test_claims_are_made_as_the_hub_would(run: Run, pods: LocalPods) -> None:
    assert run()[0] == 0
    made = pods.objects("persistentvolumeclaim")
    assert [claim["metadata"]["annotations"]["pdshub.dev/home-of"] for claim in made] == [
        "ada@example.org",
        "bela@example.org",
    ]
    for claim in made:
        assert claim["metadata"]["labels"] == {
            "app": "jupyterhub",
            "component": "singleuser-storage",
            "pdshub.dev/hub": "sbn",
        }
        assert claim["spec"]["resources"]["requests"]["storage"] == "10Gi"
    assert not pods.objects("pod"), "pods are taken away"


def test_the_second_time_only_the_difference(run: Run, pods: LocalPods, homes: Path) -> None:
    assert run()[0] == 0
    (homes / ADA / "notebooks" / "one.ipynb").write_text("changed meanwhile")
    (homes / ADA / "notebooks" / "two.ipynb").write_text("new")
    (homes / ADA / ".profile").unlink()
    code, answer, err = run("--final")
    row = of(answer, "ada@example.org")
    assert code == 0 and (row["sent"], row["removed"], row["equal"]) == (2, 1, True), (row, err)
    assert of(answer, "bela@example.org")["sent"] == 0
    there = pods.claim("ada@example.org")
    assert (there / "notebooks/one.ipynb").read_text() == "changed meanwhile" and not (there / ".profile").exists()


def test_what_somebody_wrote_at_the_new_hub_stays(run: Run, pods: LocalPods, homes: Path) -> None:
    assert run()[0] == 0
    there = pods.claim("ada@example.org")
    (there / "notebooks/one.ipynb").write_text("mine, and newer")
    (there / "theirs").write_text("of the new hub")
    (homes / ADA / "notebooks" / "one.ipynb").write_text("of the old hub, changed too")
    (homes / ADA / "notebooks" / "one.ipynb").touch()
    os.utime(homes / ADA / "notebooks/one.ipynb", ns=(1, 1))
    code, answer, _ = run("--final")
    row = of(answer, "ada@example.org")
    assert code == 0 and row["kept"] == ["notebooks/one.ipynb"]
    assert (there / "notebooks/one.ipynb").read_text() == "mine, and newer" and (there / "theirs").exists()


def test_a_connection_that_breaks_is_tried_again(run: Run, pods: LocalPods) -> None:
    pods.breaks(2)
    code, answer, err = run("--final")
    assert code == 0 and all(row["equal"] for row in answer["homes"]["homes"]) and "once more" in err


def test_what_was_interrupted_goes_on(run: Run, pods: LocalPods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_homes, "BATCH_FILES", 3)
    pods.breaks(3)
    code, answer, _ = run()
    assert code == 1 and of(answer, "ada@example.org")["error"]
    code, answer, _ = run("--final")
    assert code == 0 and all(row["equal"] for row in answer["homes"]["homes"])


def test_damage_is_found(run: Run, pods: LocalPods) -> None:
    assert run()[0] == 0
    damaged = pods.claim("ada@example.org") / "notebooks/one.ipynb"
    status, content = damaged.stat(), damaged.read_bytes()
    damaged.write_bytes(b"X" + content[1:])
    os.utime(damaged, ns=(status.st_mtime_ns, status.st_mtime_ns))
    code, answer, _ = run("--final")
    assert code == 1 and of(answer, "ada@example.org")["different"] == ["notebooks/one.ipynb"]


def test_one_person_alone(run: Run, pods: LocalPods) -> None:
    code, answer, _ = run("--user", "bela@example.org")
    assert code == 0 and [row["user"] for row in answer["homes"]["homes"]] == ["bela@example.org"]
    assert run("--user", "nobody@example.org")[0] == 2


def test_the_claim_of_somebody_else_is_left_alone(run: Run, pods: LocalPods) -> None:
    assert run()[0] == 0
    path = next((pods.folder / "objects").glob("persistentvolumeclaim-*ada*"))
    path.write_text(path.read_text().replace("ada@example.org", "eve@example.org"))
    code, _, err = run()
    assert code == 1 and "eve@example.org" in err


def test_a_dry_run_asks_no_cluster(run: Run, pods: LocalPods, tmp_path: Path) -> None:
    code, answer, _ = run("--dry-run")
    assert code == 0 and not pods.calls() and not (tmp_path / "out").exists()
    assert {row["from"].rpartition("/")[2] for row in answer["homes"]["homes"]} == {ADA, BELA}


def test_a_pod_that_does_not_start_is_said(run: Run, pods: LocalPods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASE", "Failed")
    code, answer, _ = run()
    assert code == 1 and "does not run" in of(answer, "ada@example.org")["error"] and not pods.objects("pod")


def test_a_link_in_the_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    """Whoever's home it is may put one there at any moment, and root reads."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "shadow").write_text("root's")
    home = tmp_path / "homes" / "eve"
    home.mkdir(parents=True)
    os.symlink(tmp_path / "secret", home / "folder")
    entry = Entry("folder/shadow", "f", 6, 1, 0o600)
    assert import_tree.digests(str(tmp_path / "homes"), "eve", [entry]) == {}
    tree = import_tree.read(str(tmp_path / "homes"), "eve")
    assert [(each.path, each.kind) for each in tree.entries] == [("folder", "l")]
    os.symlink(home, tmp_path / "homes" / "mallory")
    with pytest.raises(OSError):
        import_tree.read(str(tmp_path / "homes"), "mallory")


def receive(top: Path, *members: tuple[str, bytes, bytes]) -> dict[str, Any]:
    """What the receiver makes of an archive. Members: name, type, content or target."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content in members:
            made = tarfile.TarInfo(name)
            made.type, made.mode = kind, 0o6777
            if kind == tarfile.REGTYPE:
                made.size = len(content)
            else:
                made.linkname = content.decode()
            archive.addfile(made, io.BytesIO(content))
    done = subprocess.run(
        [sys.executable, import_receiver.__file__, "receive", str(top)],
        input=packed.getvalue(),
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../out", tarfile.REGTYPE), ("/tmp/pdshub-out", tarfile.REGTYPE), ("a/../../out", tarfile.REGTYPE),
        ("link/out", tarfile.REGTYPE), ("device", tarfile.CHRTYPE), ("hard", tarfile.LNKTYPE),
        ("pipe", tarfile.FIFOTYPE), (".", tarfile.DIRTYPE), ("a//b", tarfile.REGTYPE),
    ],
)  # fmt: skip
def test_what_the_receiver_refuses(name: str, kind: bytes, tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    os.symlink(outside, home / "link")
    answer = receive(home, (name, kind, b"x"), ("good", tarfile.REGTYPE, b"y"))
    assert answer["done"] == 1 and [path for path, _ in answer["refused"]] == [name.rstrip("/")]
    assert sorted(os.listdir(home)) == ["good", "link"] and not os.listdir(outside)
    assert os.stat(home / "good").st_mode & 0o7000 == 0


@pytest.mark.parametrize("what", ["list", "digest", "receive", "remove"])
def test_a_link_in_the_place_of_the_home_s_folder_is_not_followed(what: str, tmp_path: Path) -> None:
    """The next home is mounted beside it, in the same pod."""
    mine, other = tmp_path / "0", tmp_path / "1"
    mine.mkdir()
    other.mkdir()
    (other / "secret").write_text("another's")
    os.symlink(other, mine / "work")
    done = subprocess.run(
        [sys.executable, import_receiver.__file__, what, str(mine), "work"], input=b'["secret"]', capture_output=True
    )
    assert done.returncode and b"secret" not in done.stdout and os.listdir(other) == ["secret"]


def test_a_folder_of_the_home_is_made_and_filled(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, import_receiver.__file__, "list", str(tmp_path), "a/b"], capture_output=True, check=True
    )
    assert not done.stdout and (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize(
    "name", ["n" * 255, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 127, "odd\nname", "a" + "/b" * 200]
)
def test_names_that_the_receiver_takes(name: str, tmp_path: Path) -> None:
    assert receive(tmp_path, (name, tarfile.REGTYPE, b"x"))["refused"] == []
    assert (tmp_path / name).read_bytes() == b"x" and not list(tmp_path.rglob(f"*{import_receiver.PART}"))


def test_what_was_begun_and_not_ended_goes(tmp_path: Path) -> None:
    (tmp_path / f"big{import_receiver.PART}").write_text("half")
    done = subprocess.run(
        [sys.executable, import_receiver.__file__, "list", str(tmp_path)], capture_output=True, check=True
    )
    assert not done.stdout and not os.listdir(tmp_path)


FILE = Entry("a", "f", 1, 100, 0o644)
Wanted = tuple[list[str], list[str], list[str], int]
PLANS: list[tuple[str, list[Entry], dict[str, Entry], dict[str, list[int]], Wanted]] = [
    ("new", [FILE], {}, {}, (["a"], [], [], 0)),
    ("same", [FILE], {"a": FILE}, {}, ([], [], [], 1)),
    ("changed", [Entry("a", "f", 2, 200, 0o644)], {"a": FILE}, {"a": [1, 100]}, (["a"], [], [], 0)),
    ("changed, and nobody remembers", [Entry("a", "f", 2, 200, 0o644)], {"a": FILE}, {}, (["a"], [], [], 0)),
    ("changed there", [FILE], {"a": Entry("a", "f", 3, 300, 0o644)}, {"a": [1, 100]}, ([], [], ["a"], 0)),
    ("gone", [], {"a": FILE}, {"a": [1, 100]}, ([], ["a"], [], 0)),
    ("gone, and changed there", [], {"a": Entry("a", "f", 3, 300, 0o644)}, {"a": [1, 100]}, ([], [], ["a"], 0)),
    ("theirs", [], {"a": FILE}, {}, ([], [], [], 0)),
    ("gone at both", [], {}, {"a": [1, 100]}, ([], [], [], 0)),
    ("a folder that was a file", [Entry("a", "d", mode=0o755)], {"a": FILE}, {"a": [1, 100]}, (["a"], [], [], 0)),
    ("a link", [Entry("a", "l", target="x")], {"a": Entry("a", "l", target="y")}, {}, ([], [], ["a"], 0)),
    ("another mode", [Entry("a", "f", 1, 100, 0o600)], {"a": FILE}, {"a": [1, 100]}, (["a"], [], [], 0)),
]  # fmt: skip


@pytest.mark.parametrize(("case", "source", "there", "written", "wanted"), PLANS, ids=[case[0] for case in PLANS])
def test_plans(
    case: str, source: list[Entry], there: dict[str, Entry], written: dict[str, list[int]],
    wanted: tuple[list[str], list[str], list[str], int],
) -> None:  # fmt: skip
    plan = import_plan.make(source, there, written)
    assert ([entry.path for entry in plan.send], plan.remove, plan.kept, plan.same) == wanted


def test_what_lies_in_a_folder_goes_before_it() -> None:
    there = {path: Entry(path, kind) for path, kind in (("a", "d"), ("a/b", "d"), ("a/b/c", "l"))}
    assert import_plan.make([], there, {path: [0, 0] for path in there}).remove == ["a/b/c", "a/b", "a"]


def test_parts() -> None:
    entries = [Entry(str(n), "f", 10) for n in range(7)]
    assert [len(part) for part in import_plan.batches(entries, 25, 100)] == [2, 2, 2, 1]
    assert [len(part) for part in import_plan.batches(entries, 1000, 3)] == [3, 3, 1]
    assert [len(part) for part in import_plan.batches([Entry("x", "f", 99)], 25, 3)] == [1]


@pytest.mark.parametrize(
    ("held", "size", "found"), [(0, "10Gi", "10Gi"), (9 << 30, "10Gi", "10Gi"), (20 << 30, "10Gi", "25Gi")]
)
def test_a_home_that_is_larger_gets_a_larger_claim(held: int, size: str, found: str) -> None:
    assert import_sources.claim_size(held, size) == found


@pytest.mark.parametrize(
    ("said", "code", "found"), [("/var/lib/docker/x/_data", 0, "/var/lib/docker/x/_data"), ("", 1, "")]
)
def test_where_docker_has_a_volume(said: str, code: int, found: str, tmp_path: Path) -> None:
    program = tmp_path / "docker"
    program.write_text(
        f"#!/bin/sh\necho '{said}'\n[ {code} = 0 ] || echo 'Error: no such volume: x' >&2\nexit {code}\n"
    )
    program.chmod(0o755)
    assert import_sources.volume("x", str(program)) == found
