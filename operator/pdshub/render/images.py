"""Image references, as the chart's values want them."""

from __future__ import annotations


def split(reference: str) -> dict[str, str]:
    """``name:tag`` in two; a digest stays part of the tag, without a tag it is ``latest``.

    ``host:5000/name`` has a port and no tag. ``name@sha256:abc`` becomes name ``name@sha256`` and tag ``abc``, which
    the charts join with a colon again.
    """
    head, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        return {"name": reference, "tag": "latest"}
    return {"name": head, "tag": tag}


def pullable(reference: str) -> bool:
    """Whether a registry holds the image: everything but what was built on the machine (``localhost/…``)."""
    return not reference.startswith("localhost/")
