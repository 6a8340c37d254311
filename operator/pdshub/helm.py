"""Every run of Helm: install, upgrade, uninstall through pyhelm3, and its complaints in an admin's words.

Helm acts as the account of the hub's namespace (tenant.py), never as the operator: whatever a chart or a value makes it
write in another namespace, the API server refuses.

Whether there is anything to do is never asked of Helm: releases are read from their Secrets (reconcile/hub/release.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import pyhelm3

from pdshub.helm_memory import MEMORY_MIB, LimitedCommand
from pdshub.render.chart import ChartRef

TIMEOUT = "5m"
"""For hooks and single requests; pods are not waited for here."""
HISTORY = 10
"""Revisions that Helm keeps."""
KUBERNETES = "1.34.0"
"""The version that charts are told where no API server is asked; Helm's own guess is too old for them."""


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
_UNRENDERED = "the chart cannot be rendered with these values: correct spec.values"
_CASES: tuple[tuple[str, str, bool, str], ...] = (
    (
        r"cannot allocate memory|out of memory",
        "OutOfMemory",
        True,
        f"helm needed more than {MEMORY_MIB} MiB of memory and was ended: make spec.values smaller, and look whether "
        "somebody wrote large Secrets of type helm.sh/release.v1 into the namespace",
    ),
    (
        r"values don't meet the specifications",
        "ValuesRefused",
        True,
        "the chart's schema refuses the values: correct spec.values",
    ),
    # before what a network says: YAML's own words ("could not find expected ':'") and a value's text come behind it
    (r"YAML parse error on \S+/templates/", "ValuesRefused", True, _UNRENDERED),
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
        _UNRENDERED,
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
        "the chart or the values create what a hub may not (see ClusterRole pdshub-hub), or something outside of its "
        "namespace: correct spec.chart or spec.values",
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


@dataclass(frozen=True)
class HelmRelease:
    """A release as Helm prints it and keeps it: what it applies, and what it runs before and after."""

    revision: int
    manifest: str
    hooks: tuple[Mapping[str, Any], ...]
    """Each with ``path`` (the chart's file), ``manifest`` and ``events``."""
    values: Mapping[str, Any]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """A release document, whoever wrote it. Raises ValueError when it is none."""
        if not isinstance(document, Mapping):
            raise ValueError("it is no object")
        hooks, values = document.get("hooks") or [], document.get("config") or {}
        if not isinstance(hooks, list) or not all(isinstance(hook, Mapping) for hook in hooks):
            raise ValueError("hooks is no list of objects")
        if not isinstance(values, Mapping):
            raise ValueError("config is no object")
        return cls(int(document.get("version") or 0), str(document.get("manifest") or ""), tuple(hooks), values)


def _only_file(folder: Path) -> tuple[Path, str]:
    """The one file of a folder and its digest."""
    (file,) = folder.iterdir()
    with file.open("rb") as content:
        return file, f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


class Helm:
    """Runs of the helm program; ``runs`` counts them."""

    def __init__(self, kubeconfig: Callable[[str], Path], executable: str = "helm") -> None:
        """``kubeconfig`` gives the path of the kubeconfig of a namespace's account."""
        self._kubeconfig, self._executable = kubeconfig, executable
        self.runs = 0

    def _command(self, namespace: str) -> LimitedCommand:
        """Helm as the account of a namespace: by a file, never by a token in argv."""
        return LimitedCommand(
            default_timeout=TIMEOUT,
            executable=self._executable,
            history_max_revisions=HISTORY,
            kubeconfig=self._kubeconfig(namespace),
        )

    async def install_or_upgrade(
        self, release: str, namespace: str, chart: ChartRef, values: Mapping[str, Any]
    ) -> HelmRelease:
        """Install or upgrade a release; returns what was installed. Raises HelmError.

        Neither atomic (Helm would uninstall, and the database with it) nor waiting: pods are watched by reconcile.
        """
        self.runs += 1
        async with self._found(namespace, chart) as (ref, repository, version):
            done: Any = await self._command(namespace).install_or_upgrade(
                release,
                ref,
                dict(values),
                namespace=namespace,
                create_namespace=False,
                skip_crds=True,  # they are of the whole cluster, and in no manifest that could be looked at
                repo=repository,
                version=version,
            )
        return HelmRelease.of(done)

    async def preview(self, release: str, namespace: str, chart: ChartRef, values: Mapping[str, Any]) -> HelmRelease:
        """What ``install_or_upgrade`` would apply now; changes nothing. Raises HelmError.

        The API server is asked, as charts look up what is there; ``helm template`` finds nothing then. It does not
        say here what it thinks of the objects: the caller's judgement comes first.
        """
        options = ["--install", "--dry-run=server", "--skip-crds", "--hide-notes"]
        options += ["--disable-openapi-validation", "--output", "json", "--history-max", str(HISTORY)]
        printed = await self._printed("upgrade", release, namespace, chart, values, options)
        try:
            return HelmRelease.of(json.loads(printed))
        except (ValueError, RecursionError) as error:
            raise HelmError("HelmFailed", f"helm printed no release: {error}", permanent=False) from error

    async def render(self, release: str, namespace: str, chart: ChartRef, values: Mapping[str, Any]) -> str:
        """What the chart makes of values, hooks among it, without asking the API server. Raises HelmError."""
        options = ["--skip-crds", "--kube-version", KUBERNETES]
        printed = await self._printed("template", release, namespace, chart, values, options)
        return printed.decode(errors="replace")

    async def _printed(
        self,
        verb: str,
        release: str,
        namespace: str,
        chart: ChartRef,
        values: Mapping[str, Any],
        options: Sequence[str],
    ) -> bytes:
        self.runs += 1
        async with self._found(namespace, chart) as (ref, repository, version):
            where = ["--repo", repository] if repository else []
            where += ["--version", version] if version else []
            return await self._command(namespace).run(
                [verb, release, str(ref), *options, "--namespace", namespace, *where, "--values", "-"],
                json.dumps(values).encode(),
            )

    @asynccontextmanager
    async def _found(self, namespace: str, chart: ChartRef) -> AsyncIterator[tuple[str | Path, str | None, str | None]]:
        """What helm is told of a chart: a name or a file, a repository, and a version.

        A chart with a digest is fetched for each run and checked before helm looks into it. Raises HelmError, also for
        what fails within.
        """
        try:
            if not chart.digest:
                yield chart.ref, chart.repository, chart.version if chart.repository else None
                return
            with TemporaryDirectory(prefix="chart.") as folder:
                yield await self._fetched(namespace, chart, Path(folder)), None, None
        except pyhelm3.Error as error:
            raise explain(error.stderr.decode(errors="replace"), chart) from error

    async def _fetched(self, namespace: str, chart: ChartRef, folder: Path) -> Path:
        """The packaged chart in a folder, checked against its digest. Raises HelmError, pyhelm3.Error."""
        where = ["--repo", str(chart.repository), "--version", chart.version, "--destination", str(folder)]
        await self._command(namespace).run(["pull", chart.ref, *where])
        file, found = await asyncio.to_thread(_only_file, folder)
        if found != chart.digest:
            message = (
                f"{chart.title} is {found}, not {chart.digest}: it was not installed. Find out why the repository "
                f"serves another one, then correct spec.chart.digest, or defaults.chart.digest of the pdshub chart"
            )
            raise HelmError("ChartDigestDiffers", message, permanent=True)
        return file

    async def uninstall(self, release: str, namespace: str) -> None:
        """Remove a release, if there is one. Objects with resource-policy keep stay. Raises HelmError.

        Hooks are not run: whoever may write Secrets of the namespace can write some into a release.
        """
        self.runs += 1
        try:
            await self._command(namespace).uninstall(release, namespace=namespace, no_hooks=True)
        except pyhelm3.ReleaseNotFoundError:
            return
        except pyhelm3.Error as error:
            text = _NOISE.sub("", error.stderr.decode(errors="replace")).strip()
            raise HelmError("UninstallFailed", f"helm could not uninstall: {text}", permanent=False) from error
