"""The certificate that people are shown: looked at, remembered for a while, and judged (pure)."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass, replace

from pdshub import shown_certificate
from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_tls import HAS_DOOR, mode_of
from pdshub.api.status import CertificateStatus
from pdshub.installation import Installation
from pdshub.kube import SECRET, Kube, Object
from pdshub.network_rules import closed_by
from pdshub.reconcile.common.conditions import ConditionDraft
from pdshub.render.names import Names
from pdshub.render.public_names import covers, public_names
from pdshub.shown_certificate import NotShownError

EXPIRING = 0.2
"""Fraction of a certificate's life: with less left its renewal has failed. ACME clients renew at a third."""
_AGAIN, _AGAIN_AFTER_TROUBLE = 300.0, 30.0
"""Seconds until a server is asked for its certificate again."""
_FIRST_LOOKS = 3
_STEP = 5
"""Percent in which the condition says what is left: it would change with every look else."""


@dataclass(frozen=True)
class CertificateSeen:
    """What a look at the certificate found."""

    asked: bool = False
    """Whether anybody was asked: outside of a cluster nobody is."""
    certificate: CertificateStatus | None = None
    remaining: float = 0.0
    """Fraction of its life that was left at the look."""
    trouble: str = ""
    """Why there is none, in words."""
    reached: bool = False
    """Whether somebody answered who shows none; of a Secret: whether it is there."""


@dataclass
class CertificateMemory:
    """What the last look found. Losing it costs one more look."""

    key: tuple[str, ...] = ()
    at: float = 0.0
    """time.monotonic() of the look."""
    seen: CertificateSeen = CertificateSeen()
    looks: int = 0
    """Looks in this way. The first ones may have met who ended TLS before."""


async def look(
    kube: Kube, names: Names, spec: PDSHubSpec, installation: Installation, memory: CertificateMemory
) -> CertificateSeen:
    """The certificate of a hub: of a Secret from the Secret, else from what answers. Raises KubeError."""
    mode = mode_of(spec.tls)
    if mode in ("", "None") or spec.tls is None or not spec.hostname:
        return CertificateSeen()
    if spec.tls.secret:
        found = await kube.get_metadata(SECRET, spec.tls.secret.name, names.namespace)
        version = str((found or {}).get("metadata", {}).get("resourceVersion", ""))
        key = (mode, spec.tls.secret.name, version)
        if found is None or memory.key != key:
            whole = await kube.get(SECRET, spec.tls.secret.name, names.namespace) if found else None
            memory.key, memory.seen = key, _of_secret(spec.tls.secret.name, names.namespace, whole)
        return _now(memory.seen)
    if not kube.in_cluster:
        return CertificateSeen()
    own = mode in HAS_DOOR
    host = f"{names.door}.{names.namespace}.svc" if own else spec.hostname
    key, after = (mode, host, spec.hostname), time.monotonic() - memory.at
    if memory.key != key:
        memory.looks = 0
    settled = memory.seen.certificate is not None and memory.looks >= _FIRST_LOOKS
    if memory.key != key or after > (_AGAIN if settled else _AGAIN_AFTER_TROUBLE):
        memory.looks += 1
        memory.key, memory.seen = key, await _asked(host, spec.hostname, None if own else installation)
        memory.at = time.monotonic()
    return _now(memory.seen)


def _now(seen: CertificateSeen) -> CertificateSeen:
    if seen.certificate is None:
        return seen
    return replace(seen, remaining=shown_certificate.remaining(seen.certificate, time.time()))


async def _asked(host: str, name: str, installation: Installation | None) -> CertificateSeen:
    """Ask a host; with an installation, only at addresses that hubs of it may reach."""

    def closed(address: str) -> str:
        if installation is None:
            return ""
        return closed_by(address, installation.private_ranges, installation.network.allowed_ranges)

    try:
        return CertificateSeen(True, await shown_certificate.shown(host, 443, name, closed), reached=True)
    except NotShownError as error:
        return CertificateSeen(True, trouble=str(error), reached=error.reached)


def _of_secret(name: str, namespace: str, secret: Object | None) -> CertificateSeen:
    """The certificate of a Secret, of which nothing else is kept."""
    if secret is None:
        return CertificateSeen(True, trouble=f"Secret {name} does not exist in namespace {namespace}: create it")
    data = secret.get("data") or {}
    try:
        parts = [base64.b64decode(data[key]) for key in ("tls.crt", "tls.key")]
    except (KeyError, TypeError, ValueError, binascii.Error):
        why = f"Secret {name} lacks tls.crt or tls.key: it has to be of type kubernetes.io/tls"
        return CertificateSeen(True, trouble=why, reached=True)
    try:
        return CertificateSeen(True, shown_certificate.of_pair(*parts), reached=True)
    except ValueError as error:
        return CertificateSeen(True, trouble=f"Secret {name}: {error}", reached=True)


def condition(spec: PDSHubSpec, names: Names, seen: CertificateSeen) -> ConditionDraft:
    """The condition ``CertificateReady``."""
    kind, mode = "CertificateReady", mode_of(spec.tls)
    if mode == "":
        said = "spec.tls says nothing: something before the hub has to end TLS, and the operator does not look at it"
        return kind, "Unknown", "NotConfigured", said
    if mode == "None":
        return kind, "Unknown", "PlainHttp", "spec.tls is none: passwords and sessions can be read on the way"
    if seen.certificate is None:
        return _without(kind, mode, names, seen)
    found, wanted = seen.certificate, public_names(spec)
    lacking = [name for name in wanted if not covers(found.names, name)]
    said = f"issued by {found.issuer} for {', '.join(found.names) or 'no host name'}, valid until {found.not_after}"
    if lacking:
        return kind, "False", "WrongNames", f"the certificate is not for {', '.join(lacking)}: {said}"
    if seen.remaining <= 0:
        return kind, "False", "Expired", f"the certificate is no longer valid: {said}"
    if seen.remaining > 1:
        return kind, "False", "NotYetValid", f"the certificate is not valid yet ({found.not_before}): {said}"
    left = int(seen.remaining * 100) // _STEP * _STEP
    if seen.remaining < EXPIRING:
        return kind, "False", "Expiring", f"less than {int(EXPIRING * 100)} % of its life is left: {said}"
    return kind, "True", "Valid", f"{said}; {left} % of its life or more is left"


def _without(kind: str, mode: str, names: Names, seen: CertificateSeen) -> ConditionDraft:
    """The condition where no certificate was seen."""
    if not seen.asked:
        return kind, "Unknown", "NotAsked", "the operator asks for certificates from inside the cluster only"
    if mode == "Secret":
        return kind, "False", "SecretInvalid" if seen.reached else "SecretMissing", seen.trouble
    if mode == "Acme":
        logs = f"kubectl logs -n {names.namespace} deploy/{names.door} says what the CA answers"
        if seen.reached:
            return kind, "False", "NotIssued", f"the door has no certificate yet: {logs}"
        return kind, "Unknown", "DoorNotReached", f"{seen.trouble}; {logs}"
    if seen.reached:
        return kind, "False", "NotShown", seen.trouble
    return kind, "Unknown", "NotReached", f"{seen.trouble}: from inside the cluster nobody knows how it stands"


def renewed(before: CertificateStatus | None, after: CertificateStatus | None) -> str:
    """The message of the event that a certificate was renewed; empty where none was."""
    if before is None or after is None or not before.fingerprint or before.fingerprint == after.fingerprint:
        return ""
    return f"the certificate for {', '.join(after.names)} is valid until {after.not_after} (before: {before.not_after})"
