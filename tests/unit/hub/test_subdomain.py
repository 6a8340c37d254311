"""Host names of users' servers: valid, nobody else's, and what JupyterHub itself makes of them."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.unit.hub.name_cases import NORMAL

jupyterhub = pytest.importorskip("jupyterhub")

from jupyterhub.utils import subdomain_hook_idna  # noqa: E402

from pdshub_hub import subdomain  # noqa: E402

DOMAIN = "hub.example.org"
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1035, section 2.3.1, as RFC 1123 widened it."""

NAMES: dict[str, str] = {
    "ada": "ada",
    "ada-2": "ada-2",
    "a": "a",
    "www": "www",
    "a" * 40: "a" * 40,
    "a" * 41: "u-aaaaaaaaaaaaaaaa--",
    "a-" * 39 + "a": "u-aaaaaaaaaaaaaaaa--",
    "o'brien+pds@example.org": "u-obrienpdsexample--",
    "ada@example.org": "u-adaexampleorg--",
    "ada--b": "u-adab--",
    "-ada": "u-ada--",
    "ada-": "u-ada--",
    "2001": "u-2001--",
    "1a": "u-1a--",
    "xn--ada-x": "u-xnadax--",
    "ada_b": "u-adab--",
    "ada.b": "u-adab--",
    "%2e.a": "u-2ea--",
    "Ada": "u-ada--",
    "ÀDÁ": "u-d--",
    "١٢٣": "u-x--",
    "'+@": "u-x--",
    "u-obrienpdsexample--" + "a" * 26: "u-uobrienpdsexampl--",
}
"""A name, and its label; of one that ends with -- the digest follows."""


@pytest.mark.parametrize("name", NAMES)
def test_the_label_of_a_name(name: str) -> None:
    found, wanted = subdomain.label(name), NAMES[name]
    assert LABEL.fullmatch(found) and len(found) <= 47
    assert found[2:4] != "--", "kept for international names"
    if wanted.endswith("--"):
        assert re.fullmatch(re.escape(wanted) + r"[a-z2-7]{26}", found), found
    else:
        assert found == wanted


def test_no_two_names_have_one_label() -> None:
    names = {*NAMES, *NORMAL.values(), *(f"ada+{n}@example.org" for n in range(5000))}
    assert len({subdomain.label(name) for name in names}) == len(names)


def test_services_have_names_of_their_own() -> None:
    hosts = [subdomain.host(name, DOMAIN, kind) for name in (*NAMES, "x") for kind in ("user", "service")]
    assert len(set(hosts)) == len(hosts) and all(host.endswith(f".{DOMAIN}") for host in hosts)


def test_jupyterhubs_own_hook_gives_one_name_to_two_people_who_can_be_found() -> None:
    """Why the hook is not JupyterHub's: 28 bits. Two names with one digest of 7 hexadecimal digits, by counting up."""
    seen: dict[str, str] = {}
    for n in range(200_000):
        name = f"rootadmin+{n}@gmail.com"
        short = hashlib.sha256(name.encode()).hexdigest()[:7]
        if short in seen:
            pair = seen[short], name
            break
        seen[short] = name
    assert subdomain_hook_idna(pair[0], DOMAIN, "user") == subdomain_hook_idna(pair[1], DOMAIN, "user")
    assert subdomain.host(pair[0], DOMAIN, "user") != subdomain.host(pair[1], DOMAIN, "user")
