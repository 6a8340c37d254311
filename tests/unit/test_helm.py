"""Helm's complaints in an admin's words."""

from __future__ import annotations

import re

import pytest

from pdshub.helm import explain
from pdshub.render.chart import ChartRef

CHART = ChartRef("Repository", "jupyterhub", "https://hub.example.org/", "9.9.9", "x")
CASES: list[tuple[str, str, bool, list[str]]] = [
    (
        "Error: UPGRADE FAILED: values don't meet the specifications of the schema(s) in the following chart(s):\n"
        "jupyterhub:\n- at '/hub': additional properties 'nosuchkey' not allowed\n",
        "ValuesRefused",
        True,
        ["nosuchkey", "spec.values"],
    ),
    (
        'Error: chart "jupyterhub" version "9.9.9" not found in https://hub.example.org/ repository',
        "ChartNotFound",
        True,
        ["9.9.9", "spec.chart.version"],
    ),
    (
        'Error: looks like "https://hub.example.org/" is not a valid chart repository or cannot be reached: '
        'Get "https://hub.example.org/index.yaml": dial tcp: lookup hub.example.org: no such host',
        "RepositoryUnreachable",
        False,
        ["https://hub.example.org/", "spec.chart.repository", "Airgap"],
    ),
    ("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress", "Locked", False, []),
    (
        'Error: INSTALLATION FAILED: Unable to continue with install: PersistentVolumeClaim "hub-db-dir" in namespace '
        '"x" exists and cannot be imported into the current release: invalid ownership metadata',
        "NotOurs",
        True,
        ["namespace of its own"],
    ),
    (
        "Error: UPGRADE FAILED: execution error at (jupyterhub/templates/NOTES.txt:1:1): bad",
        "ValuesRefused",
        True,
        ["spec.values"],
    ),
    (
        "Error: UPGRADE FAILED: YAML parse error on jupyterhub/templates/proxy/service.yaml: error converting "
        "YAML to JSON: yaml: line 31: could not find expected ':'",
        "ValuesRefused",
        True,
        ["spec.values", "proxy/service.yaml"],
    ),
    (
        "Error: YAML parse error on jupyterhub/templates/hub/deployment.yaml: error converting YAML to "
        "JSON: yaml: line 2: found unknown escape character: no such host, x509, i/o timeout",
        "ValuesRefused",
        True,
        ["spec.values"],
    ),
    (
        'Error: namespaces "x" is forbidden: unable to create new content in namespace x being terminated',
        "NamespaceTerminating",
        False,
        [],
    ),
    (
        'Error: clusterroles is forbidden: User "x" cannot create resource',
        "Forbidden",
        True,
        ["pdshub-hub", "spec.values"],
    ),
    ("Error: UPGRADE FAILED: context deadline exceeded", "HelmFailed", False, ["context deadline exceeded"]),
    ("", "HelmFailed", False, ["said nothing"]),
]


@pytest.mark.parametrize(
    ("stderr", "reason", "permanent", "says"), CASES, ids=[f"{c[1]}-{i}" for i, c in enumerate(CASES)]
)
def test_explain(stderr: str, reason: str, permanent: bool, says: list[str]) -> None:
    error = explain(stderr, CHART)
    assert (error.reason, error.permanent) == (reason, permanent)
    assert all(word in str(error) for word in says)
    assert "UPGRADE FAILED" not in str(error)


def test_a_secret_in_a_complaint_is_hidden() -> None:
    assert "hunter2" not in str(explain("Error: bad value: password: hunter2 is wrong", CHART))


@pytest.mark.parametrize("stderr", [case[0] for case in CASES])
def test_no_advice_is_to_take_away_what_is_there(stderr: str) -> None:
    advice = str(explain(stderr, CHART)).partition("Helm said")[0].lower()
    assert not re.search(r"\b(remove|delete|uninstall)\b", advice)
