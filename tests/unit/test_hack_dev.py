"""hack/dev: what changed since what runs, what is restarted for it, and which layers travel to the node."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Collection
from pathlib import Path

import pytest
from devcluster import app_images, artefact, code, dev, install, loading, settings, thin, world
from devcluster.engine import Engine

ROOT = Path(__file__).parents[2]
PROGRAMS = ("operator", "node", "nfs-helper", "surveyor", "audit", "homes")
OLD = {"operator": "o:1", "hub": "h:1", "proxy": "p:1", "user": "u:1", "door": "d:1"}
NEW = OLD | {"operator": "o:2"}
CODE = dict.fromkeys(PROGRAMS, "code 1")


def running(**images: str) -> dev.Running:
    """A cluster of OLD; ``chart="old"``: of an earlier chart."""
    is_current = images.pop("chart", "") != "old"
    return dev.Running({**OLD, **dict.fromkeys(PROGRAMS, OLD["operator"]), **images}, is_current)


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(tmp_path, "test")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small tree of packages in which each way to load a module occurs once."""
    files = {
        "operator.py": "import pdshub.shared\n",
        "shared.py": "",
        "untouched.py": "'''Speaks of pdshub.shared only.'''\n",
        "node/__init__.py": "",
        "node/main.py": "from . import spec\ndef f():\n    from .source import nfs_helper\n    'pdshub.node.worker'\n",
        "node/spec.py": "from ..shared import NAME\n",
        "node/worker.py": "",
        "node/source/__init__.py": "",
        "node/source/nfs_helper.py": "",
        "surveyor/__init__.py": "",
        "surveyor/main.py": "from pdshub.api.view import View\n",
        "api/__init__.py": "",
        "api/view.py": "",
    }
    for name, text in files.items():
        file = tmp_path / "source/pdshub" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "source/pdshub/__init__.py").touch()
    return tmp_path / "source"


@pytest.mark.parametrize(
    ("edited", "programs"),
    [
        ("operator.py", {"operator"}),
        ("shared.py", {"operator", "node"}),
        ("node/spec.py", {"node"}),
        ("node/worker.py", {"node"}),
        ("node/source/nfs_helper.py", {"node", "nfs-helper"}),
        ("api/view.py", {"surveyor"}),
        ("api/__init__.py", {"surveyor"}),
        ("untouched.py", set()),
        ("__init__.py", set(PROGRAMS)),
        ("data.json", set(PROGRAMS)),
    ],
)
def test_an_edit_changes_the_programs_that_load_the_file(source: Path, edited: str, programs: set[str]) -> None:
    before = code.digests("", source)
    with (source / "pdshub" / edited).open("a") as file:
        file.write("# edited\n")
    after = code.digests("", source)
    assert {p for p in PROGRAMS if before[p] != after[p]} == programs
    assert not set(code.digests("another library", source).items()) & set(after.items())


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_module_that_a_program_imports_is_left_out(program: str) -> None:
    script = (
        f"import sys, {code.PROGRAMS[program]}\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'pdshub' and m.__file__))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(code.SOURCE)}, capture_output=True, text=True, check=True
    )
    assert {Path(f) for f in done.stdout.split()} <= set(code.files_of(program))


@pytest.mark.parametrize(
    ("program", "loads", "never"),
    [
        ("operator", "reconcile/hub/decide.py", "node"),
        ("node", "node/health/examiner_main.py", "reconcile"),
        ("surveyor", "surveyor/worker_main.py", "reconcile"),
    ],
)
def test_a_program_keeps_to_its_rooms(program: str, loads: str, never: str) -> None:
    found = {str(f.relative_to(code.SOURCE / "pdshub")) for f in code.files_of(program)}
    assert loads in found
    assert not [f for f in found if f.startswith(f"{never}/")]


def test_code_of_the_last_images_is_remembered(paths: settings.Paths) -> None:
    assert code.recall(paths, "o:0") == {}
    for n in range(code.KEPT + 1):
        code.remember(paths, f"o:{n}", CODE | {"node": str(n)})
    assert code.recall(paths, "o:0") == {}
    assert code.recall(paths, f"o:{code.KEPT}")["node"] == str(code.KEPT)


@pytest.mark.parametrize(
    ("now", "there", "changed"),
    [
        ({}, running(operator="o:2", node="o:2", surveyor="o:2", **{"nfs-helper": "o:2"}), set()),
        ({}, running(), set()),
        ({"operator": "code 2"}, running(), {"operator"}),
        ({"node": "code 2", "nfs-helper": "code 2"}, running(), {"node", "nfs-helper"}),
        # it runs what is wanted already, as hack/dev left it
        ({"operator": "code 2"}, running(operator="o:2"), set()),
        # nobody remembers what is in that image
        ({}, running(node="o:0"), {"node"}),
        ({}, running(chart="old", hub="h:0"), {"chart", "hub"}),
    ],
    ids=["all new", "same code", "operator", "node", "done before", "unknown image", "hub and chart"],
)
def test_what_changed(now: dict[str, str], there: dev.Running, changed: set[str]) -> None:
    assert dev.changed_parts(NEW, there, CODE | now, {"o:1": CODE}) == changed


@pytest.mark.parametrize(
    ("changed", "named", "restart", "upgrade", "left"),
    [
        ((), (), (), (), ()),
        (("operator",), (), ("operator",), (), ()),
        (("operator", "node"), (), ("operator", "node"), (), ()),
        (("operator", "node"), ("operator",), ("operator",), (), ("node",)),
        (("audit",), (), ("audit",), (), ()),
        (("homes",), (), ("homes",), (), ()),
        (("audit", "surveyor"), (), (), ("audit", "surveyor"), ()),
        (("operator",), ("node",), (), (), ("operator",)),
        (("operator", "surveyor"), (), (), ("operator", "surveyor"), ()),
        (("node", "nfs-helper"), ("node",), (), ("nfs-helper", "node"), ()),
        (("chart", "hub"), ("chart",), (), ("chart",), ("hub",)),
        # the chart has one image for all programs: nobody is left behind
        (("operator", "node", "surveyor"), ("surveyor",), (), ("surveyor",), ()),
    ],
)
def test_what_is_done_about_it(
    changed: Collection[str],
    named: Collection[str],
    restart: tuple[str, ...],
    upgrade: tuple[str, ...],
    left: tuple[str, ...],
) -> None:
    done = dev.plan(NEW, running(), changed, named)
    assert (done.restart, done.upgrade, done.left) == (restart, upgrade, left)
    assert bool(done.images) == bool(restart or upgrade)


def test_an_image_of_hubs_that_was_not_named_stays() -> None:
    wanted = NEW | {"hub": "h:2", "user": "u:2"}
    assert dev.plan(wanted, running(), {"hub", "user"}, ["user"]).images == OLD | {"operator": "o:2", "user": "u:2"}


def test_parts_are_checked() -> None:
    assert [dev.part(p) for p in dev.PARTS] == list(dev.PARTS)
    with pytest.raises(argparse.ArgumentTypeError, match="choose from operator, node"):
        dev.part("nod")


@pytest.mark.parametrize(
    ("engine", "packed", "said"),
    [
        ("podman", False, ["build operator", "thin o:2"]),
        ("podman", True, ["ensure operator", "import o:2"]),
        ("docker", False, ["ensure operator", "import o:2"]),
    ],
    ids=["layers alone", "packed by hack/up before", "docker knows no layouts"],
)
def test_what_the_node_lacks_is_built_and_loaded(
    paths: settings.Paths, monkeypatch: pytest.MonkeyPatch, engine: str, packed: bool, said: list[str]
) -> None:
    did: list[str] = []
    monkeypatch.setattr(loading, "on_node", lambda w: {"p:1", "u:1", "d:1"})
    monkeypatch.setattr(loading, "load_one", lambda w, name, ref: did.append(f"import {ref}"))
    monkeypatch.setattr(app_images, "image", lambda p, e, name, base: artefact.Artefact(f"i-{name}", "k", Path.mkdir))
    monkeypatch.setattr(app_images, "build", lambda e, name, base: did.append(f"build {name}"))
    monkeypatch.setattr(app_images, "ensure", lambda p, e, name, base: did.append(f"ensure {name}"))
    monkeypatch.setattr(Engine, "has_image", lambda self, ref: False)
    monkeypatch.setattr(thin, "load", lambda p, e, ref: did.append(f"thin {ref}") or 0)
    if packed:
        (paths.artefacts / "i-operator" / "k").mkdir(parents=True)
    made = world.World(paths, Engine(engine), registry=False)
    dev.load(made, OLD | {"hub": "h:2", "operator": "o:2"})
    assert did == [*said, "ensure hub", "import h:2"]


@pytest.mark.parametrize(
    ("runs", "upgraded"),
    [({"operator": "o:1", "node": "o:1"}, False), ({"operator": "o:2", "node": "o:1"}, True)],
    ids=["as released", "the operator restarted by hack/dev"],
)
def test_an_upgrade_asks_what_runs(paths: settings.Paths, runs: dict[str, str], upgraded: bool) -> None:
    """An edit taken back after hack/dev gives the values of the last release again, while newer code runs."""
    items = [
        {
            "metadata": {"labels": {"app.kubernetes.io/component": name}},
            "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
        }
        for name, image in runs.items()
    ]
    paths.bin.mkdir(parents=True)
    paths.cluster.mkdir(parents=True)
    (paths.cluster / "workloads").write_text(json.dumps({"items": items}))
    nothing = paths.cluster / "none"
    nothing.write_text('{"items": []}')
    said = paths.cluster / "said"
    programs = {
        "helm": f'case "$*" in *" list "*) echo pdshub ;; *) echo "$*" >> {said} ;; esac',
        "kubectl": f'case "$*" in *" get pods "*) cat {nothing} ;; *) cat {paths.cluster}/workloads ;; esac',
    }
    for name, text in programs.items():
        (paths.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (paths.bin / name).chmod(0o755)
    made = world.World(paths, Engine("podman"), registry=False, images=dict(OLD), nas_ip="10.0.0.9", base_ref="b:1")
    made.tools = install.cluster.Tools(paths.bin / "kind", paths.bin / "kubectl")
    assert install.operator(made) is True, "there is no release yet"
    said.unlink()
    assert install.operator(made) is upgraded
    assert said.exists() is upgraded
    assert set(code.recall(paths, "o:1")) == set(PROGRAMS)


@pytest.mark.parametrize(
    ("edited", "renamed"),
    [
        ("operator/a.py", {"operator"}),
        ("pins.txt", {"operator", "runtime"}),
        ("images/runtime/Dockerfile", {"operator", "runtime"}),
        ("images/hub/Dockerfile", {"hub"}),
    ],
)
def test_an_image_is_named_by_what_it_and_the_image_below_are_made_of(
    tmp_path: Path, edited: str, renamed: set[str]
) -> None:
    files = {"operator": "FROM x\nCOPY operator /o\n", "runtime": "FROM x\nCOPY pins.txt /p\n", "hub": "FROM x\n"}
    for name, text in files.items():
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "Dockerfile").write_text(text)
    (tmp_path / "operator").mkdir()
    for name in ("operator/a.py", "pins.txt", ".dockerignore"):
        (tmp_path / name).touch()
    before = {n: app_images.reference(n, "b:1", tmp_path) for n in files}
    assert not set(before.values()) & {app_images.reference(n, "b:2", tmp_path) for n in files}
    with (tmp_path / edited).open("a") as file:
        file.write("# edited\n")
    assert {n for n in files if app_images.reference(n, "b:1", tmp_path) != before[n]} == renamed


def layout(folder: Path, layers: dict[str, bytes], there: set[str]) -> None:
    """What podman writes of an image: layers that are there by their own digest, others compressed."""
    blobs = folder / "blobs" / "sha256"
    described = []
    for diff_id, data in layers.items():
        packed = data if diff_id in there else gzip.compress(data)
        name = diff_id if diff_id in there else hashlib.sha256(packed).hexdigest()
        if diff_id not in there:
            (blobs / name).write_bytes(packed)
        kind = "application/vnd.oci.image.layer.v1.tar" + ("" if diff_id in there else "+gzip")
        described.append({"mediaType": kind, "digest": f"sha256:{name}", "size": len(packed)})
    manifest = json.dumps({"schemaVersion": 2, "layers": described}).encode()
    name = hashlib.sha256(manifest).hexdigest()
    (blobs / name).write_bytes(manifest)
    (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": f"sha256:{name}", "size": len(manifest)}]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def test_only_layers_that_the_node_lacks_travel(tmp_path: Path) -> None:
    layers = {hashlib.sha256(data).hexdigest(): data for data in (b"old" * 1000, b"new")}
    old, new = layers
    work, out = tmp_path / "work", tmp_path / "out.tar"
    there = thin.prepare(work, [old, new], thin.sizes(f"{old} 3000\n{'0' * 64} 7\n"))
    assert there == {old} and (work / "blobs/sha256" / old).stat().st_size == 3000
    layout(work, layers, there)
    thin.unpack_layers(work, [old, new])
    assert thin.pack(work, "localhost/pdshub/operator:1", there, out) == out.stat().st_size
    with tarfile.open(out) as tar:
        files = {Path(m.name).name: (tar.extractfile(m) or pytest.fail(m.name)).read() for m in tar.getmembers()}
    index = json.loads(files["index.json"])["manifests"][0]
    assert index["annotations"] == {"io.containerd.image.name": "localhost/pdshub/operator:1"}
    text = files[index["digest"].removeprefix("sha256:")]
    assert hashlib.sha256(text).hexdigest() == index["digest"].removeprefix("sha256:")
    assert [(x["digest"], x["size"], x["mediaType"].rpartition(".")[2]) for x in json.loads(text)["layers"]] == [
        (f"sha256:{old}", 3000, "tar"),
        (f"sha256:{new}", 3, "tar"),
    ]
    assert files[new] == b"new"
    assert set(files) == {"index.json", "oci-layout", new, Path(index["digest"].removeprefix("sha256:")).name}
