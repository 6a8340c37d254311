"""hack/release: what a release publishes beside the images."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from devcluster import generate, golang
from devcluster.console import complain
from devcluster.run import StepFailed
from devcluster.settings import ROOT, Paths

from . import release, sbom


def parser() -> argparse.ArgumentParser:
    """The options of hack/release."""
    made = argparse.ArgumentParser(
        prog="hack/release",
        description="Build what a release publishes beside the images: the wheel, the packaged charts, a bill of"
        " materials for each image, and SHA256SUMS. Everything has the time of the commit: two builds give the same"
        " bytes.",
        epilog="Check a download with: sha256sum --check SHA256SUMS",
    )
    made.add_argument(
        "--output", type=Path, default=ROOT / "build/release", metavar="DIR", help="where to; default: build/release"
    )
    made.add_argument("--dirty", action="store_true", help="build although the tree differs from the commit, to try it")
    made.add_argument("--locks", action="store_true", help="bills of materials from locks alone, not from built images")
    return made


def main(argv: Sequence[str]) -> int:
    """Run hack/release: 0, or 1 when it failed."""
    args = parser().parse_args(argv)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for the digests alone
            commit, epoch = release.state(ROOT, dirty=args.dirty)
            complain(f"release of {commit}{', with changes that are not committed' if args.dirty else ''}")
            release.check_own(args.output)
            paths = Paths.from_environment()
            generate.stubs(paths, complain)
            helm = golang.program(paths, "helm")
            with tempfile.TemporaryDirectory() as folder:
                made = Path(folder)
                release.build(ROOT, release.tracked(ROOT, dirty=args.dirty), made, epoch, helm)
                for line in sbom.write(made, locks=args.locks, epoch=epoch):
                    complain(line)
                text = release.sums(made)
                release.publish(made, args.output)
        print(text, end="")
    except (StepFailed, OSError, ValueError) as error:
        complain(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
