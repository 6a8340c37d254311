"""``archive plan`` and ``archive cost``: what a view in a file would change, and what surveys of it would cost at S3,
before it is applied."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pdshub.api.generation import LIVE
from pdshub.api.view import ArchiveViewSpec
from pdshub.archive import words as archive_words
from pdshub.archive.findings import printable
from pdshub.cli import archive, choose, manifest, words
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.plan_aws import price_file, today
from pdshub.cli.terminal import safe
from pdshub.surveyor import s3_cost


def _text(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(manifest.MAX_BYTES + 1)
        with Path(file).open(encoding="utf-8") as opened:
            return opened.read(manifest.MAX_BYTES + 1)
    except (OSError, UnicodeError) as error:
        raise manifest.ManifestError(f"{file}: {getattr(error, 'strerror', None) or error}") from None


def plan(kubectl: Kubectl, args: argparse.Namespace) -> archive.Said:
    """What would differ from what users see. Nothing is stored or released, and no source is read.

    Raises ManifestError, KubectlError, CliError.
    """
    args.view, spec = manifest.view(_text(args.file))
    found = kubectl.get(archive.VIEWS, args.view)
    against, shown = choose.older(found, args.against), choose.older(found, "")
    body = json.dumps({"name": args.view, "spec": spec})
    raw = archive.asked(kubectl, args, "plan", "--against", against, "--limit", str(args.limit), stdin=body)
    answer = safe(raw)
    names = {name: "the sources live" if name == LIVE else words.short(name) for name in (answer["against"], shown)}
    users = "which users see" if answer["against"] == shown else f"while users see {names[shown]}"
    seen = f"{names[answer['against']]}, {users}"
    lines = [
        f"view {args.view} as in {'the file' if args.file == '-' else args.file}, decided on what the survey of"
        f" {answer['asOf'] or 'an unknown time'} read, against {seen}",
        archive_words.previewed(answer),
    ]
    if pin := (found.get("spec") or {}).get("pin"):
        lines.append(f"the view is pinned at {words.short(pin)}: users see nothing else before it is unpinned")
    lines.append("nothing was stored or released")
    return raw, "\n".join(lines), 0


def cost(_: Kubectl, args: argparse.Namespace) -> archive.Said:
    """What a survey would ask of each source in S3, and its price, as the surveyor reckons it before it begins. Nobody
    is asked: neither the cluster nor the service. Raises ManifestError, CliError.
    """
    name, wire = manifest.view(_text(args.file))
    spec = ArchiveViewSpec.model_validate(wire)
    known = {source.name: int(args.files) for source in spec.sources if source.s3 and args.files}
    found = s3_cost.costs(spec, {}, known, price_file(args.prices), today())
    refused = s3_cost.refusal(spec, found)
    lines = [
        f"view {name}, surveyed every {spec.survey.interval_seconds} s",
        *s3_cost.words(found).split("\n"),
        *([f"no survey would begin: {refused}"] if refused else []),
    ]
    answer = {"view": name, "sources": [one.wire() for one in found], "refused": refused or None}
    return answer, "\n".join(map(printable, lines)), 0
