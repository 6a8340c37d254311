"""Names from outside: digests and nothing else become paths, options and names of logical volumes."""

from __future__ import annotations

import pytest

from pdshub.homes import names

ODD = ["pvc-1", "", "../../etc/passwd", "-f", "--yes", "a/b", "name\nwith lines", "é", "x" * 4096, "\udcff", "."]


@pytest.mark.parametrize("name", ODD)
def test_an_id_is_made_of_hexadecimal_digits_whatever_the_name(name: str) -> None:
    volume = names.volume_id(name)
    checkpoint = names.checkpoint_id(volume, name)
    assert names.is_volume(volume) and names.is_checkpoint(checkpoint)
    assert names.volume_of(checkpoint) == volume
    assert names.volume_id(name) == volume and names.volume_id(name + "x") != volume
    assert set(volume) <= set("0123456789abcdef")


GOOD = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "text", ["", GOOD[:-1], GOOD + "0", GOOD.upper(), f"{GOOD[:-2]}/.", f"{GOOD}\n", f"-{GOOD[1:]}", "٠" * 32]
)
def test_what_is_no_id_is_refused(text: str) -> None:
    assert not names.is_volume(text)
    assert not names.is_checkpoint(f"{text}-{GOOD[:16]}")
    assert not names.is_checkpoint(text)


@pytest.mark.parametrize(
    ("name", "label"), [("pvc-4f", "pvc-4f"), ("-v", ""), ("a b", ""), ("x" * 64, ""), ("a,b", ""), ("@tag", "")]
)
def test_labels_are_what_tags_of_lvm_may_be(name: str, label: str) -> None:
    assert names.label(name) == label
