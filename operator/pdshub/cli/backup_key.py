"""``kubectl pdshub backup key``: where the key of a hub's backups is, a copy of it for outside, and where that lies."""

from __future__ import annotations

import argparse
import base64
import binascii
import os
from pathlib import Path
from typing import Any

from pdshub.api.decision import plain
from pdshub.api.hub_backup import Key
from pdshub.archive.findings import printable
from pdshub.cli import backup_run, change, hub_choice, users_act
from pdshub.cli.archive import CliError, Said
from pdshub.cli.change import pointer
from pdshub.cli.hub_choice import HUBS, UseError
from pdshub.cli.hub_choice import key as hub_key
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.words import condition
from pdshub.wellknown import CHANGED_BY

Json = dict[str, Any]
SUFFIX, ENTRY = "-backup-key", "key"
"""The Secret that the operator makes is called by the hub and SUFFIX, and has the key below ENTRY."""
LONGEST = 1 << 16
_MODE = 0o600


def arguments(sub: argparse.ArgumentParser) -> None:
    """The command line of ``backup key``."""
    sub.add_argument("--to", default="", metavar="FILE", help="write the key to a new file that only you can read")
    sub.add_argument("--print", dest="printed", action="store_true", help="print the key: whoever sees it has it")
    sub.add_argument(
        "--declare", default="", metavar="TEXT", help="say where a copy is kept outside of the cluster, and who has it"
    )
    sub.add_argument("--dry-run", action="store_true", help="with --declare: the API server only checks it")


def place(hub: Json) -> tuple[str, str]:
    """Name and entry of the Secret that holds the key of a hub's backups."""
    ref = (backup_run.configured(hub).get("key") or {}).get("secretRef") or {}
    return str(ref.get("name") or f"{hub_key(hub)[1]}{SUFFIX}"), str(ref.get("key") or ENTRY)


def key(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Says where the key is. The Secret is read only where ``--to`` or ``--print`` asks for the key itself."""
    hub = hub_choice.one(kubectl, args)
    namespace, name = hub_key(hub)
    backup_run.configured(hub)
    if args.dry_run and not args.declare:
        raise UseError("--dry-run is for --declare: nothing else changes the cluster")
    declared = declare(kubectl, args, hub) if args.declare else escrow(hub)
    secret, entry = place(hub)
    answer: Json = {
        "hub": {"namespace": namespace, "name": name}, "secret": secret, "key": entry, "escrow": declared or None,
        "dryRun": args.dry_run, "written": None, "value": None,
    }  # fmt: skip
    lines = [f"the key of the backups of hub {namespace}/{name} is in Secret {secret}, key {entry}"]
    if args.to or args.printed:
        value = read(kubectl, namespace, secret, entry)
        if args.to:
            write(Path(args.to), value)
            answer["written"] = args.to
            lines.append(f"written to {args.to}, which only you can read: put it where it is kept, and remove the file")
        if args.printed:
            answer["value"] = _text(value, secret)
            lines.append(answer["value"])
    lines += _of_escrow(hub, declared, args.dry_run)
    return answer, "\n".join(map(printable, lines)), 0


def escrow(hub: Json) -> str:
    """Where a copy of the key is declared to be; "" where it is not."""
    return str((backup_run.configured(hub).get("key") or {}).get("escrow") or "")


def _of_escrow(hub: Json, declared: str, dry_run: bool) -> list[str]:
    namespace, name = hub_key(hub)
    if declared:
        would = " (not stored: --dry-run)" if dry_run else ""
        return [f"a copy is declared to be kept outside of the cluster: {declared}{would}"]
    said = condition(hub, "KeyEscrowed").get("message")
    where = f"--hub {namespace}/{name}"
    return [
        *([f"KeyEscrowed: {said}"] if said else []),
        "no copy outside of the cluster is declared. If the cluster is lost, so is every backup:",
        f"  kubectl pdshub backup key {where} --to {name}.key       # print it, or put it into a password manager",
        f"  kubectl pdshub backup key {where} --declare 'where it is, and who has it'",
    ]


def read(kubectl: Kubectl, namespace: str, secret: str, entry: str) -> bytes:
    """The key. Raises CliError, KubectlError."""
    packed = (kubectl.get("secret", secret, "-n", namespace).get("data") or {}).get(entry)
    try:
        value = base64.b64decode(packed, validate=True) if isinstance(packed, str) else b""
    except (binascii.Error, ValueError):
        value = b""
    if not value or len(value) > LONGEST:
        raise CliError(f"Secret {namespace}/{secret} has no key {entry}, or it is empty: spec.backup.key names it")
    return value


def _text(value: bytes, secret: str) -> str:
    """Raises CliError for what is no text of one line."""
    try:
        found = value.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        found = ""
    if not found or printable(found) != found:
        raise CliError(f"the key in Secret {secret} is no printable text: write it to a file with --to")
    return found


def write(file: Path, value: bytes) -> None:
    """A new file with mode 0600 from its first moment on. Raises CliError."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(descriptor, _MODE)  # whatever the umask
            opened.write(value)
    except FileExistsError:
        raise CliError(f"{file} is there already: name another file, or remove it") from None
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}") from None


def declare(kubectl: Kubectl, args: argparse.Namespace, hub: Json) -> str:
    """Writes where a copy of the key is into the hub's spec. Raises UseError, CliError, KubectlError."""
    line = plain(args.declare, len(args.declare) + 1)
    backup_run.checked(Key, {"escrow": "--declare"}, {"escrow": line})
    namespace, name = hub_key(hub)
    note = {CHANGED_BY: change.by(kubectl, ["backup", "key", "--declare", line])}

    def of_hub(found: Json) -> list[Json]:
        held = backup_run.configured(found).get("key")
        if isinstance(held, dict) and held.get("escrow") == line:
            return []
        first = [] if isinstance(held, dict) else [{"op": "add", "path": pointer("spec", "backup", "key"), "value": {}}]
        text = {"op": "add", "path": pointer("spec", "backup", "key", "escrow"), "value": line}
        return [*first, text, *change.noted(found, note)]

    after = change.apply(kubectl, (HUBS, name, "-n", namespace), of_hub, dry_run=args.dry_run)
    if escrow(after) != line:
        raise CliError(
            "spec.backup.key.escrow: the cluster's PDSHubs have no such field and dropped it: upgrade PDSHub and its"
            " CustomResourceDefinitions"
        )
    if not args.dry_run:
        users_act.tell(f"declared in spec.backup.key.escrow of hub {namespace}/{name}")
    return line
