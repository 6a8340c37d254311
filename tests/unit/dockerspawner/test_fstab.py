"""What lies behind directories: NFS, unions in their order, binds."""

from __future__ import annotations

import pytest

from pdshub.dockerspawner import fstab
from pdshub.dockerspawner.fstab import Place

TABLE = r"""
# device  point  type  options
nas:/volume1/pds      /mnt/pds   nfs   ro,vers=4.1 0 0
[2001:db8::1]:/six    /mnt/six   nfs4  port=20049 0 0
old:/three            /mnt/three nfs   nfsvers=3
/mnt/pds/a:/srv/b=RO  /mnt/m1    fuse.mergerfs  defaults,category.search=ff
mergerfs#/srv/x:/mnt/m1/y /mnt/m2 fuse allow_other
overlay /mnt/over overlay lowerdir=/mnt/pds/l1:/srv/l2,upperdir=/srv/up,workdir=/srv/w
/srv/u1=RW:/srv/u2=RO /mnt/union fuse.unionfs rw
none /mnt/aufs aufs br:/srv/a1=rw:/srv/a2=ro
/mnt/pds/deep /export/deep none bind,ro
/srv/with\040blank /mnt/blank none bind
/mnt/loop1 /mnt/loop2 none bind
/mnt/loop2 /mnt/loop1 none bind
/mnt/disk* /mnt/glob mergerfs defaults
nonsense
"""
PDS = ("nas", "/volume1/pds", 2049, "4.1")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/home/x", [Place("/home/x")]),
        ("/mnt/pds", [Place(".", *PDS)]),
        ("/mnt/pds/pds4/", [Place("pds4", *PDS)]),
        ("/mnt/pdsx", [Place("/mnt/pdsx")]),
        ("/mnt/six/a", [Place("a", "2001:db8::1", "/six", 20049)]),
        ("/mnt/three", [Place(".", "old", "/three")]),
        ("/mnt/m1", [Place("a", *PDS), Place("/srv/b")]),
        ("/mnt/m1/c", [Place("a/c", *PDS), Place("/srv/b/c")]),
        ("/mnt/m2", [Place("/srv/x"), Place("a/y", *PDS), Place("/srv/b/y")]),
        ("/mnt/over", [Place("/srv/up"), Place("l1", *PDS), Place("/srv/l2")]),
        ("/mnt/union", [Place("/srv/u1"), Place("/srv/u2")]),
        ("/mnt/aufs", [Place("/srv/a1"), Place("/srv/a2")]),
        ("/export/deep/x", [Place("deep/x", *PDS)]),
        ("/mnt/blank", [Place("/srv/with blank")]),
        ("/mnt/pds/../etc", [Place("/mnt/etc")]),
    ],
)
def test_places(path: str, found: list[Place]) -> None:
    assert fstab.places(path, fstab.read(TABLE)) == found


def test_mounts_in_a_circle_end() -> None:
    assert len(fstab.places("/mnt/loop1", fstab.read(TABLE))) == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [("/mnt/three", "NFS 3"), ("/mnt/over", "writes to"), ("/mnt/glob", "by a pattern")],
)
def test_doubts_are_said(path: str, said: str) -> None:
    told: list[str] = []
    fstab.places(path, fstab.read(TABLE), told.append)
    assert any(said in words for words in told)


def test_the_policy_newest_is_no_order() -> None:
    told: list[str] = []
    fstab.places("/m", fstab.read("/a:/b /m fuse.mergerfs func.open=newest 0 0"), told.append)
    assert any("newest" in words for words in told)
