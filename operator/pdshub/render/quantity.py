"""Kubernetes quantities as KubeSpawner writes them.

KubeSpawner refuses ``4Gi`` and ``500m``; its ``4G`` means 4 * 1024**3 bytes, and cores are plain numbers.
Source: jupyterhub.traitlets.ByteSpecification.
"""

from __future__ import annotations

from decimal import Decimal

from pdshub.api.base import parse_quantity

_UNITS = (("T", 1024**4), ("G", 1024**3), ("M", 1024**2), ("K", 1024))


def spawner_bytes(quantity: str) -> str:
    """Bytes with a suffix of 1024s, exactly: ``4Gi`` is ``4G``, ``1G`` is ``976562.5K``.

    Always text: a large plain number would come out of Helm as 1e+09, which YAML reads as a word.
    Parts of a byte are rounded up. Raises ValueError when it is no quantity.
    """
    exact = parse_quantity(quantity)
    whole = int(exact.to_integral_value(rounding="ROUND_CEILING"))
    for suffix, unit in _UNITS:
        if whole and whole % unit == 0:
            return f"{whole // unit}{suffix}"
    return f"{(Decimal(whole) / 1024).normalize():f}K"


def spawner_cores(quantity: str) -> float:
    """Cores as a number: ``500m`` is 0.5. Raises ValueError when it is no quantity."""
    return float(parse_quantity(quantity))
