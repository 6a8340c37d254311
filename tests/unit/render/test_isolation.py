"""spec.isolation: which hubs it may be asked of, the values of both charts, and what takes it back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from pdshub.api import hub_isolation
from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Defaults, Installation
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.hub.judge_values import judge_values
from pdshub.render import isolation
from pdshub.render.chart import choose
from pdshub.render.merge import merge
from pdshub.render.names import Names
from pdshub.render.values import rendered

HOST = "hub.example.org"
AIRGAP = Defaults.model_validate({"chart": {"source": "Airgap"}})
HOSTS: list[tuple[str | None, str]] = [
    (HOST, ""),
    ("a.bc", ""),
    ("hub.localhost", ""),
    ("x" * 63 + "." + "y" * 63 + "." + "z" * 61, ""),
    (None, hub_isolation.NO_HOSTNAME),
    ("hub", hub_isolation.NO_ROOM_BELOW),
    ("192.0.2.1", hub_isolation.NO_ROOM_BELOW),
    ("hub..org", hub_isolation.NO_ROOM_BELOW),
    ("-hub.org", hub_isolation.NO_ROOM_BELOW),
    ("x" * 64 + ".org", hub_isolation.NO_ROOM_BELOW),
    (".".join(["x" * 60] * 3) + ".example", hub_isolation.NO_ROOM_BELOW),
]


def document(**fields: Any) -> dict[str, Any]:
    return {"signIn": {"development": {}}, **fields}


def spec(way: str = "Subdomain", **fields: Any) -> PDSHubSpec:
    return PDSHubSpec.model_validate(document(hostname=HOST, isolation=way, **fields))


@pytest.mark.parametrize(("hostname", "says"), HOSTS)
def test_which_hubs_can_have_names_below_theirs(hostname: str | None, says: str) -> None:
    assert hub_isolation.trouble("Subdomain", hostname) == says
    assert hub_isolation.trouble("Path", hostname) == ""
    if says and (hostname is None or re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", hostname)):
        with pytest.raises(ValidationError, match=r"isolation Subdomain needs .*hostname.* set isolation to Path"):
            PDSHubSpec.model_validate(document(isolation="Subdomain", **({"hostname": hostname} if hostname else {})))


def test_a_hub_that_says_nothing_is_as_hubs_were() -> None:
    made = PDSHubSpec.model_validate(document(hostname=HOST))
    assert made.isolation == "Path" and isolation.hub(made) == {} == isolation.proxy(made)
    values = rendered(made, AIRGAP, choose(made.chart, AIRGAP.chart, "/x", "0.1.0", "a"), Names("ns", "demo"))
    assert "extraCommandLineFlags" not in values["proxy"]["chp"]
    assert not {"subdomain_host", "cookie_host_prefix_enabled"} & values["hub"]["config"]["JupyterHub"].keys()


@pytest.mark.parametrize("source", ["Repository", "Airgap"])
def test_both_charts_get_the_same(source: str) -> None:
    made = spec()
    defaults = Defaults.model_validate({"chart": {"source": source}})
    values = rendered(made, defaults, choose(made.chart, defaults.chart, "/x", "0.1.0", "a"), Names("ns", "demo"))
    assert values["proxy"]["chp"]["extraCommandLineFlags"] == ["--host-routing"]
    hub = values["hub"]["config"]["JupyterHub"]
    assert (hub["subdomain_host"], hub["cookie_host_prefix_enabled"]) == (f"https://{HOST}", True)
    assert values["singleuser"]["extraLabels"]["hub.jupyter.org/network-access-hub"] == "true"


def test_google_sends_people_back_to_the_hubs_own_name() -> None:
    google = {"google": {"clientId": "id", "clientSecretRef": {"name": "s", "key": "k"}}}
    made = spec(signIn=google)
    values = rendered(made, AIRGAP, choose(made.chart, AIRGAP.chart, "/x", "0.1.0", "a"), Names("ns", "demo"))
    back = values["hub"]["config"]["GoogleOAuthenticator"]["oauth_callback_url"]
    assert back == f"https://{HOST}/hub/oauth_callback"


def hub(**traits: Any) -> dict[str, Any]:
    return {"hub": {"config": {"JupyterHub": traits}}}


def flags(*given: str) -> dict[str, Any]:
    return {"proxy": {"chp": {"extraCommandLineFlags": list(given)}}}


BACK: list[tuple[str, dict[str, Any], str]] = [
    ("nothing", {}, ""),
    ("more flags", flags("--log-level=debug", "--host-routing"), ""),
    ("another host", hub(subdomain_host="https://other.example.org"), "hub.config.JupyterHub.subdomain_host"),
    ("no host", hub(subdomain_host=""), "hub.config.JupyterHub.subdomain_host"),
    ("no prefix", hub(cookie_host_prefix_enabled=False), "JupyterHub.cookie_host_prefix_enabled"),
    ("old names", hub(subdomain_hook="legacy"), "would give two people one name"),
    ("flags replaced", flags("--log-level=debug"), "add --host-routing to yours"),
    ("no flags", {"proxy": {"chp": {"extraCommandLineFlags": None}}}, "add --host-routing to yours"),
    ("no map", {"hub": {"config": {"JupyterHub": "x"}}}, "subdomain_host"),
]


@pytest.mark.parametrize(("given", "says"), [case[1:] for case in BACK], ids=[case[0] for case in BACK])
def test_values_that_take_it_back_are_refused(given: dict[str, Any], says: str) -> None:
    made = spec(values=given)
    found = judge_values(
        made, Names("ns", "demo"), None, Installation(defaults=AIRGAP), BundledChart("/x", "0.1.0", "a"), True
    )
    if says:
        assert found.refused[0] == "ValuesRefused" and says in found.refused[1]
        assert "spec.values." in found.refused[1]
    else:
        assert found.refused == ("", "") and isolation.judge(found.values).isolated


BY_VALUES: list[tuple[str, dict[str, Any], bool]] = [
    ("nothing", {}, False),
    ("by hand", merge(hub(subdomain_host="https://h.example.org"), flags("--host-routing")), True),
    ("no routing", hub(subdomain_host="https://h.example.org"), False),
    ("routing alone", flags("--host-routing"), False),
    ("nonsense", {"hub": "x", "proxy": ["y"]}, False),
]


@pytest.mark.parametrize(("given", "isolated"), [c[1:] for c in BY_VALUES], ids=[c[0] for c in BY_VALUES])
def test_what_the_condition_says_goes_by_the_values(given: dict[str, Any], isolated: bool) -> None:
    found = isolation.judge(given)
    assert found.isolated is isolated
    assert found.reason == (isolation.SUBDOMAIN if isolated else isolation.SHARED)
    if not isolated:
        assert "an admin too" in found.message and "isolation: Subdomain" in found.message
