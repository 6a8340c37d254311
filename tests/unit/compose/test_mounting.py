"""The archive of one machine, for real: surveyed by ``pdshub-survey``, mounted over its sources, switched while in use.

In a mount namespace of its own; a container that follows the folder (``rslave``) is another one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pdshub.compose.generations import Store
from pdshub.compose.text import ExportError, plain_yaml
from tests.unit.surveyor.support import archive, needs_mkfs

ROOT = Path(__file__).parents[3]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount")
PROGRAM = f"{sys.executable} -m pdshub.compose.main"
NOTHING_LEFT = '! grep -q "$DIR/mnt" /proc/self/mountinfo'


def export(tmp_path: Path, **more: Any) -> Path:
    """The folder of an export, as far as the archive goes, and two sources on this machine."""
    sources = tmp_path / "nas"
    sources.mkdir()
    archive(sources)
    (sources / "extra" / "x").mkdir()
    (sources / "extra" / "x" / "more.txt").write_text("more")
    spec: dict[str, Any] = {
        "folder": "sbn",
        "sources": [{"name": name, "local": {"path": str(sources / name)}} for name in ("main", "extra")],
        "tree": [
            {"path": "a", "layers": [{"source": "main"}, {"source": "extra", "path": "x"}]},
            {"path": "b", "layers": [{"source": "extra", "path": "y"}]},
        ],
        "authority": {"settleSeconds": 0},
        **more,
    }
    folder = tmp_path / "hub"
    (folder / "archive" / "generations").mkdir(parents=True)
    # others than root read what is on the way to the sources
    for path in (tmp_path, *tmp_path.parents):
        if path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    view = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView", "metadata": {"name": "sbn"}, "spec": spec}
    (folder / "archive" / "view.yaml").write_text(plain_yaml(view))
    return folder


def apart(folder: Path, script: str) -> dict[str, str]:
    """Runs a script in a mount namespace of its own. Lines ``KEY VALUE`` that it prints."""
    env = {**os.environ, "DIR": str(folder), "PDSHUB": PROGRAM, "NAS": str(folder.parent / "nas"),
           "PYTHONPATH": str(ROOT / "operator")}  # fmt: skip
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "bash", "-euc", script],
        env=env, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if line[:1].isupper() and " " in line)


FIRST = "cd $DIR; $PDSHUB archive mount .; "


@needs_root
def test_before_a_survey_people_see_the_union_of_the_sources(tmp_path: Path) -> None:
    found = apart(
        export(tmp_path),
        FIRST
        + """A=$DIR/mnt/archive/sbn
        echo HELLO $(cat $A/a/x/data/p.dat); echo UNDER $(cat $A/a/more.txt); echo SECOND $(cat $A/b/readme.txt)
        echo WRITE $(touch $A/a/new 2>&1 || true)
        $PDSHUB archive mount . >/dev/null; echo AGAIN $(grep -c "$A" /proc/self/mountinfo)
        $PDSHUB archive unmount . >/dev/null; """
        + NOTHING_LEFT
        + "; echo GONE $(ls $A/a | wc -l)",
    )
    assert (found["HELLO"], found["UNDER"], found["SECOND"]) == ("hello", "more", "read me")
    assert "Read-only" in found["WRITE"] and found["AGAIN"] == "2" and found["GONE"] == "0"


@needs_root
@needs_mkfs
def test_a_survey_makes_a_generation_that_is_mounted(tmp_path: Path) -> None:
    folder = export(tmp_path)
    found = apart(
        folder,
        FIRST
        + """$PDSHUB archive survey . --now >/dev/null
        echo FORM $($PDSHUB archive mount .)
        A=$DIR/mnt/archive/sbn
        echo HELLO $(cat $A/a/x/data/p.dat); echo SECOND $(cat $A/b/readme.txt)
        echo TYPE $(findmnt -n -o FSTYPE $A); echo OPTIONS $(findmnt -n -o VFS-OPTIONS $A)
        echo SOURCE $(findmnt -n -o SOURCE $A)
        echo LEFT $(ls $DIR/mnt)
        $PDSHUB archive unmount . >/dev/null; """
        + NOTHING_LEFT,
    )
    assert (found["HELLO"], found["SECOND"], found["TYPE"]) == ("hello", "read me", "overlay")
    assert {"ro", "nosuid", "nodev"} <= set(found["OPTIONS"].split(","))
    assert found["SOURCE"].startswith(f"pdshub-generation:{Store(folder).current()}")
    assert "catalog" in found["FORM"] and "build" not in found["LEFT"]


@needs_root
@needs_mkfs
def test_a_container_that_runs_sees_the_next_generation(tmp_path: Path) -> None:
    """It bound the folder when it started, as Docker does with ``rslave``; what was open stays open."""
    found = apart(
        export(tmp_path),
        FIRST
        + """$PDSHUB archive survey . --now >/dev/null; $PDSHUB archive mount . >/dev/null
        mkfifo go; exec 7<>go
        unshare -m --propagation slave bash -euc '
          A=mnt/archive/sbn/a/x/data; exec 5<$A/f0.dat; echo ready > ready
          read -r _ <&7
          echo "OPEN $(cat <&5)"; echo "NEW $(cat $A/new.dat)"
          echo "MOUNTS $(grep -c " $PWD/mnt/archive/sbn " /proc/self/mountinfo)"
        ' & container=$!
        while [ ! -e ready ]; do sleep 0.1; done
        echo later > $NAS/main/x/data/new.dat; touch -d 2020-01-01 $NAS/main/x/data/new.dat
        $PDSHUB archive survey . --now >/dev/null
        $PDSHUB archive mount . >/dev/null
        echo KEPT $(ls archive/generations | grep -cv current)
        echo go >&7; wait $container""",
    )
    assert (found["OPEN"], found["NEW"], found["MOUNTS"], found["KEPT"]) == ("content 0", "later", "1", "2")


@needs_root
@needs_mkfs
def test_a_view_that_waits_for_approval_waits(tmp_path: Path) -> None:
    folder = export(tmp_path, release="approve")
    apart(
        folder,
        FIRST
        + """$PDSHUB archive survey . --now; echo x > $NAS/main/x/data/new.dat
        touch -d 2020-01-01 $NAS/main/x/data/new.dat
        $PDSHUB archive survey . --now > said; grep -q waits said""",
    )
    store = Store(folder)
    first = store.current()
    (waits,) = set(store.kept()) - {first}
    store.release(waits[:12])
    assert store.current() == waits
    store.release(first[:12])
    assert store.current() == first, "and back"


@needs_root
@needs_mkfs
def test_a_survey_that_lost_too_much_changes_nothing(tmp_path: Path) -> None:
    folder = export(tmp_path)
    apart(
        folder,
        FIRST
        + """$PDSHUB archive survey . --now >/dev/null; rm -r $NAS/main/x
        code=0; $PDSHUB archive survey . --now || code=$?; [ $code = 3 ]""",
    )
    assert len(Store(folder).kept()) == 1
    apart(folder, FIRST + "$PDSHUB archive survey . --now --accept-shrink")
    assert len(Store(folder).kept()) == 2


@needs_root
@needs_mkfs
def test_an_image_that_was_changed_is_not_mounted(tmp_path: Path) -> None:
    folder = export(tmp_path)
    apart(
        folder,
        FIRST
        + """$PDSHUB archive survey . --now >/dev/null
        echo x >> archive/generations/current/catalog.erofs
        ! $PDSHUB archive mount . 2> error; grep -q "not what its manifest says" error""",
    )


@needs_root
@needs_mkfs
def test_live_entries_lie_on_the_catalog(tmp_path: Path) -> None:
    tree = [
        {"path": "a", "layers": [{"source": "main"}]},
        {"path": "b", "live": True, "layers": [{"source": "extra", "path": "y"}]},
    ]
    found = apart(
        export(tmp_path, tree=tree),
        FIRST
        + """$PDSHUB archive survey . --now >/dev/null
        for turn in 1 2; do $PDSHUB archive mount . >/dev/null; done
        A=mnt/archive/sbn; echo now > $NAS/extra/y/now.txt
        echo LIVE $(cat $A/b/now.txt); echo HELLO $(cat $A/a/x/data/p.dat)
        $PDSHUB archive unmount . >/dev/null; """
        + NOTHING_LEFT,
    )
    assert (found["LIVE"], found["HELLO"]) == ("now", "hello")


@pytest.mark.parametrize(
    "content",
    [
        "kind: PDSHub",
        "{",
        "apiVersion: pdshub.dev/v1alpha1\nkind: ArchiveView\nmetadata: {name: ../../etc}\nspec: {}",
        "apiVersion: pdshub.dev/v1alpha1\nkind: ArchiveView\nmetadata: {name: a/b}\nspec: {}",
        "apiVersion: pdshub.dev/v1alpha1\nkind: ArchiveView\nmetadata: {name: sbn}\nspec: {sources: []}",
    ],
)
def test_a_view_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "view.yaml").write_text(content)
    with pytest.raises(ExportError):
        Store(tmp_path).view()


@pytest.mark.parametrize("name", ["../..", "current", "0" * 11, "0" * 65, "ABCDEF012345", ""])
def test_a_generation_is_named_by_digits(name: str, tmp_path: Path) -> None:
    (tmp_path / "archive" / "generations" / ("0" * 64)).mkdir(parents=True)
    with pytest.raises(ExportError):
        Store(tmp_path).release(name)


def test_a_link_that_leads_elsewhere_is_no_generation(tmp_path: Path) -> None:
    kept = tmp_path / "archive" / "generations"
    kept.mkdir(parents=True)
    (kept / "current").symlink_to("/etc")
    assert Store(tmp_path).current() == "" and Store(tmp_path).kept() == []


def test_manifests_are_read_as_they_are_written(tmp_path: Path) -> None:
    folder = export(tmp_path)
    assert json.loads(json.dumps(Store(folder).view().manifest()))["spec"]["folder"] == "sbn"
