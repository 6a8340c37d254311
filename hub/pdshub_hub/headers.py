"""What browsers may do with the hub's pages and cookies: headers of its answers, and flags of its cookies.

JupyterHub's own Content-Security-Policy stays: pages may be shown in no frame (``frame-ancestors 'none'``), answers of
the API load nothing (``default-src 'none'``).
Source: RFC 6265bis (SameSite, Secure, HttpOnly); HTML, section 7.1.3 (opener policies); Fetch, section 3.7 (CORP).
"""

from __future__ import annotations

from typing import Any

HEADERS = {
    # another origin that opened a page of the hub, or was opened by one, gets no hold of it
    "Cross-Origin-Opener-Policy": "same-origin",
    # servers of the same site may show the hub's logo; others load nothing
    "Cross-Origin-Resource-Policy": "same-site",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def cookies(public: str) -> dict[str, Any]:
    """Flags of the hub's cookies. ``public``: its address; where it is empty, each request says whether it is TLS."""
    return {"samesite": "Lax", **({"secure": True} if public.startswith("https://") else {})}


def setup(c: Any) -> None:
    """Add headers and flags; what an admin has set goes first. ``c``: the configuration that JupyterHub loads."""
    public = c.JupyterHub.get("public_url") or c.JupyterHub.get("subdomain_host") or ""
    settings = dict(c.JupyterHub.get("tornado_settings") or {})
    settings["headers"] = {**HEADERS, **(settings.get("headers") or {})}
    settings["cookie_options"] = {**cookies(str(public)), **(settings.get("cookie_options") or {})}
    # pages carry the token; no script has to read its cookie
    known = settings.get("xsrf_cookie_kwargs") or {}
    settings["xsrf_cookie_kwargs"] = {**settings["cookie_options"], "httponly": True, **known}
    c.JupyterHub.tornado_settings = settings
