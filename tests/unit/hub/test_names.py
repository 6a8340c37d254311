"""The rule of names, which the operator and the hub both have, gives the same on both sides."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pdshub_hub.names
from pdshub.api import user_name
from tests.unit.hub.name_cases import NORMAL, REFUSED

SIDES = pytest.mark.parametrize("normal", [user_name.normal, pdshub_hub.names.normal], ids=["operator", "hub"])


@SIDES
@pytest.mark.parametrize(("written", "name"), NORMAL.items())
def test_the_normal_form(normal: Callable[[str], str], written: str, name: str) -> None:
    assert normal(written) == name
    assert normal(name) == name


@SIDES
@pytest.mark.parametrize(("written", "why"), REFUSED.items(), ids=ascii)
def test_a_name_that_is_none_is_refused_by_the_character(normal: Callable[[str], str], written: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as refused:
        normal(written)
    str(refused.value).encode()  # it can be shown


def _outcome(normal: Callable[[str], str], written: str) -> str:
    try:
        return normal(written)
    except ValueError as error:
        return str(error)


@given(st.text(max_size=300))
def test_both_sides_say_the_same_of_any_text(written: str) -> None:
    assert _outcome(user_name.normal, written) == _outcome(pdshub_hub.names.normal, written)
