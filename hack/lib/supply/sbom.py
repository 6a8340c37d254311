"""hack/sbom: a bill of materials for each image that hack/ builds."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from devcluster import app_images, publish
from devcluster.console import complain
from devcluster.run import StepFailed
from devcluster.settings import ROOT, Paths

from . import bom, built, contents
from .package import Kind

SUFFIX = ".cdx.json"
"""The end of a file's name by which tools know CycloneDX (https://cyclonedx.org/specification/overview)."""
WORDS = {Kind.PYTHON: "Python", Kind.NPM: "npm", Kind.GO: "Go", Kind.DEBIAN: "Debian"}


def parser() -> argparse.ArgumentParser:
    """The options of hack/sbom."""
    made = argparse.ArgumentParser(
        prog="hack/sbom",
        description="Write a bill of materials (CycloneDX 1.6, JSON) for each image that hack/ builds: Python and npm"
        " packages and Go modules from their locks, and, where the image was built on this machine, Debian's packages"
        " and everything else from the image itself. No container engine is needed. The same input gives the same"
        " bytes.",
        epilog="SOURCE_DATE_EPOCH, seconds since 1970, becomes the documents' time; without it they have none.",
    )
    made.add_argument("images", nargs="*", metavar="IMAGE", help=f"only these of {', '.join(contents.RECIPES)}")
    made.add_argument(
        "--output", type=Path, default=ROOT / "build/sbom", metavar="DIR", help="where to write; default: build/sbom"
    )
    made.add_argument("--locks", action="store_true", help="look at locks alone, even where images were built")
    made.add_argument("--check", nargs="+", type=Path, metavar="FILE", help="write nothing; are these valid?")
    return made


def main(argv: Sequence[str]) -> int:
    """Run hack/sbom: 0, or 1 when it failed or a file is not valid; 2 for wrong words."""
    options = parser()
    args = options.parse_args(argv)
    if unknown := set(args.images) - set(contents.RECIPES):
        options.error(f"no such image: {', '.join(sorted(unknown))}")
    try:
        if args.check:
            return check(args.check)
        for line in write(args.output, args.images, locks=args.locks, epoch=epoch(os.environ.get("SOURCE_DATE_EPOCH"))):
            print(line, flush=True)
    except (StepFailed, OSError, ValueError) as error:
        complain(f"FAILED: {error}")
        return 1
    return 0


def epoch(text: str | None) -> int | None:
    """SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch). Raises ValueError for no number."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"SOURCE_DATE_EPOCH={text}: want seconds since 1970")
    return int(text)


def check(files: Sequence[Path]) -> int:
    """Say of each file whether it is valid; 1 when one is not."""
    wrong = 0
    for file in files:
        problem = bom.problem(file.read_text())
        wrong += bool(problem)
        print(f"{file}: {problem or 'valid CycloneDX 1.6'}")
    return min(wrong, 1)


def write(
    folder: Path, images: Sequence[str] = (), *, locks: bool, epoch: int | None, paths: Paths | None = None
) -> Iterator[str]:
    """Write the documents of ``images`` (all, when none is named) into ``folder``; yields a line about each."""
    folder.mkdir(parents=True, exist_ok=True)
    where = paths or Paths.from_environment()
    for image in images or contents.RECIPES:
        archive = None if locks or image not in app_images.NAMES else app_images.built(where, image)
        found = built.look(archive) if archive else None
        made = contents.of(image, publish.version(), found)
        if not made.packages:
            yield f"{image}: left out, no lock names anything in it and it was not built here"
            continue
        text = bom.write(made, epoch)
        file = folder / f"{image}{SUFFIX}"
        new = file.with_suffix(".new")
        new.write_text(text)
        new.rename(file)
        yield f"{file.name}: {told(made)}; sha256 {hashlib.sha256(text.encode()).hexdigest()}"


def told(made: contents.Contents) -> str:
    """How much of what there is, in words."""
    count = Counter(package.kind for package in made.packages)
    parts = ", ".join(f"{count[kind]} {word}" for kind, word in WORDS.items() if count[kind])
    return f"{parts}, {'of the image ' + made.ref if made.ref else 'of locks alone'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
