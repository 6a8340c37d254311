"""The installation's certificate authority over the years: how a new one takes the place of an old one. Pure.

Programs take up what they trust, and what they show, at different times: a node may be a minute or a week late. So that
each understands each other at every moment, a change has three steps, and no program is ever two steps ahead:

1. The new authority is announced: all are told to trust it, and it signs nothing.
2. After a day it signs, and all programs get certificates of it. The former one is still trusted.
3. After thirty days the former one is not trusted any more.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pdshub import rfc3339, tls_names
from pdshub.pki.certificate import LEAF_DAYS, RENEW_DAYS, Pair, issue
from pdshub.wellknown import GROUP

RENEW_BEFORE = datetime.timedelta(days=LEAF_DAYS)
"""An authority with less left gets a successor: whatever it signs may live for a year."""
ANNOUNCED = datetime.timedelta(days=1)
"""A new authority is trusted for so long before it signs."""
FORMER = datetime.timedelta(days=30)
"""A former authority is trusted for so long after its successor began to sign."""
AUTHORITY_MARK, RENEW_AFTER = f"{GROUP}/authority", f"{GROUP}/renew-after"
"""Annotations of a Secret: by which authority its certificate is, and when it has to be renewed (RFC 3339)."""


@dataclass(frozen=True)
class Authority:
    """Who signs, and who is trusted."""

    signer: Pair
    next: Pair | None = None
    """The one that is announced."""
    former: tuple[bytes, ...] = ()
    """Certificates (PEM) of those that signed before."""
    since: datetime.datetime | None = None
    """Since when every program's Secret says so; None: they have to be written first."""

    @property
    def trust(self) -> bytes:
        """Certificates (PEM) of all that are trusted."""
        known = [self.signer.certificate, *([self.next.certificate] if self.next else []), *self.former]
        return b"".join(known)

    @property
    def mark(self) -> str:
        """A digest of who signs and who is trusted: certificates with another one have to be written anew."""
        return hashlib.sha256(self.signer.certificate + b"\0" + self.trust).hexdigest()[:16]


def created(now: datetime.datetime) -> Authority:
    """An authority where there is none, or none that is valid: there is nobody who could still trust another."""
    return Authority(issue(now, tls_names.CA, None), since=now)


def step(known: Authority | None, now: datetime.datetime, *, asked: bool = False) -> Authority:
    """What should be after ``known``; the same where nothing is due. ``asked``: somebody wants a new authority now."""
    if known is None or known.signer.expires <= now:
        return created(now)
    waited = now - known.since if known.since else datetime.timedelta(0)
    if known.next is not None:
        if waited < ANNOUNCED:
            return known
        return Authority(known.next, former=(known.signer.certificate, *known.former))
    if asked or known.signer.expires - now < RENEW_BEFORE:
        return replace(known, next=issue(now, tls_names.CA, None), since=None)
    if known.former and waited >= FORMER:
        return replace(known, former=(), since=None)
    return known


@dataclass(frozen=True)
class Due:
    """By which a Secret's certificate is judged without its content: by annotations that were written with it."""

    mark: str
    """Of the present authority."""
    now: datetime.datetime

    def annotations(self) -> dict[str, str]:
        """What a certificate that is made now is annotated with."""
        renew = self.now + datetime.timedelta(days=LEAF_DAYS - RENEW_DAYS)
        return {AUTHORITY_MARK: self.mark, RENEW_AFTER: rfc3339.text(renew.timestamp())}

    def fulfilled(self, annotations: Mapping[str, str] | None) -> bool:
        """Whether a certificate with these annotations may stay."""
        found = annotations or {}
        return found.get(AUTHORITY_MARK) == self.mark and rfc3339.seconds(found.get(RENEW_AFTER)) > self.now.timestamp()
