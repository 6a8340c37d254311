"""Tries to sign in under a name that nobody allowed, where code in values may have changed who gets in."""

from __future__ import annotations

import base64
import binascii
import logging
import secrets
import time
from urllib.parse import urlsplit

from pdshub import hub_api
from pdshub.kube import SECRET
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from pdshub.render import signin

log = logging.getLogger(__name__)


async def _password(context: HubContext, facts: Facts) -> str:
    """The shared password of a development sign-in; where people prove who they are elsewhere, any."""
    if facts.spec is None or facts.spec.sign_in is None or facts.spec.sign_in.development is None:
        return secrets.token_urlsafe(12)
    name, key = signin.required_secret(facts.spec, facts.names)
    secret = await context.kube.get(SECRET, name, facts.names.namespace)
    try:
        return base64.b64decode(((secret or {}).get("data") or {}).get(key) or "").decode().strip()
    except (binascii.Error, TypeError, ValueError):
        return ""


def _asked(context: HubContext) -> str:
    """The host that proves who people are."""
    return urlsplit(context.installation.sign_in.google.authorize_url).hostname or "accounts.google.com"


async def act(context: HubContext, facts: Facts) -> str:
    """Try once, and remember what came of it for this revision of the release. Raises KubeError.

    The name is random: code could make an exception for one that it knows.
    """
    if facts.release is None or facts.spec is None or facts.spec.sign_in is None:
        return ""
    names = facts.names
    attempt = await hub_api.try_sign_in(
        context.kube,
        names.namespace,
        hub_api.base_url(facts.release.values),
        hub_api.Credentials(f"pdshub-stranger-{secrets.token_hex(6)}", await _password(context, facts)),
        by=_asked(context) if facts.sign_in.authenticator == signin.GOOGLE_CLASS else "",
    )
    log.info("%s/%s: a name that nobody allowed: %s", names.namespace, names.name, attempt.said)
    memory = context.memory(names.namespace, names.name)
    memory.sign_in_attempt = facts.release.revision, time.monotonic(), attempt
    return ""
