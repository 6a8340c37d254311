"""Whether values open the sign-in to people whom nobody allowed, or let code decide about it: pure.

Judged is what Helm gets, after ``spec.values`` was laid over what the spec says. An open sign-in is one in which nobody
has to prove who they are, or in which being somebody is enough. Values that run code in hub or proxy can do either;
what code does nobody can tell from its text, so they are only named.
Source: JupyterHub 5, "Authenticators" and jupyterhub/auth.py; OAuthenticator 17; zero-to-jupyterhub 4.4,
files/hub/jupyterhub_config.py and the templates of hub and proxy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.render import signin_list
from pdshub.render.chart import ChartRef
from pdshub.render.signin import OURS

OPEN = "OpenSignIn"
"""Reason: people whom nobody allowed can sign in."""
BY_CODE = "ConfiguredByCode"
"""Reason: values run code where people sign in, and nobody can tell from them who gets in."""

_NO_PROOF = ("dummy", "firstuse", "null", "pdshubdevelopment", "shared-password", "sharedpassword", "tmp")
"""Authenticators that ask for one password, for any, or for nothing: their short names, and beginnings of classes."""
_TRAITS: Mapping[str, bool] = {
    "allow_all": False,
    "allow_existing_users": False,
    "validate_server_cert": True,
    "validate_cert": True,
}
"""Traits, in whatever class or dictionary they stand, that must have this value where they stand."""
_FILLED = ("client_id", "client_secret")
"""Traits that may be left out, but not be empty."""
_LIFE = "token_expires_in_max_seconds"
_LISTS_FAIL_CLOSED = 4
"""First major version of zero-to-jupyterhub with JupyterHub 5: before it an empty list of users admits everybody."""

_CODE = (
    "hub.args",
    "hub.command",
    "hub.image.name",
    "hub.image.tag",
    "hub.extraFiles",
    "hub.extraContainers",
    "hub.initContainers",
    "hub.extraPodSpec",
    "hub.lifecycle",
    "hub.existingSecret",
    "hub.config.ConfigurableHTTPProxy",
    "hub.config.JupyterHub.extra_handlers",
    "hub.config.JupyterHub.proxy_class",
    "hub.config.JupyterHub.services",
    "hub.config.JupyterHub.spawner_class",
    "proxy.chp.image.name",
    "proxy.chp.image.tag",
    "proxy.chp.command",
    "proxy.chp.extraCommandLineFlags",
    "proxy.chp.extraEnv",
    "proxy.chp.extraPodSpec",
    "proxy.chp.defaultTarget",
    "proxy.chp.errorTarget",
    "proxy.traefik.image",
    "proxy.traefik.extraInitContainers",
    "proxy.traefik.extraStaticConfig",
    "proxy.traefik.extraDynamicConfig",
    "proxy.traefik.extraPodSpec",
    "proxy.traefik.extraVolumes",
)
"""Values that run code in hub or proxy, or say whom the proxy asks, wherever they differ from what was rendered.

``hub.existingSecret`` is among them because the hub reads values from that Secret, over all others.
"""
_STEERING = ("GOOGLE_", "HOSTED_DOMAIN", "JUPYTERHUB_", "LD_", "OAUTH", "PDSHUB_", "PYTHON")
"""Beginnings of variables that say what Python or JupyterHub load, whom OAuthenticator asks, or a secret of theirs."""


@dataclass(frozen=True)
class Verdict:
    """What values make of sign-in."""

    open: str = ""
    """Why the sign-in is open: the value, and what to do; empty when it is not."""
    refused: str = ""
    """Which value contradicts the list of who may sign in, or goes past it, and what to do; empty where none does."""
    by_code: tuple[str, ...] = ()
    """Values by which code decides who gets in."""
    authenticator: str = ""
    """The class by which people sign in, as the values name it."""


def _dig(document: Any, path: str) -> Any:
    for part in path.split("."):
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _walk(value: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Every key below a value: its path, the key, and what it holds."""
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, held in pairs:
        where = f"{path}.{key}"
        if isinstance(value, Mapping):
            yield where, str(key), held
        yield from _walk(held, where)


def _kind(authenticator: str) -> str:
    """The short name of an authenticator: ``dummy`` of ``jupyterhub.auth.DummyAuthenticator``."""
    last = authenticator.strip().rsplit(".", 1)[-1].lower()
    return last.removesuffix("authenticator").removeprefix("local-") or last


def _open_class(authenticator: Any) -> str:
    path = "hub.config.JupyterHub.authenticator_class"
    if not isinstance(authenticator, str) or not authenticator.strip():
        return f"{path} is taken away, so that the chart's own is used: leave it out of spec.values"
    if _kind(authenticator) in _NO_PROOF:
        return (
            f"{path}: {authenticator} lets people in without proof of who they are: leave it out of spec.values, or "
            f"use it in a namespace for development"
        )
    return ""


def _open_trait(config: Mapping[str, Any]) -> str:
    base = _mapping(config.get("Authenticator"))
    for trait in ("allow_all", "allow_existing_users"):
        if base.get(trait) is not False:
            return _must(f"hub.config.Authenticator.{trait}", False)
    for where, key, held in _walk(config, "hub.config"):
        if key in _TRAITS and held is not None and held is not _TRAITS[key]:
            return _must(where, _TRAITS[key])
        if key in _FILLED and isinstance(held, str) and not held.strip():
            return f"{where} is empty: leave it out of spec.values, or fill it"
        if key == "allowed_scopes" and held:
            return (
                f"{where} lets in everybody to whom the service grants these scopes: leave it out of spec.values, and "
                f"list people in spec.users"
            )
    return ""


def _must(where: str, value: bool) -> str:
    said = "true" if value else "false"
    why = "whoever sits between could be anybody" if value else "people would get in who are on no list"
    return f"{where} has to be {said}, else {why}: leave it out of spec.values"


def _open_token(config: Mapping[str, Any]) -> str:
    hub = _mapping(config.get("JupyterHub"))
    life = hub.get(_LIFE)
    if isinstance(life, bool) or not isinstance(life, int | float) or life <= 0:
        return f"hub.config.JupyterHub.{_LIFE} has to be above 0, else tokens never end: leave it out of spec.values"
    for trait in ("api_tokens", "service_tokens"):
        if hub.get(trait):
            return f"hub.config.JupyterHub.{trait} are tokens that never end, readable in the values: leave them out"
    return ""


def _open_chart(config: Mapping[str, Any], chart: ChartRef) -> str:
    if chart.source != "Repository":
        return ""
    major = chart.version.removeprefix("v").split(".", 1)[0]
    listed = any(key == "allowed_users" and held for _, key, held in _walk(config, "hub.config"))
    if not major.isdecimal() or int(major) >= _LISTS_FAIL_CLOSED or listed:
        return ""
    return (
        f"spec.chart.version {chart.version} brings a JupyterHub that lets in everybody where no user is listed: list "
        f"somebody in allowed_users of that authenticator, or take {_LISTS_FAIL_CLOSED}.0.0 or newer"
    )


def _variables(environment: Any) -> Mapping[str, Any]:
    """Variables by name, from a map or from Kubernetes' list."""
    if isinstance(environment, list):
        return {str(item.get("name")): item for item in environment if isinstance(item, Mapping)}
    return _mapping(environment)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else list(value.values()) if isinstance(value, Mapping) else []


def _by_code(rendered: Mapping[str, Any], merged: Mapping[str, Any]) -> Iterator[str]:
    for path in _CODE:
        # what is empty is as good as absent
        if (_dig(merged, path) or None) != (_dig(rendered, path) or None):
            yield path
    own, given = (_mapping(_dig(document, "hub.extraConfig")) for document in (rendered, merged))
    yield from (f"hub.extraConfig.{key}" for key in sorted({*own, *given}) if own.get(key) != given.get(key))
    own, given = (_variables(_dig(document, "hub.extraEnv")) for document in (rendered, merged))
    for name in sorted({*own, *given}):
        if name.startswith(_STEERING) and own.get(name) != given.get(name):
            yield f"hub.extraEnv.{name}"
    for path in ("hub.extraVolumes", "hub.extraVolumeMounts"):
        known = _items(_dig(rendered, path))
        if any(item not in known for item in _items(_dig(merged, path))):
            yield path
    for name, service in sorted(_mapping(_dig(merged, "hub.services")).items()):
        if _mapping(service).get("command"):
            yield f"hub.services.{name}.command"


def judge(rendered: Mapping[str, Any], merged: Mapping[str, Any], chart: ChartRef) -> Verdict:
    """What ``merged``, the values that Helm gets, make of a sign-in that was ``rendered`` from the spec.

    Raises nothing. In a namespace for development an open sign-in may be what somebody wants: that is for the caller.
    """
    config = _mapping(_dig(merged, "hub.config"))
    authenticator = _dig(config, "JupyterHub.authenticator_class")
    asked = authenticator == _dig(rendered, "hub.config.JupyterHub.authenticator_class")
    ours = authenticator in OURS
    trouble = (
        ("" if asked else _open_class(authenticator))
        or _open_trait(config)
        or _open_token(config)
        or signin_list.stays_in(config)
        or (signin_list.another_service(_mapping(_dig(rendered, "hub.config")), config) if ours else "")
        or ("" if ours else _open_chart(config, chart))
    )
    name = authenticator if isinstance(authenticator, str) else ""
    code = [f"spec.values.{path}" for path in _by_code(rendered, merged)]
    if name and not ours and _kind(name) not in _NO_PROOF:
        # whom it lets in, the list does not say: that is another authenticator's own configuration, or code
        code.append("spec.values.hub.config.JupyterHub.authenticator_class")
    contrary = signin_list.contradicts(config) if ours else ""
    return Verdict(_said(trouble), _said(contrary), tuple(code), name)


def _said(trouble: str) -> str:
    """The sentence, beginning with the field of the spec."""
    return trouble if not trouble or trouble.startswith("spec.") else f"spec.values.{trouble}"
