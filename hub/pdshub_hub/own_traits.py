"""Whether an authenticator's configuration says what somebody meant: unknown traits are refused, not passed over.

traitlets ignores a trait that a class does not have, so that a misspelt wall is none.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from traitlets import TraitError
from traitlets.config import Config


def _similar(name: str, known: list[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f"; is {found[0]} meant?" if found else ""


def unknown(config: Mapping[str, Any], sections: list[str], traits: list[str]) -> str:
    """What a configuration holds that an authenticator of these sections and traits does not know; empty: nothing.

    A section is the name of a class that the authenticator is made of. Sections of other classes are not looked at,
    unless they are named so like one of these that it was meant.
    """
    for section, content in config.items():
        if section not in sections:
            meant = difflib.get_close_matches(section.lower(), [name.lower() for name in sections], n=1, cutoff=0.9)
            if meant:
                right = next(name for name in sections if name.lower() == meant[0])
                return f"hub.config.{section} is no section of this authenticator; is {right} meant?"
            continue
        for trait in content:
            if trait not in traits:
                return f"hub.config.{section}.{trait}: this authenticator has no such trait{_similar(trait, traits)}"
    return ""


def check(authenticator: Any, required: Mapping[str, Any], bounds: Mapping[str, tuple[int, int]]) -> None:
    """Refuse what contradicts the list. Raises traitlets.TraitError, at which the hub does not start, with the way out.

    ``required``: traits and the value that each has to have. ``bounds``: least and greatest value of numbers.
    """
    config: Config = authenticator.config
    sections = [cls.__name__ for cls in type(authenticator).__mro__ if hasattr(cls, "class_traits")]
    trouble = unknown(config, sections, sorted(authenticator.traits(config=True)))
    for trait, wanted in required.items():
        if not trouble and authenticator.has_trait(trait) and (found := getattr(authenticator, trait)) != wanted:
            trouble = f"{trait} is {found!r} and has to be {wanted!r}: who may sign in says the list alone"
    for trait, (least, most) in bounds.items():
        if not trouble and not least <= (found := getattr(authenticator, trait)) <= most:
            trouble = f"{trait} is {found!r} and has to be from {least} to {most}: else whoever is taken off stays in"
    if trouble:
        ended = trouble if trouble.endswith("?") else f"{trouble}."
        raise TraitError(f"PDSHub: {ended} Leave it out of spec.values, and list people in spec.users")
