"""Which values open a sign-in, and which let code decide: tables over whole documents, as Helm would get them."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Defaults
from pdshub.render import values
from pdshub.render.chart import ChartRef
from pdshub.render.names import Names
from pdshub.render.signin import DEVELOPMENT_CLASS, GOOGLE_CLASS
from pdshub.render.signin_rules import Verdict, judge

NAMES = Names("ns", "demo")
CHART = ChartRef("Repository", "jupyterhub", "https://charts.example.org", "4.4.0", "x@4.4.0")
OLD = ChartRef("Repository", "jupyterhub", "https://charts.example.org", "3.3.8", "x@3.3.8")
GOOGLE: dict[str, Any] = {"google": {"clientId": "id", "clientSecretRef": {"name": "oauth", "key": "k"}}}
CODE = "spec.values.hub.config.JupyterHub.authenticator_class"


def verdict(given: dict[str, Any], chart: ChartRef = CHART, **spec: Any) -> Verdict:
    """What values make of a hub with Google's sign-in and one user, unless told otherwise."""
    users = {"allowed": ["ada@example.org"]}
    parsed = PDSHubSpec.model_validate({"signIn": GOOGLE, "users": users, **spec, "values": given})
    rendered = values.rendered(parsed, Defaults(), chart, NAMES)
    return judge(rendered, values.laid_over(rendered, parsed, chart, NAMES), chart)


def config(**sections: Any) -> dict[str, Any]:
    return {"hub": {"config": sections}}


def by_class(name: Any) -> dict[str, Any]:
    return config(JupyterHub={"authenticator_class": name})


OPEN: list[tuple[str, dict[str, Any], str]] = [
    *((f"class {name}", by_class(name), "authenticator_class") for name in (
        "dummy", "Dummy", " dummy", "null", "tmp", "shared-password", "firstuse", "jupyterhub.auth.DummyAuthenticator",
        "jupyterhub.authenticators.shared.SharedPasswordAuthenticator", "tmpauthenticator.TmpAuthenticator",
        "firstuseauthenticator.FirstUseAuthenticator", "dummyauthenticator.DummyAuthenticator",
        None, "", "  ", 1, ["dummy"],
    )),
    *((f"{section}.{trait}: {value!r}", config(**{section: {trait: value}}), f"hub.config.{section}.{trait}")
      for section in ("Authenticator", "OAuthenticator", "GoogleOAuthenticator", "GitHubOAuthenticator",
                      "DummyAuthenticator", "Anything")
      for trait in ("allow_all", "allow_existing_users")
      for value in (True, "true", "false", 1, 0, "", [], {})),
    ("default of allow_all", config(Authenticator={"allow_all": None}), "Authenticator.allow_all"),
    ("default of allow_existing", config(Authenticator={"allow_existing_users": None}), "allow_existing_users"),
    ("Authenticator away", config(Authenticator=None), "Authenticator.allow_all"),
    ("Authenticator is no map", config(Authenticator=[]), "Authenticator.allow_all"),
    ("JupyterHub away", config(JupyterHub=None), "authenticator_class"),
    ("config away", {"hub": {"config": None}}, "authenticator_class"),
    ("config is no map", {"hub": {"config": "x"}}, "authenticator_class"),
    ("hub away", {"hub": None}, "authenticator_class"),
    (
        "one provider of many",
        config(CILogonOAuthenticator={"allowed_idps": {"https://idp.example.org": {"allow_all": True}}}),
        "CILogonOAuthenticator.allowed_idps.https://idp.example.org.allow_all",
    ),
    ("scopes", config(OAuthenticator={"allowed_scopes": ["openid"]}), "OAuthenticator.allowed_scopes"),
    ("no certificate", config(OAuthenticator={"validate_server_cert": False}), "validate_server_cert"),
    (
        "no certificate, below",
        config(OAuthenticator={"http_request_kwargs": {"validate_cert": False}}),
        "http_request_kwargs.validate_cert",
    ),
    ("empty secret", config(GoogleOAuthenticator={"client_secret": ""}), "GoogleOAuthenticator.client_secret"),
    ("blank secret", config(OAuthenticator={"client_secret": " \n"}), "OAuthenticator.client_secret"),
    ("empty client", config(GitHubOAuthenticator={"client_id": ""}), "GitHubOAuthenticator.client_id"),
    *((f"tokens for {life!r}", config(JupyterHub={"token_expires_in_max_seconds": life}), "tokens never end")
      for life in (0, -1, None, True, "x")),
    *((f"{trait}: {value!r}", config(Authenticator={trait: value}), f"Authenticator.{trait}") for trait, value in (
        ("auth_refresh_age", 0), ("auth_refresh_age", 11), ("auth_refresh_age", -1), ("auth_refresh_age", True),
        ("auth_refresh_age", "1"), ("auth_refresh_age", 1.5), ("refresh_pre_spawn", False), ("refresh_pre_spawn", 1),
        ("auth_refresh_strict", False),
    )),
    ("never asks, below", config(PDSHubGoogle={"auth_refresh_age": 0}), "PDSHubGoogle.auth_refresh_age"),
    *((f"another {trait}", config(GoogleOAuthenticator={trait: "https://x"}), f"GoogleOAuthenticator.{trait}")
      for trait in ("authorize_url", "token_url", "userdata_url", "google_api_url")),
    ("the shared password", by_class("pdshub_hub.development.PDSHubDevelopment"), "authenticator_class"),
    ("tokens written", config(JupyterHub={"api_tokens": {"abc": "root"}}), "JupyterHub.api_tokens"),
    ("tokens of services", config(JupyterHub={"service_tokens": {"abc": "x"}}), "JupyterHub.service_tokens"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "says"), [c[1:] for c in OPEN], ids=[c[0] for c in OPEN])
def test_open(given: dict[str, Any], says: str) -> None:
    said = verdict(given).open
    assert said.startswith("spec.values.hub.config.") and says in said
    assert "leave" in said or "fill" in said, "it says what to do"


CLOSED: list[tuple[str, dict[str, Any]]] = [
    ("nothing", {}),
    ("said again", config(Authenticator={"allow_all": False, "allow_existing_users": False})),
    ("said of another class", config(GoogleOAuthenticator={"allow_all": False})),
    ("taken from another class", config(GoogleOAuthenticator={"allow_all": None})),
    ("nobody listed", config(Authenticator={"allowed_users": []})),
    ("groups", config(GoogleOAuthenticator={"allowed_google_groups": {"example.org": ["sbn"]}})),
    ("shorter tokens", config(JupyterHub={"token_expires_in_max_seconds": 3600})),
    ("said again of the list", config(Authenticator={"auth_refresh_age": 10, "refresh_pre_spawn": True})),
    ("said again of names", config(GoogleOAuthenticator={"strip_domain": False, "username_claim": "email"})),
    ("defaults of the list", config(Authenticator={"auth_refresh_age": None, "refresh_pre_spawn": None})),
    ("certificates", config(OAuthenticator={"validate_server_cert": True})),
    ("servers", {"singleuser": {"extraEnv": {"PYTHONPATH": "/x"}, "extraFiles": {"a": {"mountPath": "/a"}}}}),
    ("less of what is ours", {"hub": {"extraVolumes": [], "extraVolumeMounts": [], "nodeSelector": {"a": "b"}}}),
    ("names that only resemble", config(JupyterHub={"allow_alls": True})),
    ("empty code", {"hub": {"args": [], "command": None, "extraFiles": {}, "initContainers": []}}),
    ("a variable", {"hub": {"extraEnv": {"HTTPS_PROXY": "http://proxy.example.org"}}}),
    ("a pull policy", {"hub": {"image": {"pullPolicy": "Always"}}}),
    ("a service without a command", {"hub": {"services": {"grader": {"url": "http://grader"}}}}),
]


@pytest.mark.parametrize("given", [c[1] for c in CLOSED], ids=[c[0] for c in CLOSED])
def test_closed_and_without_code(given: dict[str, Any]) -> None:
    found = verdict(given)
    assert (found.open, found.by_code) == ("", ())


BY_CODE: list[tuple[dict[str, Any], list[str]]] = [
    ({"hub": {"extraConfig": {"99-x": "pass"}}}, ["hub.extraConfig.99-x"]),
    ({"hub": {"extraConfig": {"10-pdshub-sign-in": None}}}, ["hub.extraConfig.10-pdshub-sign-in"]),
    ({"hub": {"extraConfig": {"10-pdshub-sign-in": "pass"}}}, ["hub.extraConfig.10-pdshub-sign-in"]),
    ({"hub": {"extraFiles": {"a": {"mountPath": "/usr/local/etc/jupyterhub/jupyterhub_config.d/a.py"}}}},
     ["hub.extraFiles"]),
    ({"hub": {"args": ["sh"]}}, ["hub.args"]),
    ({"hub": {"command": ["sh"]}}, ["hub.command"]),
    ({"hub": {"image": {"name": "x.example.org/hub", "tag": "1"}}}, ["hub.image.name", "hub.image.tag"]),
    ({"hub": {"extraContainers": [{"name": "x"}]}}, ["hub.extraContainers"]),
    ({"hub": {"initContainers": [{"name": "x"}]}}, ["hub.initContainers"]),
    ({"hub": {"extraPodSpec": {"hostNetwork": True}}}, ["hub.extraPodSpec"]),
    ({"hub": {"lifecycle": {"postStart": {"exec": {"command": ["sh"]}}}}}, ["hub.lifecycle"]),
    ({"hub": {"existingSecret": "mine"}}, ["hub.existingSecret"]),
    ({"hub": {"extraVolumeMounts": [{"name": "pdshub-tmp", "mountPath": "/usr"}]}}, ["hub.extraVolumeMounts"]),
    ({"hub": {"extraVolumes": [{"name": "x", "configMap": {"name": "x"}}]}}, ["hub.extraVolumes"]),
    ({"hub": {"extraEnv": {"PYTHONPATH": "/x", "A": "b"}}}, ["hub.extraEnv.PYTHONPATH"]),
    ({"hub": {"extraEnv": {"OAUTH_TLS_VERIFY": "0"}}}, ["hub.extraEnv.OAUTH_TLS_VERIFY"]),
    ({"hub": {"extraEnv": {"PDSHUB_GOOGLE_CLIENT_SECRET": "x"}}}, ["hub.extraEnv.PDSHUB_GOOGLE_CLIENT_SECRET"]),
    ({"hub": {"extraEnv": [{"name": "LD_PRELOAD", "value": "/x"}]}},
     ["hub.extraEnv.LD_PRELOAD", "hub.extraEnv.PDSHUB_GOOGLE_CLIENT_SECRET"]),
    ({"hub": {"services": {"x": {"command": ["sh"]}}}}, ["hub.services.x.command"]),
    (config(JupyterHub={"services": [{"name": "x"}]}), ["hub.config.JupyterHub.services"]),
    (config(JupyterHub={"extra_handlers": [["/x", "a.B"]]}), ["hub.config.JupyterHub.extra_handlers"]),
    (config(JupyterHub={"spawner_class": "a.B"}), ["hub.config.JupyterHub.spawner_class"]),
    (config(ConfigurableHTTPProxy={"should_start": True}), ["hub.config.ConfigurableHTTPProxy"]),
    (by_class("mine.Authenticator"), ["hub.config.JupyterHub.authenticator_class"]),
    (by_class("pam"), ["hub.config.JupyterHub.authenticator_class"]),
    (config(JupyterHub={"authenticator_class": "GitHub"}, GitHubOAuthenticator={"client_id": "x"}),
     ["hub.config.JupyterHub.authenticator_class"]),
    (by_class("oauthenticator.generic.GenericOAuthenticator"), ["hub.config.JupyterHub.authenticator_class"]),
    (by_class("local-google"), ["hub.config.JupyterHub.authenticator_class"]),
    ({"hub": {"extraEnv": {"GOOGLE_API_URL": "https://x"}}}, ["hub.extraEnv.GOOGLE_API_URL"]),
    ({"proxy": {"chp": {"command": ["sh"]}}}, ["proxy.chp.command"]),
    ({"proxy": {"chp": {"image": {"name": "x", "tag": "1"}}}}, ["proxy.chp.image.name", "proxy.chp.image.tag"]),
    ({"proxy": {"chp": {"defaultTarget": "http://x"}}}, ["proxy.chp.defaultTarget"]),
    ({"proxy": {"traefik": {"extraDynamicConfig": {"http": {}}}}}, ["proxy.traefik.extraDynamicConfig"]),
]  # fmt: skip


@pytest.mark.parametrize(("given", "named"), BY_CODE, ids=[c[1][0] for c in BY_CODE])
def test_by_code(given: dict[str, Any], named: list[str]) -> None:
    found = verdict(given)
    assert found.open == ""
    assert list(found.by_code) == [f"spec.values.{path}" for path in named]


@pytest.mark.parametrize(
    ("chart", "users", "given", "opens"),
    [
        (OLD, {}, by_class("github"), True),
        (OLD, {"allowed": ["ada@example.org"]}, by_class("github"), True),
        (OLD, {}, config(JupyterHub={"authenticator_class": "github"}, Authenticator={"allowed_users": []}), True),
        (OLD, {}, config(JupyterHub={"authenticator_class": "github"}, Authenticator={"allowed_users": ["a"]}), False),
        (OLD, {}, {}, False),  # goes by the list, which fails closed
        (CHART, {}, {}, False),
        (ChartRef("Airgap", "/charts/airgap", None, "0.1.0", "airgap"), {}, {}, False),
    ],
)
def test_an_empty_list_admits_everybody_with_old_charts(
    chart: ChartRef, users: dict[str, Any], given: dict[str, Any], opens: bool
) -> None:
    said = verdict(given, chart, users=users).open
    assert said.startswith("spec.chart.version") if opens else not said


@pytest.mark.parametrize("name", ["google", "dummy"])
def test_what_the_spec_asks_for_is_not_talked_away(name: str) -> None:
    """A development sign-in elsewhere is refused as such: see decide."""
    found = verdict({}, signIn=GOOGLE if name == "google" else {"development": {}})
    assert found == Verdict(authenticator=GOOGLE_CLASS if name == "google" else DEVELOPMENT_CLASS)


CONTRARY: list[dict[str, Any]] = [
    config(Authenticator={"allowed_users": ["eve"]}),
    config(Authenticator={"admin_users": ["eve"]}),
    config(Authenticator={"whitelist": ["eve"]}),
    config(Authenticator={"username_map": {"eve": "root"}}),
    config(GoogleOAuthenticator={"allowed_users": ["eve"]}),
    config(PDSHubGoogle={"admin_users": ["eve"]}),
    config(OAuthenticator={"username_claim": "name"}),
    config(GoogleOAuthenticator={"strip_domain": True}),
    config(OAuthenticator={"userdata_from_id_token": True}),
    config(OAuthenticator={"enable_pkce": False}),
    config(ListedMixin={"allow_all": True}),
]
"""Values that contradict the list."""


@pytest.mark.parametrize("given", CONTRARY, ids=str)
def test_what_contradicts_the_list_is_refused(given: dict[str, Any]) -> None:
    ((section, traits),) = given["hub"]["config"].items()
    said = verdict(given).refused
    assert said.startswith(f"spec.values.hub.config.{section}.{next(iter(traits))}") and "spec.users" in said


def test_the_traits_of_another_authenticator_are_its_own() -> None:
    assert verdict(
        {**config(JupyterHub={"authenticator_class": "github"}, Authenticator={"admin_users": ["eve"]})}
    ) == (Verdict(by_code=(CODE,), authenticator="github"))
