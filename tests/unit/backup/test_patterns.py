"""What is left out: the same things here as by restic itself, and never more than somebody meant."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pdshub.backup.digest import sealed, walk
from pdshub.backup.patterns import Excluded, chosen, size
from pdshub.backup.verdict import Failed
from tests.unit.backup.harness import Hub, restic

NAMES = (
    "data/home/x",
    "home/y",
    ".cache/pip/a",
    "work/.cache/b",
    "work/a.pyc",
    "work/deep/er/still/a.pyc",
    ".conda/pkgs/p",
    "other/.conda/pkgs/p",
    "[brackets]",
    "a-b",
    "a]b",
    "star*",
    "back\\slash",
    "node_modules/x/node_modules/y",
    "new\nline",
    "keep/me",
    "keep/not",
    "ünï",
    "z1",
    "z2",
    "zz",
)
CASES = (
    ["data"],
    ["home"],
    [".cache"],
    ["/.cache"],
    ["/.conda/pkgs", "node_modules"],
    [".conda/pkgs"],
    ["*.pyc"],
    ["/work/*"],
    ["work/**"],
    ["work/**/a.pyc"],
    ["**/still"],
    ["/**/still/*"],
    [r"\[brackets\]", r"star\*"],
    ["[[]brackets]"],
    ["a[-]b", "a[]]b"],
    [r"a[\]]b", r"back\\slash"],
    ["z[0-9]"],
    ["z[^0-9]"],
    ["z?"],
    ["?n?"],
    ["new*"],
    ["keep/*", "!keep/me"],
    ["!keep", "keep/me"],
    ["work/"],
    ["./work//deep/"],
    ["DATA/home/home"],
    ["*"],
)


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory, with_repository: Callable[[Hub], Hub]) -> Hub:
    hub = Hub(tmp_path_factory.mktemp("patterns"))
    for name in NAMES:
        path = hub.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    with_repository(hub)
    return hub


@pytest.mark.parametrize("patterns", CASES, ids=" ".join)
def test_restic_leaves_out_the_same(laid_out: Hub, patterns: list[str]) -> None:
    patterns = [p.replace("DATA", str(laid_out.folder / "data")) for p in patterns]
    try:
        excluded = Excluded(str(laid_out.home), patterns)
    except Failed:
        assert patterns in (["a[-]b", "a[]]b"],), "restic refuses it, too"
        return
    environ = {**os.environ, "RESTIC_REPOSITORY": laid_out.location}
    environ["RESTIC_PASSWORD_FILE"] = str(laid_out.folder / "secrets/key/key")
    argv = [restic(), "--no-cache", "--json", "backup", "--force", *excluded.arguments, "data/home"]
    done = subprocess.run(
        argv, env=environ, cwd=laid_out.folder, capture_output=True, text=True, timeout=120, check=True
    )
    snapshot = json.loads(done.stdout.splitlines()[-1])["snapshot_id"]
    lines = map(json.loads, laid_out.call("ls", "--json", f"{snapshot}:/data/home").splitlines())
    theirs = [(line["path"].lstrip("/"), line["type"]) for line in lines if line["message_type"] == "node"]
    ours = [(e.path, e.kind) for e in walk(str(laid_out.home), chosen(excluded, None))]
    assert ours == theirs


@pytest.mark.parametrize(
    "pattern", ["", "!", "/", ".", "..", "a/../..", "**", "/**", "**/**", "a\0b", "[", "[a", "a\\", "[]"]
)
def test_a_pattern_that_is_none_or_takes_all_is_refused(pattern: str) -> None:
    with pytest.raises(Failed) as refused:
        Excluded("/data/home", [pattern])
    assert refused.value.reason == "BadRequest"


def test_the_home_itself_is_refused_and_its_path_may_stand_before() -> None:
    with pytest.raises(Failed):
        Excluded("/data/home", ["/data/home"])
    assert Excluded("/data/home", ["/data/home/.conda/pkgs"]).arguments == ["--exclude=/data/home/.conda/pkgs"]
    assert Excluded("/data/h[1]", ["x"]).arguments == [r"--exclude=/data/h\[1\]/**/x"]


@pytest.mark.parametrize(("text", "found"), [("", None), ("1", 1), ("2k", 2048), ("50G", 50 << 30), ("1T", 1 << 40)])
def test_sizes_are_resticss(text: str, found: int | None) -> None:
    assert size(text) == found


@pytest.mark.parametrize("text", ["0", "-1", "1.5G", "5X", "G", "1 G", "²"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Failed):
        size(text)


def test_a_seal_is_of_names_and_times(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = sealed(str(tmp_path)).seal
    os.utime(tmp_path / "a", (1, 1))
    assert sealed(str(tmp_path)).seal != before, "nobody can set a change time back"
