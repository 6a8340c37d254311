"""The Secrets in which authority and certificates lie, and what keeps them as they should be."""

from __future__ import annotations

import base64
import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pdshub import rfc3339, tls_names
from pdshub.kube import SECRET, Kube, Object
from pdshub.pki import authority as authorities
from pdshub.pki.authority import Authority, Due
from pdshub.pki.certificate import Pair, issue
from pdshub.tls_names import CERTIFICATE, KEY, TRUST
from pdshub.wellknown import GROUP, MANAGER

CA, NODE, OPERATOR = tls_names.CA_SECRET, tls_names.NODE_SECRET, tls_names.OPERATOR_SECRET
"""Names of the Secrets in the installation's own namespace."""
ROTATE, ROTATED = f"{GROUP}/rotate", f"{GROUP}/rotated"
"""Annotations of the authority's Secret: a word that asks for a new one, and the last word that was followed."""
SINCE = f"{GROUP}/since"
"""The same: ``Authority.since``, RFC 3339."""
_NEXT_CERTIFICATE, _NEXT_KEY = "next.crt", "next.key"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)


@dataclass(frozen=True)
class Leaf:
    """A certificate of one program and what it is good for."""

    secret: str
    common_name: str
    server: bool
    client: bool


LEAVES = (
    # nodes answer the operator, and ask surveyors
    Leaf(NODE, tls_names.NODE, server=True, client=True),
    Leaf(OPERATOR, tls_names.OPERATOR, server=False, client=True),
)
"""Beside them each view's surveyor has one, in the namespace of surveyors."""


@dataclass(frozen=True)
class Credentials:
    """What the operator shows and trusts when it asks, and who signed it."""

    pair: Pair
    authority: Authority

    @property
    def trust(self) -> bytes:
        """Certificates (PEM) of all authorities that are trusted."""
        return self.authority.trust


def _data(secret: Object | None) -> dict[str, bytes]:
    """Content of a Secret; empty where a value is no base64."""
    try:
        return {k: base64.b64decode(v) for k, v in ((secret or {}).get("data") or {}).items()}
    except ValueError:
        return {}


def read(secret: Object | None) -> tuple[Pair, bytes] | None:
    """Certificate with key, and whom it trusts; None where a part is missing or is no certificate."""
    data = _data(secret)
    if not all(data.get(key) for key in (CERTIFICATE, KEY, TRUST)):
        return None
    pair = Pair(data[CERTIFICATE], data[KEY])
    return (pair, data[TRUST]) if _parses(pair) else None


def _parses(pair: Pair) -> bool:
    try:
        return bool(pair.loaded)
    except ValueError:
        return False


def read_authority(secret: Object | None) -> Authority | None:
    """The authority of its Secret; None where there is none."""
    found = read(secret)
    if found is None or secret is None:
        return None
    signer, trust = found
    data = _data(secret)
    pair = Pair(data.get(_NEXT_CERTIFICATE, b""), data.get(_NEXT_KEY, b""))
    following = pair if pair.key and _parses(pair) else None
    own = {signer.certificate, pair.certificate}
    former = tuple(part for part in _PEM.findall(trust) if part not in own)
    since = rfc3339.seconds((secret["metadata"].get("annotations") or {}).get(SINCE))
    return Authority(signer, following, former, datetime.datetime.fromtimestamp(since, datetime.UTC) if since else None)


def _secret(metadata: Mapping[str, Any], pair: Pair, trust: bytes, **more: bytes) -> Object:
    content = {CERTIFICATE: pair.certificate, KEY: pair.key, TRUST: trust, **more}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": dict(metadata),
        "type": "kubernetes.io/tls",
        "data": {k: base64.b64encode(v).decode() for k, v in content.items()},
    }


def _own(name: str, namespace: str, **annotations: str) -> Object:
    labels = {"app.kubernetes.io/name": "pdshub"}
    return {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}


def surveyor_secret(metadata: Mapping[str, Any], dns: str, authority: Authority, now: datetime.datetime) -> Object:
    """The Secret of a view's surveyor, with a new key. ``dns``: the name that clients of this view ask for."""
    annotations = {**(metadata.get("annotations") or {}), **Due(authority.mark, now).annotations()}
    pair = issue(now, tls_names.SURVEYOR, authority.signer, server=True, dns=dns)
    return _secret({**metadata, "annotations": annotations}, pair, authority.trust)


async def ensure(kube: Kube, namespace: str, now: datetime.datetime) -> Credentials:
    """Make or renew what is missing or old; returns the operator's own credentials. Raises KubeError."""
    authority = await _authority(kube, namespace, now)
    own = None
    for leaf in LEAVES:
        own = await _leaf(kube, namespace, leaf, authority, now)
    assert own is not None  # noqa: S101 - the loop above is not empty
    if authority.since is None:
        # only now do programs know: an operator that was killed meanwhile waits no shorter
        authority = replace(authority, since=now)
        body = {"metadata": {"annotations": {SINCE: rfc3339.text(now.timestamp())}}}
        await kube.patch(SECRET, CA, body, namespace)
    return Credentials(own, authority)


async def _authority(kube: Kube, namespace: str, now: datetime.datetime) -> Authority:
    secret = await kube.get(SECRET, CA, namespace)
    known = read_authority(secret)
    notes = ((secret or {}).get("metadata") or {}).get("annotations") or {}
    word = notes.get(ROTATE, "")
    wanted = authorities.step(known, now, asked=word != notes.get(ROTATED, ""))
    if wanted == known:
        return wanted
    since = rfc3339.text(wanted.since.timestamp()) if wanted.since else ""
    metadata = _own(CA, namespace, **{ROTATED: word, SINCE: since})
    following = wanted.next or Pair(b"", b"")
    more = {_NEXT_CERTIFICATE: following.certificate, _NEXT_KEY: following.key}
    await kube.apply(SECRET, _secret(metadata, wanted.signer, wanted.trust, **more), MANAGER)
    return wanted


async def _leaf(kube: Kube, namespace: str, leaf: Leaf, authority: Authority, now: datetime.datetime) -> Pair:
    """The certificate of a program, which is written where it, or whom it should trust, has changed."""
    have = read(await kube.get(SECRET, leaf.secret, namespace))
    if (
        have is not None
        and have[0].fresh(now)
        and have[0].serves(server=leaf.server, client=leaf.client)
        and have[0].issued_by(authority.signer)
    ):
        pair = have[0]
    else:
        pair = issue(now, leaf.common_name, authority.signer, server=leaf.server, client=leaf.client)
    if have != (pair, authority.trust):
        await kube.apply(SECRET, _secret(_own(leaf.secret, namespace), pair, authority.trust), MANAGER)
    return pair
