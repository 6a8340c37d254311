"""What an installation allows to be mounted."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pdshub.api.view import Source
from pdshub.installation import (
    Allowed,
    GoogleProvider,
    Installation,
    Surveyor,
    egress_refusal,
    load,
    refusal,
    storage_refusal,
)


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


FAMILIES = [
    ("found", "10.244.0.7", {4}),
    ("found", "10.244.0.7,fd00::7", {4, 6}),
    ("found", "fd00::7", {6}),
    ("found", "", {4, 6}),
    ('["IPv4", "IPv6"]', "10.244.0.7", {4, 6}),
]


@pytest.mark.parametrize(("said", "pod", "versions"), FAMILIES, ids=[f"{c[0]} {c[1]}" for c in FAMILIES])
def test_families_are_those_of_the_operators_own_pod(said: str, pod: str, versions: set[int], tmp_path: Path) -> None:
    (tmp_path / "installation.yaml").write_text(f"network: {{ipFamilies: {said}}}")
    assert load(tmp_path / "installation.yaml", pod).network.versions() == versions


@pytest.mark.parametrize(
    ("cidr", "pod", "says"),
    [
        ("2606:4700::/32", "10.244.0.7", "have IPv4 addresses only"),
        ("1.1.1.0/24", "fd00::7", "have IPv6 addresses only"),
        ("2606:4700::/32", "10.244.0.7,fd00::7", ""),
    ],
)
def test_a_range_of_a_family_that_pods_lack_is_refused(cidr: str, pod: str, says: str, tmp_path: Path) -> None:
    said = egress_refusal([cidr], load(tmp_path / "none.yaml", pod))
    assert (says in said and cidr in said) if says else not said


def test_a_missing_file_allows_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / "none.yaml") == Installation()
    assert load(tmp_path / "none.yaml").archive.allowed == []


def test_a_misspelt_setting_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "installation.yaml"
    file.write_text("archive: {allowedServers: [nas]}\n")
    with pytest.raises(ValidationError, match="allowedServers"):
        load(file)


URLS = {
    "authorizeUrl": "https://id.example.org/o/oauth2/v2/auth",
    "tokenUrl": "https://id.example.org:8443/oauth2/v4/token",
    "userdataUrl": "https://id.example.org/oauth2/v1/userinfo",
}


def test_a_sign_in_service_in_googles_place() -> None:
    found = GoogleProvider.model_validate(URLS)
    assert found.traits == dict(zip(("authorize_url", "token_url", "userdata_url"), URLS.values(), strict=True))
    assert found.ports == [443, 8443]
    assert (GoogleProvider().traits, GoogleProvider().ports) == ({}, [443]), "Google itself"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"tokenUrl": ""}, "name all, or none"),
        ({"tokenUrl": "http://id.example.org/t"}, "begin with https://"),
        ({"tokenUrl": "ftp://id.example.org/t", "allowHttp": True}, "begin with https://"),
        ({"authorizeUrl": "javascript:alert(1)"}, "begin with https://"),
        ({"tokenUrl": "https:///t"}, "https://HOST"),
        ({"tokenUrl": "https://eve:x@id.example.org/t"}, "https://HOST"),
        ({"tokenUrl": "https://id.example.org:99999/t"}, "https://HOST"),
        ({"userdataUrl": "https://id.example.org/u?as=eve"}, "https://HOST"),
        ({"authorizeUrl": "https://id.example.org/#x"}, "https://HOST"),
        ({"ranges": ["id.example.org"]}, "ranges"),
        ({"tokenURL": "https://id.example.org/t"}, "tokenURL"),
    ],
)
def test_a_sign_in_service_that_is_refused(changed: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        GoogleProvider.model_validate({**URLS, **changed})
    assert says in str(refused.value)


def test_plain_http_has_to_be_asked_for() -> None:
    plain = {key: url.replace("https", "http") for key, url in URLS.items()}
    assert GoogleProvider.model_validate({**plain, "allowHttp": True}).ports == [80, 8443]
