"""Generations on a node, with real mounts: what each pod sees of releases. Each function is one test of
test_generations.py."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import grpc

from pdshub.archive import manifest, subtree
from pdshub.archive.image import Image
from pdshub.rfc3339 import seconds
from tests.unit.node import forge, scenarios
from tests.unit.node.generations import Release, catalogs, two_releases
from tests.unit.node.machine import Machine, eventually
from tests.unit.node.reporting import Asking


def released(m: Machine) -> None:
    """Live until the first release; then the generation and nothing but it, in running pods, too."""
    m.file("main/pds4/a", "one")
    m.file("more/pds3/b", "two")
    view = Release(m, {"pds4": ["main:pds4"], "pds3": ["more:pds3"]}, "main", "more")
    view.release("")
    m.start()
    target = m.publish()
    eventually(lambda: m.health()["ready"])
    assert (target / "sbn/pds4/a").read_text() == "one" and len(m.mounts()) == 3
    assert view.shown() == {"view": "sbn", "folder": "sbn", "generation": None, "form": "live"}
    stop = m.directory / "stop"
    reading = f"while [ ! -e {stop} ]; do cat $A/sbn/pds4/a $A/sbn/pds3/b >/dev/null || echo bad; done"
    pod = m.pod(reading, stdout=subprocess.PIPE, text=True)
    first = view.release(view.survey())
    m.file("main/pds4/later", "not yet")
    eventually(lambda: catalogs(m) == [first] and len(m.mounts()) == 2)
    stop.touch()
    assert pod.communicate(timeout=20)[0] == "", "no file was away for a moment"
    assert view.shown()["generation"] == first and view.shown()["form"] == "catalog"
    assert view.shown()["counts"]["files"] == 2 and view.shown()["asOf"] == "2026-01-01T00:00:00Z"
    assert sorted(p.name for p in (target / "sbn").rglob("*")) == ["a", "b", "pds3", "pds4"]
    for mount in m.mounts():
        assert {"ro", "nosuid", "nodev"} <= mount.options, mount
    second = view.release(view.survey())
    eventually(lambda: (target / "sbn/pds4/later").read_text() == "not yet")
    eventually(lambda: view.stored() == {second}, text="what nobody needs is dropped")
    assert len(m.mounts()) == 2
    # Back to live, as smoothly.
    view.release("")
    m.file("main/pds4/live", "live")
    eventually(lambda: (target / "sbn/pds4/live").read_text() == "live" and catalogs(m) == [])
    eventually(lambda: len(m.mounts()) == 3 and view.shown()["form"] == "live")
    m.unpublish()
    assert not m.mounts() and not target.exists()


def each_server_its_own(m: Machine) -> None:
    """updates: nextServer. A pod keeps the generation that it began with, over restarts of the plugin, too."""
    view, first, second = two_releases(m)
    view.volumes = [{"volume": "archive", "updates": "nextServer", "maxHoldSeconds": 1}]
    view.release(first)
    asking = Asking(m)
    m.start()
    eventually(lambda: m.health()["ready"])
    one = m.publish()
    eventually(lambda: catalogs(m) == [first])
    view.release(second)
    eventually(lambda: second in view.stored() and view.released_on_node() == second)
    two = m.publish("two")
    eventually(lambda: catalogs(m, "two") == [second])
    for _ in range(2):
        assert catalogs(m) == [first] and (one / "sbn/old/x").read_text() == "x" and not (one / "sbn/new").exists()
        assert not (two / "sbn/old").exists() and (two / "sbn/new/z").read_text() == "z"
        eventually(lambda: view.shown()["generation"] == first)
        assert view.shown("two")["generation"] == second
        held = eventually(asking.held)
        assert [(pod, one.generation, one.until) for pod, one in held.items()] == [("one", first, "")]
        assert len(m.mounts()) == 3 and len(m.mounts("two")) == 2, "and what generation.json says there"
        assert view.stored() == {first, second}
        m.kill()
        m.start()
        eventually(lambda: m.health()["ready"])
        time.sleep(1)
    # Its mount can be renewed all the same: the source is another directory now.
    (m.directory / "nas/first").rename(m.directory / "nas/before")
    shutil.copytree(m.directory / "nas/before", m.directory / "nas/first")
    contents = [x.content for x in m.mounts()]
    # A source that is well is looked at every 10 s, and mounted anew 3 s after it was found to be another.
    eventually(lambda: catalogs(m) == [first] and [x.content for x in m.mounts()] != contents, 60)
    assert (one / "sbn/old/x").read_text() == "x"
    m.unpublish()
    eventually(lambda: view.stored() == {second})
    m.unpublish("two")
    assert not m.mounts() and not m.mounts("two")


HOLDER = """
import mmap, os, sys
os.chdir(sys.argv[1] + "/sbn/d")
print("in", flush=True)
sys.stdin.readline()
print(os.getcwd(), sorted(os.listdir(".")), flush=True)
sys.stdin.readline()
"""

KEEPER = """
import mmap, sys
from pathlib import Path
file = open(sys.argv[1] + "/sbn/f")
mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print("in", flush=True)
sys.stdin.readline()
print(file.read(), mapped[:].decode(), Path(sys.argv[1], "sbn/f").read_text(), flush=True)
"""


def hold(m: Machine) -> None:
    """Who works in the old generation stays in it for maxHold; a file that is open or mapped for as long as it is."""
    view, first, second = two_releases(m)
    view.volumes = [{"volume": "archive", "updates": "live", "maxHoldSeconds": 6}]
    view.release(first)
    asking = Asking(m)
    m.start()
    for pod in ("one", "two", "three"):
        m.publish(pod)
    eventually(lambda: all(catalogs(m, pod) == [first] for pod in ("one", "two", "three")))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    inside = m.pod(f"exec {sys.executable} -c '{HOLDER}' $A", **pipes)
    leaving = m.pod(f"exec {sys.executable} -c '{HOLDER}' $A", "two", **pipes)
    keeper = m.pod(f"exec {sys.executable} -c '{KEEPER}' $A", "three", **pipes)
    for process in (inside, leaving, keeper):
        assert process.stdout and process.stdout.readline() == "in\n"
    started = time.monotonic()
    view.release(second)
    eventually(lambda: view.released_on_node() == second and len(catalogs(m)) == 2, text="the new one waits beneath")
    for process in (inside, leaving):
        assert process.stdin and process.stdout
        process.stdin.write("\n")
        process.stdin.flush()
        where, names = process.stdout.readline().split(" ", 1)
        assert where.endswith("/sbn/d") and names == "['common', 'one']\n", (where, names)
    eventually(lambda: view.shown()["generation"] == first, text="and says so in this pod")
    told = asking.held()
    assert told.keys() == {"one", "two", "three"} and {one.generation for one in told.values()} == {first}
    assert {seconds(one.until) - seconds(one.since) for one in told.values()} == {6}
    assert (m.target() / "sbn/f").read_text() == "first"
    leaving.communicate("\n", timeout=20)
    eventually(lambda: catalogs(m, "two") == [second], 3, "at once when the last one leaves")
    eventually(lambda: view.shown("two")["generation"] == second and len(m.mounts("two")) == 2)
    eventually(lambda: catalogs(m) == catalogs(m, "three") == [second], 12, "after the hold time")
    held = time.monotonic() - started
    assert 6 <= held < 9, held
    assert abs(seconds(told["one"].until) - time.time()) < 3, "as it was told"
    eventually(lambda: not asking.held())
    eventually(lambda: view.shown()["generation"] == second and len(m.mounts()) == 2)
    out, _ = keeper.communicate("\n", timeout=20)
    # an open file holds its mount, too: it was taken away from under it after the hold time
    assert out == "first first second!\n", out
    inside.kill()


def a_source_is_away(m: Machine) -> None:
    """Mounted without one of its sources: all names, errors for its files, healed by itself in a running pod."""
    m.file("main/a/x", "main")
    m.file("more/b/y", "more")
    view = Release(m, {".": ["main", "more"]}, "main", "more")
    name = view.survey()
    (m.directory / "nas/more").rename(m.directory / "nas/gone")
    view.release(name)
    m.start()
    target = m.publish()
    eventually(lambda: catalogs(m) == [name])
    assert sorted(p.name for p in (target / "sbn").rglob("*")) == ["a", "b", "x", "y"]
    assert (target / "sbn/a/x").read_text() == "main" and (target / "sbn/b/y").stat().st_size == 4
    try:
        (target / "sbn/b/y").read_text()
    except OSError as error:
        assert error.errno == errno.ENOTCONN, error
    else:
        raise AssertionError("read from nowhere")
    eventually(lambda: "more" in m.health()["message"])
    notice = target / "ARCHIVE-UNAVAILABLE.txt"
    eventually(lambda: "can't be read" in notice.read_text(), text="told once it is mounted, so a moment after")
    pod = m.pod("while ! cat $A/sbn/b/y 2>/dev/null; do sleep 0.1; done", stdout=subprocess.PIPE, text=True)
    (m.directory / "nas/gone").rename(m.directory / "nas/more")
    assert pod.communicate(timeout=20)[0] == "more"
    eventually(lambda: m.health()["ready"] and catalogs(m) == [name] and len(m.mounts()) == 2)
    eventually(lambda: not notice.exists())
    # A mount that has the source keeps it when it goes: nothing is mounted anew.
    contents = [x.content for x in m.mounts()]
    (m.directory / "nas/more").rename(m.directory / "nas/gone")
    eventually(lambda: not m.health()["ready"])
    time.sleep(1)
    assert [x.content for x in m.mounts()] == contents and (target / "sbn/b/y").read_text() == "more"
    assert len(catalogs(m)) == 1


def helper_renewed(m: Machine) -> None:
    """The helper is another one while somebody holds a file of its mounts: whatever is opened from now on is there,
    without waiting for that file, which gives nothing any more."""
    port, size = 20060, 300_000
    (m.directory / "nas/nfs/d").mkdir(parents=True)
    for name in ("f", "d/other"):
        (m.directory / "nas/nfs" / name).write_bytes(os.urandom(size))
    view = Release(m, {".": ["nfs"]}, "nfs")
    view.specs = {"nfs": {"nfs": {"server": "127.0.0.1", "port": port, "export": "/pds"}}}
    name = view.release(view.survey())
    m.options = ("--hold-seconds", "3600")
    server = scenarios.nfs_server(m, port)
    server()
    m.start()
    helper = m.spawn(*m.command("nfs-helper"))
    target = m.publish()
    eventually(lambda: m.health()["ready"] and catalogs(m) == [name], 60)
    if m.health()["sources"]["nfs"]["mode"] != "user-space-nfs":
        return  # this kernel has a client of its own
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    keeper = m.pod(f"exec {sys.executable} -c '{KEEPER}' $A", **pipes)
    assert keeper.stdout and keeper.stdout.readline() == "in\n"
    for _ in range(2):
        other = (m.directory / "nas/nfs/d/other").read_bytes()
        assert (target / "sbn/d/other").read_bytes() == other
        os.killpg(helper.pid, signal.SIGKILL)
        helper.wait()
        helper = m.spawn(*m.command("nfs-helper"))
        eventually(lambda want=other: (target / "sbn/d/other").read_bytes() == want, 60, "what is opened now")
        eventually(lambda: catalogs(m) == [name] and len(m.mounts()) == 2, 30)
    keeper.kill()


def live_parts(m: Machine) -> None:
    """A subtree shown live beside the catalog, whose other directories are mounts of their own then."""
    m.file("main/pds4/orex/a", "a")
    m.file("main/pds4/incoming/now", "1")
    m.file("main/pds3/b", "b")
    tree = {"pds4/orex": ["main:pds4/orex"], "pds4/incoming": ["main:pds4/incoming"], "pds3": ["main:pds3"]}
    view = Release(m, tree, "main", live=("pds4/incoming",))
    first = view.release(view.survey())
    m.start()
    target = m.publish()
    eventually(lambda: m.health()["ready"] and len(m.mounts()) == 4)
    assert catalogs(m) == [first, first]
    m.file("main/pds4/incoming/later", "2")
    m.file("main/pds4/orex/later", "2")
    assert (target / "sbn/pds4/incoming/later").read_text() == "2" and not (target / "sbn/pds4/orex/later").exists()
    inside = m.pod(f"cd $A/sbn/pds4/incoming && touch {m.directory}/in && exec sleep 60")
    eventually((m.directory / "in").exists)
    second = view.release(view.survey())
    eventually(lambda: (target / "sbn/pds4/orex/later").read_text() == "2" and catalogs(m) == [second, second])
    assert (target / "sbn/pds3/b").read_text() == "b" and (target / "sbn/pds4/incoming/now").read_text() == "1"
    assert len(m.mounts()) == 4
    inside.kill()
    # Without the live one the catalog is one mount at the folder again.
    view.live, view.tree = (), {"pds4/orex": ["main:pds4/orex"], "pds3": ["main:pds3"]}
    third = view.release(view.survey())
    eventually(lambda: catalogs(m) == [third] and len(m.mounts()) == 2)
    assert (target / "sbn/pds4/orex/a").read_text() == "a" and not (target / "sbn/pds4/incoming").exists()


def sources_for_the_surveyor(m: Machine) -> None:
    """content: sources. Each source as it is, whatever the view shows, for pods of the installation only."""
    m.file("main/pds4/a", "a")
    m.file("more/b", "b")
    m.view({"pds4": ["main:pds4"]}, main="main", more="more")
    m.start()
    eventually(lambda: m.health()["ready"])
    code = grpc.StatusCode.PERMISSION_DENIED
    scenarios.refused(code, lambda: m.publish("one", content="sources"))
    scenarios.refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: m.publish("one", content="everything"))
    target = m.publish("survey", namespace="pdshub-surveyors", content="sources")
    eventually(lambda: (target / "main/pds4/a").read_text() == "a" and (target / "more/b").read_text() == "b")
    m.publish("one")
    eventually(lambda: (m.target() / "sbn/pds4/a").read_text() == "a")
    for mount in m.mounts("survey"):
        assert {"ro", "nosuid", "nodev"} <= mount.options, mount
    m.kill()
    m.start()
    time.sleep(1)
    assert len(m.mounts("survey")) == 3
    m.unpublish("survey")
    views = m.kubelet / "plugins/archive.pdshub.dev/views"
    eventually(lambda: [p.name for p in views.iterdir()] == ["sbn"], text="nothing is left of it")
    assert (m.target() / "sbn/pds4/a").read_text() == "a"


def not_what_it_says(m: Machine) -> None:
    """A generation whose bytes or name are wrong is never mounted; the one before stays."""
    view, first, second = two_releases(m)
    place = view.folder / second.removeprefix("sha256:")
    image = next(place.glob("*.erofs"))
    whole = image.read_bytes()
    image.write_bytes(whole[:-1] + b"!")
    view.release(first)
    m.start()
    m.publish()
    eventually(lambda: catalogs(m) == [first])
    view.release(second)
    time.sleep(3)
    assert catalogs(m) == [first] and view.stored() == {first} and m.health()["ready"]
    image.write_bytes(whole)
    eventually(lambda: catalogs(m) == [second] and view.stored() == {second})
    m.publish("two")
    eventually(lambda: catalogs(m, "two") == [second])


def crafted(m: Machine) -> None:
    """A generation under its right name, of a surveyor that somebody else holds: its image has a link in place of the
    folder that is shown. It is not mounted, nor fetched again and again, and what was shown stays."""
    view, first, second = two_releases(m)
    document = json.loads((view.folder / second.removeprefix("sha256:") / "manifest.json").read_text())
    raw = forge.image(forge.directory({forge.TOP: forge.link(b"/etc")}))
    image = Image("catalog.erofs", f"sha256:{hashlib.sha256(raw).hexdigest()}", len(raw), None, None)
    name = manifest.digest_of([image], document["layering"])
    document |= {"generation": name, "images": [{"name": image.name, "digest": image.digest, "size": image.size}]}
    place = view.folder / name.removeprefix("sha256:")
    place.mkdir()
    (place / image.name).write_bytes(raw)
    document.pop("proof", None)
    (place / "manifest.json").write_text(json.dumps(document))
    view.release(first)
    m.start()
    target = m.publish()
    eventually(lambda: catalogs(m) == [first])
    view.release(name)
    time.sleep(3)
    assert catalogs(m) == [first] and view.stored() == {first} and (target / "sbn/f").read_text() == "first"
    view.release(second)
    eventually(lambda: catalogs(m) == [second] and (target / "sbn/f").read_text() == "second!")


def no_room(m: Machine) -> None:
    """What generations may take on the disk holds one of them: the next is not fetched, and what is shown stays."""
    view, first, second = two_releases(m)
    size = (view.folder / first.removeprefix("sha256:") / "manifest.json").stat().st_size
    m.options = ("--generations-max-bytes", str(size + 3 * 4096))  # two blocks for the image and a note, and one more
    view.release(first)
    m.start()
    target = m.publish()
    eventually(lambda: catalogs(m) == [first])
    view.release(second)
    time.sleep(3)
    assert catalogs(m) == [first] and view.stored() == {first} and (target / "sbn/f").read_text() == "first"
    m.kill()
    m.options = ()
    m.start()
    eventually(lambda: catalogs(m) == [second] and view.stored() == {second})


def in_parts(m: Machine) -> None:
    """A large tree as several images is the same tree, to the attributes of its directories; a new night changes its
    own image, and the others are kept."""
    for night in range(12):
        for number in range(3):
            m.file(f"main/css/s{night % 2}/n{night}/f{number}.dat", f"{night} {number}")
    m.file("main/readme.txt", "read me")
    m.file("main/css/about.txt", "about")
    (m.directory / "nas/main/css/s0/empty").mkdir()
    view = Release(m, {".": ["main"]}, "main")
    whole = view.release(view.survey())
    m.start()
    shown = m.publish() / "sbn"
    eventually(lambda: m.health()["ready"] and catalogs(m) == [whole])

    def seen() -> dict[str, tuple[int, ...]]:
        paths = [shown, *shown.rglob("*")]
        return {
            str(path): (s.st_mode, s.st_uid, s.st_gid, s.st_mtime_ns, 0 if path.is_dir() else s.st_size)
            for path in paths
            if (s := path.lstat())
        }

    before = seen()
    subtree.SPLIT, subtree.LEAST = 20, 8
    parts = view.release(view.survey())
    assert parts != whole
    eventually(lambda: catalogs(m) == [parts] and view.stored() == {parts})
    assert seen() == before and (shown / "css/s1/n3/f1.dat").read_text() == "3 1"
    folder = m.kubelet / "plugins/archive.pdshub.dev/generations"
    images = {path.name: path.stat().st_ino for path in (folder / parts[7:]).glob("*.erofs")}
    assert len(images) > 4 and {"catalog-top.erofs", "catalog-end.erofs"} < images.keys()
    m.file("main/css/s0/n99/f.dat", "new")
    later = view.release(view.survey())
    eventually(lambda: catalogs(m) == [later])
    assert (shown / "css/s0/n99/f.dat").read_text() == "new"
    again = {path.name: path.stat().st_ino for path in (folder / later[7:]).glob("*.erofs")}
    same = {name for name in again if images.get(name) == again[name]}
    # what is made for tests has one time throughout: else the uppermost image would differ, too
    assert len(again) - len(same) == 1, (images, again)
    held = os.open(shown / "css/s1/n3/f1.dat", os.O_RDONLY)
    assert os.pread(held, 10, 0) == b"3 1"
    os.close(held)


ALL = {
    f.__name__: f
    for f in (
        released, each_server_its_own, hold, a_source_is_away, helper_renewed, live_parts, sources_for_the_surveyor,
        not_what_it_says, crafted, no_room, in_parts,
    )
}  # fmt: skip


if __name__ == "__main__":
    scenarios.run(ALL[sys.argv[1]])
