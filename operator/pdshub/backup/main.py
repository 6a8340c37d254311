"""``pdshub-backup``: does what the mounted request says with restic, and leaves its answer as termination message.

Exit codes: 0 done; 1 not done, the answer says why.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from pdshub.api.backup_job import DATA, PRIVATE, REQUEST, SECRETS, TARGET, JobAnswer, JobRequest
from pdshub.backup import access, answer, drill, give_back, keep, look, recovery, repository, save
from pdshub.backup.ending import Ending
from pdshub.backup.job import LONGEST_MESSAGE, Job, Places
from pdshub.backup.restic import Restic
from pdshub.backup.verdict import Failed
from pdshub.backup.words import Words

ANSWER = "/dev/termination-log"
LARGEST_REQUEST = 1 << 20
"""Bytes: as many as a ConfigMap has."""

ACTIONS: dict[str, Callable[[Job], JobAnswer]] = {
    "init": keep.make,
    "backup": save.save,
    "forget": keep.forget,
    "check": look.check,
    "restore": give_back.restore,
    "list": look.list_snapshots,
    "browse": look.browse,
    "drill": drill.drill,
    "plan": recovery.plan,
    "keys": recovery.keys,
    "recover": recovery.recover,
}
WRITING = ("init", "backup", "forget")
"""Actions that are of no use where nothing can be written."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="pdshub-backup",
        description="Do one action of a backup Job.",
        epilog=(__doc__ or "").split("\n\n")[-1],
        allow_abbrev=False,
    )
    made.add_argument("--request", type=Path, default=Path(REQUEST), help="what to do (default: %(default)s)")
    made.add_argument("--answer", type=Path, default=Path(ANSWER), help="where the answer goes (default: %(default)s)")
    made.add_argument("--secrets", type=Path, default=Path(SECRETS), help="mounted Secrets (default: %(default)s)")
    made.add_argument("--private", type=Path, default=Path(PRIVATE), help="for copies of keys (default: %(default)s)")
    made.add_argument("--data", type=Path, default=Path(DATA), help="what is saved (default: %(default)s)")
    made.add_argument("--target", type=Path, default=Path(TARGET), help="what is restored into (default: %(default)s)")
    made.add_argument("--restic", default="restic", help="the program (default: %(default)s)")
    return made


def read(path: Path) -> JobRequest:
    """The request. Raises Failed(BadRequest)."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_REQUEST + 1)
        if len(data) > LARGEST_REQUEST:
            raise Failed("BadRequest", "the request is too large")
        return JobRequest.model_validate_json(data)
    except OSError as error:
        raise Failed("BadRequest", f"the request cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Failed("BadRequest", f"the request is wrong at {where or 'its top'}: {first['msg']}") from None


def _done(args: argparse.Namespace, words: Words, private: Path, scratch: Path) -> JobAnswer:
    request = read(args.request)
    ending = Ending(request.deadline_seconds)
    ending.listen()
    reached = access.prepare(request, args.secrets, private, scratch, os.environ)
    words.hide(reached.secrets)
    restic = Restic(args.restic, reached, ending, words)
    job = Job(request, restic, ending, words, Places(args.secrets, args.data, args.target, scratch))
    words.say(f"{request.action} {request.item or ''} of {request.hub}, for {request.run}")
    if repository.is_mounted_read_only(request):
        if request.action in WRITING:
            raise Failed("ReadOnly", "the repository cannot be written to where it is mounted")
        restic.options = list(repository.NO_LOCK)
    if request.action in repository.LOOKS:
        restic.options = list(repository.NO_LOCK)
    # init reaches the repository in a way of its own
    removed = 0 if request.action == "init" else repository.greet(restic, words, unlock=request.unlock)
    made = ACTIONS[request.action](job)
    return made.model_copy(update={"unlocked": made.unlocked + removed})


def done(args: argparse.Namespace, words: Words) -> JobAnswer:
    """Do the action; whatever goes wrong is an answer."""
    began = time.monotonic()
    folders: list[Path] = []
    try:
        for where in (args.private, None):
            folders.append(Path(tempfile.mkdtemp(prefix="pdshub-backup-", dir=where)))  # mode 0700
        made = _done(args, words, *folders)
    except Failed as error:
        words.say(f"{error.reason}: {error.message}")
        made = JobAnswer(ok=False, reason=error.reason, message=words.clean(error.message, LONGEST_MESSAGE))
    except Exception as error:
        words.say(f"Failed: {type(error).__name__}: {error}")
        text = f"{type(error).__name__}: {error}"
        made = JobAnswer(ok=False, reason="Failed", message=words.clean(text, LONGEST_MESSAGE))
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return made.model_copy(update={"seconds": round(time.monotonic() - began, 3)})


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    os.umask(0o077)
    args = parser().parse_args(arguments)
    words = Words()
    return answer.told(args.answer, done(args, words), words)


if __name__ == "__main__":
    sys.exit(main())
