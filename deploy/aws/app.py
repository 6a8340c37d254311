"""Writes the template: ``python -m aws.app FOLDER`` with deploy/ on the Python path, and Node.js on PATH.

The same sources give the same bytes: nothing of the machine, the time or the CDK's version gets into it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from aws_cdk import App, CfnOutput, DefaultStackSynthesizer, Fn, Stack

from aws import cluster, door, network, parameters, storage, watch

NAME = "pdshub.template.json"
_DESCRIPTION = "PDSHub on EKS: network, cluster, nodes, storage, certificate, alarms. Validated, not deployed."


def stack(app: App) -> Stack:
    """Everything, in one stack."""
    made = Stack(
        app,
        "PDSHub",
        description=_DESCRIPTION,
        # it is given to CloudFormation as it is: no account has to be prepared for the CDK
        synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        analytics_reporting=False,
    )
    given = parameters.declare(made)
    net = network.build(made, given)
    eks = cluster.build(made, given, net)
    kept = storage.build(made, given, net, eks.security_group)
    certificate = door.build(made, given)
    watch.build(made, given, net, kept)
    outputs = {
        "Kubeconfig": Fn.sub("aws eks update-kubeconfig --region ${AWS::Region} --name ${ClusterName}"),
        "CertificateArn": certificate.ref,
        "ArchiveFileSystem": Fn.sub("${ArchiveFiles}.efs.${AWS::Region}.${AWS::URLSuffix}"),
        "ArchiveBucketName": kept.archive.ref,
        "BackupBucketName": kept.backups.ref,
        "VpcId": net.vpc.ref,
    }
    for name, value in outputs.items():
        CfnOutput(made, name, value=value)
    return made


def template() -> dict[str, Any]:
    """The template as CloudFormation takes it."""
    with tempfile.TemporaryDirectory() as out:
        app = App(outdir=out, analytics_reporting=False, tree_metadata=False)
        made = stack(app)
        app.synth()
        found: dict[str, Any] = json.loads(Path(out, f"{made.artifact_id}.template.json").read_text())
    return found


def main(folder: str) -> None:
    """Writes the template into a folder."""
    Path(folder, NAME).write_text(json.dumps(template(), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
