"""Facts that several programs share stand in one module each, and charts and images say the same."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pdshub import generation_id, ports, rfc3339, tls_names, wellknown
from pdshub.generation_id import is_name, named, short
from pdshub.render.surveyor import SurveyorNames, service

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "operator/pdshub"
NAME = "sha256:" + "0123456789abcdef" * 4


def constants(file: Path) -> Iterator[Any]:
    """Every constant of a module but its docstrings."""
    tree = ast.parse(file.read_text())
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in alone)


@functools.cache
def stated() -> dict[str, list[Any]]:
    """Module -> its constants: parsing all of them takes seconds, and each fact asks for all."""
    files = (path for path in SOURCE.rglob("*.py") if "_proto" not in path.parts)
    return {str(path.relative_to(SOURCE)): list(constants(path)) for path in files}


def homes(fact: Any) -> set[str]:
    """The modules that state a fact: an equal number, or a text that contains it as a whole word."""
    word = re.compile(rf"(?<![\w-]){re.escape(fact)}(?![\w-])") if isinstance(fact, str) else None
    return {
        module
        for module, said in stated().items()
        if any(type(fact) is type(c) and (word.search(c) if word else fact == c) for c in said)
    }


@pytest.mark.parametrize(
    ("fact", "home"),
    [
        (r"sha256:[0-9a-f]", None),  # put together from its prefix
        ("%Y-%m-%dT%H", {"rfc3339.py", "front_door/apache_machine.py"}),  # the second in Apache's own language
        ("archive.pdshub.dev", {"wellknown.py"}),
        ("v1alpha1", {"wellknown.py"}),
        ("pdshub-ca", {"tls_names.py"}),
        ("pdshub-node-tls", {"tls_names.py"}),
        ("pdshub-operator-tls", {"tls_names.py"}),
        ("surveyor.pdshub", {"tls_names.py"}),
        ("pdshub-surveyors", {"installation.py"}),
        ("commonName", {"tls_names.py"}),
        ("archive.allowed", {"mount_rules.py"}),
        ("archive.allowedLocalPrefixes", {"mount_rules.py"}),
        (wellknown.UID, {"wellknown.py"}),
        (ports.NFS, {"ports.py"}),
        (ports.NODE_METRICS, {"ports.py"}),
        (ports.NODE_REPORT, {"ports.py"}),
        (ports.SURVEYOR, {"ports.py"}),
        (ports.SURVEYOR_METRICS, {"ports.py"}),
        (ports.OPERATOR_HEALTH, {"ports.py"}),
    ],
)
def test_home(fact: Any, home: set[str] | None) -> None:
    assert homes(fact) == (home or set())


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("charts/pdshub/templates/node.yaml", [f"hostPort: {ports.NODE_REPORT}"]),
        ("charts/pdshub/values.yaml", [f"metricsPort: {ports.NODE_METRICS}"]),
        ("charts/pdshub/templates/surveyor.yaml", [f"port: {ports.SURVEYOR},", f"port: {ports.SURVEYOR_METRICS},"]),
        (
            "charts/pdshub/templates/operator.yaml",
            [f"containerPort: {ports.OPERATOR_HEALTH}", f"runAsUser: {wellknown.UID}"],
        ),
        ("charts/pdshub/templates/csidriver.yaml", [f"name: {wellknown.DRIVER}"]),
        ("images/operator/Dockerfile", [f"USER {wellknown.UID}:{wellknown.UID}"]),
    ],
)
def test_charts_and_images_say_the_same(file: str, words: list[str]) -> None:
    text = (ROOT / file).read_text()
    assert all(word in text for word in words), words


def test_the_service_of_a_surveyor_has_its_port() -> None:
    assert service(SurveyorNames("ns", "v"), "u")["spec"]["ports"][0]["port"] == ports.SURVEYOR


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1769817600, "2026-01-31T00:00:00Z"),
        (1769817600.999, "2026-01-31T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1e30, None),
        (-1e12, None),
        (float("nan"), None),
    ],
)
def test_rfc3339(seconds: float, text: str | None) -> None:
    if text is None:
        with pytest.raises(ValueError):
            rfc3339.text(seconds)
    else:
        assert rfc3339.text(seconds) == text and rfc3339.seconds(text) == int(seconds // 1)
    assert rfc3339.for_people(seconds) == (text or "an impossible time")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1970-01-01T00:01:00Z", 60.0), ("", 0.0), (None, 0.0), ("yesterday", 0.0)],
)
def test_seconds(text: Any, expected: float) -> None:
    assert rfc3339.seconds(text) == expected


def test_now_is_a_moment() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", rfc3339.now()) and rfc3339.seconds(rfc3339.now()) > 0


@pytest.mark.parametrize(
    ("reference", "whole", "shortly", "means"),
    [
        (NAME, True, "0123456789ab", True),
        (NAME[7:], False, "0123456789ab", True),
        ("sha256:0123456789ab", False, "0123456789ab", True),
        ("0123456789ab", False, "0123456789ab", True),
        ("0123456789a", False, "0123456789a", False),
        ("123456789abcdef", False, "123456789abc", False),
        (NAME + "\n", False, "0123456789ab", False),
        ("", False, "", False),
    ],
)
def test_generation_id(reference: str, whole: bool, shortly: str, means: bool) -> None:
    assert is_name(reference) is whole and short(reference) == shortly and named(reference, NAME) is means
    assert not means or re.fullmatch(generation_id.REFERENCE, reference)


@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        (None, ""),
        ({}, ""),
        ({"subject": ((("commonName", "pdshub-node"),),)}, tls_names.NODE),
        ({"subject": ((("organizationName", "x"),), (("commonName", "pdshub-operator"),))}, tls_names.OPERATOR),
        ({"subject": ((("commonName", "pdshub-operator"),), (("commonName", "x"),))}, ""),
    ],
)
def test_common_name(certificate: Any, name: str) -> None:
    assert tls_names.common_name(certificate) == name
