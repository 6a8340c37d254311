"""What travels with a generation, on a node with real mounts. Each function is one test of test_contents.py."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pdshub.node.report import exposition
from tests.unit.node import scenarios
from tests.unit.node.generations import Release, catalogs
from tests.unit.node.machine import Machine, eventually

LABEL, OTHER = "<label of='x'/>\n" * 40, "<label of='y'/>\n" * 40


def packs(m: Machine) -> set[str]:
    folder = m.kubelet / "plugins/archive.pdshub.dev/packs"
    return {path.name for path in folder.iterdir() if path.suffix == ".squashfs"}


def begun(m: Machine) -> tuple[Release, str, Path]:
    """A view of one source whose first generation is shown."""
    m.file("main/x.xml", LABEL)
    m.file("main/x.dat", "data")
    m.file("main/unread.dat", "data")
    m.file("main/deep/y.xml", OTHER)
    view = Release(m, {".": ["main"]}, "main")
    first = view.release(view.survey())
    m.start()
    target = m.publish()
    eventually(lambda: m.health()["ready"] and catalogs(m) == [first])
    return view, first, target / "sbn"


def arrived(m: Machine, view: Release, digest: str) -> None:
    eventually(lambda: (view.shown().get("content") or {}).get("digest") == digest, 30)


def follows_its_generation(m: Machine) -> None:
    """It arrives under running pods; then labels need no source, and nothing else has changed."""
    view, first, shown = begun(m)
    before = {path.relative_to(shown): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in shown.rglob("*")}
    assert "content" not in view.shown() and not packs(m)
    stop = m.directory / "stop"
    reading = f"while [ ! -e {stop} ]; do cat $A/sbn/x.xml $A/sbn/x.dat >/dev/null || echo bad; done"
    pod = m.pod(reading, stdout=subprocess.PIPE, text=True)
    view.release(first, digest := view.content(first))
    arrived(m, view, digest)
    stop.touch()
    assert pod.communicate(timeout=20)[0] == "", "no file was away for a moment"
    assert {k: view.shown()["content"][k] for k in ("complete", "files", "wantedFiles")} == {
        "complete": True, "files": 2, "wantedFiles": 2,
    }  # fmt: skip
    after = {path.relative_to(shown): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in shown.rglob("*")}
    assert after == before, "names, sizes and times are the generation's"
    assert catalogs(m) == [first] and len(packs(m)) == 1
    for path in ("x.xml", "unread.dat", "deep/y.xml"):
        (m.directory / "nas/main" / path).unlink()
    assert (shown / "x.xml").read_text() == LABEL and (shown / "deep/y.xml").read_text() == OTHER
    try:
        (shown / "unread.dat").read_text()
        raise AssertionError("it does not travel")
    except OSError as error:
        assert error.errno in (errno.ENOENT, errno.EIO, errno.ESTALE)
    assert not any(path.name.startswith(".pdshub-objects") for path in shown.rglob("*"))


def outlives_plugin_and_switch(m: Machine) -> None:
    """After a restart it is there at once; the next generation has its own, and what nobody names goes."""
    view, first, shown = begun(m)
    view.release(first, digest := view.content(first))
    arrived(m, view, digest)
    (former,) = packs(m)
    m.kill()
    m.start()
    eventually(lambda: m.health()["ready"])
    arrived(m, view, digest)
    assert (shown / "x.xml").read_text() == LABEL
    m.file("main/x.xml", "another")
    second = view.release(view.survey())
    eventually(lambda: catalogs(m) == [second])
    assert (shown / "x.xml").read_text() == "another", "never the former generation's bytes"
    view.release(second, later := view.content(second))
    arrived(m, view, later)
    assert (shown / "x.xml").read_text() == "another" and (shown / "deep/y.xml").read_text() == OTHER
    eventually(lambda: view.stored() == {second})
    assert former in packs(m) and len(packs(m)) == 2, "what did not change is not moved again"
    m.unpublish()
    assert not m.mounts()


def grows(m: Machine) -> None:
    """More travels: the next catalog takes the place of the one before, and a file that is open goes on."""
    view, first, shown = begun(m)
    view.release(first, digest := view.content(first, exclude=["deep/**"]))
    arrived(m, view, digest)
    assert view.shown()["content"]["files"] == 1
    with (shown / "x.xml").open() as held:
        assert held.read(5) == LABEL[:5]
        view.release(first, more := view.content(first))
        arrived(m, view, more)
        assert held.read() == LABEL[5:]
    (m.directory / "nas/main/deep/y.xml").unlink()
    assert (shown / "deep/y.xml").read_text() == OTHER


def a_pack_that_lies_is_refused(m: Machine) -> None:
    """Everything goes on from the source; the node says that it could not be had, and users are told of none."""
    metrics = m.directory / "run" / exposition.FILE
    metrics.parent.mkdir()
    m.options = (*m.options, "--run-dir", str(metrics.parent))
    view, first, shown = begun(m)
    digest = view.content(first)
    (pack,) = (view.folder / "packs").iterdir()
    kept = pack.read_bytes()
    pack.write_bytes(kept[:-30] + bytes(30))
    view.release(first, digest)
    eventually(lambda: "pdshub_node_contents_failing 1.0" in metrics.read_text(), 60, text="it is refused")
    assert not any((m.kubelet / "plugins/archive.pdshub.dev/packs").iterdir()), "and nothing of it is left"
    assert (shown / "x.xml").read_text() == LABEL and "content" not in view.shown()
    pack.write_bytes(kept)
    arrived(m, view, digest)


def sources_that_differ(m: Machine) -> None:
    """Several users and an order that no single image has: each label is the right one of its source."""
    m.file("main/a/x.xml", LABEL)
    m.file("more/a/x.xml", OTHER)
    m.file("main/b/z.dat", "z")
    view = Release(m, {"one": ["main"], "two": ["more"]}, "main", "more")
    first = view.release(view.survey())
    m.start()
    shown = m.publish() / "sbn"
    eventually(lambda: m.health()["ready"] and catalogs(m))
    view.release(first, digest := view.content(first))
    arrived(m, view, digest)
    shutil.rmtree(m.directory / "nas/main/a")
    shutil.rmtree(m.directory / "nas/more/a")
    assert (shown / "one/a/x.xml").read_text() == LABEL and (shown / "two/a/x.xml").read_text() == OTHER
    assert (shown / "one/b/z.dat").read_text() == "z" and not os.path.lexists(shown / "one/a/y.xml")


ALL = {
    f.__name__: f
    for f in (
        follows_its_generation, outlives_plugin_and_switch, grows, a_pack_that_lies_is_refused, sources_that_differ,
    )
}  # fmt: skip


if __name__ == "__main__":
    scenarios.run(ALL[sys.argv[1]])
