"""Whose work a revision of a hub's release is, and what may be done with it: pure.

What an attacker can write is the Secrets of the namespace and the PDSHub; its status, and the installation's
namespace, they cannot (decisions/0014).
"""

from __future__ import annotations

from enum import Enum

from pdshub.api.hub import PDSHubStatus
from pdshub.reconcile.hub.release import Release


class Trust(Enum):
    """Why a revision may be worked with."""

    SEALED = "sealed"
    """The operator installed this very content: helm may remove the hub by it, drift is measured by it."""
    OWN = "own"
    """This process saw helm make this very content; the seal is still to be put on."""
    INTENDED = "intended"
    """The status says that helm was about to make this revision, and the operator ended before it could seal it, or
    helm failed: helm may go on over it, once its content has been looked at."""
    EARLIER = "earlier"
    """The status knows this revision from before there were seals, or from before the key was lost: helm may go on
    over it or remove the hub by it, once its content has been looked at."""
    NONE = "none"
    """Somebody else wrote it: nothing of it is executed."""


def trust(release: Release, status: PDSHubStatus, key: str, own: tuple[str, str] | None) -> Trust:
    """Whose work a revision is.

    ``key`` is the name of the present key, ``own`` Secret and digest of what this process saw helm make.
    """
    if release.sealed:
        return Trust.SEALED
    if own == (release.secret, release.digest):
        return Trust.OWN
    if release.revision > 0 and release.revision == status.releasing:
        return Trust.INTENDED
    # once anything was sealed with the present key, everything that is not is somebody's
    if 0 < release.revision <= status.revision and status.sealed_by != key:
        return Trust.EARLIER
    return Trust.NONE


def forged(secret: str) -> str:
    """The sentence about a revision that is not the operator's work."""
    return f"Secret {secret} says that it is Helm's record of this hub, but the operator did not write it"
