"""Who may sign in and how: JupyterHub's authenticator settings. Secrets go by environment, never into values."""

from __future__ import annotations

from typing import Any

from pdshub.api.hub import GoogleSignIn, PDSHubSpec
from pdshub.installation import GoogleProvider
from pdshub.render.names import Names

PASSWORD_ENV = "PDSHUB_DEVELOPMENT_PASSWORD"  # noqa: S105 - the name of a variable
CLIENT_SECRET_ENV = "PDSHUB_GOOGLE_CLIENT_SECRET"  # noqa: S105 - the name of a variable
PASSWORD_KEY = "password"  # noqa: S105 - the name of a key

TOKEN_SECONDS = 90 * 24 * 3600
"""Longest life of an API token that somebody asks for, and that of one for which no life was asked."""

GOOGLE_CLASS = "pdshub_hub.google.PDSHubGoogle"
DEVELOPMENT_CLASS = "pdshub_hub.development.PDSHubDevelopment"
"""The authenticators of the hub image's package ``pdshub_hub``: who may sign in says the list, no value."""
OURS = (GOOGLE_CLASS, DEVELOPMENT_CLASS)
REFRESH_SECONDS = 1
"""For how long the hub trusts that somebody is still on the list. 0 would switch the question off."""
PEOPLE_DIRECTORY = "/usr/local/etc/pdshub/people"
"""Where the hub reads the list (pdshub_hub.people.PATH)."""
SERVICE = "pdshub-operator"
"""The operator as a service of JupyterHub, and the role that says what it may."""
SCOPES = (
    "list:users",
    "read:users",
    "delete:users",  # a record deleted: nothing else ends a session
    "read:servers",
    "delete:servers",
    "tokens",
    "groups",  # somebody leaves one
    "users:shares",  # somebody's access to servers of others ends; shares would be the right to enter any
    "custom:pdshub:people",
    "custom:pdshub:audit",
    "custom:pdshub:earlier",
    "custom:pdshub:warnings",
)
"""What the operator may: nothing by which it could make anybody an admin, or enter a server."""

_FROM_ENV = """\
import os
c.{section}.{trait} = os.environ["{variable}"].strip()
if not c.{section}.{trait}:
    raise SystemExit("{variable} is empty: fill the Secret that spec.signIn names")
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


def _google(google: GoogleSignIn, hostname: str | None, provider: GoogleProvider) -> dict[str, Any]:
    """Traits of Google's sign-in; those of the service are Google's own unless the installation names another."""
    callback = google.callback_url or (f"https://{hostname}/hub/oauth_callback" if hostname else None)
    return {
        "client_id": google.client_id,
        **({"hosted_domain": list(google.hosted_domains)} if google.hosted_domains else {}),
        **({"oauth_callback_url": callback} if callback else {}),
        **provider.traits,
    }


def render(spec: PDSHubSpec, names: Names, provider: GoogleProvider | None = None) -> dict[str, Any]:
    """The ``hub`` values of sign-in. Nobody's name is among them: the list is a file, whose change restarts nothing."""
    secret, key = required_secret(spec, names)
    authenticator = {
        "allow_all": False,
        "allow_existing_users": False,
        "auth_refresh_age": REFRESH_SECONDS,
        # a start is asked about at once: a token must not start a server for somebody who was taken off just now
        "refresh_pre_spawn": True,
    }
    hub: dict[str, Any] = {"token_expires_in_max_seconds": TOKEN_SECONDS}
    config: dict[str, Any] = {"Authenticator": authenticator, "JupyterHub": hub}
    google = spec.sign_in.google if spec.sign_in else None
    if google:
        hub["authenticator_class"] = GOOGLE_CLASS
        config["GoogleOAuthenticator"] = _google(google, spec.hostname, provider or GoogleProvider())
        section, trait, variable = "GoogleOAuthenticator", "client_secret", CLIENT_SECRET_ENV
    else:
        hub["authenticator_class"] = DEVELOPMENT_CLASS
        section, trait, variable = "DummyAuthenticator", "password", PASSWORD_ENV
    return {
        "config": config,
        # its token comes from the Secret of the hub's keys (hub.existingSecret)
        "services": {SERVICE: {}},
        "loadRoles": {SERVICE: {"services": [SERVICE], "scopes": list(SCOPES)}},
        "extraEnv": {variable: _from_secret(secret, key)},
        "extraConfig": {"10-pdshub-sign-in": _FROM_ENV.format(section=section, trait=trait, variable=variable)},
        # a folder: the kubelet never refreshes what is mounted by subPath
        "extraVolumes": [{"name": "pdshub-people", "configMap": {"name": names.people, "optional": True}}],
        "extraVolumeMounts": [{"name": "pdshub-people", "mountPath": PEOPLE_DIRECTORY, "readOnly": True}],
    }
