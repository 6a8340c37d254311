"""Which NFS servers an installation allows."""

from __future__ import annotations

import pytest

from pdshub.api.view import Source
from pdshub.installation import Allowed, refusal
from pdshub.mount_rules import matches
from pdshub.node.source.policy import Policy
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


@pytest.mark.parametrize(("server", "rule", "allowed"), CASES)
def test_one_rule_for_operator_and_node(server: str, rule: str, allowed: bool) -> None:
    assert matches(server, rule) is allowed
    assert (not Policy(servers=(rule,)).refusal(nfs("s", server))) is allowed
    if server:
        source = Source.model_validate({"name": "s", "nfs": {"server": server, "export": "/pds"}})
        said = refusal(source, Allowed(allowed_servers=[rule]))
        assert (not said) is allowed
        assert allowed or "archive.allowedServers" in said


def test_without_a_rule_nothing_is_allowed() -> None:
    source = Source.model_validate({"name": "s", "nfs": {"server": "nas", "export": "/pds"}})
    assert refusal(source, Allowed()) and Policy().refusal(nfs("s", "nas"))
