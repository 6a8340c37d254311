"""How people's names are written: one rule, which the hub has as well (pdshub_hub.names).

A name is what Google's claim ``email`` says, to the letter, in lower case. Dots and what follows a plus sign are part
of it: ``a.b@gmail.com`` and ``ab@gmail.com`` are two people of a list, though Google delivers to one mailbox.
"""

from __future__ import annotations

import string
import unicodedata
from urllib.parse import unquote

LIMIT = 254
"""Characters of the longest name. Source: RFC 5321, section 4.5.3.1.3, less the brackets around a path."""
_PRINTABLE = frozenset(string.ascii_letters + string.digits + string.punctuation)


def _called(character: str) -> str:
    return f"{character!r} (U+{ord(character):04X} {unicodedata.name(character, 'without a name')})"


def normal(name: str) -> str:
    """A name in its normal form: without white space around it, ASCII letters in lower case.

    Raises ValueError, which names the character, for a name that holds anything but printable ASCII without white
    space: letters of other scripts that look alike, control characters, blanks inside. It raises as well for a name
    that is empty, longer than 254 characters, or that JupyterHub takes from nobody: one with ``/``, one of dots alone.
    """
    trimmed = name.strip(string.whitespace)
    for character in trimmed:
        if character not in _PRINTABLE or character == "/":
            raise ValueError(f"{name[:LIMIT]!r} holds {_called(character)}, which no name may hold")
    if not trimmed:
        raise ValueError("a name is empty")
    if len(trimmed) > LIMIT:
        raise ValueError(f"{trimmed[:32]!r}… has {len(trimmed)} characters, more than {LIMIT}")
    if set(unquote(trimmed)) == {"."}:
        raise ValueError(f"{trimmed!r} is of dots alone, which no name may be")
    return trimmed.lower()
