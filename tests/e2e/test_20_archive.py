"""What a researcher reads under /archive: all of it, the winner's bytes, and nothing that can be changed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import NAMESPACE
from tests.e2e.hubclient import Person

VIEW = "/archive/demo"
LIST = """
import json, os
out = []
for top, _, files in os.walk({top!r}):
    out += [os.path.relpath(os.path.join(top, f), {top!r}) for f in files]
print(json.dumps(sorted(out)))
"""
DIGESTS = """
import hashlib, json
print(json.dumps({{p: hashlib.sha256(open({top!r} + "/" + p, "rb").read()).hexdigest() for p in {paths!r}}}))
"""


def expected(manifest: dict[str, Any], spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every path of the view with the manifest's entry of the winner, by the spec's precedence."""
    archive = spec["spec"]["archive"]["inline"]
    exports = {s["name"]: s["nfs"]["export"].strip("/") for s in archive["sources"]}
    seen: dict[str, dict[str, Any]] = {}
    for entry in archive["tree"]:
        for layer in entry["layers"]:
            prefix = "" if layer["path"] == "." else layer["path"] + "/"
            for path, facts in manifest["exports"][exports[layer["source"]]].items():
                if path.startswith(prefix):
                    seen.setdefault(f"{entry['path']}/{path.removeprefix(prefix)}", facts)
    return seen


def test_every_file_is_there_and_none_besides(ada: Person, manifest: dict[str, Any], hub: dict[str, Any]) -> None:
    want = set(expected(manifest, hub))
    with ada.kernel() as kernel:
        got = set(json.loads(kernel.run(LIST.format(top=VIEW)).ok()))
    assert len(want) > 50
    assert got == want


def test_fifty_digests_equal_the_nas(ada: Person, manifest: dict[str, Any], hub: dict[str, Any]) -> None:
    want = expected(manifest, hub)
    chosen = sorted(want, key=lambda p: hashlib.sha256(p.encode()).hexdigest())[:50]
    code = DIGESTS.format(top=VIEW, paths=chosen)
    with ada.kernel() as kernel:
        got = json.loads(kernel.run(code).ok())
    assert got == {path: want[path]["sha256"] for path in chosen}


def test_the_overlap_shows_the_declared_winner(ada: Person, manifest: dict[str, Any], hub: dict[str, Any]) -> None:
    mission, main = manifest["exports"]["pds-mission"], manifest["exports"]["pds-main"]
    both = [p for p in mission if p in main and mission[p]["sha256"] != main[p]["sha256"]]
    assert both, "the generated archive has an overlap with different contents"
    code = DIGESTS.format(top=VIEW, paths=both)
    with ada.kernel() as kernel:
        assert json.loads(kernel.run(code).ok()) == {p: mission[p]["sha256"] for p in both}


@pytest.mark.parametrize("kind", ["pds3", "pds4"])
def test_pdr_opens_a_product(ada: Person, manifest: dict[str, Any], kind: str) -> None:
    fact = manifest["facts"][kind]
    path = f"{VIEW}/{fact['path']}"
    code = (
        f"import pdr, numpy as np\nd = pdr.read({path!r})\n"
        f"print(float(np.asarray(d[{fact['object']!r}], dtype='f8').mean()))"
    )
    with ada.kernel() as kernel:
        assert float(kernel.run(code).ok()) == pytest.approx(fact["mean"])


def test_pds4_tools_opens_a_product(ada: Person, manifest: dict[str, Any]) -> None:
    path = f"{VIEW}/{manifest['facts']['pds4']['path']}"
    with ada.kernel() as kernel:
        assert int(kernel.run(f"import pds4_tools\nprint(len(pds4_tools.read({path!r}, quiet=True)))").ok()) >= 1


def test_real_products_open(ada: Person, manifest: dict[str, Any]) -> None:
    files = [p for p in manifest["exports"]["pds-main"] if p.startswith("real/")]
    if not files:
        pytest.skip("this machine has no real archive data to export")
    labels = [p for p in files if "insight_documents/document_rise/" in p and p.endswith(".xml")][:4]
    spectra = [p for p in files if "moscovitz" in p and p.endswith(".tab")][:4]
    code = (
        "import numpy, pdr\n"
        f"print([len(pdr.read({VIEW!r} + '/' + p).keys()) >= 1 for p in {labels!r}])\n"
        f"print([numpy.loadtxt({VIEW!r} + '/' + p).shape[1] >= 2 for p in {spectra!r}])"
    )
    with ada.kernel() as kernel:
        assert kernel.run(code).ok().splitlines() == [str([True] * len(labels)), str([True] * len(spectra))]
    assert labels and spectra


WRITES = [
    ("create", "open('{d}/new', 'w')"),
    ("append", "open('{f}', 'a')"),
    ("remove", "os.remove('{f}')"),
    ("rename", "os.rename('{f}', '{f}.x')"),
    ("mkdir", "os.mkdir('{d}/new')"),
    ("chmod", "os.chmod('{f}', 0o777)"),
    ("utime", "os.utime('{f}')"),
    ("link", "os.link('{f}', '{d}/link')"),
    ("top", "open('/archive/new', 'w')"),
    ("notes", "open('/archive/.pdshub/view.json', 'w')"),
]


@pytest.mark.parametrize(("name", "code"), WRITES, ids=[n for n, _ in WRITES])
def test_nothing_under_archive_can_be_changed(ada: Person, manifest: dict[str, Any], name: str, code: str) -> None:
    file = f"{VIEW}/{manifest['facts']['pds4']['path']}"
    line = code.format(f=file, d=file.rsplit("/", 1)[0])
    with ada.kernel() as kernel:
        cell = kernel.run(
            f"import os\ntry:\n    {line}\n    print('done')\nexcept OSError as e:\n    print('refused', e.errno)"
        )
    assert cell.ok().startswith("refused")


def test_nobody_mounts_anything_there(ada: Person) -> None:
    code = (
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"r = libc.mount(b'tmpfs', b'{VIEW}', b'tmpfs', 0, None)\nprint(r, os.strerror(ctypes.get_errno()))\n"
        f"print(libc.mount(b'', b'{VIEW}', None, 0x20 | 0, None), libc.umount2(b'{VIEW}', 2))"
    )
    with ada.kernel() as kernel:
        first, second = kernel.run(code).ok().splitlines()
    assert first.startswith("-1 ") and second == "-1 -1"


def test_files_say_what_the_view_is(ada: Person, cluster: Cluster) -> None:
    with ada.kernel() as kernel:
        health = json.loads(kernel.run("print(open('/archive/.pdshub/health.json').read())").ok())
        view = json.loads(kernel.run("print(open('/archive/.pdshub/view.json').read())").ok())
    assert health["ready"] is True
    assert view["name"] == f"{NAMESPACE}-demo"
    listed = cluster.get("archiveview", view["name"])
    assert {s["mode"] for s in listed["status"]["sources"]} <= {"kernel-nfs", "user-space-nfs"}
    assert all(s["ready"] for s in listed["status"]["sources"])
