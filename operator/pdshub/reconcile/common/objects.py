"""What hubs and views both look at and write: a Deployment's state, and an object that has to be written."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.kube import Object

_FILLED = base64.b64encode(b"filled").decode()


@dataclass(frozen=True)
class Workload:
    """A Deployment: whether its present pods serve, and what holds them up."""

    exists: bool = False
    available: bool = False
    rolled_out: bool = False
    trouble: str = ""


@dataclass(frozen=True)
class Step:
    """One object that has to be written: what about it, and the words for it."""

    what: str
    body: Mapping[str, Any]
    how: str = "create"
    """create, apply, delete, adopt (metadata alone), rebind or resize; certify: apply, with a certificate that is made
    then; key: a random key is added to a Secret that is there.
    """


def filled(value: Any) -> bool:
    """Whether a value of a Secret holds anything but blanks. One that is no base64 holds nothing."""
    try:
        return bool(base64.b64decode(value).strip())
    except (binascii.Error, TypeError, ValueError):
        return False


def without_content(secret: Object) -> Object:
    """A Secret of whose values only remains whether they are filled, so that it may be kept in memory."""
    data = secret.get("data") or {}
    return {"metadata": secret["metadata"], "data": {key: _FILLED if filled(data[key]) else "" for key in data}}


def orphaned(volume: Object, claim: Object | None) -> bool:
    """Whether a static volume still remembers a claim that is gone."""
    bound = (volume["spec"].get("claimRef") or {}).get("uid")
    return bool(bound) and (claim is None or claim["metadata"].get("uid") != bound)
