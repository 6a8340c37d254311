"""The welcome notebook and the start of a user's server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "images" / "user" / "welcome.ipynb"
CONFIG = ROOT / "images" / "user" / "jupyter_server_config.py"
IMAGE = ROOT / "images" / "user"


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


def start(home: Path, archive: Path, **environ: str) -> Any:
    """What the server's configuration does at each start; the settings that it makes."""
    sections = ("FileContentsManager", "MappingKernelManager", "ServerApp", "LabApp")
    c = SimpleNamespace(**{name: SimpleNamespace() for name in sections})
    code = CONFIG.read_text().replace("/usr/local/share/pdshub/welcome.ipynb", str(NOTEBOOK))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PDSHUB_RESCUE", "PDSHUB_FIRST_START", "JUPYTERHUB_DEFAULT_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(home))
        patch.setenv("PDSHUB_ARCHIVE", str(archive / "demo"))
        for name, value in environ.items():
            patch.setenv(name, value)
        exec(compile(code, str(CONFIG), "exec"), {"get_config": lambda: c})  # noqa: S102
    return c


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


def opened(settings: Any) -> str:
    """Which page JupyterLab begins with; empty: its own choice."""
    return str(getattr(settings.ServerApp, "default_url", ""))


def test_the_welcome_notebook_is_opened_at_the_first_start_however_often_settings_are_read(tmp_path: Path) -> None:
    for _ in range(2):
        assert opened(start(tmp_path, tmp_path, PDSHUB_FIRST_START="1")) == "/lab/tree/welcome.ipynb"
    assert opened(start(tmp_path, tmp_path)) == ""


def test_an_admins_own_first_page_stays(tmp_path: Path) -> None:
    assert opened(start(tmp_path, tmp_path, PDSHUB_FIRST_START="1", JUPYTERHUB_DEFAULT_URL="/tree")) == ""


def test_nobody_is_asked_about_news_or_told_of_versions(tmp_path: Path) -> None:
    settings = json.loads((IMAGE / "lab-settings.json").read_text())
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    made = start(tmp_path, tmp_path).LabApp
    assert made.news_url is None and made.check_for_updates_class == "jupyterlab.NeverCheckForUpdate"


@pytest.mark.parametrize("why", ["No space left on device", 'a "quote", \\ and \n }', "Disk quota exceeded é"])
def test_a_full_home_is_said_in_jupyterlab(tmp_path: Path, why: str) -> None:
    made = start(tmp_path, tmp_path, PDSHUB_RESCUE=why, JUPYTER_CONFIG_DIR=str(tmp_path / "scratch"))
    assert made.LabApp.custom_css is True
    style = (tmp_path / "scratch/custom/custom.css").read_text()
    assert style.count('"') == 2 and "\\" not in style and style.count("\n") == 1, "one string, which nothing ends"
    assert "Your home has no room left" in style and why.split()[0].strip('"') in style
    assert not hasattr(start(tmp_path, tmp_path).LabApp, "custom_css")


# --- start-server

SHOWN = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR", "XDG_CACHE_HOME", "HISTFILE")
FULL = """#!/bin/sh
for one; do case $one in of=*) : > "${one#of=}" || exit 1 ;; esac; done
echo "dd: error writing '$HOME/.pdshub-room.7': $WHY" >&2
echo "1+0 records in" >&2
exit 1
"""


def started(home: Path, tools: Path | None = None, **environ: str) -> tuple[dict[str, str], str]:
    """The environment with which start-server runs its command, and what it printed."""
    path = ":".join([*([str(tools)] if tools else []), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", str(IMAGE / "start-server"), "env"],
        env={"PATH": path, "HOME": str(home), **environ},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line), done.stderr


@pytest.mark.parametrize(
    ("there", "first"),
    [([], True), (["notes.txt"], True), (["welcome.ipynb"], False), ([".jupyter/lab/workspaces/x"], False)],
)
def test_a_home_in_which_jupyterlab_was_never_open_starts_for_the_first_time(
    tmp_path: Path, there: list[str], first: bool
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    assert ("PDSHUB_FIRST_START" in started(tmp_path)[0]) is first


def test_a_home_with_room_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    found, said = started(tmp_path / "home")
    assert not {"PDSHUB_RESCUE", *SHOWN} & found.keys() and said == ""
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("why", ["No space left on device", "Disk quota exceeded"])
def test_where_the_home_is_full_what_the_server_writes_goes_to_scratch(tmp_path: Path, why: str) -> None:
    home, tools = tmp_path / "home", tmp_path / "tools"
    (home / ".jupyter/lab").mkdir(parents=True)
    (home / ".jupyter/lab/mine").write_text("kept")
    tools.mkdir()
    (tools / "dd").write_text(FULL)
    (tools / "dd").chmod(0o755)
    found, said = started(home, tools, WHY=why)
    assert found["PDSHUB_RESCUE"] == why and why in said
    try:
        assert all(found[name].startswith("/tmp/rescue.") for name in SHOWN)
        assert Path(found["JUPYTER_CONFIG_DIR"], "lab/mine").read_text() == "kept"
    finally:
        shutil.rmtree(Path(found["JUPYTER_DATA_DIR"]).parent)
    assert [p.name for p in home.iterdir()] == [".jupyter"], "nothing is left behind"


def test_where_the_hub_leaves_out_what_homes_configure_settings_stay_in_the_home(tmp_path: Path) -> None:
    found, _ = started(tmp_path, JUPYTERHUB_DISABLE_USER_CONFIG="1")
    assert found["JUPYTER_CONFIG_DIR"] == "/usr/local/etc/pdshub/jupyter"
    lab = tmp_path / ".jupyter/lab"
    assert found["JUPYTERLAB_SETTINGS_DIR"] == f"{lab}/user-settings"
    assert found["JUPYTERLAB_WORKSPACES_DIR"] == f"{lab}/workspaces"


def test_where_the_home_is_full_its_settings_are_taken_along_and_its_configuration_is_not(tmp_path: Path) -> None:
    home, tools = tmp_path / "home", tmp_path / "tools"
    for name in ("lab/user-settings/theme", "jupyter_server_config.py"):
        (home / ".jupyter" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / ".jupyter" / name).write_text("mine")
    tools.mkdir()
    (tools / "dd").write_text(FULL)
    (tools / "dd").chmod(0o755)
    found, _ = started(home, tools, WHY="x", JUPYTERHUB_DISABLE_USER_CONFIG="1")
    try:
        assert Path(found["JUPYTERLAB_SETTINGS_DIR"], "theme").read_text() == "mine"
        assert list(Path(found["JUPYTER_CONFIG_DIR"]).iterdir()) == []
    finally:
        shutil.rmtree(Path(found["JUPYTER_DATA_DIR"]).parent)


def test_the_server_runs_from_roots_environment_whatever_the_user_has_put_first(tmp_path: Path) -> None:
    script = (IMAGE / "start-server").read_text().replace("/opt/", f"{tmp_path}/opt/")
    (tmp_path / "start-server").write_text(script)
    (tmp_path / "opt/jupyter/bin").mkdir(parents=True)
    (tmp_path / "opt/user/bin").mkdir(parents=True)
    for where, says in (("jupyter", "root"), ("user", "user")):
        python = tmp_path / f"opt/{where}/bin/python3"
        python.write_text(f'#!/bin/sh\necho {says} "$@" "$PATH"\n')
        python.chmod(0o755)
    path = f"{tmp_path}/opt/jupyter/bin:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", str(tmp_path / "start-server"), "jupyterhub-singleuser", "--debug"],
        env={"PATH": f"{tmp_path}/opt/user/bin:{path}", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == f"root -I {tmp_path}/opt/jupyter/bin/jupyterhub-singleuser --debug {path}"


def test_a_home_that_is_no_directory_is_no_reason_not_to_start(tmp_path: Path) -> None:
    found, _ = started(tmp_path / "missing")
    assert found["PDSHUB_RESCUE"] == "No such file or directory"
    shutil.rmtree(Path(found["JUPYTER_DATA_DIR"]).parent)


def test_every_server_is_started_by_it() -> None:
    lines = (IMAGE / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["tini", "-g", "--", "start-server"]' in lines
    assert os.access(IMAGE / "start-server", os.X_OK)
