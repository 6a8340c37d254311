"""The commands behind hack/: up, dev, down, test and its parts, images, generate, repair, env, venv, figures."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from . import (
    dev,
    engine,
    figures,
    generate,
    golang,
    ground,
    price_list,
    programs,
    publish,
    repair,
    testing,
    times,
    up,
    venv,
    worker,
)
from .artefact import lock
from .console import complain, say
from .facts import read
from .run import StepFailed, log_to
from .settings import Paths
from .steps import Step, run_steps


def main(argv: list[str]) -> int:
    """Run one command; 0, or 1 when it failed (the reason is on standard error)."""
    parser = argparse.ArgumentParser(prog="hack")
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("up", help="set up everything that is missing; end with a working hub")
    p.add_argument("--cluster-only", action="store_true", help="cluster, NAS and images, without the operator")
    p.add_argument("--no-demo", action="store_true", help="install the operator, but no demo hub")
    p = commands.add_parser("dev", help=dev.SUMMARY, description=dev.SUMMARY, epilog=dev.EPILOG, prog="hack/dev")
    p.add_argument("parts", nargs="*", metavar="PART", type=dev.part, help=f"only these: {', '.join(dev.PARTS)}")
    p.add_argument("--dry-run", action="store_true", help="say what would be built and restarted, and do nothing")
    p = commands.add_parser("down", help="take everything away that up made, except the cache")
    p.add_argument("--all", action="store_true", help="the cache and the images too")
    p = commands.add_parser("images", help="build the images that a cluster runs; --push them to a registry")
    p.add_argument("--push", default="", metavar="REGISTRY/PATH", help="push each to REGISTRY/PATH/NAME:TAG")
    p.add_argument("--tag", default="", help="default: the version and a digest of what the image is made of")
    p.add_argument("--values", type=Path, metavar="FILE", help="write the chart values that name them here")
    commands.add_parser("generate", help="write generated files")
    commands.add_parser("repair", help="clean up after processes that were killed")
    commands.add_parser("env", help="print the facts of the running cluster")
    p = commands.add_parser("venv", help="print the path of the project's Python environment")
    commands.add_parser("ingress-controller", help="build the one that hack/test --long runs")
    commands.add_parser("programs", help="install what tests start; print what tells them where it is, for a shell")
    p.add_argument("--supply", action="store_true", help="that of hack/sbom, hack/audit and hack/release")
    testing.add_options(commands.add_parser("test", help="everything that must hold"))
    commands.add_parser("drift", help="generate what is committed, and fail when that changed a file")
    commands.add_parser("ground", help="look at the template of deploy/aws")
    p = commands.add_parser("aws-prices", help="fetch the prices of kubectl pdshub plan aws anew")
    p.add_argument("--offer", default="", help="only the prices of this offer, as AmazonS3")
    commands.add_parser("manual", help="build the manual, every page and link of it")
    commands.add_parser("figures", help="write the times of up's steps to docs/benchmarks")
    commands.add_parser("test-figures", help="write the times of test's parts to docs/benchmarks")
    args = parser.parse_args(argv)
    paths = Paths.from_environment()
    try:
        return _COMMANDS[args.command](paths, args)
    except StepFailed as e:
        complain(f"\nFAILED: {e}")
        return 1
    except KeyboardInterrupt:
        complain("\ninterrupted; run it again to go on")
        return 130


def _up(paths: Paths, args: argparse.Namespace) -> int:
    with lock(paths.locks / "up", lambda: say("another hack/up or hack/down is at work: waiting for it")):
        up.up(paths, cluster_only=args.cluster_only, demo=not args.no_demo)
    return 0


def _dev(paths: Paths, args: argparse.Namespace) -> int:
    with lock(paths.locks / "up", lambda: say("another hack/up or hack/down is at work: waiting for it")):
        dev.dev(paths, args.parts, dry_run=args.dry_run)
    return 0


def _down(paths: Paths, args: argparse.Namespace) -> int:
    with lock(paths.locks / "up", lambda: say("another hack/up or hack/down is at work: waiting for it")):
        up.down(paths, everything=args.all)
    return 0


def _images(paths: Paths, args: argparse.Namespace) -> int:
    if (args.tag or args.values) and not args.push:
        raise StepFailed("--tag and --values say something about images that are pushed: add --push REGISTRY/PATH")
    with lock(paths.locks / "up", lambda: say("another hack/up or hack/down is at work: waiting for it")):
        publish.images(paths, args.push, args.tag, args.values)
    return 0


def _generate(paths: Paths, args: argparse.Namespace) -> int:
    del args
    with log_to(paths.logs / "generate.log"):
        generate.stubs(paths, say)
        generate.crds(paths, say)
        ground.template(paths, say)
        generate.monitoring(say)
    return 0


def _repair(paths: Paths, args: argparse.Namespace) -> int:
    del args
    with log_to(paths.logs / "repair.log"), lock(paths.locks / "up"):
        found = engine.find(paths)
        repair.repair(found, say)
        if worker.leave(paths, found):
            say("repairing: a second node of tests that were killed is gone")
    return 0


def _env(paths: Paths, args: argparse.Namespace) -> int:
    del args
    if not read(paths.env):
        raise StepFailed("no cluster: run hack/up")
    sys.stdout.write(paths.env.read_text())
    return 0


def _environment(paths: Paths, args: argparse.Namespace) -> int:
    made = venv.supply() if args.supply else venv.venv()
    with contextlib.redirect_stdout(sys.stderr):  # standard output is for the path alone
        run_steps([Step("python environment", "python", lambda: made.ensure(paths)[1])], paths.logs)
    print(made.path(paths))
    return 0


def _ingress_controller(paths: Paths, args: argparse.Namespace) -> int:
    del args
    with log_to(paths.logs / "ingress-controller.log"):
        golang.tool(paths, "contour").ensure(paths)
    return 0


def _programs(paths: Paths, args: argparse.Namespace) -> int:
    del args
    with contextlib.redirect_stdout(sys.stderr):
        programs.install(paths)
        python = venv.venv().ensure(paths)[0]
        found = programs.environment(paths, python)
    for name, value in found.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"export PATH={shlex.quote(str(programs.node(python) / 'bin'))}:$PATH")
    return 0


def _test(paths: Paths, args: argparse.Namespace) -> int:
    if args.chart and not Path(args.chart).is_file():
        raise StepFailed(f"--chart {args.chart}: want a packaged chart (.tgz)")
    chart = str(Path(args.chart).resolve()) if args.chart else ""
    return testing.test(paths, testing.Options(args.unit, args.long, chart, args.expression))


def _drift(paths: Paths, args: argparse.Namespace) -> int:
    del args
    with log_to(paths.logs / "generate.log"):
        testing.drift(paths)
    return 0


def _ground(paths: Paths, args: argparse.Namespace) -> int:
    del args
    with log_to(paths.logs / "ground.log"):
        ground.check(paths)
    return 0


def _aws_prices(paths: Paths, args: argparse.Namespace) -> int:
    del paths
    price_list.write(args.offer, say)
    return 0


def _manual(paths: Paths, args: argparse.Namespace) -> int:
    del args
    with log_to(paths.logs / "manual.log"):
        testing.manual(paths)
    return 0


def _figures(paths: Paths, args: argparse.Namespace) -> int:
    del args
    record = paths.cache / "figures.json"
    if not record.exists():
        raise StepFailed("no times yet: run hack/up")
    figures.write_steps(json.loads(record.read_text()), _machine())
    return 0


def _test_figures(paths: Paths, args: argparse.Namespace) -> int:
    del args
    record = times.record_file(paths)
    if not record.exists():
        raise StepFailed("no times yet: run hack/test")
    times.write(json.loads(record.read_text()), _machine())
    return 0


def _machine() -> str:
    """This machine in a line, with today's date."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    host = f"{os.cpu_count()} processors, {memory:.0f} GB of memory, Linux {os.uname().release.partition('-')[0]}"
    return f"{host}, {datetime.now(UTC):%Y-%m-%d}"


_COMMANDS = {
    "up": _up,
    "dev": _dev,
    "down": _down,
    "images": _images,
    "generate": _generate,
    "repair": _repair,
    "env": _env,
    "venv": _environment,
    "programs": _programs,
    "ingress-controller": _ingress_controller,
    "test": _test,
    "drift": _drift,
    "ground": _ground,
    "aws-prices": _aws_prices,
    "manual": _manual,
    "figures": _figures,
    "test-figures": _test_figures,
}
