"""What an installation lets nodes mount, and read as whom: one rule for the operator and the nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pdshub.api.view import Source
from pdshub.installation import Allowed, refusal
from pdshub.mount_rules import MountRules, clean, matches
from pdshub.node.hardening import SpecError
from pdshub.node.source.policy import Policy, PolicyFile
from pdshub.node.spec import parse_view
from tests.unit.node.views import nfs

CASES = [
    ("nas.example.org", "nas.example.org", True),
    ("NAS.example.org.", "nas.example.org", True),
    ("nas.example.org", "NAS.example.org.", True),
    ("evilnas.example.org", "nas.example.org", False),
    ("a.nas.example.org", "*.nas.example.org", True),
    ("nas.example.org", "*.nas.example.org", False),
    ("evilnas.example.org", "*.nas.example.org", False),
    ("nas1", "nas*", False),
    ("nas", "n?s", False),
    ("10.0.0.7", "10.0.0.7", True),
    ("10.0.0.7", "10.0.0.0/24", True),
    ("10.0.1.7", "10.0.0.0/24", False),
    ("10.0.0.7", "*.0.0.7", False),
    ("10.0.0.7", "nas", False),
    ("10.0.0.7", "not/a/range", False),
    ("nas.example.org", "10.0.0.0/8", False),
    ("fd00::7", "fd00::/64", True),
    ("[fd00::7]", "fd00::/64", True),
    ("[fd00::7]", "[fd00::7]", True),
    ("", "*.x", False),
]
ARCHIVE: dict[str, Any] = {
    "allowed": [
        {"server": "nas", "exports": ["/volume1/pds/", "/srv/./a"], "runAs": [1000, "2000-2999:100", "5:6"]},
        {"server": "nas", "exports": ["/volume1/pds/open"], "runAs": [7, "users"]},
        {"server": "10.0.0.0/8", "exports": ["/"], "runAs": [0]},
        {"server": "old", "exports": ["/"]},
    ],
    "allowedLocalPrefixes": ["/srv/archive"],
}
Ids = tuple[int, int] | None
RULED: list[tuple[str, str, Ids, str]] = [
    ("nas", "/volume1/pds", None, ""),
    ("nas", "/volume1/pds/", None, ""),
    ("nas", "/volume1//pds/./sbn", None, ""),
    ("nas", "/srv/a/b", None, ""),
    ("nas", "/volume1/pdsx", None, "export /volume1/pdsx"),
    ("nas", "/volume1", None, "export /volume1 "),
    ("nas", "/", None, "export / "),
    ("nas", "/volume1/pds/../homes", None, "export /volume1/pds/../homes"),
    ("nas", "volume1/pds", None, "export volume1/pds"),
    ("nas", "/homes", (1000, 1000), "export /homes"),
    ("other", "/volume1/pds", None, "NFS server other"),
    ("10.1.2.3", "/homes", None, ""),
    ("nas", "/volume1/pds", (65534, 65534), ""),
    ("nas", "/volume1/pds", (1000, 1000), ""),
    ("nas", "/volume1/pds", (1000, 100), "uid 1000, gid 100"),
    ("nas", "/volume1/pds", (2500, 100), ""),
    ("nas", "/volume1/pds", (2500, 2500), "uid 2500, gid 2500"),
    ("nas", "/volume1/pds", (3000, 100), "uid 3000, gid 100"),
    ("nas", "/volume1/pds", (5, 6), ""),
    ("nas", "/volume1/pds", (7, 7), "uid 7, gid 7"),
    ("nas", "/volume1/pds/open/x", (7, 7), ""),
    ("nas", "/volume1/pds", (0, 0), "add 0:0 to the runAs"),
    ("nas", "/volume1/pds", (1000, 0), "uid 1000, gid 0"),
    ("nas", "/volume1/pds", (0, 1000), "uid 0, gid 1000"),
    ("10.1.2.3", "/x", (0, 0), ""),
    ("10.1.2.3", "/x", (0, 5), "uid 0, gid 5"),
    ("10.1.2.3", "/x", (1000, 1000), "uid 1000"),
    ("old", "/x", (1000, 1000), "uid 1000"),
]
REFUSED_RULES: list[tuple[str, Any]] = [
    ("no exports", {"allowed": [{"server": "nas"}]}),
    ("an empty list of exports", {"allowed": [{"server": "nas", "exports": []}]}),
    ("no server", {"allowed": [{"exports": ["/x"]}]}),
    ("a word of its own", {"allowed": [{"server": "nas", "exports": ["/x"], "uids": [1]}]}),
    ("a text", {"allowed": ["nas"]}),
    ("relative", {"allowed": [{"server": "nas", "exports": ["x"]}]}),
    ("up and down", {"allowed": [{"server": "nas", "exports": ["/x/../y"]}]}),
    *(
        (f"runAs {item!r}", {"allowed": [{"server": "nas", "exports": ["/x"], "runAs": [item]}]})
        for item in ("root", "", "-1", "0-100", "5:0-9", "9-5", "1:2:3", True, 1.5, "99999999999", 2**31, None)
    ),
    ("root by default", {"defaultRunAs": {"uid": 0}}),
    ("root's group by default", {"defaultRunAs": {"uid": 5, "gid": 0}}),
]


def model(server: str, export: str, run_as: Ids) -> Source:
    """A source as an older API server may have let it through."""
    raw: dict[str, Any] = {"name": "s", "nfs": {"server": server, "export": "/"}}
    made = Source.model_validate(raw | ({"runAs": {"uid": run_as[0], "gid": run_as[1]}} if run_as else {}))
    assert made.nfs
    return made.model_copy(update={"nfs": made.nfs.model_copy(update={"export": export})})


@pytest.mark.parametrize(("server", "rule", "allowed"), CASES)
def test_one_rule_for_operator_and_node(server: str, rule: str, allowed: bool) -> None:
    assert matches(server, rule) is allowed
    archive = {"allowed": [{"server": rule, "exports": ["/"]}]}
    assert (not Policy.parse({"archive": archive}).refusal(nfs("s", server))) is allowed
    if server:
        source = Source.model_validate({"name": "s", "nfs": {"server": server, "export": "/pds"}})
        said = refusal(source, Allowed.model_validate(archive))
        assert (not said) is allowed
        assert allowed or "archive.allowed " in said


@pytest.mark.parametrize(("server", "export", "run_as", "says"), RULED)
def test_server_export_and_reader(server: str, export: str, run_as: Ids, says: str) -> None:
    allowed, rules = Allowed.model_validate(ARCHIVE), MountRules.parse(ARCHIVE)
    assert allowed.rules == rules
    said = rules.refusal(server=server, export=export, run_as=run_as)
    assert said == refusal(model(server, export, run_as), allowed).removeprefix("source s: ")
    assert bool(said) is bool(says) and says in said
    assert not said or "archive.allowed of" in said, "it says where that is changed"


def test_without_a_rule_nothing_is_allowed() -> None:
    source = Source.model_validate({"name": "s", "nfs": {"server": "nas", "export": "/pds"}})
    assert refusal(source, Allowed()) and Policy().refusal(nfs("s", "nas"))


@pytest.mark.parametrize(
    ("path", "run_as", "says"),
    [
        ("/srv/archive/x", None, ""),
        ("/srv/archive", (1000, 1000), ""),
        ("/srv/archive", (0, 1000), "as root"),
        ("/srv/archive", (1000, 0), "as root"),
        ("/srv/archives", None, "archive.allowedLocalPrefixes"),
    ],
)
def test_local_directories(path: str, run_as: Ids, says: str) -> None:
    said = MountRules.parse(ARCHIVE).refusal(local=path, run_as=run_as)
    assert says in said and bool(said) is bool(says)


@pytest.mark.parametrize(("export", "direct"), [("/volume1/pds", False), ("/volume1/pds/open", True), ("/x", False)])
def test_users_read_as_themselves_only_where_it_is_said(export: str, direct: bool) -> None:
    assert MountRules.parse(ARCHIVE).read_by_users(server="nas", export=export) is direct


@pytest.mark.parametrize("archive", [c[1] for c in REFUSED_RULES], ids=[c[0] for c in REFUSED_RULES])
def test_a_rule_that_is_none_is_refused(archive: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((ValueError, TypeError)):
        MountRules.parse(archive)
    with pytest.raises(ValidationError):
        Allowed.model_validate(archive)
    file = tmp_path / "installation.yaml"
    file.write_text(json.dumps({"archive": {"allowed": ARCHIVE["allowed"][2:], **archive}}))
    assert PolicyFile(file).current() == Policy(), "a node with a broken file mounts nothing"


@pytest.mark.parametrize(
    ("export", "run_as", "allowed"),
    [
        ("/volume1/pds", None, True),
        ("/volume1/pds//x", None, True),
        ("/volume1/pds/../homes", None, None),
        ("/homes", None, False),
        ("/volume1/pds", {"uid": 0, "gid": 0}, False),
        ("/volume1/pds", {"uid": 1000, "gid": 1000}, True),
    ],
)
def test_the_node_judges_what_it_mounts(export: str, run_as: Any, allowed: bool | None) -> None:
    """A view as the API server has it, not as the operator's models would let it through."""
    source = {"name": "s", "nfs": {"server": "nas", "export": export}, **({"runAs": run_as} if run_as else {})}
    document = {
        "metadata": {"name": "v"},
        "spec": {"sources": [source], "tree": [{"layers": [{"source": "s"}], "path": "."}]},
    }
    policy = Policy.parse({"archive": ARCHIVE})
    if allowed is None:
        with pytest.raises(SpecError):
            parse_view(document, policy.default_run_as)
        return
    found = parse_view(document, policy.default_run_as).source("s")
    assert (not policy.refusal(found)) is allowed and found.run_as == (
        (run_as["uid"], run_as["gid"]) if run_as else (65534, 65534)
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/a", "/a"),
        ("//a/./b/", "/a/b"),
        ("a", None),
        ("", None),
        ("/a/..", None),
        ("/a/..b", "/a/..b"),
        ("/a\n", None),
    ],
)
def test_clean(path: str, expected: str | None) -> None:
    assert clean(path) == expected
