"""What may be wrong with a home, each with the gRPC status that says so (CSI specification 1.12, error scheme)."""

from __future__ import annotations


class HomesError(Exception):
    """Something failed that nobody expected; the kubelet and the driver's loops try again."""

    status = "INTERNAL"


class MissingError(HomesError):
    """There is no volume, checkpoint or mount of that id."""

    status = "NOT_FOUND"


class TakenError(HomesError):
    """The name has another meaning already, or something else is mounted there."""

    status = "ALREADY_EXISTS"


class FullError(HomesError):
    """The pool has no room for what was asked for."""

    status = "RESOURCE_EXHAUSTED"


class InUseError(HomesError):
    """A volume is mounted, or a mount is in use."""

    status = "FAILED_PRECONDITION"


class RangeError(HomesError):
    """No size fulfils what was asked for."""

    status = "OUT_OF_RANGE"


class ArgumentError(HomesError):
    """The request itself is malformed."""

    status = "INVALID_ARGUMENT"
