"""The welcome notebook and the start of a user's server."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "images" / "user" / "welcome.ipynb"
CONFIG = ROOT / "images" / "user" / "jupyter_server_config.py"


def executed(tmp_path: Path, archive: Path) -> Any:
    """The notebook after a run with the archive at ``archive``."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for library in ("pdr", "matplotlib", "ipykernel"):
        pytest.importorskip(library)
    kernels = tmp_path / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    # this Python, whatever kernels the machine knows
    argv = f'["{sys.executable}", "-m", "ipykernel_launcher", "-f", "{{connection_file}}"]'
    (kernels / "kernel.json").write_text(f'{{"argv": {argv}, "display_name": "x", "language": "python"}}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
        patch.setenv("PDSHUB_ARCHIVE", str(archive))
        patch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(tmp_path))
    return notebook


def printed(notebook: Any) -> str:
    return "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", []) if o.get("name") == "stdout")


def pictures(notebook: Any) -> int:
    return sum("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", []))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated archive's main export."""
    sys.path.insert(0, str(ROOT / "hack"))
    try:
        from archive import layout
        from archive.tree import Tree
    finally:
        sys.path.remove(str(ROOT / "hack"))
    tree = Tree(tmp_path_factory.mktemp("main"))
    layout.volumes(tree)
    layout.bundles(tree)
    return tree.root


def test_it_opens_and_draws_a_product_of_each_kind(tmp_path: Path, archive: Path) -> None:
    done = executed(tmp_path, archive)
    text = printed(done)
    assert f"PDS3 {archive}/pds3/" in text and f"PDS4 {archive}/pds4/" in text
    assert "skipped" not in text
    assert pictures(done) == 1


@pytest.mark.parametrize("where", ["beside the view", "in its place"])
def test_it_says_why_there_is_no_archive(tmp_path: Path, where: str) -> None:
    mount = tmp_path / "archive"
    view = mount / "demo" if where == "beside the view" else mount
    view.mkdir(parents=True)
    (mount / "ARCHIVE-UNAVAILABLE.txt").write_text("NFS server 10.0.0.1 does not answer\n")
    done = executed(tmp_path, view)
    assert "NFS server 10.0.0.1 does not answer" in printed(done)
    assert pictures(done) == 0


def test_it_bears_a_server_without_an_archive(tmp_path: Path) -> None:
    assert "is not there" in printed(executed(tmp_path, tmp_path / "nothing"))


def test_it_is_stored_without_outputs() -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not c.get("outputs") and not c.get("execution_count") for c in notebook.cells)


def start(home: Path, archive: Path) -> None:
    """What the server's configuration does at each start."""
    sections = ("FileContentsManager", "MappingKernelManager", "ServerApp")
    c = SimpleNamespace(**{name: SimpleNamespace() for name in sections})
    code = CONFIG.read_text().replace("/usr/local/share/pdshub/welcome.ipynb", str(NOTEBOOK))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("PDSHUB_ARCHIVE", str(archive / "demo"))
        exec(compile(code, str(CONFIG), "exec"), {"get_config": lambda: c})  # noqa: S102


def test_an_empty_home_gets_notebook_and_link(tmp_path: Path) -> None:
    home, archive = tmp_path / "home", tmp_path / "archive"
    home.mkdir()
    archive.mkdir()
    start(home, archive)
    assert sorted(p.name for p in home.iterdir()) == ["archive", "welcome.ipynb"]
    assert (home / "welcome.ipynb").read_bytes() == NOTEBOOK.read_bytes()
    assert (home / "archive").readlink() == archive


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "welcome.ipynb").write_text("mine")
    (home / "archive").symlink_to("nowhere")
    start(home, tmp_path)
    assert (home / "welcome.ipynb").read_text() == "mine"
    assert str((home / "archive").readlink()) == "nowhere"


def test_a_home_that_cannot_be_written_is_no_reason_not_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    start(tmp_path / "file" / "home", tmp_path)  # not a directory, for root as well
    assert "welcome notebook not written" in capsys.readouterr().err
