"""The pure parts of hack/: versions, configuration, generated code, and what a cluster says."""

from __future__ import annotations

from pathlib import Path

import pytest
from devcluster import (
    cluster,
    facts,
    generate,
    golang,
    install,
    settings,
    venv,
)

ROOT = Path(__file__).parents[2]


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
        (ROOT / "hack/kind/cluster.yaml").read_text(), Path("/c/images"), Path("/c/x"), Path("/c/audit"), built=True
    )
    for line in (
        "disableDefaultCNI: true",
        "hostPort: 9090",
        "hostPath: /c/images",
        "hostPath: /c/audit",
        "podPidsLimit: 2048",
    ):
        assert line in text
    assert "$" not in text


def test_every_program_has_a_module_of_its_own() -> None:
    for name in golang.PACKAGES:
        assert (ROOT / "hack/tools" / name / "go.mod").exists(), name
    assert f"gitVersion=v{settings.KUBERNETES}" in golang.ldflags("kubernetes")
    pinned = {"kubernetes": settings.KUBERNETES, "kind": settings.KIND, "helm": settings.HELM}
    pinned |= dict.fromkeys(("etcd", "etcdutl"), settings.ETCD)
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


def test_ansible_comes_in_exact_versions_and_in_an_environment_of_its_own() -> None:
    pins = venv.ansible_pins((ROOT / "pyproject.toml").read_text())
    assert {pin.partition("==")[0] for pin in pins} >= {"ansible", "ansible-core", "ansible-lint"}
    assert all("==" in pin for pin in pins)
    assert len({venv.ansible().name, venv.docs().name, venv.venv().name}) == 3


def test_facts_survive_the_shell(tmp_path: Path) -> None:
    written = {"A": "x", "B": "two words", "C": "", "D": "it's"}
    facts.write(tmp_path / "env", written)
    assert facts.read(tmp_path / "env") == written
    assert facts.read(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("image", "observed", "counts", "runs"),
    [
        ("hub:new", 2, (1, 1, 1), True),
        ("hub:old", 2, (1, 1, 1), False),
        ("hub:new", 1, (1, 1, 1), False),
        ("hub:new", 2, (2, 1, 1), False),
        ("hub:new", 2, (1, 1, None), False),
    ],
    ids=["it does", "it waits for its copy", "it was just changed", "the old one is left", "it starts"],
)
def test_the_demo_hub_runs_this_checkout_before_somebody_signs_in(
    image: str, observed: int, counts: tuple[int | None, ...], runs: bool
) -> None:
    status = dict(zip(("replicas", "updatedReplicas", "availableReplicas"), counts, strict=True))
    deployment = {
        "metadata": {"generation": 2},
        "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
        "status": {"observedGeneration": observed, **status},
    }
    assert install.runs_image(deployment, "hub:new") is runs


def test_condition_of_an_older_generation_does_not_count() -> None:
    condition = {"type": "Ready", "status": "True", "observedGeneration": 1}
    hub = {"metadata": {"generation": 2}, "status": {"conditions": [condition]}}
    assert install.condition_of(hub, "Ready") == {}
    hub["metadata"]["generation"] = 1
    assert install.condition_of(hub, "Ready")["status"] == "True"
