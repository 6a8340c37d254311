"""The template of deploy/aws: AWS CDK writes it, cfn-lint and deploy/aws/checks.py look at it. No account is asked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from .artefact import Artefact, digest, files_digest
from .programs import node
from .run import run
from .settings import ROOT, Paths
from .venv import interpreter, requirements

SOURCE = ROOT / "deploy/aws"
TEMPLATES = SOURCE / "templates"
NAME = "pdshub.template.json"
OFFERS = "instance_types.json"
REGIONS = ("us-east-1", "us-west-2", "us-gov-west-1", "us-gov-east-1")
"""Commercial and GovCloud: a type of resource or a value that one of them lacks is an error of cfn-lint."""
WRITERS = ("app", "access", "addresses", "cluster", "door", "network", "parameters", "storage", "watch")
"""Modules that the template comes from; the checks are not among them."""


def environment() -> Artefact:
    """``bin/python`` with AWS CDK and cfn-lint, and Node.js for the former."""
    pins = SOURCE / "requirements.txt"
    key = digest([pins.read_text(), interpreter()])
    return Artefact("aws-venv", key, lambda work: requirements(work, pins), in_place=True)


def written(paths: Paths) -> Artefact:
    """A folder with the template of the current sources, and the instance types that the pinned cfn-lint knows."""
    inputs = [*(SOURCE / f"{name}.py" for name in (*WRITERS, "offers")), SOURCE / "requirements.txt"]

    def build(work: Path) -> None:
        made = environment().ensure(paths)[0]
        path = f"{node(made) / 'bin'}:/usr/bin:/bin"
        run([made / "bin/python", "-m", "aws.app", work], env={**_ours(), "PATH": path})
        run([made / "bin/python", "-m", "aws.offers", work / OFFERS], env=_ours())

    return Artefact("aws-template", files_digest(inputs), build)


def template(paths: Paths, say: Callable[[str], None]) -> None:
    """Write deploy/aws/templates."""
    TEMPLATES.mkdir(exist_ok=True)
    made, new = written(paths).ensure(paths)
    for name in (NAME, OFFERS):
        shutil.copyfile(made / name, TEMPLATES / name)
        say(f"{'wrote' if new else 'current:'} {(TEMPLATES / name).relative_to(ROOT)}")


def check(paths: Paths) -> None:
    """cfn-lint for every region, then our own checks. Raises StepFailed with what they say."""
    made = environment().ensure(paths)[0]
    run([made / "bin/cfn-lint", "--regions", *REGIONS, "--template", TEMPLATES / NAME])
    run([made / "bin/python", "-m", "aws.checks", TEMPLATES / NAME], env=_ours())


def _ours() -> dict[str, str]:
    """deploy/ as the folder of package aws; nothing is written beside the source."""
    return {"PYTHONPATH": str(SOURCE.parent), "PYTHONDONTWRITEBYTECODE": "1"}
