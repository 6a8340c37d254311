"""A view over kernel NFS: what a pod sees, that it can't change it, and that nothing stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from nas import Nas
from node import PATIENCE, Node, entry, eventually, source

MAIN = {
    "pds4/bundle/product.xml": "<main/>",
    "pds3/VOL_0001/VOLDESC.CAT": "PDS_VERSION_ID = PDS3",
    "orex/both.fits": "main",
    "orex/main only/name with spaces, and: signs.tab": "main",
}
MISSION = {"orex/both.fits": "mission", "orex/mission.fits": "mission"}
SEEN = {
    "pds4/bundle/product.xml": "<main/>",
    "pds3/VOL_0001/VOLDESC.CAT": "PDS_VERSION_ID = PDS3",
    "orex/both.fits": "mission",
    "orex/mission.fits": "mission",
    "orex/main only/name with spaces, and: signs.tab": "main",
}


@pytest.fixture(scope="module")
def published(nas: Nas, node: Node) -> Path:
    """The view ``archive`` in a pod: two exports that overlap in orex, where the mission's copy wins."""
    nas.export("pds-main", MAIN)
    nas.export("pds-mission", MISSION)
    node.view(
        "archive",
        [source("main", "/pds-main"), source("mission", "/pds-mission")],
        [entry("pds4", "main:pds4"), entry("pds3", "main:pds3"), entry("orex", "mission:orex", "main:orex")],
    )
    target = node.publish("archive")
    node.ready(target)
    return target


def test_sources_are_mounted_by_the_kernel(node: Node, published: Path) -> None:
    sources = node.ready(published)["sources"]
    assert {name: (s["ready"], s["mode"]) for name, s in sources.items()} == {
        "main": (True, "kernel-nfs"),
        "mission": (True, "kernel-nfs"),
    }
    mounted = [
        m for m in node.mounts() if m.fstype == "nfs4" and m.point.startswith(str(node.layout.plugin / "sources"))
    ]
    for mount in mounted:
        assert {"ro", "nosuid", "nodev", "noatime"} <= mount.options
        assert "vers=4.2" in mount.super_options
    assert len({m.source for m in mounted}) == len({m.point for m in mounted}), "one mount a source"


def test_pod_reads_the_winner_of_every_file(node: Node, published: Path) -> None:
    each = 'for f; do echo "$f=$(cat "$f")"; done'
    script = f"cd \"$0\" && find . -type f -exec sh -c '{each}' _ {{}} +"
    done = node.in_pod("sh", "-c", script, str(published / "archive"))
    assert done.returncode == 0, done.stderr
    assert dict(line.removeprefix("./").split("=", 1) for line in done.stdout.splitlines()) == SEEN


@pytest.mark.parametrize(
    "attempt",
    [
        "touch archive/orex/new",
        "echo x >archive/orex/both.fits",
        "rm archive/orex/both.fits",
        "mkdir archive/new",
        "touch new",
        "chmod 777 archive/pds4/bundle/product.xml",
        "mv archive/orex/both.fits archive/orex/other",
        "ln -s /etc/passwd archive/orex/link",
        "mount -t tmpfs none archive/orex",
        "mount -o remount,rw archive/orex",
        "umount archive/orex",
    ],
)
def test_pod_changes_nothing(node: Node, published: Path, attempt: str) -> None:
    script = f'cd "$0" && cat archive/orex/both.fits && {attempt} && echo changed'
    done = node.in_pod("sh", "-c", script, str(published))
    assert done.stdout.startswith("mission"), done.stderr
    assert "changed" not in done.stdout
    assert (node.look(published) / "archive/orex/both.fits").read_text() == "mission"


def test_root_writes_nothing(node: Node, published: Path) -> None:
    """Read-only for everybody, not only for users without the right to write."""
    with pytest.raises(OSError, match="Read-only file system"):
        (node.look(published) / "archive/orex/new").touch()
    with pytest.raises(OSError, match="Read-only file system"):
        (node.look(published) / "new").touch()


def test_publish_again_changes_nothing(node: Node, published: Path) -> None:
    before = [m for m in node.mounts() if m.point.startswith(str(published))]
    node.publish("archive", published)
    assert [m for m in node.mounts() if m.point.startswith(str(published))] == before


def test_unpublish_leaves_nothing(node: Node, published: Path) -> None:
    target = node.publish("archive")
    node.ready(target)
    node.unpublish("archive", target)
    assert not [m for m in node.mounts() if m.point.startswith(str(target))]
    assert not node.look(target).exists()
    node.unpublish("archive", target)
    assert (node.look(published) / "archive/orex/both.fits").read_text() == "mission"


def test_file_replaced_on_the_nas_is_seen(nas: Nas, node: Node, published: Path) -> None:
    """A directory of one source is the source itself: rsync's rename shows, without ESTALE."""
    seen = node.look(published) / "archive/pds4/bundle/product.xml"
    assert seen.read_text() == "<main/>"
    folder = Path("/run/lab/nas/pds-main/pds4/bundle")
    (folder / ".product.xml.new").write_text("<newer/>")
    (folder / ".product.xml.new").rename(folder / "product.xml")
    eventually("the new file is read", lambda: seen.read_text() == "<newer/>", PATIENCE)
    (folder / "product.xml").write_text("<main/>")
    eventually("the old content is read", lambda: seen.read_text() == "<main/>", PATIENCE)


def test_unknown_view_is_published_and_explained(node: Node) -> None:
    """A pod starts whatever is wrong with its archive; what is wrong stands in the archive's place."""
    target = node.publish("nobody-made-me")
    notice = node.look(target) / "ARCHIVE-UNAVAILABLE.txt"
    eventually("a notice", lambda: "nobody-made-me does not exist" in notice.read_text())
    node.unpublish("nobody-made-me", target)
    assert not node.look(target).exists()
