"""docs/comparison.md and what measures for it, as far as it can be without starting anything."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
import tomllib
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pdshub.cli import main as plugin
from pdshub.compose import main as compose
from tests.bench.compare import littlest, measure, page, parts, places, upkeep
from tests.bench.compare.processes import Process, deepest, running, shared
from tests.e2e.cluster import Cluster
from tests.manual import DOCS

ROOT = DOCS.parent
UID = "f9dd0dca-5960-4ff3-b20d-556505eaefb9"


def process(group: str, command: str = "x", memory: int = 10) -> Process:
    return Process(1, command, group, memory)


# --- what memory is counted for


def test_of_hierarchies_the_one_that_says_most_counts() -> None:
    assert deepest("9:name=systemd:/a/b\n4:memory:/a/b/c\n0::/a\n") == "/a/b/c"
    assert deepest("0::/\n") == "/" and deepest("") == ""


@pytest.mark.parametrize(
    ("group", "pod", "unit"),
    [
        (f"/libpod-1/kubelet-kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-2.scope", UID, ""),
        (f"/kubepods/burstable/pod{UID}/2", UID, ""),
        ("/libpod_parent/libpod-1/system.slice/jupyter-ada.service", "", "jupyter-ada.service"),
        ("/system.slice/podman.service/libpod-1/system.slice/traefik.service", "", "traefik.service"),
        ("/user.slice", "", ""),
    ],
)
def test_pods_and_units_of_a_process(group: str, pod: str, unit: str) -> None:
    found = process(group)
    assert (found.pod, found.unit) == (pod, unit)


def test_the_proxy_and_the_machine_as_a_server_of_compose_meets_them() -> None:
    """The proxy is in two networks; servers are in one of them."""
    found = {
        "p-core": {"IPAddress": "10.197.1.2", "Gateway": "10.197.1.1"},
        "p-servers": {"IPAddress": "10.197.128.2", "Gateway": "10.197.128.1"},
    }
    way = object.__new__(places.Compose)
    way.cluster, way.project = Cluster({"NAS_IP": "10.89.0.250"}), "p"
    way.hub = SimpleNamespace(inspect=lambda name: {"NetworkSettings": {"Networks": found}})  # type: ignore[assignment]
    assert way.targets() == {
        "proxy": ("10.197.128.2", 8001), "machine": ("10.197.128.1", places.LISTENER), "nas": ("10.89.0.250", 2049),
    }  # fmt: skip


def test_parts_of_compose() -> None:
    part = parts.of_containers({"p-hub": "aaa", "p-proxy": "bbb", "p-server-ada": "ccc"}, "p")
    cases = {
        parts.HUBS: [process("/libpod-aaa"), process("/libpod-bbb/x")],
        parts.SERVER + "ada": [process("/docker/ccc")],
        parts.PLATFORM: [
            process("/", "/usr/bin/conmon -c ccc -u x"), process("/", "podman system service --time=0 unix:///x"),
            process("/system.slice/docker.service", "/usr/bin/dockerd -H fd://"),
        ],
        "": [process("/libpod-zzz"), process("/", "conmon -c zzz"), process("/libpod-zzz", "/usr/bin/containerd")],
    }  # fmt: skip
    assert {name: {part(one) for one in found} for name, found in cases.items()} == {name: {name} for name in cases}


def test_parts_of_a_machine() -> None:
    part = parts.of_machine("abc")
    inside = "/libpod-abc/system.slice/"
    units = ("jupyterhub.service", "jupyter-ada.service", "dbus.service")
    found = {name: part(process(inside + name)) for name in units}
    assert found == {
        "jupyterhub.service": parts.HUBS, "jupyter-ada.service": f"{parts.SERVER}ada", "dbus.service": parts.PLATFORM,
    }  # fmt: skip
    assert part(process("/libpod-abc/init.scope")) == parts.PLATFORM
    assert part(process("/libpod-other/system.slice/jupyterhub.service")) == "", "another machine"


def pod(space: str, uid: str, labels: dict[str, str] | None = None, **notes: str) -> dict[str, Any]:
    return {"metadata": {"namespace": space, "uid": uid, "labels": labels or {}, "annotations": notes}}


def test_parts_of_a_cluster() -> None:
    def uid(number: int) -> str:
        return f"{number:08d}" + UID[8:]

    pods = [
        pod("bench", uid(1), {"component": "hub"}),
        pod("bench", uid(2), {"component": "singleuser-server"}, **{"hub.jupyter.org/username": "ada"}),
        pod("pdshub-system", uid(3)),
        pod("kube-system", uid(4), **{"kubernetes.io/config.hash": uid(5).replace("-", "")}),
        pod("somebody-elses", uid(6)),
    ]
    part = parts.of_cluster("nnn", pods, "bench", ("pdshub-system",))
    inside = "/libpod-nnn/kubepods/pod"
    found = [part(process(inside + uid(number))) for number in range(1, 7)]
    assert found == [parts.HUBS, parts.SERVER + "ada", parts.INSTALLATION, parts.PLATFORM, parts.PLATFORM, ""]
    assert part(process("/libpod-nnn/kubelet.service")) == parts.PLATFORM
    assert part(process(f"/libpod-mmm/kubepods/pod{uid(1)}")) == "", "another cluster"


def test_this_process_has_memory_and_shares_add_up() -> None:
    every = running()
    assert any("pytest" in one.command and one.memory > 1 << 20 for one in every)
    some = [process("a", memory=1), process("b", memory=2), process("a", memory=3)]
    assert shared(some, lambda one: one.group if one.group != "b" else "") == {"a": 4}


# --- the probe


def test_the_probe_runs_as_a_cell_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    text = measure.program({"server": ("127.0.0.1", 1), "nas": ("127.0.0.1", 1)}, 1 << 30)
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = measure.results(done.stdout, {"server": False, "nas": True})
    assert found.keys() <= page.ATTEMPTS.keys()
    assert page.ATTEMPTS.keys() - found.keys() == {"machine", "proxy", "cluster"}, "to which no address was given"
    assert not found["server"]["reached"] and not found["server"]["valid"], "nobody answers there at all"
    assert not found["nas"]["reached"] and found["nas"]["valid"]
    assert list(tmp_path.iterdir()) == []


def test_the_probe_needs_no_package() -> None:
    text = measure.PROBE.read_text()
    imported = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    assert imported and set(imported) <= sys.stdlib_module_names
    compile(text, "probe", "exec")


def test_who_leaves_something_and_where_they_listen() -> None:
    compile(measure.LEAVES, "cell", "exec")
    assert measure.SECRET in measure.LEAVES
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.setenv("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:4321/user/bela/")
        exec(measure.ADDRESS, {})  # noqa: S102
    assert said.getvalue() == "127.0.0.1 4321\n"


@pytest.mark.parametrize("number", range(6))
def test_each_is_first_as_often_as_the_others(number: int) -> None:
    ways: list[Any] = ["a", "b", "c"]
    assert sorted(measure.turns(ways, number)) == ways and measure.turns(ways, number)[0] == ways[number % 3]


# --- the Littlest JupyterHub's components


def test_its_configuration_is_python_units_and_toml() -> None:
    written = littlest.files(("ada", "bela"))
    compile(written[f"{littlest.PREFIX}/config/jupyterhub_config.py"][0], "config", "exec")
    settings = tomllib.loads(written[f"{littlest.PREFIX}/state/traefik.toml"][0])
    assert settings["entryPoints"]["auth_api"]["address"] == "localhost:8099"
    assert written[f"{littlest.PREFIX}/config/allowed"] == ("ada\nbela\n", 0o600)
    for name in ("jupyterhub", "traefik"):
        assert "ExecStart=/opt/tljh/hub/bin/" in written[f"/etc/systemd/system/{name}.service"][0]
    for script in (littlest.INSTALL, littlest.START, *littlest.ADD):
        done = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_versions_are_those_that_run() -> None:
    said = "jupyterhub==5.5.4\ntornado==6.5\njupyterhub-traefik-proxy==2.1.0\nVersion:      3.6.5\nGo version: go1.25\n"
    assert littlest.versions(said) == {
        "jupyterhub": "5.5.4", "jupyterhub-traefik-proxy": "2.1.0", "traefik": "3.6.5",
    }  # fmt: skip
    assert littlest.versions("")["traefik"] == "?"


def test_it_is_installed_before_it_is_started_and_nobody_is_quoted_away() -> None:
    done: list[str] = []
    made = littlest.Littlest(lambda text: done.append(text) or "", lambda path, text, mode: done.append(path))  # type: ignore[func-returns-value]
    made.install(("ada",))
    assert done[0] == littlest.INSTALL and done[-2:] == [littlest.START, littlest.VERSIONS]
    made.add("o'brien; rm -rf /")
    assert """export WHO='o'"'"'brien; rm -rf /'\n""" in done[-2]


# --- upkeep


@pytest.mark.parametrize("task", upkeep.TASKS)
def test_every_task_is_written_down_for_each(task: str) -> None:
    for way in upkeep.WAYS:
        assert upkeep.of(task, way)
    assert len(upkeep.WORK) == len(upkeep.TASKS) * len(upkeep.WAYS) and tuple(places.WAYS) == upkeep.WAYS


def test_commands_of_this_project_are_commands(capsys: pytest.CaptureFixture[str]) -> None:
    parsers = {"kubectl pdshub ": plugin.parser, "pdshub-compose ": compose.parser}
    found = 0
    for work in upkeep.WORK:
        for line in work.commands:
            for start, parser in parsers.items():
                if line.startswith(start):
                    found += 1
                    try:
                        parser().parse_args(shlex.split(line.removeprefix(start)))
                    except SystemExit:
                        pytest.fail(f"{line}: {capsys.readouterr().err}")
    assert found >= 7


# --- the page


def figures() -> dict[str, Any]:
    probe = {key: {"reached": n % 3 == 0, "detail": "", "valid": n % 5 != 1} for n, key in enumerate(page.ATTEMPTS)}
    alike = {
        "serial": [1.0, 2.0, 9.0], "together": [4.0, 6.0], "new": 3.21, "probe": probe,
        "server": {"started": 100_000_000, "with a kernel": 150_400_000}, "versions": {"x": "1"},
    }  # fmt: skip
    ways = {
        "Compose": {**alike, "idle": {parts.HUBS: 200_000_000, parts.PLATFORM: 50_000_000}},
        "PDSHub": {**alike, "idle": {parts.HUBS: 210_000_000, parts.INSTALLATION: 300_000_000}},
        "TLJH": {**alike, "idle": {parts.HUBS: 235_000_000}, "probe": {k: probe[k] for k in probe if k != "cluster"}},
    }
    run = {
        "date": "2026-11-27 09:00 UTC", "processors": 2, "kernel": "6.18", "loadAtTheEnd": [1.0, 2.0, 3.0],
        "serial": 12, "together": 4, "rounds": 3, "tljhCommit": littlest.COMMIT,
    }  # fmt: skip
    return {"run": run, "ways": ways}


def test_a_page_has_what_was_measured() -> None:
    said = page.page(json.loads(json.dumps(figures(), sort_keys=True)))
    assert "|  | Compose | TLJH | PDSHub |\n" in said, "in this order, whatever the file's"
    assert "| one after another, 12 times | 2.0, 9.0 | 2.0, 9.0 | 2.0, 9.0 |\n" in said
    assert "| 4 at once, 3 times | 5.0, 6.0 | 5.0, 6.0 | 5.0, 6.0 |\n" in said
    assert "| hub and proxy, nobody there | 200 | 235 | 210 |\n" in said
    assert f"| {page.PARTS[parts.INSTALLATION]} |  |  | 300 |\n" in said
    assert "| each server, with a kernel | 150 | 150 | 150 |\n" in said
    assert "| connects to the cluster's API | **yes** | is none | **yes** |\n" in said
    assert "| reads a file that somebody else left in `/tmp` | nobody answers there |" in said
    assert "| bring one file back | 4\\* | 4\\* | 1 |\n" in said and "| renew a certificate | 0 | 0 | 0 |\n" in said
    assert littlest.COMMIT[:12] in said and "- TLJH: x 1\n" in said
    assert all(line == line.rstrip() for line in said.splitlines())


def test_an_attempt_without_words_is_no_page() -> None:
    found = figures()
    found["ways"]["TLJH"]["probe"]["new"] = {"reached": True, "detail": "", "valid": True}
    with pytest.raises(ValueError, match="new"):
        page.page(found)


def test_the_page_in_the_manual_is_that_of_the_last_run_and_is_found() -> None:
    """Until somebody has run it, there is none: no figure of it is written by hand."""
    where, data = DOCS / page.NAME, DOCS / "benchmarks/compare.json"
    assert where.exists() == data.exists()
    named = [(ROOT / name).read_text().count(f"{page.NAME}") for name in ("mkdocs.yml", "docs/index.md")]
    assert all(named) == where.exists() and any(named) == where.exists()
    if where.exists():
        assert where.read_text() == page.page(json.loads(data.read_text()))


def test_hack_bench_knows_it() -> None:
    text = (ROOT / "hack/bench").read_text()
    assert "#   compare " in text and "tests.bench.compare" in text
