"""A folder that is bound whole, in which file systems are mounted: each of them is an entry of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.dockerspawner.samples import imported

CONFIG = """
c.JupyterHub.spawner_class = "docker"
c.JupyterHub.authenticator_class = "google"
c.DockerSpawner.volumes = {"h-{username}": "/home/jovyan", "/pds": {"bind": "/archive", "mode": "ro"}}
"""
ROOT = "/dev/sda1 / ext4 defaults 0 1\n"
BOTH = "nas:/one /pds/one nfs4 ro 0 0\nnas:/two /pds/two nfs4 ro 0 0\n"


@pytest.mark.parametrize(
    ("table", "tree"),
    [
        ("", {"archive": ["/pds"]}),
        (ROOT, {"archive": ["/pds"]}),
        (BOTH, {"one": ["nas:/one"], "two": ["nas:/two"]}),
        (ROOT + BOTH, {"one": ["nas:/one"], "two": ["nas:/two"]}),
        ("nas:/all /pds nfs4 ro 0 0\n" + BOTH, {"archive": ["nas:/all"]}),  # what lies beside them is not lost
        (BOTH + "nas:/in /pds/one/in nfs4 ro 0 0\n", {"one": ["nas:/one"], "two": ["nas:/two"]}),
        (BOTH + "overlay /pds/u overlay ro,lowerdir=/pds/two/x:/pds/one 0 0\n",
         {"one": ["nas:/one"], "two": ["nas:/two"], "u": ["nas:/two/x", "nas:/one"]}),
        ("nas:/other /pdsx nfs4 ro 0 0\n", {"archive": ["/pds"]}),
    ],
)  # fmt: skip
def test_mounts_below_a_bind(table: str, tree: dict[str, list[str]], tmp_path: Path) -> None:
    (tmp_path / "jupyterhub_config.py").write_text(CONFIG)
    (tmp_path / "fstab").write_text(table)
    view = imported(tmp_path).view
    assert view is not None
    sources = {
        each["name"]: f"{each['nfs']['server']}:{each['nfs']['export']}" if "nfs" in each else each["local"]["path"]
        for each in view.spec["sources"]
    }
    found = {
        entry["path"]: [
            sources[layer["source"]] + (f"/{layer['path']}" if layer.get("path", ".") != "." else "")
            for layer in entry["layers"]
        ]
        for entry in view.spec["tree"]
    }
    assert found == tree
