"""A real server of a user: nothing of the home gets into it, and the user's own environment is that of kernels."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.user_server import IMAGE, Image, Server, image, lab_python, serving, small_hub

MARK = """
import os, sys
with open({mark!r}, "a") as file:
    file.write({name!r} + " " + str(os.path.basename(sys.argv[0] if sys.argv else "")) + "\\n")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if not lab_python():
        pytest.skip("needs a Python with JupyterHub and JupyterLab: PDSHUB_LAB_PYTHON")
    return image(tmp_path_factory.mktemp("image"))


def plant(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def planted(home: Path, user: Path, mark: Path) -> dict[str, str]:
    """Everything in a home, and in the user's environment, that Python and Jupyter would load; variables with it."""

    def code(name: str) -> str:
        return MARK.format(mark=str(mark), name=name)

    version = next(user.glob("lib/python3*")).name
    for where in (home / f".local/lib/{version}/site-packages", home / "lib", user / f"lib/{version}/site-packages"):
        for module in ("sitecustomize", "usercustomize", "evil_extension"):
            plant(where / f"{module}.py", code(f"{where.relative_to(where.parents[3]).parts[0]}/{module}"))
        plant(where / "evil.pth", f"import builtins; exec({code('pth')!r})\n")
    site = user / f"lib/{version}/site-packages"
    plant(site / "jupyterlab_shadow.py", code("shadow"))
    plant(site / "evil-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    groups = ("jupyter_client.kernel_provisioners", "jupyterlab.extension_manager_v1", "jupyter_serverproxy_servers")
    entries = "\n".join(f"[{group}]\nevil = evil_extension:main\n" for group in groups)
    plant(site / "evil-1.dist-info/entry_points.txt", entries)
    enabled = json.dumps({"ServerApp": {"jpserver_extensions": {"evil_extension": True}}})
    for folder in (home / ".jupyter", home / ".local/etc/jupyter", user / "etc/jupyter"):
        for name in ("jupyter_config", "jupyter_server_config", "jupyter_notebook_config", "jupyter_lab_config"):
            plant(folder / f"{name}.py", code(f"config/{name}"))
            plant(folder / f"{name}.json", enabled)
        plant(folder / "jupyter_server_config.d/evil.json", enabled)
        plant(folder / "labconfig/page_config.json", json.dumps({"evilPage": "true", "disabledExtensions": {}}))
        plant(folder / "custom/custom.css", "evil{}")
    for module in ("jupyterhub", "tornado", "json", "jupyter_server"):
        plant(home / f"{module}.py", code(f"home/{module}"))
    lab = {"name": "evil", "version": "1", "jupyterlab": {"extension": True, "_build": {"load": "static/evil.js"}}}
    for data in (home / ".local/share/jupyter", user / "share/jupyter"):
        plant(data / "labextensions/evil/package.json", json.dumps(lab))
    kernel = {"argv": ["/bin/false"], "display_name": "Evil", "language": "python"}
    kernels = home / ".local/share/jupyter/kernels"
    plant(kernels / "python3/kernel.json", json.dumps(kernel))
    plant(kernels / "mine/kernel.json", json.dumps({**kernel, "display_name": "Mine"}))
    plant(home / ".ipython/profile_default/startup/00-mine.py", "started = 'by ~/.ipython'")
    plant(home / "startup.py", code("startup"))
    return {"PYTHONPATH": str(home / "lib"), "PYTHONSTARTUP": str(home / "startup.py")}


@pytest.fixture(scope="module")
def wicked(made: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path, Path]]:
    """A server whose home is full of code, the home, and the file in which code says that it ran."""
    home = tmp_path_factory.mktemp("home")
    mark = made.root / "mark"
    variables = planted(home, made.user, mark)
    with small_hub() as hub, serving(made, home, hub, **variables) as server:
        yield server, home, mark


def test_nothing_of_the_home_runs_in_the_server(wicked: tuple[Server, Path, Path]) -> None:
    server, _, mark = wicked
    assert server.get("lab").status_code == 200
    ran = mark.read_text().splitlines() if mark.exists() else []
    assert [line for line in ran if "singleuser" in line] == [], server.log.read_text()[-2000:]


def test_the_same_python_would_run_it_without_the_options_of_the_start(made: Image, tmp_path: Path) -> None:
    plant(tmp_path / "lib/sitecustomize.py", MARK.format(mark=str(tmp_path / "mark"), name="control"))
    for options, ran in ((["-I"], False), ([], True)):
        command = [str(made.jupyter / "bin/python3"), *options, "-c", ""]
        environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "lib")}
        subprocess.run(command, env=environ, check=True, timeout=300)
        assert (tmp_path / "mark").exists() is ran


def page_config(server: Server) -> dict[str, object]:
    found = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', server.get("lab").text, re.S)
    assert found
    parsed: dict[str, object] = json.loads(found[1])
    return parsed


def test_nothing_of_the_home_gets_into_the_page(wicked: tuple[Server, Path, Path]) -> None:
    config = page_config(wicked[0])
    assert "evilPage" not in config and "evil" not in json.dumps(config["federated_extensions"])
    assert "evil" not in wicked[0].get("lab/api/listings/x").text
    assert wicked[0].get("custom/custom.css").text.find("evil") == -1


def test_a_kernel_of_the_home_takes_no_other_ones_place(wicked: tuple[Server, Path, Path]) -> None:
    found = wicked[0].get("api/kernelspecs").json()["kernelspecs"]
    assert found["python3"]["spec"]["display_name"] == "Python 3 (ipykernel)"
    assert found["mine"]["spec"]["display_name"] == "Mine"


def test_kernels_run_from_the_users_environment(wicked: tuple[Server, Path, Path], made: Image) -> None:
    with wicked[0].person.kernel() as kernel:
        assert kernel.run("import sys; print(sys.prefix)").ok() == str(made.user)
        assert kernel.run("print(started)").ok() == "by ~/.ipython"
        seen = kernel.run("import os; print(os.environ['PATH'].split(':')[0], os.environ['JUPYTER_CONFIG_DIR'])").ok()
        assert seen == f"{made.user}/bin {wicked[1]}/.jupyter"
    assert "sitecustomize -m" in wicked[2].read_text(), "what the user planted does run in kernels"


def test_settings_and_workspaces_are_kept_in_the_home(wicked: tuple[Server, Path, Path], made: Image) -> None:
    server, home, _ = wicked
    theme = "lab/api/settings/@jupyterlab/apputils-extension:themes"
    raw = json.dumps({"raw": '{"theme": "JupyterLab Dark"}'})
    done = server.person.call("PUT", f"/user/ada/{theme}", data=raw, timeout=120)
    assert done.status_code == 204, done.text
    space = json.dumps({"data": {}, "metadata": {"id": "mine"}})
    done = server.person.call("PUT", "/user/ada/lab/api/workspaces/mine", data=space, timeout=120)
    assert done.status_code == 204, done.text
    kept = {p.suffix for p in (home / ".jupyter/lab").rglob("*") if p.is_file()}
    assert ".jupyterlab-settings" in kept and ".jupyterlab-workspace" in kept
    assert server.get(theme).json()["settings"] == {"theme": "JupyterLab Dark"}
    roots = made.root / "usr/local/etc/pdshub/jupyter"
    assert [p.name for p in roots.iterdir()] == ["migrated"], "in the image nobody but root could have written it"


def test_the_headers_of_a_server(wicked: tuple[Server, Path, Path]) -> None:
    headers = wicked[0].get("lab").headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Resource-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    sandboxed = wicked[0].get("files/startup.py").headers["Content-Security-Policy"]
    assert "sandbox" in sandboxed and "frame-ancestors 'none'" in sandboxed


def wheel(folder: Path, version: str) -> Path:
    """A package of one module, as pip takes it."""
    file, info = folder / f"pebble-{version}-py3-none-any.whl", f"pebble-{version}.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("pebble.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: pebble\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return file


def test_what_the_user_installs_is_found_first_and_by_kernels_only(made: Image, tmp_path: Path) -> None:
    (below,) = made.jupyter.glob("lib/python3*/site-packages")
    (below / "pebble.py").write_text("version = 'of the image'\n")
    asked = "import pebble; print(pebble.version)"
    pythons = [made.jupyter / "bin/python3", made.user / "bin/python3"]
    assert [run(python, asked) for python in pythons] == ["of the image"] * 2
    if run(pythons[1], "import importlib.util as u; print(bool(u.find_spec('pip')))") != "True":
        pytest.skip("the environment of this test has no pip")
    command = [str(made.user / "bin/pip"), "install", "--no-index", "--quiet", str(wheel(tmp_path, "2"))]
    subprocess.run(command, check=True, timeout=300, cwd=tmp_path)
    assert [run(python, asked) for python in pythons] == ["of the image", "2"]


def run(python: Path, code: str) -> str:
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True, timeout=120, cwd="/")
    return done.stdout.strip()


def test_the_servers_environment_is_roots_and_the_kernels_the_users() -> None:
    lines = (IMAGE / "Dockerfile").read_text().splitlines()
    assert "COPY --from=build /opt/jupyter /opt/jupyter" in lines
    assert "COPY --from=build --chown=1000:1000 /opt/user /opt/user" in lines
    (path,) = [line for line in lines if line.strip().startswith("PATH=")]
    assert path.strip().startswith("PATH=/opt/user/bin:/opt/jupyter/bin:"), "pip of an image's own Dockerfile"
