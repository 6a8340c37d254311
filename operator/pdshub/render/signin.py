"""Who may sign in and how: JupyterHub's authenticator settings. Secrets go by environment, never into values."""

from __future__ import annotations

from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.render.names import Names

PASSWORD_ENV = "PDSHUB_DEVELOPMENT_PASSWORD"  # noqa: S105 - the name of a variable
CLIENT_SECRET_ENV = "PDSHUB_GOOGLE_CLIENT_SECRET"  # noqa: S105 - the name of a variable
PASSWORD_KEY = "password"  # noqa: S105 - the name of a key

TOKEN_SECONDS = 90 * 24 * 3600
"""Longest life of an API token that somebody asks for, and that of one for which no life was asked."""

# is_admin of JupyterHub 5 says None of whoever is not on the list, which leaves the database as it was
_FROM_ENV = """\
import os
c.{section}.{trait} = os.environ["{variable}"].strip()
if not c.{section}.{trait}:
    raise SystemExit("{variable} is empty: fill the Secret that spec.signIn names")


def _admin_again(authenticator, handler, auth_model):
    auth_model["admin"] = bool(auth_model.get("admin"))
    return auth_model


c.Authenticator.post_auth_hook = _admin_again
"""


def _from_secret(name: str, key: str) -> dict[str, Any]:
    return {"valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def required_secret(spec: PDSHubSpec, names: Names) -> tuple[str, str]:
    """Name and key of the Secret without which the hub can't start."""
    assert spec.sign_in is not None  # noqa: S101 - PDSHubSpec refuses such a spec
    if spec.sign_in.google:
        ref = spec.sign_in.google.client_secret_ref
        return ref.name, ref.key
    assert spec.sign_in.development is not None  # noqa: S101 - SignIn refuses such a spec
    own = spec.sign_in.development.password_secret_ref
    return (own.name, own.key) if own else (names.sign_in, PASSWORD_KEY)


def people(spec: PDSHubSpec) -> list[str]:
    """Everybody who may sign in, sorted, each once."""
    return sorted({*spec.users.allowed, *spec.users.admins})


def render(spec: PDSHubSpec, names: Names) -> dict[str, Any]:
    """The ``hub`` values of sign-in. The allow list fails closed: an empty one admits nobody."""
    secret, key = required_secret(spec, names)
    authenticator = {
        "allowed_users": people(spec),
        "admin_users": sorted(set(spec.users.admins)),
        "allow_all": False,
        # true would let in everybody who is in the database, also those taken off the list
        "allow_existing_users": False,
    }
    hub: dict[str, Any] = {"token_expires_in_max_seconds": TOKEN_SECONDS}
    config: dict[str, Any] = {"Authenticator": authenticator, "JupyterHub": hub}
    google = spec.sign_in.google if spec.sign_in else None
    if google:
        callback = google.callback_url or (f"https://{spec.hostname}/hub/oauth_callback" if spec.hostname else None)
        hub["authenticator_class"] = "google"
        config["GoogleOAuthenticator"] = {
            "client_id": google.client_id,
            # with one hosted domain the name would lose it, and be another than the one on the allow list
            "strip_domain": False,
            **({"hosted_domain": list(google.hosted_domains)} if google.hosted_domains else {}),
            **({"oauth_callback_url": callback} if callback else {}),
        }
        section, trait, variable = "GoogleOAuthenticator", "client_secret", CLIENT_SECRET_ENV
    else:
        hub["authenticator_class"] = "dummy"
        section, trait, variable = "DummyAuthenticator", "password", PASSWORD_ENV
    return {
        "config": config,
        # the hub makes these admins at its start, and nobody else, whatever its database says
        "loadRoles": {"admin": {"users": sorted(set(spec.users.admins))}},
        "extraEnv": {variable: _from_secret(secret, key)},
        "extraConfig": {"10-pdshub-sign-in": _FROM_ENV.format(section=section, trait=trait, variable=variable)},
    }
