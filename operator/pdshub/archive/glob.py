"""Path patterns of rules and of night directories."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=1024)
def glob(pattern: str) -> re.Pattern[str]:
    """A pattern as an expression for ``fullmatch`` against a whole path.

    ``*`` and ``?`` stay inside one name, ``**`` crosses directories, ``[…]`` is a set of characters and ``[!…]`` all
    others. What makes no expression is taken letter by letter.
    """
    out, i = "", 0
    while i < len(pattern):
        char = pattern[i]
        if pattern.startswith("**/", i):
            out, i = out + "(?:[^/]+/)*", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif char == "*":
            out, i = out + "[^/]*", i + 1
        elif char == "?":
            out, i = out + "[^/]", i + 1
        elif char == "[" and (end := pattern.find("]", i + 2)) > 0:
            inner = pattern[i + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out, i = (
                out + "[" + ("^" + inner[1:] if inner[0] == "!" else inner.replace("^", "\\^")) + "]",
                end + 1,
            )
        else:
            out, i = out + re.escape(char), i + 1
    try:
        return re.compile(out, re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))
