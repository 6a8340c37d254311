"""The commands that copy a source: rsync, rclone or AWS DataSync. Each can be run again, and copies what is left. Pure.

They are run where the archive's disks are mounted, by who may read them all: PDSHub's own pods read what users may.
No key stands in them: rclone and the AWS CLI take theirs from the environment or from a file of the person's.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.cli.hub_choice import UseError

Json = Mapping[str, Any]
TOOLS = ("rsync", "rclone", "datasync")


@dataclass(frozen=True)
class Commands:
    """``lines``: one after the other. ``here``: whether they can be run by the plugin; ``notes``: what to know."""

    tool: str
    lines: list[list[str]]
    here: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> list[str]:
        """As they are pasted into a shell."""
        return [shlex.join(line) for line in self.lines]


def commands(tool: str, source: Json, target: Json, *, at: str, into: str, exact: bool) -> Commands:
    """How a source is copied. ``at``: where its files are on the machine that copies; ``into``: where the copy's are,
    if it is no bucket. ``exact``: what only the copy has is deleted. Raises UseError."""
    tool = tool or ("rclone" if target.get("s3") else "rsync")
    if tool == "rsync":
        return _rsync(target, at, into, exact)
    if tool == "rclone":
        return _rclone(target, at, into, exact)
    return _datasync(source, target, exact)


def _folder(path: str) -> str:
    return path.rstrip("/") + "/"


def _rsync(target: Json, at: str, into: str, exact: bool) -> Commands:
    if target.get("s3"):
        raise UseError("rsync writes to no bucket: --tool rclone, or datasync")
    line = [
        "rsync", "--archive", "--hard-links", "--numeric-ids", "--partial-dir=.rsync-partial", "--info=progress2",
        *(["--delete-delay"] if exact else []), "--", _folder(at), _folder(into),
    ]  # fmt: skip
    return Commands("rsync", [line], notes=["owners are kept where both servers let root write"])


def remote(s3: Json) -> str:
    """A bucket as rclone takes it, without a file of settings. Source: rclone.org/docs, connection strings."""
    endpoint = str(s3.get("endpoint") or "")
    aws = not endpoint or endpoint.rstrip("/").endswith(".amazonaws.com")
    words = {
        "provider": "AWS" if aws else "Other",
        "env_auth": "true",
        **({"region": str(s3["region"])} if s3.get("region") else {}),
        **({} if aws else {"endpoint": _quoted(endpoint)}),
        **({"force_path_style": "true" if s3["pathStyle"] else "false"} if "pathStyle" in s3 else {}),
        "directory_markers": "true",
        "no_check_bucket": "true",
    }
    place = "/".join(filter(None, (str(s3["bucket"]), str(s3.get("prefix") or "").strip("/"))))
    return f":s3,{','.join(f'{key}={value}' for key, value in words.items())}:{place}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _rclone(target: Json, at: str, into: str, exact: bool) -> Commands:
    to = remote(target["s3"]) if target.get("s3") else _folder(into)
    line = [
        "rclone", "sync" if exact else "copy", "--create-empty-src-dirs", "--transfers=16", "--checkers=32",
        "--stats=10s", "--stats-one-line", "--stats-log-level=NOTICE", "--", at, to,
    ]  # fmt: skip
    notes = ["keys of the bucket: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, in the environment"]
    if target.get("s3"):
        notes.append("links are not copied: a bucket has none")
    return Commands("rclone", [line], notes=notes)


def _datasync(source: Json, target: Json, exact: bool) -> Commands:
    """Source: AWS DataSync, CLI reference. The words in capitals are those of the account."""
    nfs = source.get("nfs")
    if not nfs or not target.get("s3"):
        raise UseError("datasync is written here from NFS to a bucket alone: --tool rsync or rclone for others")
    s3 = target["s3"]
    prefix = "/" + str(s3.get("prefix") or "").strip("/")
    gone = "REMOVE" if exact else "PRESERVE"
    options = f"VerifyMode=ONLY_FILES_TRANSFERRED,PreserveDeletedFiles={gone},TransferMode=CHANGED,LogLevel=TRANSFER"
    lines = [
        ["aws", "datasync", "create-location-nfs", "--server-hostname", str(nfs["server"]), "--subdirectory",
         str(nfs["export"]), "--on-prem-config", "AgentArns=AGENT_ARN"],
        ["aws", "datasync", "create-location-s3", "--s3-bucket-arn", f"arn:aws:s3:::{s3['bucket']}", "--subdirectory",
         prefix, "--s3-config", "BucketAccessRoleArn=ROLE_ARN"],
        ["aws", "datasync", "create-task", "--source-location-arn", "SOURCE_ARN", "--destination-location-arn",
         "DESTINATION_ARN", "--options", options],
        ["aws", "datasync", "start-task-execution", "--task-arn", "TASK_ARN"],
    ]  # fmt: skip
    notes = [
        "an agent of DataSync has to see the NAS; each command prints the ARN that a later one takes",
        "a task that is started again copies what is left; nobody has run these lines here",
    ]
    return Commands("datasync", lines, here=False, notes=notes)
