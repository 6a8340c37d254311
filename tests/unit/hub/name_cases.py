"""What people's names become: the one table that the operator's rule and the hub's are both tried with."""

from __future__ import annotations

NORMAL = {
    "ada@example.org": "ada@example.org",
    "Ada@Example.ORG": "ada@example.org",
    "  ada@example.org\t\r\n": "ada@example.org",
    "a.b@gmail.com": "a.b@gmail.com",  # another entry than ab@gmail.com
    "ab@gmail.com": "ab@gmail.com",
    "ada+pds@example.org": "ada+pds@example.org",
    "o'hara_1@example.org": "o'hara_1@example.org",
    "!#$%&'*+-=?^_`{|}~@example.org": "!#$%&'*+-=?^_`{|}~@example.org",
    "%2e.a": "%2e.a",
    "ada": "ada",
    "A" * 254: "a" * 254,
}
"""What is written, and the name that it is."""

REFUSED = {
    "": "empty",
    " \t": "empty",
    "ada @example.org": "U+0020 SPACE",
    "ada\t@example.org": "U+0009",
    "ada\x00@example.org": "U+0000",
    "ada\x1b[2K@example.org": "U+001B",
    "ada\x7f@example.org": "U+007F",
    "\u0430da@example.org": "U+0430 CYRILLIC SMALL LETTER A",
    "\uff41da@example.org": "U+FF41 FULLWIDTH LATIN SMALL LETTER A",
    "\u212aelvin@example.org": "U+212A KELVIN SIGN",  # lower() would make a plain k of it
    "\u0130da@example.org": "U+0130",
    "stra\xdfe@example.org": "U+00DF",
    "ada@ex\xe4mple.org": "U+00E4",
    "ada\u200b@example.org": "U+200B ZERO WIDTH SPACE",
    "\u202eada@example.org": "U+202E RIGHT-TO-LEFT OVERRIDE",
    "\xa0ada@example.org": "U+00A0 NO-BREAK SPACE",
    "ada@example.org\ufeff": "U+FEFF",
    "ada@example.org\x85": "U+0085",
    "\ud800": "U+D800",
    "a/b@example.org": "U+002F SOLIDUS",
    "../root": "U+002F SOLIDUS",
    ".": "dots alone",
    "..": "dots alone",
    "%2e%2E": "dots alone",
    "a" * 255: "255 characters",
}
"""What is written, and what the refusal says."""
