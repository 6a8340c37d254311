"""Images of hack/: what goes into them, where they come from, where they are kept."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from unittest import mock

import pytest
from devcluster import (
    app_images,
    build_settings,
    oci,
    registry,
    store,
)
from devcluster.engine import Engine


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
    environ |= {"BASE": "b", "BUILD_BASE": "b"}
    dockerfile = "ARG BASE\nARG BUILD_BASE=${BASE}\nARG PIP_INDEX_URL PIP_FIND_LINKS=1\nARG PIP_CERT PIP_PROXY"
    assert app_images.build_args(dockerfile, environ) == ["PIP_INDEX_URL=https://i", "PIP_CERT=/etc/ssl/certs/c"]


def test_settings_of_the_machine_for_builds(tmp_path: Path) -> None:
    listed = "global.cert='/etc/ssl/certs/c.crt'\nglobal.find-links='/opt'\nfreeze.timeout='9'\n"
    conf = build_settings.pip_conf(listed, {"PIP_INDEX_URL": "https://i", "HOME": "/root"})
    assert conf == "[global]\ncert = /etc/ssl/certs/c.crt\nindex-url = https://i\n"
    assert build_settings.pip_conf("", {}) == ""
    npm = build_settings.npmrc("nodedir=/usr\nregistry=https://r\n", {"npm_config_proxy": "http://p"}, tmp_path / "no")
    assert npm == "registry=https://r\nproxy=http://p\n"
    assert build_settings.npmrc("", {}, tmp_path) == f"cafile={tmp_path}\n"
    dump = 'Acquire::http::Proxy "http://p";\nAcquire::Retries "3";\nAcquire::https::Proxy "";\n'
    assert build_settings.apt_conf(dump) == 'Acquire::http::Proxy "http://p";\n'


def test_settings_are_mounted_by_podman_and_a_base_of_their_own_for_docker(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ca.crt").write_text("ca")
    (tmp_path / "etc/link.crt").symlink_to("ca.crt")
    (tmp_path / "etc/nothing.crt").symlink_to("gone.crt")
    for name in ("docker", "podman"):
        program = tmp_path / name
        script = (
            f'echo "$*" >> {tmp_path}/said; [ $1 = build ] && find $4/settings -type f -name "*.crt" >> {tmp_path}/said'
        )
        program.write_text(f"#!/bin/sh\n{script}\nexit 0\n")
        program.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with mock.patch.dict(os.environ, path), mock.patch.object(build_settings, "CERTIFICATES", tmp_path / "etc"):
        with build_settings.given(Engine("podman"), "base:1") as words:
            assert words[:2] == ["-v", f"{tmp_path}/etc:{tmp_path}/etc:ro"]
        assert not (tmp_path / "said").exists()
        with build_settings.given(Engine("docker"), "base:1") as words:
            assert words[0] == "--build-arg" and words[1].startswith("BUILD_BASE=localhost/pdshub/build-base:")
    built, *files, removed = (tmp_path / "said").read_text().splitlines()
    ref = words[1].partition("=")[2]
    assert built.startswith(f"build -t {ref} ") and removed == f"rmi {ref}"
    assert sorted(Path(f).name for f in files) == ["ca.crt", "link.crt"], "links are files, dangling ones are left out"


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
