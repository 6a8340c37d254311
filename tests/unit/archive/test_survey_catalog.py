"""The catalog: reproducible, and mounted over its sources it shows exactly what the plan says (as root)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive import catalog, manifest
from pdshub.archive.layering import common_directory, data_order
from pdshub.archive.main import main
from pdshub.archive.plan import PlanError, open_plan
from tests.unit.archive.archive_support import build, bundle, collection, run, spec, visible


def _mkfs() -> bool:
    program = catalog.mkfs()[0]
    if not shutil.which(program):
        return False
    told = subprocess.run([*catalog.mkfs(), "--help"], capture_output=True, text=True, check=False)
    return "headerball" in told.stdout + told.stderr


needs_mkfs = pytest.mark.skipif(not _mkfs(), reason="needs mkfs.erofs >= 1.8 (PATH or $PDSHUB_MKFS_EROFS)")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
REAL = Path(os.environ.get("PDSHUB_REAL_ARCHIVE", Path(__file__).parents[4] / "shared" / "archive"))

# Mounts the generation as a node does, in a namespace of its own, and lists path -> content.
MOUNT = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def mount(source, target, kind, options):
    os.makedirs(target, exist_ok=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), 1, options.encode()):
        code = ctypes.get_errno()
        if code in (19, 15): print("ABSENT"); sys.exit(0)
        raise OSError(code, os.strerror(code), target)
generation, work, roots = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
manifest = json.load(open(generation + "/manifest.json"))
layering, parts = manifest["layering"], []
for n, image in enumerate(manifest["images"]):
    mount(generation + "/" + image["name"], f"{work}/image{n}", "erofs", "")
data = {d["source"]: (roots[d["source"]] + "/" + d["path"]).rstrip("/") for d in layering["data"]}
join = "metacopy=on,redirect_dir=on,lowerdir="
if layering["form"] == "single":
    images = ":".join(f"{work}/image{n}" for n in range(len(manifest["images"])))
    below = "".join("::" + data[d["source"]] for d in layering["data"])
    mount("overlay", work + "/whole", "overlay", join + images + below)
    view = work + "/whole/" + layering["top"]
else:
    for n, image in enumerate(manifest["images"]):
        mount("overlay", f"{work}/part{n}", "overlay", join + f"{work}/image{n}::" + data[image["source"]])
        parts.append(f"{work}/part{n}/" + layering["top"])
    if len(parts) == 1: parts.append(work + "/empty"); os.makedirs(parts[1])
    view = work + "/view"
    mount("overlay", view, "overlay", "lowerdir=" + ":".join(parts))
seen = {}
for top, dirs, names in os.walk(view):
    for name in names:
        full = os.path.join(top, name)
        place = os.path.relpath(full, view)
        if os.path.islink(full):
            seen[place] = "-> " + os.readlink(full)
        else:
            st = os.stat(full)
            content = open(full, "rb").read()
            seen[place] = [content.hex(), st.st_size, st.st_mtime_ns, st.st_mode & 0o7777]
print(json.dumps(seen))
"""


def mounted(generation: Path, work: Path, sources: dict[str, Path]) -> dict[str, Any]:
    """path -> [content, size, mtime, mode] (or "-> target") of the mounted generation."""
    work.mkdir()
    roots = json.dumps({k: str(v) for k, v in sources.items()})
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            sys.executable,
            "-c",
            MOUNT,
            str(generation),
            str(work),
            roots,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stdout.startswith("ABSENT") or "Operation not permitted" in done.stderr:
        pytest.skip("this kernel or container mounts no erofs or overlayfs")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def write(generation: Path) -> dict[str, Any]:
    assert main(["catalog", "--generation", str(generation), "--accept-shrink"]) == 0
    return manifest.read(generation)


OREX = {
    "a": {
        "orex/ola/bundle.xml": bundle("orex.ola", "1.0"), "orex/ola/same.dat": "old", "orex/ola/only-old.dat": "old",
        "orex/ocams/bundle.xml": bundle("orex.ocams", "2.0"), "orex/ocams/img.fits": "the newer image",
        "loose.txt": "from a",
    },
    "b": {
        "orex/ola/bundle.xml": bundle("orex.ola", "2.0"), "orex/ola/same.dat": "newer bytes",
        "orex/ocams/bundle.xml": bundle("orex.ocams", "1.0"), "orex/ocams/img.fits": "the older image",
        "orex/ocams/only-old.fits": "older", "only-b/c.xml": collection("b:c"), "loose.txt": "from b, longer",
    },
}  # fmt: skip


@needs_mkfs
@needs_root
@pytest.mark.parametrize(
    ("order", "removed", "form"),
    [
        (["a", "b"], (), "nested"),  # each source holds the winner of a path that the other holds too
        (["a", "b"], ("a:orex/ola",), "nested"),  # a's alone, but while a is away b's would be read
        (["a", "b"], ("a:orex/ola/only-old.dat", "b:orex", "b:loose.txt"), "single"),
    ],
)
def test_the_mounted_view_is_the_plan(tmp_path: Path, order: list[str], removed: tuple[str, ...], form: str) -> None:
    sources = {s: build(tmp_path / s, files) for s, files in OREX.items()}
    for item in removed:
        source, _, path = item.partition(":")
        target = sources[source] / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    (sources["b"] / "only-b" / "link").symlink_to("c.xml")
    plan, _ = run(tmp_path, sources, spec(order))
    assert write(tmp_path / "gen")["layering"]["form"] == form
    seen = mounted(tmp_path / "gen", tmp_path / "mnt", sources)
    expected: dict[str, Any] = {"only-b/link": "-> c.xml"}
    for place, origin in visible(plan).items():
        source, _, path = origin.partition(":")
        file = sources[source] / path
        st = file.stat()
        expected[place] = [file.read_bytes().hex(), st.st_size, st.st_mtime_ns, st.st_mode & 0o777]
    assert seen == expected
    assert not any("only-old" in place for place in seen)


@needs_mkfs
@needs_root
def test_sources_that_are_shown_from_different_directories_do_not_mix(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"x/f": "from a", "x/g": "a"})
    b = build(tmp_path / "b", {"y/f": "from b, longer", "y/h": "b"})
    run(tmp_path, {"a": a, "b": b}, spec(["a", "b"], {"p": ["a:x"], "q": ["b:y"]}))
    write(tmp_path / "gen")
    seen = mounted(tmp_path / "gen", tmp_path / "mnt", {"a": a, "b": b})
    assert {p: bytes.fromhex(v[0]).decode() for p, v in seen.items()} == {
        "p/f": "from a", "p/g": "a", "q/f": "from b, longer", "q/h": "b",
    }  # fmt: skip


@needs_mkfs
@needs_root
@pytest.mark.skipif(not REAL.is_dir(), reason="no real archive: set PDSHUB_REAL_ARCHIVE")
def test_the_real_archive_is_shown_whole(tmp_path: Path) -> None:
    plan, _ = run(tmp_path, {"real": REAL}, spec(["real"], {"pds4": ["real:pds4"], "pds3": ["real:pds3"]}))
    names = {d["name"] for d in plan.header["datasets"]}
    assert {"urn:nasa:pds:insight_documents::2.0", "urn:nasa:pds:ladee_mission_bundle::1.0",
            "pds3:EAR-A-I0046-5-REDDYSPEC::1.0"} <= names  # fmt: skip
    write(tmp_path / "gen")
    seen = mounted(tmp_path / "gen", tmp_path / "mnt", {"real": REAL})
    truth = {str(p.relative_to(REAL)): p for top in ("pds3", "pds4") for p in (REAL / top).rglob("*") if p.is_file()}
    assert seen.keys() == truth.keys()
    assert all(seen[place][0] == path.read_bytes().hex() for place, path in truth.items())


@needs_mkfs
def test_equal_trees_are_equal_images(tmp_path: Path) -> None:
    digests = []
    for n in (1, 2):
        source = build(tmp_path / f"s{n}", OREX["a"])
        for path in [source, *source.rglob("*")]:
            os.utime(path, (1_600_000_000, 1_600_000_000))
        run(tmp_path, {"a": source}, spec(["a"]), f"g{n}")
        digests.append(write(tmp_path / f"g{n}")["generation"])
    assert digests[0] == digests[1]


@needs_mkfs
def test_a_large_archive_is_several_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "MAX_ENTRIES", 10)
    files = {f"{top}/{n}": f"{top}{n}" for top in "pqr" for n in range(6)}
    source = build(tmp_path / "a", {**files, "at-the-top": "t"})
    run(tmp_path, {"a": source}, spec(["a"]))
    assert len(write(tmp_path / "gen")["images"]) > 1
    if os.geteuid() == 0:
        seen = mounted(tmp_path / "gen", tmp_path / "mnt", {"a": source})
        assert {p: bytes.fromhex(v[0]).decode() for p, v in seen.items()} == {**files, "at-the-top": "t"}


def test_a_shrunken_generation_is_refused_until_accepted(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {f"f{n}": "" for n in range(10)})
    view = tmp_path / "view.yaml"
    view.write_text(json.dumps({"kind": "ArchiveView", "metadata": {"name": "v"}, "spec": spec(["a"])}))
    plan = ["plan", "--source", f"a={a}", "--view", str(view)]
    assert main([*plan, "--out", str(tmp_path / "g1")]) == 0
    for n in range(5):
        (a / f"f{n}").unlink()
    again = [*plan, "--out", str(tmp_path / "g2"), "--previous", str(tmp_path / "g1")]
    assert main(again) == 3
    assert main(["catalog", "--generation", str(tmp_path / "g2")]) == 3
    assert main([*again, "--accept-shrink"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["explain", "x", "--generation", "nowhere"], 4),
        (["plan", "--source", "a=/nonexistent", "--view", "VIEW", "--out", "OUT"], 4),
        (["plan", "--view", "BROKEN", "--out", "OUT"], 2),
    ],
)
def test_exit_codes(tmp_path: Path, arguments: list[str], code: int) -> None:
    (tmp_path / "view").write_text(json.dumps({"kind": "ArchiveView", "metadata": {"name": "v"}, "spec": spec(["a"])}))
    (tmp_path / "broken").write_text("kind: ArchiveView\nspec: {sources: [], tree: []}")
    named = {"VIEW": str(tmp_path / "view"), "BROKEN": str(tmp_path / "broken"), "OUT": str(tmp_path / "out")}
    assert main([named.get(a, a) for a in arguments]) == code


def test_a_plan_that_was_cut_is_no_plan(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {f"d{n}/f": "" for n in range(5)})
    plan, _ = run(tmp_path, {"a": a}, spec(["a"]))
    whole = plan.path.read_bytes()
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 10):
        plan.path.write_bytes(whole[:length])
        with pytest.raises(PlanError):
            open_plan(tmp_path / "gen")


def test_the_plan_meets_its_schema(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    schema = json.loads((Path(__file__).parents[3] / "docs" / "archive" / "plan.schema.json").read_text())
    sources = {s: build(tmp_path / s, files) for s, files in OREX.items()}
    (sources["b"] / "only-b" / "link").symlink_to("c.xml")
    plan, _ = run(tmp_path, sources, spec(["a", "b"], rules=[{"hide": "nothing"}]))
    jsonschema.validate(json.loads(plan.path.read_text()), schema)


@pytest.mark.parametrize(
    ("pairs", "order"),
    [
        ((), ["a", "b", "c"]),
        ((("c", "a"),), None),
        ((("c", "of no visible file"),), ["a", "b", "c"]),
        ((("a", "b"), ("b", "a")), None),
    ],
)
def test_data_order(pairs: tuple[tuple[str, str], ...], order: list[str] | None) -> None:
    assert data_order(["a", "b", "c"], pairs) == order


@pytest.mark.parametrize(
    ("known", "path", "expected"), [(None, "a/b", "a/b"), ("a/b", "a/c", "a"), ("a", "ab", ""), ("a/b/c", "a/b", "a/b")]
)
def test_common_directory(known: str | None, path: str, expected: str) -> None:
    assert common_directory(known, path) == expected
