"""Values that go past the list of who may sign in, where the hub runs one of the authenticators that read it. Pure.

These authenticators refuse the same and more when the hub starts (pdshub_hub.own_traits); here it is said before
anything is installed.
Source: JupyterHub 5.5, jupyterhub/auth.py; OAuthenticator 17.4, oauth2.py and google.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LONGEST_REFRESH = 10
"""Most seconds for which the hub may trust that somebody is still on the list."""
_SECTIONS = (
    "Authenticator",
    "OAuthenticator",
    "GoogleOAuthenticator",
    "PDSHubGoogle",
    "DummyAuthenticator",
    "PDSHubDevelopment",
    "ListedMixin",
)
"""Classes that the authenticators are made of: a trait may stand in any of them."""
_NAMED = ("allowed_users", "admin_users", "whitelist", "admin_whitelist")
"""Traits that name people."""
_FIXED: Mapping[str, Any] = {
    "allow_all": False,
    "allow_existing_users": False,
    "enable_pkce": True,
    "strip_domain": False,
    "userdata_from_id_token": False,
    "username_claim": "email",
}
"""Traits that have one value, since a name is what Google's claim says, and the list alone decides."""
_URLS = ("authorize_url", "token_url", "userdata_url", "google_api_url")


def _traits(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Every trait of those classes: where it stands, its name, its value."""
    for section in _SECTIONS:
        held = config.get(section)
        for trait, value in held.items() if isinstance(held, Mapping) else ():
            if value is not None:
                yield f"hub.config.{section}.{trait}", trait, value


def stays_in(config: Mapping[str, Any]) -> str:
    """Which value lets people go on who were taken off the list; empty where none does."""
    for where, trait, value in _traits(config):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if trait == "auth_refresh_age" and not (whole and 1 <= value <= LONGEST_REFRESH):
            return (
                f"{where} has to be from 1 to {LONGEST_REFRESH} seconds, else whoever is taken off the list goes on "
                f"(0 never asks): leave it out of spec.values"
            )
        if trait in ("refresh_pre_spawn", "auth_refresh_strict") and value is not True:
            return (
                f"{where} has to be true, else whoever is taken off the list can start servers by a token: leave it "
                f"out of spec.values"
            )
    return ""


def another_service(rendered: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Which value has another service say who people are than the installation; empty where none does."""
    known = {trait: value for _, trait, value in _traits(rendered)}
    for where, trait, value in _traits(config):
        if trait in _URLS and value != known.get(trait):
            return (
                f"{where}: whoever runs that service says who people are: leave it out of spec.values; another one "
                f"than Google is named by the installation (signIn.google of the pdshub chart)"
            )
    return ""


def contradicts(config: Mapping[str, Any]) -> str:
    """Which value contradicts the list; empty where none does."""
    for where, trait, value in _traits(config):
        if trait in _NAMED and value:
            return f"{where} names people, and the hub goes by the list alone: name them in spec.users"
        if (trait in _FIXED and value != _FIXED[trait]) or (trait == "username_map" and value):
            return f"{where} contradicts the list of who may sign in: leave it out of spec.values, and use spec.users"
    return ""
