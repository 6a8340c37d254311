"""The wheel and the packaged charts of a commit, the same bytes wherever and whenever they are built."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from devcluster.run import StepFailed, output

from . import reproducible

WHEEL = ("pyproject.toml", "README.md", "LICENSE", "operator")
CHARTS = ("charts/pdshub", "charts/jupyterhub-airgap")
STUBS = "operator/pdshub/node/_proto"
"""Generated and so not committed; pinned generators write the same from the same sources."""
SUMS = "SHA256SUMS"
PATIENCE = 600
"""Seconds that a build may take: some on a quiet machine, and it shall not wait for ever."""
BACKEND = "import sys; from setuptools import build_meta as b; print(b.build_wheel(sys.argv[1]))"
"""The build backend without pip (PEP 517): pip's build isolation would fetch a setuptools that nobody pinned."""


def state(root: Path, *, dirty: bool) -> tuple[str, int]:
    """The commit of ``root`` and its time in seconds since 1970.

    Raises StepFailed outside of git, and, unless ``dirty``, where files differ from the commit or are not committed.
    """
    git = ["git", "-C", root]
    commit, epoch = output([*git, "log", "-1", "--format=%H %ct"]).split()
    changed = output([*git, "status", "--porcelain"]).splitlines()
    if changed and not dirty:
        shown = ", ".join(line.split(maxsplit=1)[-1] for line in changed[:5])
        raise StepFailed(f"the tree differs from commit {commit[:12]} ({shown}): commit it, or say --dirty to try it")
    return commit, int(epoch)


def tracked(root: Path, *, dirty: bool) -> list[Path]:
    """The files that a release is made of: what git knows, with ``dirty`` new files too, and the generated stubs."""
    words = ["git", "-C", root, "ls-files", "-z", "--cached", *(("--others", "--exclude-standard") if dirty else ())]
    names = output([*words, "--", *WHEEL, *CHARTS]).split("\0")
    stubs = [path for path in (root / STUBS).glob("*.py*") if path.is_file()]
    # a file that was deleted and not committed is still known to git
    return sorted({root / name for name in names if name and (root / name).exists()} | set(stubs))


def check_own(folder: Path) -> None:
    """Raises StepFailed where ``folder`` is there and holds what no release put there."""
    if not folder.exists():
        return
    listed = (folder / SUMS).read_text().splitlines() if (folder / SUMS).exists() else []
    known = {line.partition("  ")[2] for line in listed} | {SUMS}
    if strange := sorted(path.name for path in folder.iterdir() if path.name not in known):
        raise StepFailed(f"{folder} holds what no release put there ({', '.join(strange[:5])}): take another folder")


def publish(made: Path, folder: Path) -> None:
    """Move the files of ``made`` to ``folder``, in place of those of an earlier release. Raises StepFailed as above."""
    check_own(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for path in made.iterdir():
        shutil.move(path, folder / path.name)


def build(root: Path, files: Iterable[Path], out: Path, epoch: int, helm: Path) -> None:
    """Write wheel and charts, made of ``files`` of ``root``, into ``out``. Raises StepFailed, ValueError."""
    with tempfile.TemporaryDirectory() as folder:
        source, made, home = (Path(folder, name) for name in ("source", "made", "home"))
        for new in (source, made, home):
            new.mkdir()
        reproducible.stage(root, files, source)
        settings = {"SOURCE_DATE_EPOCH": str(epoch), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ""}
        output([sys.executable, "-c", BACKEND, made], cwd=source, env=settings, timeout=PATIENCE)
        for wheel in made.glob("*.whl"):
            reproducible.wheel(wheel, out / wheel.name, epoch)
        # helm puts the charts' and the moment's times into its archives, and has no setting against it
        names = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")
        settings = dict.fromkeys(names, str(home))
        for chart in CHARTS:
            output([helm, "package", source / chart, "--destination", made], cwd=home, env=settings, timeout=PATIENCE)
        for chart in made.glob("*.tgz"):
            reproducible.chart(chart, out / chart.name, epoch)


def sums(folder: Path) -> str:
    """The digest of each file in ``folder``, as sha256sum(1) writes and checks it; also written to :data:`SUMS`."""
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    text = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (folder / SUMS).write_text(text)
    return text
