"""What the hub's configuration calls: each part of this package adds what it needs."""

from __future__ import annotations

from typing import Any

from pdshub_hub import (
    audit_trail,
    earlier_api,
    earlier_page,
    headers,
    one_host,
    pages,
    people_api,
    subdomain,
    warning_api,
)


def setup(c: Any) -> None:
    """Configure the hub. ``c`` is the configuration that JupyterHub loads (traitlets' ``Config``).

    The audit trail comes last: it is laid over the authenticator class that is configured by then.
    """
    people_api.setup(c)
    pages.setup(c)
    earlier_page.setup(c)
    earlier_api.setup(c)
    warning_api.setup(c)
    headers.setup(c)
    one_host.setup(c)
    subdomain.setup(c)
    audit_trail.setup(c)
