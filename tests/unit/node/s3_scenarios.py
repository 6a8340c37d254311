"""A bucket as a source, with real mounts: rclone behind the helper, versitygw as the service, a relay that counts.
Each function is one test of test_s3_mount.py."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pdshub.archive import manifest
from pdshub.archive.main import main
from pdshub.archive.survey import Options, survey
from pdshub.archive.view import checked_spec, view_from_spec
from pdshub.node.mount import mountinfo
from pdshub.node.source import s3_mount
from pdshub.surveyor import checks, objects
from tests.buckets import BUCKET, KEY, SECRET, Service, service
from tests.unit.node import scenarios
from tests.unit.node.generations import catalogs
from tests.unit.node.machine import Machine, eventually

ODD = ["a b", "ä", "a．", "＊：％", "a\\b", "100%41", "x&y<z", "-rf", "名前", "a+b"]
FILES = {
    **{f"archive/d{n % 5}/sub/f{n:03}.dat": f"content {n:04}" for n in range(100)},
    **{f"archive/odd/{name}": name for name in ODD},
    "archive/big.bin": "0123456789abcdef" * (1 << 17),
}


class Bucket:
    """A view of one bucket on a machine."""

    def __init__(self, m: Machine, s3: Service, **more: Any) -> None:
        self.m, self.s3, self.number = m, s3, 0
        self.source = s3.source(prefix="archive", **more)
        s3.keys(m.directory / "secrets/keys")
        s3.keys(m.directory / "surveyor-keys/main")
        keys = m.directory / "keys"
        keys.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", keys], check=True)
        m.options = ("--keys-from", str(m.directory / "secrets"), "--keys-dir", str(keys), "--canary-seconds", "1")
        self.allow()
        self.tree = {"a": ["main"]}

    def allow(self, **more: Any) -> None:
        rule = {"endpoint": self.s3.url, "bucket": BUCKET, "secrets": ["keys"], **more}
        new = self.m.directory / "new"
        new.write_text(yaml.safe_dump({"archive": {"buckets": [rule]}}))
        new.rename(self.m.directory / "installation.yaml")

    def generation(self) -> str:
        """A survey of the bucket, and its catalog; its name."""
        self.number += 1
        spec = {
            "sources": [self.source],
            "tree": [{"path": "a", "layers": [{"source": "main", "path": "."}]}],
            "authority": {"settleSeconds": 0},
        }
        roots = {"main": self.m.directory / "nowhere/main"}
        found = objects.of(checked_spec(spec), roots, self.m.directory / "surveyor-keys")
        made = self.m.directory / f"work{self.number}"
        made.mkdir()
        options = Options(time.time_ns(), fs=objects.file_system(found, roots), listed=found)
        survey(view_from_spec("sbn", spec), roots, made, options)
        assert main(["catalog", "--generation", str(made), "--accept-shrink"]) == 0
        name = str(manifest.read(made)["generation"])
        folder = self.m.directory / "generations"
        folder.mkdir(exist_ok=True)
        self.made = folder / name.removeprefix("sha256:")
        if not self.made.exists():
            made.rename(self.made)
        return name

    def release(self, name: str) -> None:
        status: dict[str, Any] = {"surveyor": {"address": "127.0.0.1:1"}}
        if name:
            status["generation"] = {"name": name, "asOf": "2026-01-01T00:00:00Z"}
        self.m.view(self.tree, status=status, main={"s3": self.source["s3"]})

    def processes(self) -> list[int]:
        """rclone's, by what they are called."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if words[:2] == [b"rclone", b"mount"]:
                found.append(int(path.parent.name))
        return found


@contextmanager
def bucket(m: Machine, **more: Any) -> Iterator[Bucket]:
    folder = m.directory / "s3"
    folder.mkdir()
    with service(folder) as s3:
        s3.fill(FILES)
        yield Bucket(m, s3, **more)


def walked(top: Path) -> dict[str, os.stat_result]:
    found = {}
    for base, _, names in os.walk(top):
        for name in names:
            path = os.path.join(base, name)
            found[os.path.relpath(path, top)] = os.stat(path)
    return found


def names_cost_nothing(m: Machine) -> None:
    """A cold walk with a stat of every file asks the service for nothing; what is read is what was written."""
    with bucket(m) as b:
        b.release(b.generation())
        m.start()
        m.spawn(*m.command("nfs-helper"))
        target = m.publish()
        eventually(lambda: m.health()["ready"] and catalogs(m), 60)
        assert m.health()["sources"]["main"]["mode"] == "rclone"
        time.sleep(1)
        b.s3.relay.none()
        found = walked(target / "sbn/a")
        asked = [line for line in b.s3.relay.seen if "prefix=archive%2F&" not in line]
        assert {f"archive/{name}" for name in found} == set(FILES), "names are the keys' own"
        assert {name: st.st_size for name, st in found.items()} == {
            key.removeprefix("archive/"): len(text.encode()) for key, text in FILES.items()
        }
        print("requests of a cold walk and stat:", dict(b.s3.relay.asked), asked)
        assert b.s3.relay.asked == {}
        for key, text in FILES.items():
            assert (target / "sbn/a" / key.removeprefix("archive/")).read_text() == text, key
        print("requests of reading", len(FILES), "files in 8 directories:", dict(b.s3.relay.asked))
        assert b.s3.relay.asked["get"] <= len(FILES) + 2 and b.s3.relay.asked["list"] <= 60
        assert b.s3.relay.asked["head"] == 0
        b.s3.relay.none()
        assert len(walked(target / "sbn/a")) == len(FILES)
        assert b.s3.relay.asked == {}, "nor once files were read"
        with open(target / "sbn/a/big.bin", "rb") as file:
            file.seek(1 << 20)
            assert file.read(16) == b"0123456789abcdef"
        source = eventually(lambda: next(iter((m.kubelet / "plugins/archive.pdshub.dev/sources").iterdir())))
        task = {"generation": str(b.made), "sources": str(m.directory / "seen")}
        (m.directory / "seen").mkdir()
        (m.directory / "seen/main").symlink_to(source)
        answer = checks.verify(task, lambda text: None)
        assert answer == {"files": len(FILES), "drifted": 0, "examples": []}, answer
        m.unpublish()


def nobody_writes_and_keys_are_nowhere(m: Machine) -> None:
    """Read-only on every level, a process of no rights, and keys in no argument, environment, log or file of a disk."""
    with bucket(m) as b:
        b.release(b.generation())
        log = m.directory / "helper.log"
        with log.open("wb") as out:
            m.start()
            m.spawn(*m.command("nfs-helper"), stdout=out, stderr=out)
            target = m.publish()
            eventually(lambda: m.health()["ready"] and catalogs(m), 60)
        (source,) = (m.kubelet / "plugins/archive.pdshub.dev/sources").iterdir()
        for place in (target / "sbn/a", source):
            for attempt in (
                lambda place=place: (place / "new").write_text("x"),
                lambda place=place: (place / "big.bin").open("r+b"),
                lambda place=place: (place / "big.bin").unlink(),
                lambda place=place: (place / "dir").mkdir(),
                lambda place=place: (place / "big.bin").rename(place / "b"),
                lambda place=place: os.chmod(place / "big.bin", 0o700),
                lambda place=place: os.setxattr(place / "big.bin", "user.x", b"y"),
            ):
                try:
                    attempt()
                except OSError as error:
                    assert error.errno in (errno.EROFS, errno.ENOTSUP, errno.ENOSYS), error
                else:
                    raise AssertionError("written")
        there = mountinfo.top(mountinfo.read(), str(source))
        assert there and there.fstype == "fuse.pdshub-s3" and {"ro", "nosuid", "nodev"} <= there.options
        assert there.source == f"s3://{BUCKET}/archive"
        (pid,) = b.processes()
        status = dict(line.partition(":")[::2] for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        uid = s3_mount.user(source.name)
        assert status["Uid"].split() == [str(uid)] * 4 and status["Gid"].split() == [str(uid)] * 4
        assert all(int(status[name], 16) == 0 for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh"))
        assert status["NoNewPrivs"].split() == ["1"] and not status["Groups"].split()
        for secret in (SECRET.encode(), KEY.encode()):
            for path in Path("/proc").glob("[0-9]*"):
                if path.name == str(os.getpid()):
                    continue
                for name in ("cmdline", "environ"):
                    try:
                        held = (path / name).read_bytes()
                    except OSError:
                        continue
                    service_itself = b"versitygw" in (path / "cmdline").read_bytes() if path.exists() else True
                    assert service_itself or secret not in held, (path, name)
            on_disk = subprocess.run(
                ["grep", "-rlF", "--exclude-dir=sources", "--exclude-dir=views", secret.decode(), str(m.kubelet),
                 str(log), str(m.directory / "generations")],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert on_disk.stdout == "", on_disk.stdout
        files = [path for path in (m.directory / "keys").rglob("*") if path.is_file()]
        assert {path.name for path in files} == {"access-key-id", "secret-access-key", "written"}
        assert all((path.stat().st_mode & 0o777, path.stat().st_uid) == (0o600, 0) for path in files)
        assert all(path.parent.stat().st_mode & 0o777 == 0o700 for path in files)
        m.unpublish()
        (m.directory / "views/sbn.yaml").unlink()
        eventually(lambda: not list((m.directory / "keys").iterdir()), 40, "keys go with the source")
        eventually(lambda: not b.processes(), 40)


def it_comes_back(m: Machine) -> None:
    """rclone is killed, the helper is killed, the plugin is killed, the installation's rule is taken away."""
    with bucket(m) as b:
        b.release(b.generation())
        m.start()
        helper = m.spawn(*m.command("nfs-helper"))
        target = m.publish()
        file = target / "sbn/a/d1/sub/f001.dat"
        eventually(lambda: m.health()["ready"] and file.read_text() == "content 0001", 60)
        (first,) = b.processes()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: b.processes() not in ([], [first]) and file.read_text() == "content 0001", 60, "rclone")
        os.killpg(helper.pid, signal.SIGKILL)
        helper.wait()
        eventually(lambda: not b.processes(), 20, "what served it ends with the helper")
        helper = m.spawn(*m.command("nfs-helper"))
        eventually(lambda: file.read_text() == "content 0001", 60, "helper")
        m.kill()
        assert (target / "sbn/a/d2/sub/f002.dat").read_text() == "content 0002", "without the plugin"
        m.start()
        eventually(lambda: m.health()["ready"], 40)
        b.allow(secrets=["another"])
        eventually(lambda: "Secret keys" in m.told(), 40, "a rule that is taken away")
        b.allow()
        eventually(lambda: m.health()["ready"] and file.read_text() == "content 0001", 60)
        m.unpublish()


def what_is_wrong_is_said(m: Machine) -> None:
    """Keys that are not there, keys that the service refuses, a service that is away: in words, without the keys."""
    with bucket(m) as b:
        b.release("")
        (m.directory / "secrets/keys/secret-access-key").unlink()
        m.start()
        m.spawn(*m.command("nfs-helper"))
        m.publish()
        eventually(lambda: "no key secret-access-key" in m.told(), 40)
        (m.directory / "secrets/keys/secret-access-key").write_text("wrong")
        eventually(lambda: "refuses the keys" in m.told(), 60)
        b.s3.keys(m.directory / "secrets/keys")
        m.kill()  # else the keys are looked at once in five minutes
        m.start()
        eventually(lambda: m.health()["ready"], 60)
        assert "wrong" not in str(m.health())
        m.unpublish()


def it_becomes_another_place(m: Machine) -> None:
    """A source becomes another folder of the bucket under readers: nobody meets an error, and what is open goes on."""
    with bucket(m) as b:
        b.s3.fill({f"moved/{key.removeprefix('archive/')}": text for key, text in FILES.items()})
        name = b.generation()
        b.release(name)
        m.start()
        m.spawn(*m.command("nfs-helper"))
        target = m.publish()
        eventually(lambda: m.health()["ready"] and catalogs(m), 60)
        (former,) = b.processes()
        errors, ends, rounds = list[str](), threading.Event(), list[int]()

        def read() -> None:
            while not ends.wait(0.02):
                for number in range(0, 100, 9):
                    try:
                        text = (target / f"sbn/a/d{number % 5}/sub/f{number:03}.dat").read_text()
                        assert text == f"content {number:04}", text
                    except (OSError, AssertionError) as error:
                        errors.append(repr(error))
                rounds.append(1)

        reader = threading.Thread(target=read)
        reader.start()
        with open(target / "sbn/a/big.bin", "rb", buffering=0) as held:
            assert held.read(16) == b"0123456789abcdef"
            b.source = {**b.source, "s3": {**b.source["s3"], "prefix": "moved"}}
            b.release(name)
            asked = b.s3.relay.seen
            eventually(lambda: any("moved/d" in line and "list-type" not in line for line in asked), 60, "read there")
            time.sleep(2)
            assert former in b.processes(), "somebody has a file of it open"
            os.posix_fadvise(held.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert os.pread(held.fileno(), 16, 1 << 20) == b"0123456789abcdef"
        ends.set()
        reader.join()
        assert rounds and not errors, errors[:5]
        eventually(lambda: former not in b.processes(), 40, "it ends when nobody has anything of it open")
        assert len(b.processes()) == 1
        m.unpublish()


ALL = {
    made.__name__: made
    for made in (
        names_cost_nothing,
        nobody_writes_and_keys_are_nowhere,
        it_comes_back,
        what_is_wrong_is_said,
        it_becomes_another_place,
    )
}

if __name__ == "__main__":
    scenarios.run(ALL[sys.argv[1]])
