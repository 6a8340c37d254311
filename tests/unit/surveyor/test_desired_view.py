"""The body of PUT /spec: a desired view, or the one error that is meant, whatever it holds."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdshub.surveyor.desired_view import DesiredView, DesiredViewError, parse
from tests.unit.surveyor.support import body

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("sha256:" + "a" * 64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["name", "generation", "spec", "request", "keep", "surprise"]
SPEC = ["folder", "sources", "tree", "form", "authority", "survey", "release", "approved", "pin", "surprise"]
PARTS = ["rules", "nightPatterns", "exclude", "settleSeconds", "intervalSeconds", "keep", "stampFile", "restatHours"]


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=2),
    st.dictionaries(st.sampled_from(SPEC), values, max_size=2),
    st.dictionaries(st.sampled_from(PARTS), values, max_size=2),
)
def test_any_body(top: dict[str, Any], spec: dict[str, Any], part: dict[str, Any]) -> None:
    good = body()
    raw = {**good, "spec": {**good["spec"], "survey": part, "authority": part, **spec}, **top}
    try:
        desired = parse(json.loads(json.dumps(raw)))
    except DesiredViewError as error:
        assert str(error)
        return
    assert isinstance(desired, DesiredView) and desired.content.startswith("sha256:")
    assert parse(desired.body()) == desired


def test_the_same_wish_is_the_same_content() -> None:
    one, other = parse(body()), parse(json.loads(json.dumps(body(), sort_keys=True)))
    assert (one.digest, one.content) == (other.digest, other.content)
