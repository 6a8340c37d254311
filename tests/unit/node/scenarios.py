"""What happens on a node, with real mounts; each function is one test of test_mounts.py, in a process and a
mount namespace of its own."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

from pdshub.node.mount import mountinfo
from pdshub.node.source import nfs_mount
from tests.unit.node.machine import Machine, eventually
from tests.unit.node.views import nfs


def refused(code: grpc.StatusCode, call: Callable[[], object]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()}: {error.details()}"
        return str(error.details())
    raise AssertionError(f"not refused with {code}")


def publish_and_unpublish(m: Machine) -> None:
    m.file("main/pds4/label.xml", "four")
    m.view({"pds4": ["main:pds4"]}, main="main")
    m.start()
    eventually(lambda: m.health()["ready"])
    target = m.publish()
    assert (target / "sbn/pds4/label.xml").read_text() == "four"
    for mount in m.mounts():
        assert {"ro", "nosuid", "nodev"} <= mount.options, mount
    assert m.publish() == target and len(m.mounts()) == 2, "idempotent"
    assert not (target / "ARCHIVE-UNAVAILABLE.txt").exists()
    refused(grpc.StatusCode.ALREADY_EXISTS, lambda: m.publish(view="other"))
    text = refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: m.publish("two", server="nas"))
    assert "server" in text
    refused(grpc.StatusCode.INVALID_ARGUMENT, lambda: m.publish("two", mode="MULTI_NODE_MULTI_WRITER"))
    assert m.stats().usage
    m.unpublish()
    assert not target.exists() and not m.mounts()
    m.unpublish()
    refused(grpc.StatusCode.NOT_FOUND, m.stats)


def restart(m: Machine) -> None:
    """A killed plugin disturbs no pod; the next one knows its targets from the mount table."""
    m.file("main/f", "x" * 100)
    m.view({".": ["main"]}, main="main")
    m.start()
    eventually(lambda: m.health()["ready"])
    m.publish()
    seen = m.directory / "seen"
    pod = m.pod(f"i=0; while [ ! -e {m.directory}/stop ]; do cat $A/sbn/f >/dev/null || echo bad; done > {seen}")
    time.sleep(0.3)
    before = m.mounts()
    m.kill()
    m.start()
    eventually(lambda: m.health()["ready"])
    m.publish()
    assert len(m.mounts()) == len(before) == 2
    assert {x.content for x in m.mounts()} == {x.content for x in before}, "nothing was mounted anew"
    (m.directory / "stop").touch()
    assert pod.wait(10) == 0 and seen.read_text() == ""
    m.kill()
    (m.directory / "views/sbn.yaml").unlink()
    m.start()
    m.unpublish()
    assert not m.mounts() and not m.target().exists(), "unpublish works when the view is gone"
    views = m.kubelet / "plugins/archive.pdshub.dev/views"
    eventually(lambda: not list(views.iterdir()), text="a view of nobody is cleaned up")


def one_at_a_time(m: Machine) -> None:
    """The next plugin waits for the end of the one before, and nothing of it goes with that."""
    m.file("main/f", "there")
    m.view({".": ["main"]}, main="main")
    m.start()
    before, sockets = m.plugin, [m.socket, *(m.kubelet / "plugins_registry").iterdir()]
    assert before and len(sockets) == 2
    m.options = ("--node-name", "next")

    def waiting(name: str) -> subprocess.Popen[Any]:
        said = m.directory / name
        with said.open("w") as stderr:
            process = m.spawn(*m.command(), stderr=stderr)
        eventually(lambda: "waiting for its end" in said.read_text(), 30)
        return process

    after = waiting("after")
    assert m.name() == "test"
    before.terminate()
    assert before.wait(20) == 0
    m.plugin = after
    m.answering()
    assert m.name() == "next" and all(socket.is_socket() for socket in sockets)
    # one that never had its turn leaves as quietly as it came
    third = waiting("third")
    third.terminate()
    assert third.wait(20) == 0 and m.name() == "next" and all(socket.is_socket() for socket in sockets)
    assert eventually(lambda: (m.publish() / "sbn/f").read_text()) == "there"


def precedence(m: Machine) -> None:
    """The first layer wins for every name it has."""
    m.file("main/orex/a/x", "main")
    m.file("main/orex/a/only", "main")
    m.file("mission/orex/a/x", "mission")
    m.file("mission/orex/odd,name:with\\all/f", "odd")
    odd = "mission:orex/odd,name:with\\all"
    m.view({"orex": ["mission:orex", "main:orex"], "odd": [odd, "main"]}, mission="mission", main="main")
    m.start()
    target = m.publish()
    eventually(lambda: m.health()["ready"])
    assert (target / "sbn/orex/a/x").read_text() == "mission"
    assert (target / "sbn/orex/a/only").read_text() == "main"
    assert (target / "sbn/odd/f").read_text() == "odd"
    try:
        (target / "sbn/orex/new").write_text("no")
    except OSError as error:
        assert error.errno == 30, error
    else:
        raise AssertionError("the archive could be written")
    m.view({"orex": ["main:orex", "mission:orex"]}, mission="mission", main="main")
    eventually(lambda: (target / "sbn/orex/a/x").read_text() == "main")
    eventually(lambda: not (target / "sbn/odd").exists(), text="a removed entry disappears")


def absent_then_back(m: Machine) -> None:
    """A pod starts without its archive, is told so, and gets it while it runs."""
    m.file("here/f", "here")
    m.view({"late": ["late"], "here": ["here"], "both": ["here", "late"]}, late="late", here="here")
    m.start()
    eventually(lambda: m.health()["tree"]["sbn/here"] == "ready")
    started = time.monotonic()
    target = m.publish()
    assert time.monotonic() - started < 3
    eventually(lambda: (target / "sbn/here/f").read_text() == "here")
    notice = target / "ARCHIVE-UNAVAILABLE.txt"
    eventually(lambda: "sbn/here" not in notice.read_text(), text="what is there is not missed")
    assert "sbn/late" in notice.read_text() and "source late" in notice.read_text(), notice.read_text()
    assert list((target / "sbn/late").iterdir()) == [] == list((target / "sbn/both").iterdir())
    eventually(lambda: "late" in m.health()["message"])
    wait = "while [ ! -e $A/sbn/late/f ]; do sleep 0.05; done; cat $A/sbn/late/f; ls $A"
    pod = m.pod(wait, stdout=subprocess.PIPE, text=True)
    m.file("late/f", "late")
    out, _ = pod.communicate(timeout=20)
    assert out.startswith("late"), out
    eventually(lambda: not (target / "ARCHIVE-UNAVAILABLE.txt").exists())
    eventually(lambda: m.health()["ready"] and m.stats())
    # The directory is replaced by another one of the same name: what rsync and careful people do.
    m.file("next/f", "next")
    (m.directory / "nas/late").rename(m.directory / "nas/old")
    (m.directory / "nas/next").rename(m.directory / "nas/late")
    eventually(lambda: (target / "sbn/late/f").read_text() == "next", seconds=30)
    eventually(lambda: (target / "sbn/both/f").read_text() == "here", seconds=30)


READER = """
import os, sys, time
path, stop = sys.argv[1:]
opens = bad = 0
seen = set()
while not os.path.exists(stop) and bad < 10:
    for _ in range(200):
        try:
            with open(path) as file: seen.add(file.read())
        except OSError as error:
            bad += 1; print(error, file=sys.stderr)
        opens += 1
print(opens, bad, *sorted(seen))
"""


def switch_under_readers(m: Machine) -> None:
    """A changed spec reaches running pods; no open fails, and nothing piles up."""
    m.file("one/f", "one")
    m.file("two/f", "two")
    m.view({"d": ["one"]}, one="one", two="two")
    m.start()
    eventually(lambda: m.health()["ready"])
    for pod in ("one", "two", "three"):
        m.publish(pod)
    (m.directory / "reader.py").write_text(READER)
    stop = m.directory / "stop"
    reader = m.pod(f"{sys.executable} {m.directory}/reader.py $A/sbn/d/f {stop}", stdout=subprocess.PIPE, text=True)
    file = m.target() / "sbn/d/f"
    for turn in range(6):
        name = ("two", "one")[turn % 2]
        m.view({"d": [name]} if turn % 3 else {"d": [name, "one", "two"]}, one="one", two="two")
        for pod in ("one", "two", "three"):
            eventually(lambda p=pod, n=name: (m.target(p) / "sbn/d/f").read_text() == n)  # type: ignore[misc]
    stop.touch()
    out, _ = reader.communicate(timeout=20)
    opens, bad, *seen = out.split()
    assert int(bad) == 0 and int(opens) > 1000 and seen == ["one", "two"], out
    for pod in ("one", "two", "three"):
        eventually(lambda p=pod: len(m.mounts(p)) == 2, text="one mount a tree, and the front")
    assert file.read_text() == "one"
    # Somebody stays inside the old tree: they keep it for the hold time, then it goes.
    inside = m.pod(f"cd $A/sbn/d && touch {m.directory}/in && exec sleep 60")
    eventually((m.directory / "in").exists)
    m.view({"d": ["two"]}, one="one", two="two")
    eventually(lambda: len(m.mounts()) == 3, text="the new one waits beneath")
    eventually(lambda: (m.target("two") / "sbn/d/f").read_text() == "two")
    assert file.read_text() == "one"
    eventually(lambda: file.read_text() == "two", text="after the hold time")
    eventually(lambda: len(m.mounts()) == 2)
    inside.kill()


def not_allowed(m: Machine) -> None:
    """What the installation does not allow is not mounted, links out of an allowed prefix included."""
    m.file("ok/f", "ok")
    (m.directory / "secret").mkdir()
    (m.directory / "nas/link").symlink_to(m.directory / "secret")
    (m.directory / "nas/ok/inner").symlink_to(m.directory / "secret")
    tree = {"a": ["a"], "b": ["b"], "c": ["c"], "d": ["d:inner"]}
    m.view(
        tree, a={"local": {"path": "/etc"}}, b="link", d="ok",
        c={"nfs": {"server": "10.1.2.3", "export": "/x"}},
    )  # fmt: skip
    m.start()
    target = m.publish()
    eventually(lambda: "source a" in m.health()["message"])
    eventually(lambda: "no directory" in m.health()["tree"]["sbn/d"])
    said = eventually(lambda: "symbolic link" in (text := m.told()) and text)
    assert "source a: local path /etc" in said and "allowedLocalPrefixes" in said, said
    assert "source c: NFS server 10.1.2.3" in said and "archive.allowed " in said, said
    tree_health = m.health()["tree"]
    assert tree_health["sbn/a"] == "source a is not allowed by this installation", tree_health
    assert tree_health["sbn/b"] == "source b is not reached", tree_health
    assert tree_health["sbn/c"] == "source c is not allowed by this installation", tree_health
    for name in tree:
        assert list((target / "sbn" / name).iterdir()) == []
    m.allow([str(m.directory)])
    m.view({"a": ["a"]}, a={"local": {"path": str(m.directory / "secret")}})
    (m.directory / "secret/f").write_text("now allowed")
    eventually(lambda: (target / "sbn/a/f").exists())


def other_namespaces(m: Machine) -> None:
    """A view that names namespaces is published in no other one; who has it mounted when the list shrinks keeps it."""
    m.file("main/f", "f")
    m.view({"d": ["main"]}, main="main", allowed={"names": ["users"]})
    m.start()
    eventually(lambda: m.health()["ready"])
    target = m.publish()
    assert (target / "sbn/d/f").read_text() == "f"
    text = refused(grpc.StatusCode.PERMISSION_DENIED, lambda: m.publish("two", namespace="others"))
    assert "namespace others" in text and "spec.allowedNamespaces" in text
    assert not m.mounts("two") and not m.target("two").exists()
    sources = m.publish("survey", namespace="pdshub-surveyors", content="sources")
    eventually(lambda: (sources / "main/f").exists(), text="PDSHub's own surveyor always sees the sources")
    m.view({"d": ["main"]}, main="main", allowed={"names": ["others"]})
    eventually(lambda: refused(grpc.StatusCode.PERMISSION_DENIED, lambda: m.publish("three")))
    m.publish("two", namespace="others")
    assert (target / "sbn/d/f").read_text() == "f"
    for pod in ("one", "two", "three", "survey"):
        m.unpublish(pod)


def nothing_for_users_to_read(m: Machine) -> None:
    """Every file that users find beside the archive, while sources fail in every way: no server, export, path of the
    node or id stands in any of them, and all of it in what administrators are told."""
    m.allow(exports=("/volume9/pds",))
    m.file("good/f", "f")
    (m.directory / "nas/closed").mkdir(mode=0o700)
    reader = {"runAs": {"uid": 47110, "gid": 47111}}
    m.view(
        {"a": ["good"], "b": ["server"], "c": ["export"], "d": ["reader"], "e": ["silent"], "f": ["gone"],
         "g": ["marked"], "h": ["good:nowhere"], "i": ["closed:."], "j": ["good", "closed"]},
        good="good", gone="gone-directory",
        server={"nfs": {"server": "10.47.11.3", "export": "/volume9/pds"}},
        export={"nfs": {"server": "127.0.0.1", "export": "/homes9"}},
        reader={"nfs": {"server": "127.0.0.1", "export": "/volume9/pds/x"}, **reader},
        silent={"nfs": {"server": "127.0.0.1", "export": "/volume9/pds", "port": 9}},
        marked={"local": {"path": str(m.directory / "nas/good")}, "marker": {"path": "m", "sha256": "0" * 64}},
        closed={"local": {"path": str(m.directory / "nas/closed")}, **reader},
    )  # fmt: skip
    m.options = ("--proof-seconds", "1", "--canary-seconds", "1")
    m.start()
    target = m.publish()
    names = ("10.47.11.3", "127.0.0.1", "volume9", "homes9", "4711", str(m.directory))
    eventually(lambda: all(name in m.told() for name in names[:4]) and "port 9" in m.told(), 30, "administrators")
    eventually(lambda: "proof" in m.health(), 30)
    eventually(lambda: (target / "sbn/a/f").exists())
    m.view({"a": ["a"]}, "broken", a={"nfs": {"server": "10.47.11.3 volume9", "export": "/homes9"}})
    broken = m.publish("two", "broken")
    eventually(lambda: "10.47.11.3" in m.told("two"))
    files = [p for top in (target, broken) for p in top.rglob("*") if p.is_file() and "sbn" not in p.parts]
    found = {path.name for path in files}
    assert {"view.json", "health.json", "generation.json", "ARCHIVE-UNAVAILABLE.txt"} <= found, found
    for path in files:
        text = path.read_text()
        assert not [name for name in names if name in text], (path, text)
    said = m.health()["sources"]
    assert {name: said[name]["message"] for name in ("server", "export", "reader")} == dict.fromkeys(
        ("server", "export", "reader"), "is not allowed by this installation"
    )
    document = json.loads((target / ".pdshub/view.json").read_text())
    assert document["tree"][7] == {"path": "h", "live": False, "layers": [{"source": "good", "path": "nowhere"}]}


def several_readers(m: Machine) -> None:
    """Layers of one entry are each read as their own source says, also where one of them may read what the other
    may not."""
    for name, uid in (("one", 1234), ("two", 1235)):
        m.file(f"{name}/{name}", name)
        os.chown(m.directory / "nas" / name / name, uid, uid)
        (m.directory / "nas" / name / name).chmod(0o640)
        m.file(f"{name}/other-{name}", "not theirs")
        other = m.directory / "nas" / name / f"other-{name}"
        os.chown(other, 1234 + 1235 - uid, 1000)
        other.chmod(0o640)
    paths = {name: {"local": {"path": str(m.directory / "nas" / name)}} for name in ("one", "two")}
    m.view(
        {"d": ["one", "two"], "e": ["one"]},
        **{
            n: {**p, "runAs": {"uid": uid, "gid": uid}} for (n, p), uid in zip(paths.items(), (1234, 1235), strict=True)
        },
    )
    m.start()
    eventually(lambda: m.health()["ready"])
    target = m.publish()
    for path, text in (("d/one", "one"), ("d/two", "two"), ("e/one", "one")):
        assert (target / "sbn" / path).read_text() == text
    for path in ("d/other-one", "d/other-two", "e/other-one"):
        try:
            (target / "sbn" / path).read_text()
        except PermissionError:
            pass
        else:
            raise AssertionError(f"{path} read as somebody else")
    entries = m.kubelet / "plugins/archive.pdshub.dev/views/sbn/entries"
    assert all(sorted(p.name for p in e.iterdir()) == ["entry.json", "mnt"] for e in entries.iterdir())


def nobody_reads(m: Machine) -> None:
    """A source that names nobody is not read as root where layers are merged."""
    m.file("one/f", "f")
    m.file("two/secret", "root's own")
    (m.directory / "nas/two/secret").chmod(0o600)
    m.file("two/homes/of/somebody", "x")
    os.chown(m.directory / "nas/two/homes", 1000, 1000)
    (m.directory / "nas/two/homes").chmod(0o700)
    m.view({"d": ["one", "two"]}, one="one", two="two")
    m.start()
    eventually(lambda: m.health()["ready"])
    target = m.publish()
    assert (target / "sbn/d/f").read_text() == "f"
    for look in (lambda: (target / "sbn/d/secret").read_text(), lambda: list((target / "sbn/d/homes").iterdir())):
        try:
            look()
        except PermissionError:
            pass
        else:
            raise AssertionError("read as root")


def foreign_mount(m: Machine) -> None:
    """Something else is mounted where a source belongs: reported, not used, not touched."""
    m.file("main/f", "main")
    m.view({"d": ["main"]}, main={"nfs": {"server": "127.0.0.1", "port": 9, "export": "/x"}})
    m.start()
    target = m.publish()
    eventually(lambda: "port 9" in m.told())

    digest = nfs("main", "127.0.0.1", "/x", port=9).digest
    place = m.kubelet / "plugins/archive.pdshub.dev/sources" / digest
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,nosuid,nodev", "tmpfs", place], check=True)
    eventually(lambda: "type tmpfs" in m.told())
    assert list((target / "sbn/d").iterdir()) == [] and os.path.ismount(place)


def many_targets(m: Machine) -> None:
    m.file("one/f", "one")
    m.file("two/f", "two")
    m.view({"d": ["one"], "e": ["one", "two"]}, one="one", two="two")
    m.start()
    eventually(lambda: m.health()["ready"])
    for i in range(30):
        m.publish(f"p{i}")
    m.view({"d": ["two"], "e": ["two", "one"]}, one="one", two="two")
    started = time.monotonic()
    eventually(lambda: all((m.target(f"p{i}") / "sbn/d/f").read_text() == "two" for i in range(30)))
    print("30 targets, 2 entries each, switched within", round(time.monotonic() - started, 2), "s")
    for i in range(30):
        m.unpublish(f"p{i}")
    assert not [x for x in m.mounts("") if "/pods/" in x.point]


GANESHA = """
NFS_CORE_PARAM {{ NFS_Port = {port}; Protocols = 4; Bind_addr = 127.0.0.1; Enable_UDP = false; Enable_NLM = false;
  Enable_RQUOTA = false; }}
NFSv4 {{ Graceless = true; Lease_Lifetime = 20; RecoveryBackend = fs; RecoveryRoot = {state}; Minor_Versions = 1,2; }}
EXPORT {{ Export_Id = 1; Path = {data}; Pseudo = /pds; Access_Type = RO; Squash = No_Root_Squash; SecType = sys;
  FSAL {{ Name = VFS; }} }}
LOG {{ Default_Log_Level = CRIT; }}
"""


def nfs_server(m: Machine, port: int) -> Callable[[], subprocess.Popen[bytes]]:
    """What starts a server of nas/nfs as /pds, on loopback."""
    (m.directory / "state").mkdir()
    Path("/var/run/ganesha").mkdir(exist_ok=True)
    config = m.directory / "ganesha.conf"
    config.write_text(GANESHA.format(port=port, state=m.directory / "state", data=m.directory / "nas/nfs"))
    words = ("ganesha.nfsd", "-F", "-f", str(config), "-L", "/dev/null", "-p", str(m.directory / "pid"))
    return lambda: m.spawn(*words)


def without_rights() -> None:
    """Who speaks to the server is nobody, with the one capability that servers ask for, and nothing else of root."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            lines = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
            command = (status.parent / "cmdline").read_bytes().split(b"\0")
            if b"nfs-mount" in command:
                found.append({key: value.split() for key, value in lines.items()})
    assert found, "the process of the source"
    for one in found:
        assert (
            one["Uid"] == one["Gid"] == [str(nfs_mount.UID)] * 4 and one["Groups"] == [] and one["NoNewPrivs"] == ["1"]
        )
        masks = {key: int(one[key][0], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        kept = nfs_mount.KEPT
        assert masks == {"CapInh": 0, "CapPrm": kept, "CapEff": kept, "CapBnd": 0, "CapAmb": 0}


def nfs_server_and_helper_come_and_go(m: Machine) -> None:
    """Real NFS by whatever client there is: a server that is away at first, goes and returns; a helper restart."""
    port = 20050
    for i in range(200):
        m.file(f"nfs/d/f{i}", str(i))
    (m.directory / "nas/nfs/big").write_bytes(os.urandom(30_000_000))
    server = nfs_server(m, port)
    m.view({"a": ["n"], "d": ["n:d"]}, n={"nfs": {"server": "127.0.0.1", "port": port, "export": "/pds"}})
    m.start()
    helper = m.spawn(*m.command("nfs-helper"))
    target = m.publish()
    eventually(lambda: f"port {port}" in (text := m.told()) or "127.0.0.1:/pds" in text)
    ganesha = server()
    eventually(lambda: m.health()["ready"], 40)
    mode = m.health()["sources"]["n"]["mode"]
    print("mode", mode)
    if mode == "user-space-nfs":
        without_rights()
    eventually(lambda: (target / "sbn/d/f7").read_text() == "7")
    assert (target / "sbn/a/big").read_bytes() == (m.directory / "nas/nfs/big").read_bytes()
    # A restart of the plugin disturbs nothing.
    m.kill()
    assert (target / "sbn/d/f8").read_text() == "8"
    m.start()
    eventually(lambda: m.health()["ready"], 40)
    assert len(m.mounts()) == 3
    # The server goes: said within a minute, errors within a bound; and comes back.
    ganesha.kill()
    ganesha.wait()
    eventually(lambda: not m.health()["ready"] and (target / "ARCHIVE-UNAVAILABLE.txt").exists(), 60)
    started = time.monotonic()
    m.publish("two")
    assert time.monotonic() - started < 3, "a publish does not wait for a dead server"
    notice = m.target("two") / "ARCHIVE-UNAVAILABLE.txt"
    eventually(lambda: "not there" in notice.read_text() or m.health()["message"])
    started = time.monotonic()
    try:
        (target / "sbn/d/f199").read_text()
    except OSError as error:
        print("reader's error", error.errno, "after", round(time.monotonic() - started, 1), "s")
    assert time.monotonic() - started < 40
    ganesha = server()
    eventually(lambda: m.health()["ready"], 60)
    eventually(lambda: (target / "sbn/d/f198").read_text() == "198", 30)
    eventually(lambda: (m.target("two") / "sbn/d/f198").read_text() == "198", 30)
    if mode == "user-space-nfs":
        os.killpg(helper.pid, signal.SIGKILL)
        helper.wait()
        m.spawn(*m.command("nfs-helper"))
        eventually(lambda: (target / "sbn/d/f9").read_text() == "9", 60, "switched to the new helper's mounts")
        eventually(lambda: m.health()["ready"], 30)
        eventually(lambda: len(m.mounts()) == 3 and len(m.mounts("two")) == 3, 30)
    m.unpublish()
    m.unpublish("two")
    assert not m.mounts() and not m.mounts("two")
    (m.directory / "views/sbn.yaml").unlink()
    eventually(lambda: not serving(), 60, "who serves a source ends with its mount")


def serving() -> list[str]:
    """Processes of the user-space client."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"nfs-mount" in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
    return found


def old_kernel(m: Machine) -> None:
    """The fallbacks for kernels without `lowerdir+` (6.8) and MOVE_MOUNT_BENEATH (6.5), made to refuse them here."""
    from pdshub.node.mount import syscalls, worker_main

    attach = syscalls.attach

    def refuse_beneath(fd: int, target: str, *, beneath: bool = False) -> None:
        if beneath:
            raise OSError(errno.EINVAL, "not known")
        attach(fd, target)

    def refuse_filesystem(*_: object) -> int:
        raise OSError(errno.EINVAL, "not known")

    syscalls.attach, syscalls.new_filesystem = refuse_beneath, refuse_filesystem
    odd = "b,c:d\\e"
    m.file(f"{odd}/f", "odd")
    m.file("main/f", "main")
    m.file("main/g", "main")
    nas, empty = m.directory / "nas", m.directory / "empty"
    empty.mkdir()
    point = m.directory / "target"
    point.mkdir()

    def built(name: str, *layers: str, run_as: list[int] | None = None) -> str:
        found = [[str(nas), layer, worker_main.identity((nas / layer).stat()), run_as] for layer in layers]
        made = m.directory / "entries" / name / "mnt"
        how = worker_main.build(found, str(made), str(empty), {})
        assert how == ("overlay" if len(layers) > 1 or run_as else "bind")
        return str(made)

    first = built("one", odd, "main")
    front = str(m.directory)
    worker_main.attach(first, str(m.directory), "target", front)
    assert (point / "f").read_text() == "odd" and (point / "g").read_text() == "main"
    second = built("two", "main")
    umount = syscalls.umount

    def never_empty(target: str, *, lazy: bool = False) -> None:
        umount(target, lazy=lazy)
        assert mountinfo.stack(mountinfo.read(), str(point)), "for a moment nothing is there: ENOENT for readers"

    syscalls.umount = never_empty
    for depth in range(1, 12):
        origin = (second, first)[depth % 2]
        there = len(mountinfo.stack(mountinfo.read(), str(point)))
        assert worker_main.switch(origin, [(str(m.directory), "target", there)], front) == ["switched"]
        assert (point / "f").read_text() == ("main", "odd")[depth % 2]
    syscalls.umount = umount
    assert len(mountinfo.stack(mountinfo.read(), str(point))) <= 7, "a few at most"
    m.directory.chmod(0o700)
    if not os.fork():  # the child's identity changes for good
        try:
            built("three", "main", odd, run_as=[1234, 1234])
            os._exit(0)
        finally:
            os._exit(1)
    assert os.wait()[1] == 0
    assert (m.directory / "entries/three/mnt/f").read_text() == "main"
    (nas / "main/f").chmod(0o600)
    try:
        (m.directory / "entries/three/mnt/f").read_text()
    except PermissionError:
        pass
    else:
        raise AssertionError("read as root, not as runAs")
    worker_main.unmount(str(point))


ALL = {
    f.__name__: f
    for f in (
        publish_and_unpublish, restart, one_at_a_time, precedence, absent_then_back, switch_under_readers, not_allowed,
        other_namespaces, nothing_for_users_to_read, several_readers, nobody_reads,
        foreign_mount, many_targets, nfs_server_and_helper_come_and_go, old_kernel,
    )
}  # fmt: skip


def run(scenario: Callable[[Machine], None], make: type[Machine] = Machine) -> None:
    directory = Path(tempfile.mkdtemp(prefix="pdshub-node-"))
    machine = make(directory)
    try:
        scenario(machine)
    finally:
        machine.stop()
        for mount in sorted(machine.mounts(""), key=lambda x: -len(x.point)):
            subprocess.run(["umount", "-l", mount.point], check=False, capture_output=True)
        subprocess.run(["umount", "-lR", machine.kubelet], check=False)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    run(ALL[sys.argv[1]])
