"""Operator, demo hub and first notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .steps import Step

if TYPE_CHECKING:
    from .up import World


def steps(world: World, *, demo: bool) -> list[Step]:
    return []


def farewell(world: World) -> None:
    return None
