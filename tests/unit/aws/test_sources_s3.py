"""The bucket instead of EFS in the overlay for EKS: valid, allowed, and refused without its values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Installation, refusal
from tests.unit.aws.test_overlay import CHART_SCHEMA, MANIFESTS

FOLDER: Path = MANIFESTS / "overlays/eks"


def load(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def spec() -> PDSHubSpec:
    (base,) = yaml.safe_load_all((MANIFESTS / "base/hub.yaml").read_text())
    (patch,) = load("sources-s3.yaml")
    inline = {**base["spec"]["archive"]["inline"], **patch["spec"]["archive"]["inline"]}
    return PDSHubSpec.model_validate({**base["spec"], "archive": {"inline": inline}})


def allowed(*names: str) -> Installation:
    archive: dict[str, Any] = {}
    for name in names:
        archive |= load(name)[0]["archive"]
    return Installation.model_validate({"archive": archive})


def test_the_bucket_is_allowed_by_its_values_alone() -> None:
    found = spec()
    assert found.archive and found.archive.inline
    sources = found.archive.inline.sources
    both = allowed("values.yaml", "values-s3.yaml").archive
    assert [refusal(source, both) for source in sources] == ["", ""]
    without = [refusal(source, allowed("values.yaml").archive) for source in sources]
    assert "archive.buckets" in without[0] and without[1] == ""
    given = {**load("values.yaml")[0], **load("values-s3.yaml")[0]}
    jsonschema.validate({"image": "r/o:1", **given}, json.loads(CHART_SCHEMA.read_text()))


def test_mountpoint_is_rendered_read_only() -> None:
    volume, claim = load("mountpoint-s3.yaml")
    assert "read-only" in volume["spec"]["mountOptions"] and volume["spec"]["accessModes"] == ["ReadOnlyMany"]
    assert volume["spec"]["claimRef"] == {key: claim["metadata"][key] for key in ("namespace", "name")}
    assert (
        volume["spec"]["csi"]["volumeAttributes"]["bucketName"]
        == load("values-s3.yaml")[0]["archive"]["buckets"][0]["bucket"]
    )
