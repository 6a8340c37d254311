"""The Job that boots a hub from the database's copy: the hub's own image, the copy, and nothing else. Pure.

It has no token of the API server, no Secret, and no network: the drills' namespace denies everything, and no policy
allows its pod anything.
"""

from __future__ import annotations

from typing import Any

from pdshub import restricted
from pdshub.reconcile.hub.drill import progress
from pdshub.reconcile.hub.drill.facts import Facts
from pdshub.reconcile.hub.drill.order import BOOT, claim_name, own
from pdshub.render.backup_job import CONTAINER, PATIENCE
from pdshub.render.server import UID
from pdshub.wellknown import BACKUP_PRIORITY

SECONDS = 300
"""In which the hub has to answer."""
FOLDER = "/drill"
RESOURCES = {"requests": {"cpu": "1m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


def job(facts: Facts, index: int, attempt: int, pull_secrets: list[dict[str, Any]]) -> dict[str, Any]:
    """The Job."""
    names = facts.backups.names
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "priorityClassName": BACKUP_PRIORITY,
        **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
        "securityContext": restricted.pod(facts.backups.identity.uid, facts.backups.identity.gid, UID),
        "containers": [
            {
                "name": CONTAINER,
                "image": facts.image,
                "command": ["tini", "--", "python3", "-m", "pdshub_hub.drill", "--folder", FOLDER],
                "args": ["--seconds", str(SECONDS)],
                "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 - a volume of the pod's own
                "resources": RESOURCES,
                "terminationMessagePolicy": "File",
                "securityContext": restricted.container(),
                "volumeMounts": [
                    {"name": "database", "mountPath": FOLDER},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
                ],
            }
        ],
        "volumes": [
            {"name": "database", "persistentVolumeClaim": {"claimName": claim_name(names, facts.namespace)}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        ],
    }
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": progress.job_name(names, index, attempt), "namespace": facts.namespace},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": SECONDS + PATIENCE,
            "template": {"metadata": {}, "spec": pod},
        },
    }
    return own(body, names, BOOT)
