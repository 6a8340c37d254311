"""Every run of Helm: install, upgrade, uninstall through pyhelm3, and its complaints in an admin's words.

Whether there is anything to do is never asked of Helm: releases are read from their Secrets (reconcile/hub/release.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyhelm3

from pdshub.render.chart import ChartRef

TIMEOUT = "5m"
"""For hooks and single requests; pods are not waited for here."""
HISTORY = 10
"""Revisions that Helm keeps."""


class HelmError(Exception):
    """Helm failed. ``reason`` is a CamelCase word, the text says what is wrong and what to do."""

    def __init__(self, reason: str, message: str, *, permanent: bool) -> None:
        """``permanent``: the same chart and values would fail in the same way again."""
        super().__init__(message)
        self.reason = reason
        self.permanent = permanent
        """The same chart and values will fail the same way again: retrying is no use."""


_NOISE = re.compile(
    r"^(Error: )?((UPGRADE|INSTALLATION) FAILED: )?(Release \"[^\"]*\" does not exist\. Installing it now\.)?\s*"
)
_SECRETISH = re.compile(r"(?i)((?:token|password|secret)[\"']?\s*[:=]\s*)\S+")
_CASES: tuple[tuple[str, str, bool, str], ...] = (
    (
        r"values don't meet the specifications",
        "ValuesRefused",
        True,
        "the chart's schema refuses the values: correct spec.values",
    ),
    (
        r"chart \"[^\"]+\" (version \"[^\"]+\" )?not found|no chart version found|no chart name found",
        "ChartNotFound",
        True,
        "{chart} does not exist: correct spec.chart.version",
    ),
    (
        r"looks like \"[^\"]*\" is not a valid chart repository|failed to fetch|could not (find|resolve)|"
        r"no such host|connection refused|network is unreachable|i/o timeout|TLS handshake|x509",
        "RepositoryUnreachable",
        False,
        "{chart} cannot be fetched: check spec.chart.repository and the network, or use spec.chart.source: Airgap",
    ),
    (
        r"path \"[^\"]+\" not found|Chart\.yaml file is missing",
        "ChartNotFound",
        True,
        "{chart} is not there: this build of the operator carries no such chart",
    ),
    (
        r"another operation \(install/upgrade/rollback\) is in progress",
        "Locked",
        False,
        "another helm run works on this release: it is tried again",
    ),
    (
        r"invalid ownership metadata|already exists and cannot be imported",
        "NotOurs",
        True,
        "an object that the chart makes is there already and is not this release's: leave it as it is, and give the "
        "PDSHub a namespace of its own",
    ),
    (
        r"execution error|failed to render|template:|parse error|YAML parse error",
        "ValuesRefused",
        True,
        "the chart cannot be rendered with these values: correct spec.values",
    ),
    (
        r"is being terminated|forbidden: unable to create new content",
        "NamespaceTerminating",
        False,
        "the namespace is being deleted",
    ),
    (
        r"is forbidden|forbidden:",
        "Forbidden",
        True,
        "the operator may not do that: see operator.extraRules of its chart",
    ),
    (
        r"is invalid|cannot be handled as|unable to build kubernetes objects",
        "ValuesRefused",
        True,
        "Kubernetes refuses an object that the values lead to: correct spec.values",
    ),
)


def explain(stderr: str, chart: ChartRef) -> HelmError:
    """Helm's complaint as one that names the field and the fix, with Helm's own words behind it."""
    lines = [_NOISE.sub("", line).strip() for line in stderr.splitlines()]
    kept = [line for line in lines if line and not line.startswith(("WARNING:", "walk.go", "coalesce.go", "level="))]
    said = _SECRETISH.sub(r"\1***", "; ".join(kept).replace(":;", ":"))[:1200] or "helm said nothing"
    for pattern, reason, permanent, advice in _CASES:
        if re.search(pattern, stderr, re.I):
            return HelmError(reason, f"{advice.format(chart=chart.title)}. Helm said: {said}", permanent=permanent)
    return HelmError("HelmFailed", f"helm failed: {said}", permanent=False)


def _only_file(folder: Path) -> tuple[Path, str]:
    """The one file of a folder and its digest."""
    (file,) = folder.iterdir()
    with file.open("rb") as content:
        return file, f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


class Helm:
    """Runs of the helm program; ``runs`` counts them."""

    def __init__(self, executable: str = "helm", kubeconfig: str | None = None) -> None:
        """``kubeconfig`` is a file's path; without it Helm uses the pod's service account."""
        # a kubeconfig file or the pod's service account: never a token in argv
        self._command = pyhelm3.Command(
            default_timeout=TIMEOUT,
            executable=executable,
            history_max_revisions=HISTORY,
            kubeconfig=Path(kubeconfig) if kubeconfig else None,
        )
        self.runs = 0

    async def install_or_upgrade(self, release: str, namespace: str, chart: ChartRef, values: Mapping[str, Any]) -> int:
        """Install or upgrade a release; returns its revision. Raises HelmError.

        Neither atomic (Helm would uninstall, and the database with it) nor waiting: pods are watched by reconcile.
        """
        self.runs += 1
        with TemporaryDirectory(prefix="chart.") as folder:
            try:
                file = await self._fetched(chart, Path(folder)) if chart.digest else None
                done: Any = await self._command.install_or_upgrade(
                    release,
                    file or chart.ref,
                    dict(values),
                    namespace=namespace,
                    create_namespace=False,
                    repo=None if file else chart.repository,
                    version=chart.version if chart.repository and not file else None,
                )
            except pyhelm3.Error as error:
                raise explain(error.stderr.decode(errors="replace"), chart) from error
        return int(done["version"])

    async def _fetched(self, chart: ChartRef, folder: Path) -> Path:
        """The packaged chart in a folder, checked against its digest before helm looks into it. Raises HelmError."""
        where = ["--repo", chart.repository, "--version", chart.version, "--destination", str(folder)]
        await self._command.run(["pull", chart.ref, *where])
        file, found = await asyncio.to_thread(_only_file, folder)
        if found != chart.digest:
            message = (
                f"{chart.title} is {found}, not {chart.digest}: it was not installed. Find out why the repository "
                f"serves another one, then correct spec.chart.digest, or defaults.chart.digest of the pdshub chart"
            )
            raise HelmError("ChartDigestDiffers", message, permanent=True)
        return file

    async def uninstall(self, release: str, namespace: str) -> None:
        """Remove a release, if there is one. Objects with resource-policy keep stay. Raises HelmError."""
        self.runs += 1
        try:
            await self._command.uninstall(release, namespace=namespace)
        except pyhelm3.ReleaseNotFoundError:
            return
        except pyhelm3.Error as error:
            text = _NOISE.sub("", error.stderr.decode(errors="replace")).strip()
            raise HelmError("UninstallFailed", f"helm could not uninstall: {text}", permanent=False) from error
