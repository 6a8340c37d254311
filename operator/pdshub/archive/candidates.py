"""Which files of a directory may be the label of a dataset: the authority pass opens these and no others.

Bundle and collection labels may have any name, but they look different from product labels: most say so in
their name, and nearly all others stand alone or beside an inventory table, while a product's label has its data
file beside it, and there are many of the same kind.
"""

from __future__ import annotations

import re
from collections import defaultdict

_LABEL = re.compile(r"\.(xml|lblx)$", re.IGNORECASE)
_NAMED = re.compile(r"bundle|collection", re.IGNORECASE)
_TABLES = frozenset({"csv", "tab", "txt"})

MAX_NAMED = 64  # labels opened in one directory because of their name
MAX_RARE = 4  # of one shape: more of a kind are products
MAX_OTHER = 8  # labels opened in one directory because of their company


def _stem(name: str) -> str:
    return name.split(".", 1)[0] if not name.startswith(".") else name


def label_candidates(names: str, searching: bool) -> tuple[list[str], bool]:
    """Names worth opening among ``names`` (joined with "/"), and whether there were too many to try all.

    ``searching`` is False inside a collection, volume or night: datasets begin there only if a name says so.
    """
    low = names.lower()
    if ".xml" not in low and ".lblx" not in low:
        return [], False
    if not searching and "bundle" not in low and "collection" not in low:
        return [], False
    files = names.split("/")
    labels = [name for name in files if _LABEL.search(name)]
    named = [name for name in labels if _NAMED.search(name)]
    full = len(named) > MAX_NAMED
    if full:  # thousands of products with such names: the shortest ones are the likelier dataset labels
        named = sorted(named, key=lambda n: (len(n), n))[:MAX_NAMED]
    if not searching:
        return sorted(named), full
    taken = set(named)
    company: dict[str, set[str]] = defaultdict(set)
    for name in files:
        if not _LABEL.search(name):
            company[_stem(name).lower()].add(name.rpartition(".")[2].lower())
    shapes: dict[frozenset[str], list[str]] = defaultdict(list)
    for name in labels:
        if name not in taken:
            shapes[frozenset(company.get(_stem(name).lower(), ()))].append(name)
    others: list[str] = []
    for shape, members in sorted(shapes.items(), key=lambda item: sorted(item[0])):
        if len(members) <= MAX_RARE and shape <= _TABLES:
            others += members
    return sorted(named + sorted(others)[:MAX_OTHER]), full
