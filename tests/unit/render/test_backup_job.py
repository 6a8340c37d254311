"""The Job of a backup as an attacker would like it to be: each field that keeps it small, and what it mounts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub.api.backup_job import DATA, PRIVATE, REPOSITORY, REQUEST, SECRETS, TARGET, JobRequest
from pdshub.installation import Backup
from pdshub.reconcile.hub.backup.order import order
from pdshub.reconcile.hub.backup.progress import Stage
from pdshub.reconcile.hub.backup.steps import Start
from pdshub.reconcile.hub.drill.boot import RESOURCES
from pdshub.render import backup_job
from pdshub.render.backup_job import KEYS_SCRATCH, PRIVATE_SIZE, Identity, host_of
from pdshub.wellknown import BACKUP_PRIORITY, SERVER_PRIORITY
from tests.unit.reconcile.hub.backup.given import NAMES, backup, facts, restore, run

ROOT = Path(__file__).parents[3]
SETTINGS = Backup(image="registry.example.org/pdshub:1")
S3 = {"s3": {"bucket": "bucket", "secretRef": "s3-keys", "caBundle": {"configMap": {"name": "ca", "key": "root.pem"}}}}
SFTP = {"sftp": {"host": "b.example.org", "user": "backup", "path": "/srv", "secretRef": "ssh"}}
REST = {"rest": {"url": "https://b.example.org/x", "caBundle": {"secret": {"name": "ca", "key": "c"}}}}
STEPS = {
    "init": Start(run(), Stage("init"), 0),
    "home": Start(run(), Stage("backup", 0), 0, "home/ada"),
    "database": Start(run(), Stage("backup", 2), 0, "database"),
    "keys": Start(run(), Stage("backup", 3), 0, "keys"),
    "objects": Start(run(), Stage("backup", 4), 0, "objects"),
    "forget": Start(run(), Stage("forget"), 0),
    "restore": Start(restore(), Stage("restore"), 0, "home/ada"),
}


def made(what: str, spec: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    given = backup(**(spec or {}))
    return backup_job.job(NAMES, order(facts(spec=given, **more), STEPS[what]), SETTINGS)


def pod(what: str, spec: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return dict(made(what, spec, **more)["spec"]["template"]["spec"])


def container(what: str, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    (only,) = pod(what, spec)["containers"]
    return dict(only)


WALLS: list[tuple[str, Callable[[dict[str, Any]], bool]]] = [
    ("it is not begun again by Kubernetes", lambda j: j["spec"]["backoffLimit"] == 0),
    ("one pod", lambda j: (j["spec"]["completions"], j["spec"]["parallelism"]) == (1, 1)),
    ("it has an end", lambda j: j["spec"]["activeDeadlineSeconds"] == 360 * 60 + backup_job.PATIENCE),
    ("no clock takes it away before it was read", lambda j: "ttlSecondsAfterFinished" not in j["spec"]),
    ("its pod is not begun again", lambda j: spec_of(j)["restartPolicy"] == "Never"),
    ("no token", lambda j: spec_of(j)["automountServiceAccountToken"] is False),
    ("no account of its own", lambda j: "serviceAccountName" not in spec_of(j)),
    ("no addresses in its environment", lambda j: spec_of(j)["enableServiceLinks"] is False),
    ("nobody's namespace but its own", lambda j: not {"hostNetwork", "hostPID", "hostIPC"} & spec_of(j).keys()),
    ("not root", lambda j: spec_of(j)["securityContext"]["runAsNonRoot"] is True),
    ("as users are", lambda j: spec_of(j)["securityContext"]["runAsUser"] == 1000),
    ("seccomp", lambda j: spec_of(j)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}),
    ("no escalation", lambda j: one(j)["securityContext"]["allowPrivilegeEscalation"] is False),
    ("nothing of its root can be written", lambda j: one(j)["securityContext"]["readOnlyRootFilesystem"] is True),
    ("no capabilities", lambda j: one(j)["securityContext"]["capabilities"] == {"drop": ["ALL"]}),
    ("bounds of memory and CPU", lambda j: {"cpu", "memory"} <= one(j)["resources"]["limits"].keys()),
    (
        "nothing secret in its environment",
        lambda j: {v["name"] for v in one(j)["env"]} == {"HOME", "PDSHUB_MEMORY", "PDSHUB_PROCESSORS"},
    ),
    (
        "it knows how much memory it has",
        lambda j: one(j)["env"][1]["valueFrom"] == {"resourceFieldRef": {"resource": "limits.memory"}},
    ),
    (
        "restic is told how many processors it may take",
        lambda j: one(j)["env"][2]["valueFrom"] == {"resourceFieldRef": {"resource": "limits.cpu"}},
    ),
    (
        "nothing in its arguments",
        lambda j: one(j)["command"] == ["tini", "--", "pdshub-backup"] and "args" not in one(j),
    ),
    ("its log is no answer", lambda j: one(j)["terminationMessagePolicy"] == "File"),
    ("nothing to write to without an end", lambda j: all("sizeLimit" in v.get("emptyDir", BOUND) for v in volumes(j))),
    ("keys that are copied stay in memory", lambda j: medium(j, "private") == "Memory"),
    ("one host name for all Jobs of a hub", lambda j: spec_of(j)["hostname"] == host_of(NAMES, "uid-demo")),
    ("volumes that restricted allows", lambda j: all(kinds(v) <= ALLOWED for v in volumes(j))),
    (
        "it ends before users' servers do",
        lambda j: spec_of(j)["priorityClassName"] == BACKUP_PRIORITY != SERVER_PRIORITY,
    ),
    ("it can be found by its hub", lambda j: j["metadata"]["labels"]["pdshub.dev/hub"] == "demo"),
    ("it is no part of the hub", lambda j: j["spec"]["template"]["metadata"]["labels"]["component"] == "backup"),
    ("it goes with whom it is for", lambda j: bool(j["metadata"]["ownerReferences"][0]["uid"])),
]
BOUND = {"sizeLimit": "what is no emptyDir"}
ALLOWED = {"name", "configMap", "emptyDir", "secret", "persistentVolumeClaim"}


def spec_of(job: dict[str, Any]) -> dict[str, Any]:
    return dict(job["spec"]["template"]["spec"])


def one(job: dict[str, Any]) -> dict[str, Any]:
    (only,) = spec_of(job)["containers"]
    assert "initContainers" not in spec_of(job)
    return dict(only)


def volumes(job: dict[str, Any]) -> list[dict[str, Any]]:
    return list(spec_of(job)["volumes"])


def medium(job: dict[str, Any], name: str) -> str:
    (found,) = [v["emptyDir"] for v in volumes(job) if v["name"] == name]
    return str(found.get("medium", ""))


def kinds(volume: dict[str, Any]) -> set[str]:
    return set(volume)


@pytest.mark.parametrize("what", STEPS)
@pytest.mark.parametrize("holds", [w[1] for w in WALLS], ids=[w[0] for w in WALLS])
def test_every_wall_stands(what: str, holds: Callable[[dict[str, Any]], bool]) -> None:
    assert holds(made(what))


def mounts(what: str, spec: dict[str, Any] | None = None) -> dict[str, tuple[str, bool]]:
    """By path what is mounted, and whether read-only."""
    body = pod(what, spec)
    by_name = {v["name"]: v for v in body["volumes"]}
    found = {}
    for mount in body["containers"][0]["volumeMounts"]:
        volume = by_name[mount["name"]]
        name = (
            volume.get("secret", {}).get("secretName")
            or volume.get("configMap", {}).get("name")
            or volume.get("persistentVolumeClaim", {}).get("claimName")
            or volume["name"]
        )
        found[mount["mountPath"]] = (name, mount.get("readOnly", False))
    assert len(found) == len(body["containers"][0]["volumeMounts"]), "no two at one path"
    assert set(by_name) == {m["name"] for m in body["containers"][0]["volumeMounts"]}, "no volume for nothing"
    return found


def always(job: str) -> dict[str, tuple[str, bool]]:
    return {
        "/etc/pdshub-backup": (job, True),
        f"{SECRETS}/key": ("demo-backup-key", True),
        "/tmp": ("tmp", False),
        PRIVATE: ("private", False),
    }


MOUNTS: list[tuple[str, dict[str, Any], str, dict[str, tuple[str, bool]]]] = [
    ("init", {}, "one-init", {REPOSITORY: ("vault", False)}),
    ("home", {}, "one-i0", {REPOSITORY: ("vault", False), f"{DATA}/home": ("claim-ada", True)}),
    ("database", {}, "one-i2", {REPOSITORY: ("vault", False), f"{DATA}/database": ("hub-db-dir", True)}),
    ("keys", {}, "one-i3", {REPOSITORY: ("vault", False), f"{DATA}/keys/demo-keys": ("demo-keys", True)}),
    ("objects", {}, "one-i4", {REPOSITORY: ("vault", False), f"{DATA}/objects": ("one-i4", True)}),
    ("forget", {}, "one-forget", {REPOSITORY: ("vault", False)}),
    ("restore", {}, "back-restore", {REPOSITORY: ("vault", True), TARGET: ("claim-ada", False)}),
    (
        "home",
        S3,
        "one-i0",
        {
            f"{DATA}/home": ("claim-ada", True),
            f"{SECRETS}/repository": ("s3-keys", True),
            f"{SECRETS}/ca": ("ca", True),
        },
    ),
    ("restore", SFTP, "back-restore", {TARGET: ("claim-ada", False), f"{SECRETS}/repository": ("ssh", True)}),
    ("init", REST, "one-init", {f"{SECRETS}/ca": ("ca", True)}),
]


@pytest.mark.parametrize(("what", "place", "job", "wanted"), MOUNTS)
def test_what_is_mounted(what: str, place: dict[str, Any], job: str, wanted: dict[str, tuple[str, bool]]) -> None:
    assert mounts(what, {"repository": place} if place else None) == {**always(job), **wanted}


@pytest.mark.parametrize("what", STEPS)
def test_keys_in_clear_are_in_memory_and_files_in_memory_are_counted(what: str) -> None:
    """The hub's own keys are copied to be saved: no disk of a node shall keep them."""
    scratch = KEYS_SCRATCH if what == "keys" else 0
    assert medium(made(what), "tmp") == ("Memory" if scratch else "")
    sizes = {v["name"]: v["emptyDir"]["sizeLimit"] for v in volumes(made(what)) if "emptyDir" in v}
    assert sizes == {"tmp": str(scratch) if scratch else "2Gi", "private": str(PRIVATE_SIZE)}
    limits = container(what)["resources"]["limits"]
    assert limits == {"cpu": "1", "memory": str((1 << 30) + PRIVATE_SIZE + scratch)}
    assert container(what)["resources"]["requests"] == SETTINGS.resources["requests"]


def test_a_cluster_without_a_limit_of_memory_gets_none() -> None:
    settings = SETTINGS.model_copy(update={"resources": {"requests": {"cpu": "50m"}}})
    body = backup_job.job(NAMES, order(facts(), STEPS["keys"]), settings)
    assert one(body)["resources"] == {"requests": {"cpu": "50m"}}


def test_whoever_waits_for_a_server_gets_the_processors_first() -> None:
    """By cgroup weights, which the kubelet makes of requests: the Job has the least there is."""
    asked = container("home")["resources"]["requests"]["cpu"]
    assert asked == RESOURCES["requests"]["cpu"] == "1m"
    chart = yaml.safe_load((ROOT / "charts/pdshub/values.yaml").read_text())["backup"]["resources"]
    assert chart == SETTINGS.resources


def test_secrets_are_those_keys_alone_that_are_needed() -> None:
    body = pod("home", {"repository": S3})
    found = {v["name"]: v["secret"] for v in body["volumes"] if "secret" in v}
    assert found["key"]["items"] == [{"key": "key", "path": "key"}]
    assert [i["key"] for i in found["repository-keys"]["items"]] == ["access-key-id", "secret-access-key"]
    assert all(secret["defaultMode"] == 0o440 for secret in found.values())
    bundles = [v["configMap"]["items"] for v in body["volumes"] if v["name"] == "ca"]
    assert bundles == [[{"key": "root.pem", "path": "ca.crt"}]]


def test_the_request_is_what_the_program_reads() -> None:
    given = order(facts(), STEPS["objects"])
    body = backup_job.config_map(NAMES, given)
    assert JobRequest.model_validate_json(body["data"][REQUEST.rpartition("/")[2]]) == given.request
    assert set(body["data"]) == {"request.json", "objects.pdshub.json"}
    asked = [v for v in pod("home")["volumes"] if v["name"] == "request"]
    assert asked[0]["configMap"]["items"] == [{"key": "request.json", "path": "request.json"}]
    assert not any(word in json.dumps(body) for word in ("secret-access-key", "demo-backup-key"))


def test_where_it_runs() -> None:
    from pdshub.reconcile.hub.backup.facts import Use

    body = pod("home", uses={"claim-ada": (Use("jupyter-ada", "n2"),)})
    terms = body["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]
    assert "nodeName" not in body, "the scheduler counts it"
    assert "affinity" not in pod("home")
    dedicated = {t["key"] for t in pod("home")["tolerations"]}
    assert dedicated == {"hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated"}


def test_as_whom_it_runs() -> None:
    """Homes as their owners are, the database as the hub is."""
    identity = Identity(2000, 3000)
    ids = ("runAsUser", "runAsGroup", "fsGroup")
    assert [pod("home", identity=identity)["securityContext"][key] for key in ids] == [2000, 3000, 3000]
    assert [pod("restore", identity=identity)["securityContext"][key] for key in ids] == [2000, 3000, 3000]
    assert [pod("database", identity=identity)["securityContext"][key] for key in ids] == [2000, 3000, 1000]
