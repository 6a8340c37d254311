"""Which lines of a configuration are understood: those of which it is known what becomes of them. Pure."""

from __future__ import annotations

from pdshub.dockerspawner.report import Report
from pdshub.dockerspawner.settings import Assignment, Config
from pdshub.dockerspawner.traits import Verdict, find
from pdshub.dockerspawner.values import Unknown


def uncertain(found: Config, traits: dict[tuple[str, str], Assignment], report: Report) -> None:
    """Where the sign-in depends on what is not known, it is not that of JupyterHub's default."""
    chosen = ("JupyterHub", "authenticator_class")
    conditional = [each for each in found.assignments if (each.owner, each.name) == chosen and each.condition]
    if conditional and chosen not in traits:
        first = conditional[0]
        doubt = Unknown(f"it depends on {first.condition}")
        traits[chosen] = Assignment(*chosen, doubt, first.line)
        report.contradiction(
            "c.JupyterHub.authenticator_class", f"{doubt.why}, which is not known", found.file, first.line
        )


def lines(found: Config, report: Report) -> None:
    """Lines that were not understood. That is none of a trait of which nothing is taken over, whatever its value."""
    left = []
    for line in found.unread:
        of = [each for each in found.assignments if each.line == line.number] if line.statements == 1 else []
        traits = [find(each.owner, each.name, found.bases) for each in of]
        if of and all(trait is not None and trait.verdict is Verdict.NONE for trait in traits):
            for each, trait in zip(of, traits, strict=True):
                report.add(
                    Verdict.NONE, f"c.{each.owner}.{each.name}", trait.words if trait else "", found.file, line.number
                )
        else:
            left.append(line)
    found.unread = left
    report.lines(found.file, left)
    numbers = {line.number for line in left}
    more = {entry.line for entry in report.of(Verdict.UNREAD) if entry.file == found.file} - numbers - {0}
    report.statements, report.understood = found.statements, found.understood - len(more)
