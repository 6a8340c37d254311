"""``pdshub-database``: copies a hub's database beside it, or puts a copy in its place; for the operator's Jobs.

Its answer is the container's termination message, as that of backup Jobs. Exit codes: 0 done; 1 not done, the answer
says why.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pdshub.api.backup import ItemStatus
from pdshub.api.backup_job import JobAnswer
from pdshub.backup import answer, before_upgrade
from pdshub.backup.before_upgrade import Copied
from pdshub.backup.verdict import Failed
from pdshub.backup.words import Words

DATABASE, COPIES = "/database", "/copies"
ANSWER = "/dev/termination-log"
LONGEST = 900


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="pdshub-database",
        description="Copy a hub's database, or put a copy in its place.",
        epilog=(__doc__ or "").split("\n\n")[-1],
        allow_abbrev=False,
    )
    made.add_argument("action", choices=("copy", "put-back"))
    made.add_argument("--copy", required=True, metavar="ID", help="the copy that is made, or put in place")
    made.add_argument("--keep", action="append", default=[], metavar="ID", help="copy: others that stay")
    made.add_argument("--digest", default="", help="put-back: of the copy, as it was recorded")
    made.add_argument("--aside", default="", metavar="ID", help="put-back: the copy of what is there now")
    made.add_argument("--database", type=Path, default=Path(DATABASE), help="(default: %(default)s)")
    made.add_argument("--copies", type=Path, default=Path(COPIES), help="(default: %(default)s)")
    made.add_argument("--answer", type=Path, default=Path(ANSWER), help="(default: %(default)s)")
    return made


def _done(args: argparse.Namespace) -> tuple[Copied, str]:
    if args.action == "copy":
        found = before_upgrade.save(args.database, args.copies, args.copy, args.keep)
        return found, f"the database is copied: {found.size} bytes"
    found = before_upgrade.put_back(args.database, args.copies, args.copy, args.digest, args.aside)
    return found, "; ".join(filter(None, ("the copy is in place", found.note)))


def done(args: argparse.Namespace, words: Words) -> JobAnswer:
    """Do the action; whatever goes wrong is an answer."""
    began = time.monotonic()
    try:
        found, message = _done(args)
    except Failed as error:
        made = JobAnswer(ok=False, reason=error.reason, message=words.clean(error.message, LONGEST))
    except Exception as error:
        made = JobAnswer(ok=False, reason="Failed", message=words.clean(f"{type(error).__name__}: {error}", LONGEST))
    else:
        item = ItemStatus(
            item="database", phase="Completed", how="SQLite", size_bytes=found.size, files=found.files,
            digest=found.digest,
        )  # fmt: skip
        made = JobAnswer(ok=True, message=words.clean(message, LONGEST), item=item, place=found.id)
    words.say(f"{made.reason or 'done'}: {made.message}")
    return made.model_copy(update={"seconds": round(time.monotonic() - began, 3)})


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    os.umask(0o077)
    words = Words()
    args = parser().parse_args(arguments)
    return answer.told(args.answer, done(args, words), words)


if __name__ == "__main__":
    sys.exit(main())
