"""Label selectors: whether labels satisfy one, and whether one can only find what another finds too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TERM = re.compile(r"(?P<key>[^\s=]+)(=(?P<one>.*)| in \((?P<some>.*)\))?")


@dataclass(frozen=True)
class Selector:
    """What labels must have, by key: one of these values, or any where there are none.

    Source: Kubernetes, Labels and Selectors; only ``key``, ``key=value`` and ``key in (a,b)`` are understood.
    """

    terms: Mapping[str, frozenset[str] | None]

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Raises ValueError for a selector of another form."""
        terms: dict[str, frozenset[str] | None] = {}
        for term in filter(None, re.split(r",(?![^(]*\))", text)):
            found = _TERM.fullmatch(term)
            if found is None or found["key"].startswith("!") or found["key"].endswith("!") or found["key"] in terms:
                raise ValueError(f"label selector {text!r} is not understood")
            if found["some"] is not None:
                terms[found["key"]] = frozenset(found["some"].split(","))
            else:
                terms[found["key"]] = None if found["one"] is None else frozenset([found["one"]])
        return cls(terms)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(key in labels and (values is None or labels[key] in values) for key, values in self.terms.items())

    def within(self, other: Selector) -> bool:
        """Whether everything that this one selects is selected by the other too."""
        for key, values in other.terms.items():
            mine = self.terms.get(key, frozenset())
            if key not in self.terms or (values is not None and (mine is None or not mine <= values)):
                return False
        return True
