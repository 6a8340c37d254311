"""A release: two builds give the same bytes, and none is made of what nobody committed."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from devcluster.run import StepFailed
from supply import release, reproducible

from tests.unit.test_airgap_chart import helm

ROOT = Path(__file__).parents[3]
EPOCH = 1_700_000_001


def copy(folder: Path, umask: int, seed: int) -> list[Path]:
    """The project's sources as another checkout may have them: order, modes and times of its own."""
    dice = random.Random(seed)
    names = sorted(
        path.relative_to(ROOT)
        for top in (*release.WHEEL, *release.CHARTS)
        for path in ([ROOT / top] if (ROOT / top).is_file() else (ROOT / top).rglob("*"))
        if path.is_file()
        and "__pycache__" not in path.parts
        and ".egg-info" not in str(path)
        and path.name != ".inputs"
    )
    dice.shuffle(names)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
        (folder / name).chmod(0o666 & ~umask)
        os.utime(folder / name, (dice.randrange(10**9), dice.randrange(10**9)))
    return [folder / name for name in names]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of two builds, in different places and with different umasks."""
    pytest.importorskip("setuptools")
    program, folders = Path(helm()), []
    for number, umask in enumerate((0o002, 0o077)):
        base = tmp_path_factory.mktemp(f"checkout-{number * 'of-somebody-else'}")
        out = base / "out"
        out.mkdir()
        before = os.umask(umask)
        try:
            release.build(base / "source", copy(base / "source", umask, number), out, EPOCH, program)
        finally:
            os.umask(before)
        folders.append(out)
    return folders[0], folders[1]


def test_two_builds_one_digest(two: tuple[Path, Path]) -> None:
    first, second = (release.sums(folder) for folder in two)
    assert first == second
    names = [line.split("  ")[1] for line in first.splitlines()]
    assert len(names) == 3 and all(any(name.startswith(x) for name in names) for x in ("jupyterhub-airgap", "pdshub"))
    check = subprocess.run(["sha256sum", "--check", release.SUMS], cwd=two[0], capture_output=True, check=False)
    assert check.returncode == 0


def test_archives_say_nothing_of_the_machine(two: tuple[Path, Path]) -> None:
    for chart in two[1].glob("*.tgz"):
        with tarfile.open(chart) as tar:
            members = tar.getmembers()
        assert {(m.mode, m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0o644, 0, 0, "", "", EPOCH)}
        assert [m.name for m in members] == sorted(m.name for m in members)
    (wheel,) = two[1].glob("*.whl")
    with zipfile.ZipFile(wheel) as made:
        assert {(e.external_attr >> 16, e.date_time) for e in made.infolist()} == {
            (0o100644, (2023, 11, 14, 22, 13, 20))
        }


def test_what_is_released_works(two: tuple[Path, Path]) -> None:
    for chart in two[0].glob("*.tgz"):
        done = subprocess.run([helm(), "show", "chart", str(chart)], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "version:" in done.stdout, done.stderr
    (wheel,) = two[0].glob("*.whl")
    with zipfile.ZipFile(wheel) as made:
        names = set(made.namelist())
        (record,) = (name for name in names if name.endswith("/RECORD"))
        listed = {line.rsplit(",", 2)[0] for line in made.read(record).decode().splitlines()}
    assert listed == names and "pdshub/node/_proto/csi_pb2.py" in names


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "operator").mkdir()
    (tmp_path / "operator/a.py").touch()
    (tmp_path / "operator/b.py").touch()
    (tmp_path / ".gitignore").write_text("build/\n_proto/\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x", "--date=@1600000000")
    return tmp_path


def spoil(folder: Path, how: str) -> None:
    if how == "changed":
        (folder / "operator/a.py").write_text("x")
    elif how == "new":
        (folder / "operator/new.py").touch()
    elif how == "deleted":
        (folder / "operator/a.py").unlink()
    elif how == "ignored":
        (folder / "build").mkdir()
        (folder / "build/x").touch()


@pytest.mark.parametrize(
    ("how", "clean", "files"),
    [
        ("", True, {"a.py", "b.py"}),
        ("ignored", True, {"a.py", "b.py"}),
        ("changed", False, {"a.py", "b.py"}),
        ("new", False, {"a.py", "b.py", "new.py"}),
        ("deleted", False, {"b.py"}),
    ],
)
def test_a_tree_that_differs_from_its_commit_is_refused(checkout: Path, how: str, clean: bool, files: set[str]) -> None:
    spoil(checkout, how)
    commit, epoch = release.state(checkout, dirty=True)
    assert commit == git(checkout, "rev-parse", "HEAD") and epoch == int(git(checkout, "log", "-1", "--format=%ct"))
    if clean:
        assert release.state(checkout, dirty=False) == (commit, epoch)
    else:
        with pytest.raises(StepFailed, match=f"the tree differs from commit {commit[:12]}"):
            release.state(checkout, dirty=False)
    assert {path.name for path in release.tracked(checkout, dirty=True)} == files


def test_what_git_does_not_know_is_in_no_release_but_stubs(checkout: Path) -> None:
    spoil(checkout, "new")
    stubs = checkout / release.STUBS
    stubs.mkdir(parents=True)
    (stubs / "csi_pb2.py").touch()
    (stubs / ".inputs").touch()
    names = {path.name for path in release.tracked(checkout, dirty=False)}
    assert names == {"a.py", "b.py", "csi_pb2.py"}


def test_outside_of_git_nothing_is_released(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="git"):
        release.state(tmp_path, dirty=True)


def test_only_what_a_release_put_there_is_taken_away(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("old.whl", "new.whl"):
        made = tmp_path / name
        made.mkdir()
        (made / name).touch()
        release.sums(made)
        release.publish(made, out)
        assert {path.name for path in out.iterdir()} == {name, release.SUMS}
    (out / "thesis.tex").touch()
    for refused in (lambda: release.publish(made, out), lambda: release.check_own(out)):
        with pytest.raises(StepFailed, match=r"holds what no release put there \(thesis\.tex\)"):
            refused()
    assert {path.name for path in out.iterdir()} == {"new.whl", "thesis.tex", release.SUMS}


def test_a_link_is_no_part_of_the_source(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "secret").symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match="secret is no plain file"):
        reproducible.stage(source, [source / "secret"], tmp_path / "into")


def test_a_chart_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "made.tgz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../x"))
    with pytest.raises(ValueError, match=r"made\.tgz holds \.\./x"):
        reproducible.chart(tmp_path / "made.tgz", tmp_path / "out.tgz", EPOCH)


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("b")
    (tmp_path / "a").write_text("a")
    wanted = "".join(f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in "ab")
    assert release.sums(tmp_path) == release.sums(tmp_path) == wanted == (tmp_path / release.SUMS).read_text()
