"""The names under which people reach a hub."""

from __future__ import annotations

from pdshub.api.hub import PDSHubSpec


def has_subdomains(spec: PDSHubSpec) -> bool:
    """Whether each user has a name below the hub's (``spec.isolation``)."""
    return spec.isolation == "Subdomain"


def public_names(spec: PDSHubSpec) -> tuple[str, ...]:
    """Names that the hub's certificate has to be for; none where the spec names no host."""
    if not spec.hostname:
        return ()
    return (spec.hostname, *((f"*.{spec.hostname}",) if has_subdomains(spec) else ()))


def covers(names: tuple[str, ...] | list[str], wanted: str) -> bool:
    """Whether names of a certificate are good for a name; a wildcard is for one label.

    ``wanted`` may be a wildcard itself. Source: RFC 6125, section 6.4.3.
    """
    lower = {name.lower() for name in names}
    return wanted in lower or f"*.{wanted.partition('.')[2]}" in lower
