"""What a label that cannot be used says."""

from __future__ import annotations


class LabelError(Exception):
    """A label that cannot be used; the text says why, for a finding."""


class TooCostly(LabelError):
    """A label that was not read to its end, as it is larger or more intricate than labels may be.

    The bounds count bytes, elements and characters and no time, so that the same label is always read, or never.
    """
