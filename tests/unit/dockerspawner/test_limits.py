"""Sizes of JupyterHub and Docker as quantities of Kubernetes."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.dockerspawner import limits


@pytest.mark.parametrize(
    ("value", "found"),
    [("2G", "2Gi"), ("512M", "512Mi"), ("1.5G", "1536Mi"), ("2g", "2Gi"), ("1T", "1Ti"), (1 << 30, "1Gi"),
     (1000, "1000"), ("1gb", "1Gi"), ("100K", "100Ki"),
     ("", ""), ("x", ""), (None, ""), (True, ""), (0, ""), (-1, ""), ("9" * 60, ""),
     ("1G1", "")],
)  # fmt: skip
def test_memory(value: Any, found: str) -> None:
    assert limits.memory(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [(2, "2"), (2.0, "2"), (0.5, "500m"), ("1.5", "1500m"), (None, ""), ("x", ""), (0, ""), (float("inf"), ""),
     (True, ""), (float("nan"), "")],
)  # fmt: skip
def test_cores(value: Any, found: str) -> None:
    assert limits.cores(value) == found


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"mem_limit": "4g"}, {"memory": "4Gi"}),
        ({"cpu_quota": 150_000, "cpu_period": 100_000}, {"cpu": "1500m"}),
        ({"cpu_quota": 50_000}, {"cpu": "500m"}),
        ({"nano_cpus": 2_000_000_000}, {"cpu": "2"}),
        ({"storage_opt": {"size": "20G"}}, {"ephemeralStorage": "20Gi"}),
        ({"cpu_quota": 1, "cpu_period": 0, "runtime": "nvidia"}, {}),
    ],
)
def test_docker(config: dict[str, Any], found: dict[str, str]) -> None:
    assert limits.of_docker(config) == found
