"""The words of the hub's pages: the node's name, whom to write to, the message of the day.

They lie in a file that the operator keeps and the kubelet refreshes, so that the hub needs no restart. They are plain
text that others wrote: templates escape them, and only addresses of known kinds become links.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path("/usr/local/etc/pdshub/notice/notice.json")
MOST_BYTES = 65536
"""What is longer was not written by the operator."""
NAME = "PDSHub"
"""The name of a node that has not said its own."""
_MAIL = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_WEB = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/?=&%#+-]*)?")


@dataclass(frozen=True)
class Words:
    """What the spec says for pages; each is empty where it says nothing."""

    title: str = ""
    contact: str = ""
    motd: str = ""

    @property
    def name(self) -> str:
        """How the hub is called: the node's own name, or that of the software."""
        return self.title or NAME

    @property
    def contact_address(self) -> str:
        """Where a link to the contact leads: ``mailto:``, ``http:`` or ``https:``; empty where it is only words."""
        if _MAIL.fullmatch(self.contact):
            return f"mailto:{self.contact}"
        return self.contact if _WEB.fullmatch(self.contact) else ""


def parse(text: str) -> Words:
    """The words in the text of the file; nothing where it is none of the operator's."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        return Words()
    if not isinstance(found, dict):
        return Words()
    said = {key: found.get(key) for key in ("title", "contact", "motd")}
    return Words(**{key: value.strip() for key, value in said.items() if isinstance(value, str)})


def read(file: Path | None = None) -> Words:
    """The words as they are now in ``file`` (default :data:`FILE`); nothing where it is missing or cannot be read."""
    try:
        with (file or FILE).open("rb") as opened:
            return parse(opened.read(MOST_BYTES).decode())
    except (OSError, UnicodeDecodeError):
        return Words()
