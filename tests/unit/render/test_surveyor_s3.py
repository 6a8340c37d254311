"""What a surveyor's pod has of sources in S3: keys as files, a way to the service, and nothing where there are none."""

from __future__ import annotations

from typing import Any

from pdshub.api.view import Source
from pdshub.installation import Surveyor
from pdshub.render import surveyor

NAMES = surveyor.SurveyorNames("pdshub-surveyors", "sbn")
NFS = Source.model_validate({"name": "nas", "nfs": {"server": "nas", "export": "/pds"}})


def bucket(name: str = "main", **more: Any) -> Source:
    return Source.model_validate({"name": name, "s3": {"bucket": "pds-sbn", "region": "us-east-1", **more}})


def template(*sources: Source) -> dict[str, Any]:
    found: dict[str, Any] = surveyor.deployment(NAMES, Surveyor(image="x"), "u1", sources)["spec"]["template"]
    return found


def test_without_one_the_pod_is_as_ever() -> None:
    assert template(NFS) == template()
    assert surveyor.S3_LABEL not in template()["metadata"]["labels"]


def test_keys_are_files_by_their_names_alone() -> None:
    ca = {"configMap": {"name": "authority", "key": "root.pem"}}
    made = template(NFS, bucket("a" * 63, secretRef="keys", caBundle=ca), bucket("other", secretRef="more"))
    pod = made["spec"]
    (container,) = pod["containers"]
    assert made["metadata"]["labels"][surveyor.S3_LABEL] == "true" and "serviceAccountName" not in pod
    volumes = {v["name"]: v["projected"] for v in pod["volumes"] if "projected" in v}
    assert all(len(name) <= 63 for name in volumes) and all(v["defaultMode"] == 0o440 for v in volumes.values())
    mounts = {m["mountPath"]: m for m in container["volumeMounts"] if m["name"] in volumes}
    assert set(mounts) == {f"/etc/pdshub/s3/{'a' * 63}", "/etc/pdshub/s3/other"}
    assert all(mount["readOnly"] for mount in mounts.values())
    first = volumes[mounts[f"/etc/pdshub/s3/{'a' * 63}"]["name"]]["sources"]
    assert first[0]["secret"]["name"] == "keys" and first[0]["secret"]["optional"]
    assert [item["path"] for item in first[0]["secret"]["items"]] == ["access-key-id", "secret-access-key"]
    assert first[1]["configMap"]["items"] == [{"key": "root.pem", "path": "ca.crt"}]
    assert "--keys=/etc/pdshub/s3" in container["args"]


def test_the_pods_own_identity_is_an_account_of_its_own() -> None:
    pod = template(bucket())["spec"]
    assert pod["serviceAccountName"] == "pdshub-surveyor" and pod["automountServiceAccountToken"] is False
    assert not [v for v in pod["volumes"] if "projected" in v]
