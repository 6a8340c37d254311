"""The pure parts of hack/: keys, orders, and what is read out of other programs' answers."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "hack" / "lib"))

from devcluster import (  # noqa: E402  # noqa: E402
    app_images,
    artefact,
    cluster,
    engine,
    facts,
    figures,
    generate,
    golang,
    install,
    machine,
    oci,
    portrules,
    publish,
    registry,
    repair,
    settings,
    steps,
    store,
    venv,
)
from devcluster.run import StepFailed  # noqa: E402


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    return settings.Paths(tmp_path, "test")


# --- artefacts


def test_digest_frames_its_parts() -> None:
    assert artefact.digest(["ab", "c"]) != artefact.digest(["a", "bc"])
    assert artefact.digest(["a", b"b"]) == artefact.digest([b"a", "b"])


def test_files_digest_sees_names_contents_modes_and_no_caches(tmp_path: Path) -> None:
    file = tmp_path / "d" / "f"
    file.parent.mkdir()
    file.write_text("1")

    def now() -> str:
        return artefact.files_digest([tmp_path / "d"], tmp_path)

    first = now()
    (tmp_path / "d" / "__pycache__").mkdir()
    (tmp_path / "d" / "__pycache__" / "x.pyc").write_text("x")
    assert now() == first
    file.chmod(0o755)
    executable = now()
    file.write_text("2")
    assert len({first, executable, now()}) == 3


def test_artefact_is_built_once_and_found_again(paths: settings.Paths) -> None:
    built = []

    def build(work: Path) -> None:
        built.append(work)
        (work / "f").write_text("x")

    one = artefact.Artefact("a", "k", build)
    assert one.ensure(paths) == (paths.artefacts / "a" / "k", True)
    assert one.ensure(paths)[1] is False
    assert len(built) == 1


@pytest.mark.parametrize("in_place", [False, True])
def test_half_built_artefact_is_built_again(paths: settings.Paths, in_place: bool) -> None:
    def dies(work: Path) -> None:
        (work / "half").write_text("x")
        raise StepFailed("killed")

    with pytest.raises(StepFailed):
        artefact.Artefact("a", "k", dies, in_place).ensure(paths)
    whole = artefact.Artefact("a", "k", lambda work: (work / "whole").touch(), in_place)
    assert not whole.exists(paths)
    path, built = whole.ensure(paths)
    assert built and {p.name for p in path.iterdir()} - {".complete"} == {"whole"}


def test_two_builders_build_once(paths: settings.Paths) -> None:
    built = []
    go = threading.Event()

    def build(work: Path) -> None:
        go.wait(5)
        built.append(work)

    one = artefact.Artefact("a", "k", build)
    threads = [threading.Thread(target=one.ensure, args=(paths,)) for _ in range(2)]
    for t in threads:
        t.start()
    go.set()
    for t in threads:
        t.join()
    assert len(built) == 1


# --- steps


def test_steps_run_after_what_they_need_and_stop_after_a_failure(tmp_path: Path) -> None:
    done: list[str] = []

    def fails() -> bool:
        raise StepFailed("no")

    plan = [
        steps.Step("a", "x", lambda: bool(done.append("a"))),
        steps.Step("b", "y", lambda: bool(done.append("b")), ("a",)),
        steps.Step("bad", "x", fails, ("b",)),
        steps.Step("c", "y", lambda: bool(done.append("c")), ("bad",)),
    ]
    with pytest.raises(StepFailed, match="bad: no"):
        steps.run_steps(plan, tmp_path)
    assert done == ["a", "b"]


@pytest.mark.parametrize("names", [[("a", ("b",)), ("b", ())], [("a", ()), ("a", ())], [("a", ("a",))]])
def test_steps_out_of_order_are_refused(names: list[tuple[str, tuple[str, ...]]]) -> None:
    with pytest.raises(ValueError, match="declared twice, or before"):
        steps.check_order([steps.Step(n, "x", lambda: None, needs) for n, needs in names])


def test_record_keeps_cold_beside_warm(tmp_path: Path) -> None:
    def ran(built: bool | None, seconds: float) -> steps.Step:
        step = steps.Step("a", "x", lambda: built, built=built, seconds=seconds)
        step.done.set()
        return step

    file = tmp_path / "figures.json"
    steps.record([ran(True, 12.34)], file)
    assert steps.record([ran(False, 0.5)], file) == {"a": {"cold": 12.3, "warm": 0.5}}
    assert "12.3 s" in steps.table([ran(False, 0.5)], json.loads(file.read_text()))
    file.write_text("{half")
    assert steps.record([ran(None, 2)], file) == {"a": {"run": 2}}


# --- images


@pytest.mark.parametrize(
    ("dockerfile", "sources"),
    [
        ("COPY a b /c/\n", ["a", "b"]),
        ("copy --chown=1:1 a \\\n  b c/\n", ["a", "b"]),
        ("COPY --from=build /x /y\nADD https://e.org/x /y\nADD z /y", ["z"]),
        ("# COPY no no\nRUN COPY x y\n", []),
    ],
)
def test_copied(dockerfile: str, sources: list[str]) -> None:
    assert app_images.copied(dockerfile) == sources


def test_inputs_of_an_image_are_its_dockerfile_and_what_it_copies(tmp_path: Path) -> None:
    (tmp_path / "images/x").mkdir(parents=True)
    (tmp_path / "images/x/Dockerfile").write_text("COPY images/x/*.txt src /\n")
    (tmp_path / "images/x/a.txt").touch()
    wanted = {"images/x/Dockerfile", "images/x/a.txt", "src"}
    assert {str(p.relative_to(tmp_path)) for p in app_images.inputs("x", tmp_path)} == wanted


def test_build_args_are_those_declared_and_no_folder_of_this_machine() -> None:
    environ = {"PIP_INDEX_URL": "https://i", "PIP_FIND_LINKS": "/opt/w", "PIP_CERT": "/etc/ssl/certs/c", "X": "x"}
    dockerfile = "ARG BASE\nARG PIP_INDEX_URL PIP_FIND_LINKS=1\nARG PIP_CERT PIP_PROXY"
    assert app_images.build_args(dockerfile, environ) == ["PIP_INDEX_URL=https://i", "PIP_CERT=/etc/ssl/certs/c"]


def test_settings_of_the_machine_for_builds(tmp_path: Path) -> None:
    listed = "global.cert='/etc/ssl/certs/c.crt'\nglobal.find-links='/opt'\nfreeze.timeout='9'\n"
    conf = app_images.pip_conf(listed, {"PIP_INDEX_URL": "https://i", "HOME": "/root"})
    assert conf == "[global]\ncert = /etc/ssl/certs/c.crt\nindex-url = https://i\n"
    assert app_images.pip_conf("", {}) == ""
    npm = app_images.npmrc("nodedir=/usr\nregistry=https://r\n", {"npm_config_proxy": "http://p"}, tmp_path / "no")
    assert npm == "registry=https://r\nproxy=http://p\n"
    assert app_images.npmrc("", {}, tmp_path) == f"cafile={tmp_path}\n"
    dump = 'Acquire::http::Proxy "http://p";\nAcquire::Retries "3";\nAcquire::https::Proxy "";\n'
    assert app_images.apt_conf(dump) == 'Acquire::http::Proxy "http://p";\n'


def test_image_archive_shares_layers(tmp_path: Path) -> None:
    binary = tmp_path / "tool"
    binary.write_bytes(b"\x7fELF")
    binary.chmod(0o755)
    layer = oci.file_layer({"usr/bin/tool": binary}, tmp_path / "layer.tar")
    again = oci.file_layer({"usr/bin/tool": binary}, tmp_path / "again.tar")
    assert layer.read_bytes() == again.read_bytes()
    images = [oci.Image((f"localhost/x/{n}:1",), (layer,), entrypoint=(f"/usr/bin/{n}",)) for n in ("a", "b")]
    oci.write_archive(images, tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())
        inner = tarfile.open(fileobj=tar.extractfile(manifest[0]["Layers"][0]))  # noqa: SIM115
        assert inner.getnames() == ["usr/bin/tool"] and inner.getmember("usr/bin/tool").mode == 0o755
        config = json.load(tar.extractfile(manifest[1]["Config"]) or io.BytesIO())
    assert len([n for n in names if n.endswith(".tar")]) == 1
    assert config["config"]["Entrypoint"] == ["/usr/bin/b"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{manifest[1]['Layers'][0].removesuffix('.tar')}"]


BUILT = {"operator": "localhost/pdshub/operator:0a1b", "user": "localhost/pdshub/user:2c3d"}


@pytest.mark.parametrize(
    ("repository", "tag", "wanted"),
    [
        ("registry.example.org/pdshub", "", f"registry.example.org/pdshub/operator:{publish.version()}-0a1b"),
        ("127.0.0.1:5000/a/b_c", "1.2", "127.0.0.1:5000/a/b_c/operator:1.2"),
        ("https://registry.example.org/pdshub", "", None),
        ("registry.example.org/PDSHub", "", None),
        ("registry.example.org/pdshub/", "", None),
        ("registry.example.org/pdshub:1", "", None),
        ("registry.example.org/pdshub", "a b", None),
        ("-v", "", None),
    ],
)
def test_names_of_pushed_images(repository: str, tag: str, wanted: str | None) -> None:
    if wanted is None:
        with pytest.raises(StepFailed, match="--tag" if tag else "--push .*: want HOST"):
            publish.targets(BUILT, repository, tag)
    else:
        assert publish.targets(BUILT, repository, tag)["operator"] == wanted


def test_values_of_pushed_images_are_the_charts() -> None:
    names = publish.targets(dict.fromkeys(app_images.IN_CLUSTER, "x:1"), "r.example.org/p", "7")
    found = yaml.safe_load(publish.values(names))
    assert found["image"] == "r.example.org/p/operator:7"
    chart = yaml.safe_load((ROOT / "charts/pdshub/values.yaml").read_text())
    assert set(found["defaults"]["images"]) == set(chart["defaults"]["images"])


@pytest.mark.parametrize(
    ("repository", "loopback"),
    [("localhost:5000/p", True), ("127.0.0.1/p", True), ("localhost.example.org/p", False), ("10.0.0.1:5000/p", False)],
)
def test_only_a_registry_of_this_machine_may_be_without_tls(repository: str, loopback: bool) -> None:
    assert publish.is_loopback(repository) is loopback


# --- the machine and the engine


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        ("Types: deb\nURIs: http://m.example.org/debian/\nSuites: bookworm\n", "http://m.example.org/debian"),
        ("deb [signed-by=/k] https://m.example.org/debian bookworm main", "https://m.example.org/debian"),
        ("deb http://s.example.org/debian-security x main\ndeb http://u.example.org/ubuntu y", machine.DEFAULT_MIRROR),
        ("", machine.DEFAULT_MIRROR),
    ],
)
def test_mirror(sources: str, mirror: str) -> None:
    assert machine.mirror_in(sources) == mirror


def test_mounts_below_deepest_first() -> None:
    table = "1 0 0:1 / / rw\n2 1 0:2 / /a/b rw\n3 2 0:3 / /a/b/c\\040d rw\n4 1 0:4 / /a/bc rw\n"
    assert machine.mounts_below(Path("/a/b"), table) == ["/a/b/c d", "/a/b"]


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ("default via 192.0.2.1 dev eth0\n192.0.2.0/24 dev eth0", "10.89.0.0/24"),
        ("10.89.0.0/24 dev x\n10.89.1.0/25 dev y", "10.89.2.0/24"),
        ("10.0.0.0/9 dev vpn", ""),
    ],
)
def test_free_range(routes: str, found: str) -> None:
    if found:
        assert str(engine.free_range(routes)) == found
    else:
        with pytest.raises(StepFailed, match="no free range"):
            engine.free_range(routes)


@pytest.mark.parametrize(
    "description",
    [{"subnets": [{"subnet": "10.89.0.0/24"}]}, {"IPAM": {"Config": [{"Subnet": "10.89.0.0/24"}]}}],
)
def test_nas_address_in_podmans_and_dockers_networks(description: dict[str, object]) -> None:
    (net,) = engine.subnets(description)
    assert engine.nas_address(net) == "10.89.0.250"  # type: ignore[arg-type]


def test_container_limits_are_never_above_the_hosts() -> None:
    assert "nofile=20000:20000" in engine.containers_conf(-1, -1)
    assert "nofile=1024:1024" in engine.containers_conf(1024, 99999)
    assert "nproc=32768:32768" in engine.containers_conf(1024, 99999)


# --- repair


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[Path]:
    for pid, state, cgroup in (
        ("10", "S", "/libpod-abc/init.scope"),
        ("11", "Z", "/libpod-abc"),
        ("12", "S", "/other"),
    ):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "stat").write_text(f"{pid} (a) b) {state} 1")
        (tmp_path / pid / "cgroup").write_text(f"4:memory:{cgroup}\n")
    yield tmp_path


@pytest.mark.parametrize(
    ("pid", "alive"),
    [(10, True), (11, False), (12, False), (13, False), (0, False)],
    ids=["runs", "zombie", "number used again", "gone", "never ran"],
)
def test_what_the_kernel_says_of_a_container(proc: Path, pid: int, alive: bool) -> None:
    assert repair.is_alive(repair.Belief("abc", "c", True, pid), proc) is alive


def test_dead_are_those_believed_to_run() -> None:
    state = {"Running": True, "Pid": 5}
    found = repair.beliefs(
        [{"Id": "1", "Name": "/a", "State": state}, {"Id": "2", "Name": "b", "State": {"Running": False, "Pid": 0}}]
    )
    assert [b.name for b in found] == ["a", "b"]
    assert [b.id for b in repair.dead(found, lambda _: False)] == ["1"]
    assert repair.dead(found, lambda _: True) == []


# --- versions, configuration, generated code


@pytest.mark.parametrize(
    ("text", "least", "good"),
    [
        ("kind v0.33.0 go1.26.8 linux/amd64", (0, 30), True),
        ("kind v0.20.0 go1.20", (0, 30), False),
        ("Client Version: v1.34.4\nKustomize Version: v5.7.1", (1, 33), True),
        ("v4.0.1", (3, 18), False),
        ("", (0, 30), False),
    ],
)
def test_recent(text: str, least: tuple[int, int], good: bool) -> None:
    assert cluster.recent(text, least) is good


def test_kind_config_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDSHUB_PORT", "9090")
    text = cluster.kind_config(
        (ROOT / "hack/kind/cluster.yaml").read_text(), Path("/c/images"), Path("/c/x"), built=True
    )
    for line in ("disableDefaultCNI: true", "hostPort: 9090", "hostPath: /c/images", "podPidsLimit: 2048"):
        assert line in text
    assert "$" not in text


def test_every_program_has_a_module_of_its_own() -> None:
    for name in golang.PACKAGES:
        assert (ROOT / "hack/tools" / name / "go.mod").exists(), name
    assert f"gitVersion=v{settings.KUBERNETES}" in golang.ldflags("kubernetes")
    pinned = {"kubernetes": settings.KUBERNETES, "kind": settings.KIND, "helm": settings.HELM, "etcd": settings.ETCD}
    for name, version in pinned.items():
        assert f"v{version}" in (ROOT / "hack/tools" / name / "go.mod").read_text(), name


def test_stubs_import_from_their_package() -> None:
    source = "import csi_pb2 as csi__pb2\nimport grpc\n"
    assert generate.relative_imports(source, ("csi",)) == "from . import csi_pb2 as csi__pb2\nimport grpc\n"
    proto = 'import "github.com/gogo/gogo.proto";\noption (gogoproto.goproto_all) = true;\nmessage A {}\n'
    assert generate.without_gogo(proto) == "message A {}\n"


def test_environment_depends_on_dependencies_only() -> None:
    base = '[project]\nname = "x"\ndependencies = ["a==1"]\n'
    one = venv.key(base, "3.11", ROOT)
    assert venv.key(base + "[tool.ruff]\nline-length = 9\n", "3.11", ROOT) == one
    assert venv.key(base.replace("a==1", "a==2"), "3.11", ROOT) != one
    assert venv.key(base, "3.12", ROOT) != one
    extras = base + "[project.optional-dependencies]\ntest = ['t==1']\n"
    assert venv.key(extras, "3.11", ROOT) not in (one, venv.key(extras.replace("t==1", "t==2"), "3.11", ROOT))
    assert venv.key(extras + "docs = ['m==1']\n", "3.11", ROOT) == venv.key(extras, "3.11", ROOT)


def test_the_manual_is_built_by_exact_versions() -> None:
    pins = venv.docs_pins((ROOT / "pyproject.toml").read_text())
    assert {pin.partition("==")[0] for pin in pins} >= {"mkdocs"} and all("==" in pin for pin in pins)
    assert venv.docs().name != venv.venv().name


def test_facts_survive_the_shell(tmp_path: Path) -> None:
    written = {"A": "x", "B": "two words", "C": "", "D": "it's"}
    facts.write(tmp_path / "env", written)
    assert facts.read(tmp_path / "env") == written
    assert facts.read(tmp_path / "none") == {}


def test_condition_of_an_older_generation_does_not_count() -> None:
    condition = {"type": "Ready", "status": "True", "observedGeneration": 1}
    hub = {"metadata": {"generation": 2}, "status": {"conditions": [condition]}}
    assert install.condition_of(hub, "Ready") == {}
    hub["metadata"]["generation"] = 1
    assert install.condition_of(hub, "Ready")["status"] == "True"


@pytest.mark.parametrize(
    ("wanted", "answers", "use"),
    [("registry", False, True), ("build", True, False), ("auto", True, True), ("auto", False, False)],
)
def test_where_images_come_from(monkeypatch: pytest.MonkeyPatch, wanted: str, answers: bool, use: bool) -> None:
    monkeypatch.setenv("PDSHUB_IMAGES", wanted)
    monkeypatch.setattr(registry, "answers", lambda: answers)
    assert registry.use_registry() is use


def test_a_closed_port_is_no_registry() -> None:
    assert not registry.answers("http://127.0.0.1:1/v2/", 1)


def test_clone_shares_blobs_but_not_databases(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "content" / "blobs").mkdir(parents=True)
    (source / "content" / "blobs" / "b").write_text("blob")
    (source / "content" / "meta.db").write_text("db")
    for _ in range(2):  # the second time over what an interrupted run left
        store.clone(source, target)
    assert (target / "content/blobs/b").samefile(source / "content/blobs/b")
    assert not (target / "content/meta.db").samefile(source / "content/meta.db")
    assert (target / "content/meta.db").read_text() == "db"


def test_newest_store_of_the_same_node_image(tmp_path: Path) -> None:
    for name, node in (("a", "n1"), ("b", "n2"), (".building-c", "n1"), ("d", "n1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "node").write_text(node)
        os.utime(tmp_path / name, (1, 5 if name == "a" else 4))
    assert store.newest(tmp_path, "n1") == tmp_path / "a"
    assert store.newest(tmp_path, "n3") is None


def test_outdated_images_are_earlier_ones_of_the_same_name() -> None:
    refs = ["localhost/pdshub/hub:1", "localhost/pdshub/hub:2", "localhost/pdshub/hubble:1", "<none>:<none>"]
    assert app_images.outdated(refs, "localhost/pdshub/hub:2") == ["localhost/pdshub/hub:1"]


def test_port_rules_of_containers_that_are_gone() -> None:
    old, new = "a" * 64, "b" * 64
    rules = f"""-P PREROUTING ACCEPT
-A OUTPUT -j DOCKER
-A NETAVARK-DN-62F -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.89.0.5:30080
-A NETAVARK-DN-62F -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.89.0.4:30080
-A NETAVARK-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: kind id: {old}" -j NETAVARK-DN-62F
-A NETAVARK-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: kind id: {new}" -j NETAVARK-DN-62F
-A NETAVARK-HOSTPORT-SETMARK -j MARK --set-xmark 0x2000/0x2000
"""
    gone = portrules.stale(rules, [new], ["10.89.0.4"])
    assert [g[:2] for g in gone] == [["-D", "NETAVARK-DN-62F"], ["-D", "NETAVARK-HOSTPORT-DNAT"]]
    assert f"dnat name: kind id: {old}" in gone[1] and "10.89.0.5:30080" in gone[0]


# --- figures


def test_figures_are_read_from_logs_and_proc_and_say_only_what_was_measured() -> None:
    log = "x published demo at /var/a in 12 ms\nx published demo at /var/b in 9 ms\nx unpublished"
    assert (figures.publish_ms(log), figures.publish_ms("nothing")) == (9, None)
    assert figures.resident_mb("Name:\tx\nVmRSS:\t   80000 kB\nName:\ty\nVmRSS:\t 900 kB\n") == 81.9
    assert figures.resident_mb("") is None
    told = figures.lines(figures.Figures(apply_to_ready_seconds=12.5))
    assert len(told) == 1 and told[0].startswith("kubectl apply to Ready") and told[0].endswith("12.5 s")
