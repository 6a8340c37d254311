"""The pure parts of the node plugin: what shall be mounted, from what is known."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pdshub.api.view import RunAs
from pdshub.mount_rules import MountRules
from pdshub.node.hardening import SpecError
from pdshub.node.mount import mountinfo
from pdshub.node.reconcile.desired import tell, want
from pdshub.node.reconcile.plan import Actual, Attach, Build, Detach, Drop, LayerAt, Step, Switch, Want, plan
from pdshub.node.reconcile.view_health import Showing, health_document, view_document
from pdshub.node.report.server import is_operator
from pdshub.node.source.policy import Policy
from pdshub.node.source.source_mount import Lack, State, direct, mismatch
from pdshub.node.spec import Source, View, parse_view
from tests.unit.node.views import entry, layer, local, nfs

LAYERS = (LayerAt("s", "d", "0:1:2"),)
NEW, OLD, OTHER = ("0:9", "/"), ("0:8", "/"), ("0:7", "/x")
K = Want("k", LAYERS)
BUILD = Build("k", LAYERS)


@pytest.mark.parametrize(
    ("wants", "actual", "steps"),
    [
        pytest.param({}, Actual(), [], id="nothing"),
        pytest.param({"v/d": K}, Actual(), [BUILD], id="build before there is a target"),
        pytest.param({"v/d": K, "v/e": K}, Actual(), [BUILD], id="one content for two places is built once"),
        pytest.param({"v/d": Want("k", LAYERS, healthy=False)}, Actual(), [], id="not from a source that is away"),
        pytest.param({"v/d": K}, Actual({}, targets={"t": {}}), [BUILD], id="not attached before it is built"),
        pytest.param({"v/d": K}, Actual({"k": NEW}, targets={"t": {}}), [Attach("t", "v/d", "k")], id="attach"),
        pytest.param(
            {"v/d": Want("k", LAYERS, healthy=False)}, Actual({"k": NEW}, targets={"t": {}}), [],
            id="attach waits for health",
        ),
        pytest.param({"v/d": K}, Actual({"k": NEW}, targets={"t": {"v/d": (NEW,)}}), [], id="done"),
        pytest.param(
            {"v/d": K}, Actual({"k": NEW}, {"t": {"v/d": (OLD, NEW)}}, beneath=False), [],
            id="an old one below stays (before 6.5)",
        ),
        pytest.param(
            {"v/d": K}, Actual({"k": NEW}, {"t": {"v/d": (OLD, NEW)}}), [Detach("t", "v/d", False)],
            id="wanted again while its successor waited below",
        ),
        pytest.param(
            {"v/d": K}, Actual({"k": NEW}, targets={"t": {"v/d": (OLD,)}}), [Switch("t", "v/d", "k", 1)], id="switch"
        ),
        pytest.param(
            {"v/d": K}, Actual({"k": NEW}, targets={"t": {"v/d": (NEW, OLD)}}), [Detach("t", "v/d", False)],
            id="still held",
        ),
        pytest.param(
            {"v/d": K}, Actual({"k": NEW, "o": OLD}, targets={"t": {"v/d": (OLD,)}}),
            [Switch("t", "v/d", "k", 1), Drop("o")], id="the old entry goes, its copies live on",
        ),
        pytest.param(
            {"v/d": Want(None, reason="away")}, Actual({"o": OLD}, targets={"t": {"v/d": (OLD,)}}), [],
            id="unknown: what is there stays",
        ),
        pytest.param(
            {}, Actual({"o": OLD}, targets={"t": {"v/d": (OLD,)}}), [Detach("t", "v/d", False), Drop("o")], id="gone"
        ),
        pytest.param(
            {"v": K}, Actual({"k": NEW}, targets={"t": {"v/d": (OTHER,)}}), [Attach("t", "v", "k")],
            id="an outer tree is laid over the inner ones",
        ),
        pytest.param(
            {"v": K}, Actual({"k": NEW}, targets={"t": {"v/d": (OTHER,), "v": (NEW,)}}), [Detach("t", "v/d", False)],
            id="then these go",
        ),
        pytest.param(
            {"v/d": K, "v/e": Want(None)}, Actual({"k": NEW}, targets={"t": {"v": (OLD,)}}), [Attach("t", "v/d", "k")],
            id="inner trees are put below the outer one, which stays until all are there",
        ),
        pytest.param(
            {"v/a/d": Want("k", LAYERS, sub="a/d")}, Actual({"k": NEW}, targets={"t": {"v/a/d": (("0:9", "/a/d"),)}}),
            [], id="a part of a content",
        ),
        pytest.param(
            {"v": Want("k", LAYERS, waits=True)},
            Actual({"k": NEW}, {"t": {"v": (OLD,)}, "u": {"v/d": (OLD,)}, "w": {}}),
            [Attach("w", "v", "k")], id="not in another content's place while a source may be back in a moment",
        ),
        pytest.param(
            {"v": Want("k", LAYERS, placed=False)}, Actual({"k": NEW}, targets={"t": {"v": (OLD,)}}), [],
            id="built, but where it goes is not known yet",
        ),
        pytest.param(
            {}, Actual({}, targets={"t": {"v/d": (OLD,)}, "u": {}}), [Detach("t", "v/d", False)], id="there only"
        ),
    ],
)  # fmt: skip
def test_plan(wants: dict[str, Want], actual: Actual, steps: list[Step]) -> None:
    assert plan(wants, actual) == steps


def test_overdue_is_taken_away_lazily() -> None:
    actual = Actual({"k": NEW}, targets={"t": {"v/d": (NEW, OLD)}})
    assert plan({"v/d": K}, actual, {("t", "v/d")}) == [Detach("t", "v/d", True)]
    changed_again = Actual({"k": NEW}, {"t": {"v/d": (OTHER, OLD)}})
    assert plan({"v/d": K}, changed_again) == [Switch("t", "v/d", "k", 2)]
    assert plan({"v/d": K}, changed_again, {("t", "v/d")}) == [Detach("t", "v/d", True)]


MOUNTINFO = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:40 / /a\\040b\\134c ro,nosuid shared:5 master:2 - tmpfs pdshub:sbn rw,size=4k
32 30 0:42 /x /t rw - nfs4 nas:/pds ro,vers=4.2
31 32 0:41 / /t ro - overlay pdshub ro,lowerdir=/q
33 21 0:43 /gone//deleted /t rw unbindable - tmpfs tmpfs rw
nonsense
"""


def test_mountinfo() -> None:
    mounts = mountinfo.parse(MOUNTINFO)
    assert [m.id for m in mounts] == [21, 30, 32, 31, 33]
    assert mounts[1].point == "/a b\\c" and mounts[1].options == {"ro", "nosuid"} and mounts[1].fstype == "tmpfs"
    assert mounts[2].content == ("0:42", "/x")
    assert [m.id for m in mountinfo.stack(mounts[:4], "/t")] == [32, 31]
    reordered = [mounts[3], mounts[2]]
    assert [m.id for m in mountinfo.stack(reordered, "/t")] == [32, 31], "parents decide, not the order"
    assert mountinfo.top(mounts, "/nowhere") is None


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/srv/archive", True), ("/srv/archive/x", True), ("/srv/archives", False), ("/etc", False), ("/srv", False)],
)
def test_local_rules(path: str, allowed: bool) -> None:
    refusal = Policy(MountRules(local_prefixes=("/srv/archive",))).refusal(local("s", path))
    assert (not refusal) is allowed and (allowed or "allowedLocalPrefixes" in refusal)


def view_of(**spec: Any) -> dict[str, Any]:
    base = {"sources": [{"name": "m", "nfs": {"server": "nas", "export": "/pds"}}],
            "tree": [{"path": "d", "layers": [{"source": "m", "path": "d"}]}]}  # fmt: skip
    return {"metadata": {"name": "sbn", "generation": 3}, "spec": {**base, **spec}}


def test_parse_view() -> None:
    view = parse_view(view_of())
    assert view.folder == "sbn" and view.spec_generation == 3
    assert view.sources == (nfs("m", "nas", "/pds"),)
    assert view.tree == (entry("d", layer("m", "d")),) and view.at(view.tree[0]) == "sbn/d"
    root = parse_view(view_of(folder="all", tree=[{"path": ".", "layers": [{"source": "m"}]}]))
    assert root.at(root.tree[0]) == "all" and root.tree[0].layers[0].path == "."


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"tree": [{"path": "../x", "layers": [{"source": "m"}]}]}, "'..'"),
        ({"tree": [{"path": "/x", "layers": [{"source": "m"}]}]}, "relative"),
        ({"tree": [{"path": "x", "layers": [{"source": "m", "path": "a/../b"}]}]}, "'..'"),
        ({"tree": [{"path": "x", "layers": [{"source": "other"}]}]}, "'other'"),
        ({"tree": [{"path": "x", "layers": []}]}, "empty"),
        ({"tree": [{"path": p, "layers": [{"source": "m"}]} for p in ("a", "a/b")]}, "inside"),
        ({"tree": [{"path": p, "layers": [{"source": "m"}]} for p in (".", "b")]}, "inside"),
        ({"sources": [{"name": "m"}]}, "neither"),
        ({"sources": [{"name": "m", "nfs": {"server": "a,b", "export": "/x"}}]}, "host name"),
        ({"sources": [{"name": "m", "nfs": {"server": "a", "export": "x"}}]}, "absolute"),
        ({"folder": "a/b"}, "plain name"), ({"folder": ".x"}, "plain name"), ({"sources": 7}, "not an ArchiveView"),
    ],
)  # fmt: skip
def test_refused_views(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says.replace(".", r"\.")):
        parse_view(view_of(**spec))


A, B = nfs("a", "nas", "/a"), nfs("b", "nas", "/b")
VIEW = View("v", 1, "v", (A, B), (entry("d", layer("b", "x"), layer("a", "x")),))
READY = State(True, "kernel-nfs", "", 0, {".": "0:1:1", "x": "0:1:2"})


@pytest.mark.parametrize(
    ("states", "known", "healthy", "reason"),
    [
        ({"a": READY, "b": READY}, True, True, ""),
        ({"a": READY}, False, False, "source b: not looked at yet"),
        ({"a": READY, "b": State(False, "", "no answer", 0, READY.layers)}, True, False, "source b: no answer"),
        ({"a": READY, "b": State(True, "", "", 0, {"x": None})}, False, False, "source b: nas:/b has no directory x"),
        ({"a": READY, "b": State(True, "", "", 0, {})}, False, True, "source b: x not looked at yet"),
    ],
)
def test_wants(states: dict[str, State], known: bool, healthy: bool, reason: str) -> None:
    one = want(VIEW, VIEW.tree[0], states)
    assert (one.key is not None, one.healthy or one.pending, one.reason) == (known, healthy, reason)
    assert tell("v", {"v/d": one}, "", frozenset({"v/d"}), {}).pending is one.pending


OWN = Source(B.model.model_copy(update={"run_as": RunAs(uid=7, gid=8)}))
DIRECT = replace(READY, direct=True)
NOBODY, SEVEN = (65534, 65534), (7, 8)


@pytest.mark.parametrize(
    ("view", "layers", "states", "readers"),
    [
        pytest.param("v", [A], {"a": READY}, [NOBODY], id="nobody is named"),
        pytest.param("v", [OWN], {"b": READY}, [SEVEN], id="who is named"),
        pytest.param("v", [A], {"a": DIRECT}, [None], id="one layer that may be shown as it is"),
        pytest.param("v", [A, B], {"a": DIRECT, "b": DIRECT}, [NOBODY, NOBODY], id="two are merged as nobody"),
        pytest.param("v", [A, OWN], {"a": READY, "b": READY}, [NOBODY, SEVEN], id="each as its own"),
        pytest.param("v#sources", [A], {"a": READY}, [None], id="the surveyor reads as itself"),
        pytest.param("v#sources", [OWN], {"b": READY}, [SEVEN], id="or as who is named"),
        pytest.param("v#sources", [Source(A.model, (5, 6))], {"a": READY}, [(5, 6)], id="or by default"),
    ],
)
def test_who_reads(view: str, layers: list[Source], states: dict[str, State], readers: list[Any]) -> None:
    one = entry("d", *(layer(source.name, "x") for source in layers))
    assert [source.names_reader for source in layers] == [source.model.run_as is not None for source in layers]
    found = want(View(view, 1, "v", tuple(layers), (one,)), one, states)
    assert [at.run_as for at in found.layers] == readers
    other = Source(layers[0].model.model_copy(update={"run_as": RunAs(uid=9, gid=9)}))
    again = want(View(view, 1, "v", (other, *layers[1:]), (one,)), one, states)
    assert again.key != found.key, "another reader is another content"


@pytest.mark.parametrize(
    ("source", "mode", "direct_"),
    [
        (A, "kernel-nfs", False),
        (nfs("a", "nas", "/open/x"), "kernel-nfs", True),
        (A, "user-space-nfs", True),
        (OWN, "user-space-nfs", False),
        (local("l", "/srv/archive"), "local", True),
        (A, "", False),
    ],
)
def test_what_may_be_shown_as_it_is(source: Source, mode: str, direct_: bool) -> None:
    rules = [{"server": "nas", "exports": ["/"]}, {"server": "nas", "exports": ["/open"], "runAs": ["users"]}]
    assert direct(source, mode, Policy.parse({"archive": {"allowed": rules}})) is direct_


SECRET = "mount of nas7:/export7 (NFS 4.2) as 4711: Permission denied (/var/lib/kubelet/x)"
TOLD: list[tuple[State, str]] = [
    (State(), "is being connected"),
    (State(False, "kernel-nfs", SECRET), "is not reached"),
    (State(False, "kernel-nfs", SECRET, pending=True), "is being connected"),
    (State(False, "kernel-nfs", SECRET, away=True), "does not answer"),
    (State(False, "", SECRET, lack=Lack.REFUSED), "is not allowed by this installation"),
    (State(False, "local", SECRET, lack=Lack.WRONG), "is not the right export"),
    (State(False, "local", SECRET, lack=Lack.SILENT), "does not answer"),
    (State(True, "local", ""), ""),
    (State(True, "local", "", layers={"x": None}), ""),
]


@pytest.mark.parametrize(("state", "says"), TOLD)
def test_users_read_names_of_sources_alone(state: State, says: str) -> None:
    """Whatever a message holds, what is published beside the archive is made of other words."""
    raw = {"runAs": {"uid": 4711, "gid": 4711}, "nfs": {"server": "nas7", "export": "/export7"}, "name": "a"}
    document = view_of(sources=[raw], tree=[{"path": "d", "layers": [{"source": "a", "path": "x"}]}])
    view = parse_view(document)
    wanted = {"v/d": want(view, view.tree[0], {"a": state})}
    failed = {wanted["v/d"].key or "k": SECRET}
    story = tell("v", wanted, "", frozenset(), failed)
    health = health_document(story, {"a": state}, wanted, failed)
    told = json.dumps([health, story.notice, view_document("v", view, Showing())])
    assert not [word for word in ("nas7", "export7", "4711", "kubelet", "Permission") if word in told], told
    assert health["sources"]["a"]["message"] == says and (not says or f"source a {says}" in health["message"])
    refused = tell("v", {}, SECRET, frozenset(), {}, refused=True)
    assert refused.message == SECRET and SECRET not in refused.notice + refused.told


def test_order_and_repetition_of_layers() -> None:
    states = {"a": READY, "b": READY}
    one = want(VIEW, VIEW.tree[0], states)
    assert [layer.source for layer in one.layers] == [B.digest, A.digest], "the winner first"
    turned = want(VIEW, entry("d", *VIEW.tree[0].layers[::-1]), states)
    twice = want(VIEW, entry("d", *VIEW.tree[0].layers, VIEW.tree[0].layers[0]), states)
    assert turned.key != one.key and twice.key == one.key


def test_story() -> None:
    wanted = {"v/a": K, "v/b": Want(None, reason="source b: away")}
    story = tell("v", wanted, "", frozenset({"v/a"}), {})
    assert not story.ready and story.message == "source b: away"
    assert "/v/b is not there" in story.notice and "/v/a" not in story.notice
    assert tell("v", {"v/a": K}, "", frozenset({"v/a"}), {}).ready
    assert tell("v", {"v/a": K}, "", frozenset(), {"k": "mounting failed: x"}).message == "mounting failed: x"


def line(fstype: str, source: str, options: str, more: str) -> mountinfo.Mount:
    return mountinfo.parse(f"5 1 0:9 / /m {options} - {fstype} {source} {more}")[0]


@pytest.mark.parametrize(
    ("mount", "says"),
    [
        (line("nfs4", "nas:/a", "ro,nosuid,nodev", "ro,vers=4.2,port=2049,soft"), ""),
        (line("nfs4", "nas:/a", "ro,nosuid,nodev", "ro,vers=4.2,soft"), ""),
        (line("fuse.pdshub-nfs", "nas:/a", "ro,nosuid,nodev", "ro,user_id=0"), ""),
        (line("nfs4", "nas:/a", "rw,nosuid,nodev", "rw,vers=4.2"), "lacks ro"),
        (line("nfs4", "nas:/b", "ro,nosuid,nodev", "ro,vers=4.2"), "shows nas:/b"),
        (line("nfs4", "nas:/a", "ro,nosuid,nodev", "ro,vers=4.1"), ""),
        (line("nfs4", "nas:/a", "ro,nosuid,nodev", "ro,vers=4.0,clientaddr=0.0.0.0"), ""),
        (line("nfs4", "nas:/a", "ro,nosuid,nodev", "ro,vers=3"), "NFS 3"),
        (line("nfs4", "nas:/a", "ro,nosuid,nodev", "ro,vers=4.2,port=20"), "port 20"),
        (line("tmpfs", "nas:/a", "ro,nosuid,nodev", "ro"), "type tmpfs"),
    ],
)
def test_what_is_mounted_is_not_trusted(mount: mountinfo.Mount, says: str) -> None:
    found = mismatch(A, mount)
    assert says in found and bool(found) == bool(says)


def test_only_the_operator_reads_the_report() -> None:
    assert is_operator({"subject": ((("commonName", "pdshub-operator"),),)})
    assert not is_operator({"subject": ((("commonName", "pdshub-node"),),)})
    assert not is_operator(None)
