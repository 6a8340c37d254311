"""The page that people see while a hub does not answer, in the node's own words."""

from __future__ import annotations

import html
import re

from pdshub.front_door.site import HubSite

NAME = "PDSHub"
SECONDS = 30
"""After how long the page asks again."""
_MAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_WEB = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~/?=&%#+-]*)?")


def _text(words: str) -> str:
    """Words on one line, escaped. What the file's encoding can not hold is left out, and so is what can't be seen."""
    held = "".join(c if c.isprintable() else " " for c in words).strip()
    return html.escape(held.encode("utf-8", "replace").decode(), quote=True)


def _contact(words: str) -> str:
    """Only addresses of known kinds become links, as on the hub's own pages."""
    said = words.strip()
    if _MAIL.fullmatch(said):
        return f'<a href="mailto:{_text(said)}">{_text(said)}</a>'
    if _WEB.fullmatch(said):
        return f'<a href="{_text(said)}">{_text(said)}</a>'
    return _text(said)


def maintenance(site: HubSite) -> str:
    """HTML 5, complete in one file: nothing of it is fetched from the hub, which does not answer."""
    name = _text(site.title) or NAME
    contact = f"<p>Questions: {_contact(site.contact)}</p>\n" if site.contact.strip() else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="{SECONDS}">
<title>{name}: back soon</title>
<style>body{{font-family:system-ui,sans-serif;max-width:36em;margin:4em auto;padding:0 1em;color:#222}}</style>
</head>
<body>
<h1>{name}</h1>
<p>The hub does not answer at the moment. Files and homes are safe, and servers that run go on running.</p>
<p>This page asks again every {SECONDS} seconds.</p>
{contact}</body>
</html>
"""
