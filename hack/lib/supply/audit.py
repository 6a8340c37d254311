"""hack/audit: known holes of what the locks of the images name. A report: it fails nothing.

pip-audit asks PyPI about each package of a lock (https://docs.pypi.org/api/json), npm the registry that it is set up
with. A lock says which versions an image has, so nothing is installed and no image has to be there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from devcluster.settings import ROOT, Paths

from . import locks
from .contents import RECIPES
from .findings import Report, clean, document, lines, of_npm_audit, of_pip_audit

SECONDS = 60.0
"""How long all questions together may take."""
PATIENCE = 10
"""Seconds that one question may take."""

Ask = Callable[[Sequence[str], Path, float], str]
"""Runs a command in a folder for at most so many seconds; its standard output. Raises OSError or TimeoutError."""


@dataclass(frozen=True)
class Lock:
    """A lock of an image, relative to the repository."""

    image: str
    path: str

    @property
    def of_npm(self) -> bool:
        """Whether npm reads it, and not pip."""
        return self.path.endswith("package-lock.json")


def every_lock() -> list[Lock]:
    """All locks of images for Python and npm, what only the build stage has too."""
    return [Lock(image, path) for image, made in RECIPES.items() for path in (*made.python, *made.build, *made.npm)]


def parser() -> argparse.ArgumentParser:
    """The options of hack/audit."""
    made = argparse.ArgumentParser(
        prog="hack/audit",
        description="Say which known holes the Python and npm packages of the images have, as pip-audit and npm audit"
        " know them. It is a report: it ends with 0 whatever it finds, and says where a service is out of reach.",
    )
    made.add_argument("images", nargs="*", metavar="IMAGE", help=f"only these of {', '.join(RECIPES)}")
    made.add_argument("--output", choices=("text", "json"), default="text", help="default: text")
    made.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="N", help=f"the time for all of it; default: {SECONDS:.0f}"
    )
    return made


def main(argv: Sequence[str]) -> int:
    """Run hack/audit; 0, but for wrong words (2)."""
    options = parser()
    args = options.parse_args(argv)
    if unknown := set(args.images) - set(RECIPES):
        options.error(f"no such image: {', '.join(sorted(unknown))}")
    wanted = [lock for lock in every_lock() if not args.images or lock.image in args.images]
    reports = list(audit(wanted, run, time.monotonic() + args.seconds))
    if args.output == "json":
        print(document(reports))
    else:
        print("\n".join(line for report in reports for line in lines(report)))
    return 0


def audit(wanted: Sequence[Lock], ask: Ask, until: float) -> Iterator[Report]:
    """A report on each lock, in order; the last question ends at ``until`` (of the monotonic clock).

    A question for each package is much to ask a mirror that knows no holes. So the shortest lock is asked about first;
    when none of its packages was known, no other is asked about.
    """
    of_pip = sorted((lock for lock in wanted if not lock.of_npm), key=lambda lock: (ROOT / lock.path).stat().st_size)
    found: dict[Lock, Report] = {}
    with ThreadPoolExecutor(max_workers=max(len(wanted), 1)) as pool:
        npm = {lock: pool.submit(_report, lock, ask, until) for lock in wanted if lock.of_npm}
        if of_pip:
            first, *others = of_pip
            found[first] = _report(first, ask, until)
            if found[first].looked_at:
                asked = {lock: pool.submit(_report, lock, ask, until) for lock in others}
                found |= {lock: report.result() for lock, report in asked.items()}
            else:
                why = f"not asked, as there was no answer about {first.path}"
                found |= {lock: Report(lock.image, lock.path, unknown=why) for lock in others}
        found |= {lock: report.result() for lock, report in npm.items()}
    yield from (found[lock] for lock in wanted)


def _report(lock: Lock, ask: Ask, until: float) -> Report:
    """What is known of a lock; whatever goes wrong is said in it."""
    try:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        text = (ROOT / lock.path).read_text()
        if not lock.of_npm:
            return of_pip_audit(lock.image, lock.path, ask(pip_audit(ROOT / lock.path), ROOT, left))
        with tempfile.TemporaryDirectory() as folder:  # npm writes into the folder that it looks at
            for name in ("package.json", "package-lock.json"):
                shutil.copy((ROOT / lock.path).parent / name, folder)
            answer = ask(NPM, Path(folder), left)
        return of_npm_audit(lock.image, lock.path, answer, len(locks.npm(text)))
    except TimeoutError:
        return Report(lock.image, lock.path, unknown="no answer in time")
    except FileNotFoundError as error:
        return Report(lock.image, lock.path, unknown=f"{clean(error.filename)} is not installed")
    except OSError as error:
        return Report(lock.image, lock.path, unknown=f"no answer: {clean(error)}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Report(lock.image, lock.path, unknown=f"the answer makes no sense: {clean(error)}")


NPM = (
    *("npm", "audit", "--json", "--omit=dev", "--package-lock-only", "--fetch-retries=0"),
    f"--fetch-timeout={PATIENCE * 1000}",
)


def pip_audit(lock: Path) -> list[str]:
    """The command that asks about each package of ``lock``, by the program beside this Python."""
    cache = Paths.from_environment().cache / "pip-audit"
    return [
        *(
            str(Path(sys.executable).with_name("pip-audit")),
            "--requirement",
            str(lock),
            "--require-hashes",
            "--disable-pip",
        ),
        *("--format", "json", "--progress-spinner", "off", "--timeout", str(PATIENCE), "--cache-dir", str(cache)),
    ]


def run(command: Sequence[str], folder: Path, seconds: float) -> str:
    """Standard output of a command, whatever its exit code: both tools end with 1 where they find something.

    Raises TimeoutError when it takes longer, and OSError with its last line when it says nothing or can't be run. Its
    children end with it.
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if not out.strip():
        raise OSError(clean(complaint.strip().rpartition("\n")[2]) or f"exit code {process.returncode}")
    return out


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
