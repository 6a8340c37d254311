"""Which chart a hub is installed from: whole versions, digests, encrypted ways, a JupyterHub without known holes."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pdshub.api.hub_chart import Chart
from pdshub.helm import Helm, HelmError
from pdshub.installation import ChartDefaults
from pdshub.render.chart import ChartRef, choose
from pdshub.render.hub_release import LEAST, outdated

DIGEST, OTHER = ("sha256:" + letter * 64 for letter in "ab")
HTTP = ["http://charts.example.org/"]


def chosen(asked: dict[str, Any], development: bool = False, **defaults: Any) -> ChartRef:
    made = ChartDefaults.model_validate({"allowedRepositories": HTTP, **defaults})
    return choose(Chart.model_validate(asked), made, "/charts/airgap", "0.1.0", "abc", development)


@pytest.mark.parametrize(
    ("version", "valid"),
    [
        ("4.4.0", True),
        ("v4.4.0", True),
        ("4.4.1-0.dev.git.7000.h0123abc", True),
        ("4.4.0+build.1", True),
        ("4.4.0 || >=0.1.0-0", False),
        ("4.4.0 - 9.9.9", False),
        ("4.4.0,>0", False),
        ("4.4.x", False),
        (">=4.4.0", False),
        ("4.4", False),
        ("4.4.0\n", False),
    ],
)
def test_a_version_is_one_version(version: str, valid: bool) -> None:
    for model in (Chart, ChartDefaults):
        try:
            model.model_validate({"version": version})
        except ValidationError:
            assert not valid
        else:
            assert valid


@pytest.mark.parametrize("digest", ["", "sha256:", "a" * 64, "sha256:" + "A" * 64, DIGEST + "0", f"{DIGEST}\n"])
def test_a_digest_is_whole(digest: str) -> None:
    with pytest.raises(ValidationError):
        Chart.model_validate({"digest": digest})


@pytest.mark.parametrize(
    ("asked", "defaults", "digest"),
    [
        ({}, {}, ""),
        ({"digest": DIGEST}, {}, DIGEST),
        ({}, {"digest": DIGEST}, DIGEST),
        ({"digest": OTHER}, {"digest": DIGEST}, OTHER),
        ({"version": "4.3.0"}, {"digest": DIGEST}, ""),
    ],
    ids=["none", "the hub's", "the installation's", "the hub's goes first", "of another version"],
)
def test_the_digest_that_is_asked_for(asked: dict[str, Any], defaults: dict[str, Any], digest: str) -> None:
    found = chosen(asked, **defaults)
    assert found.digest == digest and not found.trouble
    assert found.identity.endswith(f"@{digest}") is bool(digest), "another digest is another chart"


def test_the_airgap_chart_has_no_digest() -> None:
    assert "spec.chart.digest" in chosen({"source": "Airgap", "digest": DIGEST}).trouble
    assert not chosen({"source": "Airgap"}).trouble


@pytest.mark.parametrize(
    ("asked", "defaults", "development", "allowed"),
    [
        ({}, {}, False, True),
        ({"repository": HTTP[0]}, {}, True, True),
        ({"repository": HTTP[0]}, {}, False, False),
        ({}, {"repository": HTTP[0]}, False, False),
        ({}, {"repository": HTTP[0]}, True, True),
    ],
)
def test_plain_http_is_for_development(
    asked: dict[str, Any], defaults: dict[str, Any], development: bool, allowed: bool
) -> None:
    found = chosen(asked, development, **defaults)
    assert (not found.trouble) is allowed
    assert allowed or (found.reason == "ChartNotAllowed" and "plain HTTP" in found.trouble)


@pytest.mark.parametrize(
    ("version", "values", "refused"),
    [
        ("4.4.0", {}, True),
        ("v4.4.0", {"hub": {"image": {"pullPolicy": "Always"}}}, True),
        ("4.4.0-beta.1", {"hub": None}, True),
        ("3.3.8", {"hub": {"image": None}}, True),
        ("4.4.1", {}, False),
        ("10.0.0", {}, False),
        ("4.4.0", {"hub": {"image": {"name": "registry.example.org/hub", "tag": "1"}}}, False),
    ],
)
def test_a_hub_with_known_holes_is_not_installed(version: str, values: dict[str, Any], refused: bool) -> None:
    said = outdated(chosen({"version": version}), values)
    assert bool(said) is refused
    assert not refused or ("defaults.images.hub" in said and LEAST in said)
    assert outdated(chosen({"source": "Airgap"}), values) == ""


def pulled(folder: Path) -> None:
    (folder / "jupyterhub-4.4.0.tgz").write_bytes(b"chart")


class Command:
    """helm, which pulls one file and remembers what it runs: what of, from which repository, in which version."""

    def __init__(self) -> None:
        self.pulled: list[list[str]] = []
        self.ran: list[tuple[Any, Any, Any]] = []

    async def run(self, command: list[str], given: bytes = b"") -> bytes:
        if command[0] == "pull":
            self.pulled.append(command)
            pulled(Path(command[command.index("--destination") + 1]))
            return b""
        told = [command[command.index(flag) + 1] if flag in command else None for flag in ("--repo", "--version")]
        self._saw(Path(command[2]) if "/" in command[2] else command[2], *told)
        return b'{"version": 6}'

    async def install_or_upgrade(self, release: str, ref: Any, values: Any, **more: Any) -> Any:
        self._saw(ref, more["repo"], more["version"])
        return {"version": 7}

    def _saw(self, ref: Any, repository: Any, version: Any) -> None:
        self.ran.append((ref.read_bytes() if isinstance(ref, Path) else ref, repository, version))


def helm() -> tuple[Helm, Command]:
    made, command = Helm(lambda namespace: Path(namespace)), Command()
    made._command = lambda namespace: command  # type: ignore[method-assign, assignment, return-value]
    return made, command


async def all_of_it(made: Helm, chart: ChartRef) -> int:
    """Everything for which helm looks into a chart; returns the revision that was installed."""
    await made.preview("r", "ns", chart, {})
    await made.render("r", "ns", chart, {})
    return (await made.install_or_upgrade("r", "ns", chart, {})).revision


def test_a_chart_with_a_digest_is_looked_at_before_helm_opens_it() -> None:
    made, command = helm()
    right = f"sha256:{hashlib.sha256(b'chart').hexdigest()}"
    assert asyncio.run(all_of_it(made, chosen({"digest": right}))) == 7
    assert command.ran == [(b"chart", None, None)] * 3 and made.runs == 3
    for pull in command.pulled:
        assert pull[:6] == ["pull", "jupyterhub", "--repo", "https://hub.jupyter.org/helm-chart/", "--version", "4.4.0"]


@pytest.mark.parametrize("verb", [Helm.preview, Helm.render, Helm.install_or_upgrade], ids=lambda verb: verb.__name__)
def test_another_chart_is_not_opened(verb: Any) -> None:
    made, command = helm()
    with pytest.raises(HelmError, match=r"spec\.chart\.digest") as refused:
        asyncio.run(verb(made, "r", "ns", chosen({"digest": DIGEST}), {}))
    assert refused.value.reason == "ChartDigestDiffers" and refused.value.permanent and command.ran == []


def test_without_a_digest_helm_fetches_by_itself() -> None:
    made, command = helm()
    asyncio.run(all_of_it(made, chosen({})))
    assert command.pulled == []
    assert command.ran == [("jupyterhub", "https://hub.jupyter.org/helm-chart/", "4.4.0")] * 3
