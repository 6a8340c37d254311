"""Words for one reader."""

from __future__ import annotations

import base64

import pytest

from pdshub import sealed


def test_only_who_made_the_pair_reads_it() -> None:
    reader, other = sealed.pair(), sealed.pair()
    first, second = sealed.seal("the words", reader.public), sealed.seal("the words", reader.public)
    assert sealed.opened(first, reader) == "the words" and first != second and "words" not in first
    with pytest.raises(ValueError, match="cannot be opened"):
        sealed.opened(first, other)


@pytest.mark.parametrize("wrong", ["", "eA==", "no base64", base64.b64encode(bytes(80)).decode()])
def test_what_is_none_is_not_opened(wrong: str) -> None:
    with pytest.raises(ValueError, match="cannot be opened"):
        sealed.opened(wrong, sealed.pair())


def test_a_changed_byte_is_found() -> None:
    reader = sealed.pair()
    data = bytearray(base64.b64decode(sealed.seal("the words", reader.public)))
    data[-1] ^= 1
    with pytest.raises(ValueError, match="cannot be opened"):
        sealed.opened(base64.b64encode(data).decode(), reader)


@pytest.mark.parametrize("key", ["", "eA==", "?"])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        sealed.seal("x", key)
