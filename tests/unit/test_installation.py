"""What an installation allows to be mounted."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pdshub.api.view import Source
from pdshub.installation import Allowed, Installation, Surveyor, load, refusal, storage_refusal


@pytest.mark.parametrize(
    ("path", "prefixes", "refused"),
    [
        ("/srv/archive", ["/srv/archive"], False),
        ("/srv/archive/pds4", ["/srv/archive"], False),
        ("/srv/archives", ["/srv/archive"], True),
        ("/etc", ["/srv/archive"], True),
        ("/srv/archive", [], True),
    ],
)
def test_local_paths(path: str, prefixes: list[str], refused: bool) -> None:
    source = Source.model_validate({"name": "a", "local": {"path": path}})
    said = refusal(source, Allowed(allowed_local_prefixes=prefixes))
    assert bool(said) is refused
    assert not refused or (path in said and "archive.allowedLocalPrefixes" in said)


@pytest.mark.parametrize(
    ("storage", "limit", "refused"),
    [
        ("10Gi", None, False),
        ("100Gi", None, False),
        ("101Gi", None, True),
        ("1e30", None, True),
        ("110G", "100Gi", True),
        ("107G", "100Gi", False),
        ("2Ti", "2048Gi", False),
    ],
)
def test_stores(storage: str, limit: str | None, refused: bool) -> None:
    said = storage_refusal(storage, Surveyor(**{"max_storage": limit} if limit else {}), "spec.where")
    assert bool(said) is refused
    assert not refused or (said.startswith(f"spec.where: {storage} is more") and "surveyor.maxStorage" in said)


def test_a_missing_file_allows_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / "none.yaml") == Installation()
    assert load(tmp_path / "none.yaml").archive.allowed == []


def test_a_misspelt_setting_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "installation.yaml"
    file.write_text("archive: {allowedServers: [nas]}\n")
    with pytest.raises(ValidationError, match="allowedServers"):
        load(file)
