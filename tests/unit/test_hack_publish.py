"""hack/images: names in a registry, and the chart values that name them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from devcluster import app_images, publish
from devcluster.run import StepFailed

ROOT = Path(__file__).parents[2]
BUILT = {"operator": "localhost/pdshub/operator:0a1b", "user": "localhost/pdshub/user:2c3d"}


@pytest.mark.parametrize(
    ("repository", "tag", "wanted"),
    [
        ("registry.example.org/pdshub", "", f"registry.example.org/pdshub/operator:{publish.version()}-0a1b"),
        ("127.0.0.1:5000/a/b_c", "1.2", "127.0.0.1:5000/a/b_c/operator:1.2"),
        ("https://registry.example.org/pdshub", "", None),
        ("registry.example.org/PDSHub", "", None),
        ("registry.example.org/pdshub/", "", None),
        ("registry.example.org/pdshub:1", "", None),
        ("registry.example.org/pdshub", "a b", None),
        ("-v", "", None),
    ],
)
def test_names_of_pushed_images(repository: str, tag: str, wanted: str | None) -> None:
    if wanted is None:
        with pytest.raises(StepFailed, match="--tag" if tag else "--push .*: want HOST"):
            publish.targets(BUILT, repository, tag)
    else:
        assert publish.targets(BUILT, repository, tag)["operator"] == wanted


def test_values_of_pushed_images_are_the_charts() -> None:
    names = publish.targets(dict.fromkeys(app_images.IN_CLUSTER, "x:1"), "r.example.org/p", "7")
    found = yaml.safe_load(publish.values(names))
    assert found["image"] == "r.example.org/p/operator:7"
    chart = yaml.safe_load((ROOT / "charts/pdshub/values.yaml").read_text())
    assert set(found["defaults"]["images"]) == set(chart["defaults"]["images"])


@pytest.mark.parametrize(
    ("repository", "loopback"),
    [("localhost:5000/p", True), ("127.0.0.1/p", True), ("localhost.example.org/p", False), ("10.0.0.1:5000/p", False)],
)
def test_only_a_registry_of_this_machine_may_be_without_tls(repository: str, loopback: bool) -> None:
    assert publish.is_loopback(repository) is loopback
