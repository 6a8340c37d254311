"""``kubectl pdshub``: what PDSHub shows, decisions about archive views, people, homes and backups of hubs.

Exit codes: 0 done; 1 it failed (verify: files differ; explain: no such path; probe: what is
closed was reached; users: refused, or somebody is on no list; audit --verify: the log was
changed; proxy check: something does not hold; import: a home is not as it was; check: a point
failed; resume, reinstall: the hub stands still; homes adopt: something stayed); 2 wrong use; 3
waiting took too long (users, suspend, resume, reinstall: it is written, but not in effect yet;
backup, restore: it goes on); 4 backup, restore: done in part.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from pdshub.cli import (
    archive,
    audit,
    backup,
    check,
    export_compose,
    homes,
    import_docker,
    migrate,
    plan_aws,
    preview,
    probe,
    proxy,
    report,
    restore,
    restore_deleted,
    rollback,
    status,
    suspend,
    terminal,
    users,
    version,
    weekly,
    why,
)
from pdshub.cli.choose import ChoiceError
from pdshub.cli.kubectl import Kubectl, KubectlError

SURVEYORS = "where surveyors live, if not where the view says (probe, audit: of PDSHub)"
OF_HUBS, OF_PDSHUB = "the namespace of the hub", "where PDSHub is, if not in pdshub-system"


def _common(where: str) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-o", "--output", choices=("text", "json"), default="text")
    common.add_argument("-n", "--namespace", default="", help=where)
    common.add_argument("--context", default="", help="context of the kubeconfig")
    common.add_argument("--kubeconfig", default="", metavar="FILE")
    return common


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="kubectl pdshub",
        description=(__doc__ or "").split(": ", 1)[1].split("\n\n")[0],
        epilog=(__doc__ or "").split("\n\n")[-1],
    )
    common = _common(SURVEYORS)
    areas = top.add_subparsers(dest="area", required=True, metavar="COMMAND")
    status.arguments(areas, _common(OF_HUBS))
    why.arguments(areas, _common(OF_HUBS))
    weekly.arguments(areas, _common(OF_HUBS))
    suspend.arguments(areas, lambda: _common(OF_HUBS))
    report.arguments(areas, _common(OF_HUBS))
    check.arguments(areas, _common(OF_PDSHUB))
    version.arguments(areas, _common(OF_PDSHUB))
    network = areas.add_parser("probe", parents=[common], help="who reaches whom: pods in each role try it")
    probe.arguments(network)
    users.arguments(areas, _common(OF_HUBS))
    homes.arguments(areas, _common(OF_HUBS))
    backup.arguments(areas, _common(OF_HUBS))
    restore.arguments(areas, _common(OF_HUBS))
    restore_deleted.arguments(areas, _common(OF_HUBS))
    rollback.arguments(areas, _common(OF_HUBS))
    proxy.arguments(areas, lambda: _common(OF_HUBS))
    import_docker.arguments(areas, lambda: _common("the namespace of the hub that is made (default: hub)"))
    export_compose.arguments(areas, lambda: _common(OF_HUBS))
    plan_aws.arguments(areas, lambda: _common(OF_HUBS))
    migrate.arguments(areas, lambda: _common(SURVEYORS))
    log = areas.add_parser(
        "audit", parents=[common], help="who signed in, was refused, entered whose server, was removed"
    )
    audit.arguments(log)
    commands = areas.add_parser("archive", help="archive views and their generations").add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )

    def command(name: str, run: Callable[..., archive.Said], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[common], help=text, description=text)
        if name in ("plan", "cost"):
            sub.add_argument(
                "-f", "--file", metavar="FILE", required=True, help="an ArchiveView, or a PDSHub; - is stdin"
            )
        elif name == "status":
            sub.add_argument("view", metavar="VIEW", nargs="?", default="", help="default: all, a line each")
        else:
            sub.add_argument("view", metavar="VIEW")
        sub.set_defaults(run=run)
        return sub

    def generation(sub: argparse.ArgumentParser, name: str, text: str) -> None:
        if name.startswith("-"):
            sub.add_argument(name, metavar="GEN", default="", help=text)
        else:
            sub.add_argument(name, metavar="GEN", nargs="?", default="", help=text)

    def because(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--reason", type=archive.reason, default="", metavar="TEXT", help="why; kept in the view")

    shown = "12 or more of its digits; default: what users see"
    looked_at = "12 or more of its digits, waiting, released or newest; default: what waits, else what users see"
    command("status", archive.status, "what users see, what waits, sources and nodes")
    p = command("explain", archive.explain, "which source shows a path, which others had it and why")
    p.add_argument("path", metavar="PATH", help="path below the view's folder, or SOURCE:PATH")
    generation(p, "--generation", looked_at)
    p = command("diff", archive.diff, "datasets and files that differ between two generations")
    generation(p, "old", f"{shown}; live: the sources")
    generation(p, "new", "default: the one that waits, or else the newest")
    p.add_argument("--limit", type=int, default=1000, help="files named of each kind (default 1000)")
    p = command("findings", archive.findings, "what the survey and the audit have to say")
    generation(p, "--generation", looked_at)
    p.add_argument("--limit", type=int, default=1000, help="default 1000")
    p = command("plan", preview.plan, "what a view in a file would change; nothing is stored, no source is read")
    generation(p, "--against", shown)
    p.add_argument("--limit", type=int, default=1000, help="files named of each kind (default 1000)")
    text = "what surveys of a view in a file would ask of S3, and cost; neither cluster nor service is asked"
    p = command("cost", preview.cost, text)
    p.add_argument("--files", type=plan_aws.count, metavar="N", help="objects of each source in S3, if known")
    p.add_argument("--prices", default="", metavar="FILE", help="default: the file that the plugin carries")
    p = command("refresh", archive.refresh, "survey now")
    p.add_argument("--wait", action="store_true", help="until the survey has ended")
    p.add_argument("--full", action="store_true", help="read every directory, also those whose times stand still")
    p.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="of --wait (default 600)")
    p = command("pin", archive.pin, "hold the view at a generation; roll back with: pin VIEW previous")
    generation(p, "generation", f'{shown}; "previous": the one before')
    because(p)
    command("unpin", archive.unpin, "follow releases again")
    p = command("approve", archive.approve, "release the generation that waits")
    generation(p, "generation", "default: the one that waits")
    because(p)
    p = command("reject", archive.reject, "do not release the generation that waits; the next one may be")
    generation(p, "generation", "default: the one that waits")
    because(p)
    p = command("verify", archive.verify, "compare a generation with the sources: sizes, times and sampled checksums")
    generation(p, "generation", shown)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    line = list(sys.argv[1:] if arguments is None else arguments)
    args = parser().parse_args(["version", *line[1:]] if line[:1] == ["--version"] else line)
    flags = [f"--{name}={value}" for name in ("context", "kubeconfig") if (value := getattr(args, name))]
    try:
        answer, text, code = args.run(Kubectl(tuple(flags)), args)
    except (KubectlError, ChoiceError, archive.CliError) as error:
        terminal.complain(sys.stderr, f"kubectl pdshub: {error}")
        return error.code if isinstance(error, ChoiceError) else 1
    except KeyboardInterrupt:
        return 130
    terminal.write(sys.stdout, json.dumps(answer, indent=1, sort_keys=True) if args.output == "json" else text)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
