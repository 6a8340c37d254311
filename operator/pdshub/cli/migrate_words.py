"""What the commands that move a source say of places and of what differs, and how they run a program. No decision."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pdshub.cli import users_act
from pdshub.cli.archive import CliError
from pdshub.cli.migrate_record import place
from pdshub.cli.words import short

Json = Mapping[str, Any]
TOLD_SECONDS, EXAMPLES = 15.0, 20


def run(line: Sequence[str]) -> None:
    """Runs a command to its end; what it says goes to standard error. Raises CliError."""
    try:
        with subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            last, told = "", 0.0
            for said in process.stdout or ():
                last = said.strip() or last
                if time.monotonic() - told >= TOLD_SECONDS:
                    told = time.monotonic()
                    users_act.tell(last[-200:])
    except OSError as error:
        raise CliError(f"{line[0]}: {error.strerror}: it has to be installed where the copy is made") from None
    if process.returncode:
        raise CliError(f"{line[0]} ended with code {process.returncode}: {last[-300:]}; the same command goes on")


def words(source: Json) -> str:
    """Where a source is, for people."""
    at = place(source)
    if "s3" in at:
        return f"s3://{at['s3'].get('bucket')}/{at['s3'].get('prefix') or ''}".rstrip("/")
    if "nfs" in at:
        return f"{at['nfs'].get('server')}:{at['nfs'].get('export')}"
    return str((at.get("local") or {}).get("path") or "nowhere")


def why(answer: Json, generation: str) -> list[str]:
    """What differs, in lines."""
    if answer.get("wrong"):
        listed = [str(each) for each in answer.get("examples") or []][:EXAMPLES]
        more = int(answer["wrong"]) - len(listed)
        lines = [f"{answer['wrong']} of {answer['files']} files differ:", *(f"  {each}" for each in listed)]
        return [*lines, *([f"  … and {more} more"] if more > 0 else [])]
    gives = short(str(answer.get("rehearsed")))
    return [
        f"each of its {answer.get('files')} files is the same, but the copy gives {gives} and not {short(generation)}:",
        "  it has files that the source has not, or lacks links or empty directories;",
        "  or the source has changed since its last survey: kubectl pdshub archive refresh, and copy again",
    ]
