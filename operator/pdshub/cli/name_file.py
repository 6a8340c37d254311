"""Lists of people as text, edited: names go, and everything else stays as somebody wrote it. Pure."""

from __future__ import annotations

from collections.abc import Collection

from pdshub.api import name_file, user_name


def lenient(name: str) -> str:
    """A name in its normal form; as it is written, in lower case, where it has none, so that it can be taken out."""
    try:
        return user_name.normal(name)
    except ValueError:
        return name.strip().lower()


def names(text: str) -> list[str]:
    """The names of a list, each once, in its order."""
    return list(dict.fromkeys(map(lenient, name_file.names(text))))


def without(text: str, gone: Collection[str]) -> str:
    """The list without some names. Everything else stays as it is: order, blank lines, comments, also beside a name."""
    kept = []
    for number, line in enumerate(text.split("\n")):
        name = name_file.bare(line if number else line.removeprefix(name_file.MARK))
        if not name or lenient(name) not in gone:
            kept.append(line)
        elif comment := name_file.COMMENT.search(line):
            kept.append(line[comment.start() :])
    return "\n".join(kept)
