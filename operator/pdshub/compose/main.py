"""``pdshub-compose``: a PDSHub on one machine with Docker, without Kubernetes.

Exit codes: 0 done; 1 it failed, or something is missing; 2 wrong use, or a PDSHub that can not be exported; 3 a survey
was refused, as many files would be gone; 4 a source can not be read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pdshub.compose import export, generations, options, place, source
from pdshub.compose.generations import Store
from pdshub.compose.text import ExportError, line

_LARGEST = 8 << 20


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog=export.NAME,
        description=(__doc__ or "").split(": ", 1)[1].split("\n\n")[0],
        epilog=(__doc__ or "").split("\n\n")[-1],
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    sub = command("render", render, "write the files of one machine from manifests; no cluster is asked")
    sub.add_argument(
        "-f", "--file", action="append", required=True, metavar="FILE",
        help="a PDSHub, and its ArchiveView where it names one; may be repeated; - is stdin",
    )  # fmt: skip
    sub.add_argument("--name", default="", metavar="HUB", help="the PDSHub's name, where there are more")
    sub.add_argument(
        "--installation", default="", metavar="FILE",
        help="values of the pdshub chart, or installation.yaml: which images (defaults.images)",
    )  # fmt: skip
    sub.add_argument(
        "--names", action="append", default=[], metavar="ROLE=FILE",
        help="more people, a name a line: allowed=FILE, admins=FILE; may be repeated",
    )  # fmt: skip
    options.arguments(sub)
    folder = {"metavar": "DIR", "type": Path, "help": "folder of an export"}
    sub = command("prepare", prepare, "make secrets, folders and .env beside an export; says what you have to bring")
    sub.add_argument("folder", **folder)  # type: ignore[arg-type]
    sub.add_argument("--socket", default=place.SOCKET, metavar="FILE", help=f"Docker's socket (default {place.SOCKET})")
    sub = command("people", people, "put the lists in people/ into effect")
    sub.add_argument("folder", **folder)  # type: ignore[arg-type]
    archive = commands.add_parser("archive", help="the archive of this machine").add_subparsers(
        dest="what", required=True, metavar="COMMAND"
    )
    for name, run, text in (
        ("mount", _mount, "mount sources, and the current generation or their union; again: what is current now"),
        ("unmount", _unmount, "take all of it away"),
        ("survey", _survey, "survey the sources; the new generation is current, or waits"),
        ("release", _release, "make a generation the current one: the one that waits, or an earlier one"),
    ):
        sub = archive.add_parser(name, help=text, description=text)
        sub.add_argument("folder", **folder)  # type: ignore[arg-type]
        sub.set_defaults(run=run)
        if name == "survey":
            sub.add_argument("--now", action="store_true", help="do not wait for what is still changing")
            sub.add_argument("--accept-shrink", action="store_true", help="accept that many files are gone")
        if name == "release":
            sub.add_argument("generation", metavar="GEN", help="12 or more of its digits")
    return top


def _say(text: str) -> None:
    sys.stdout.write("".join(f"{line(each)}\n" for each in text.split("\n")))


def _text(file: str) -> str:
    """A file that a person names; ``-`` is standard input. Raises ExportError."""
    try:
        if file == "-":
            return sys.stdin.read(_LARGEST)
        with Path(file).open("rb") as opened:
            content = opened.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ExportError(f"{file} is larger than a manifest")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ExportError(f"{file}: {error}") from None


def render(args: argparse.Namespace) -> int:
    """Writes the files of one machine."""
    objects = [each for file in args.file for each in source.documents(_text(file))]
    hub = source.hub(objects, args.name)
    installation = options.installation(_text(args.installation) if args.installation else "")
    more = options.names({role: _text(file) for role, file in map(options.named, args.names)})
    found = export.make(hub, options.machine(args, hub, installation), more)
    written = place.write(Path(args.to or hub.name), found.files)
    _say("\n".join([found.text, "", "written:", *(f"  {each}" for each in written)]))
    return 0


def prepare(args: argparse.Namespace) -> int:
    """Makes what is needed beside an export; 1 where something is missing."""
    done, missing = place.prepare(args.folder, args.socket)
    _say("\n".join([*done, *(f"missing: {each}" for each in missing)] or ["all is there"]))
    return 1 if missing else 0


def people(args: argparse.Namespace) -> int:
    """Puts the lists into effect."""
    _say(place.update_list(args.folder))
    return 0


def _mount(args: argparse.Namespace) -> int:
    from pdshub.compose import mounting  # ctypes and the kernel's calls, which no other command needs

    _say(mounting.mount(Store(args.folder.resolve())))
    return 0


def _unmount(args: argparse.Namespace) -> int:
    from pdshub.compose import mounting

    _say(mounting.unmount(Store(args.folder.resolve())))
    return 0


def _survey(args: argparse.Namespace) -> int:
    words, code = generations.survey(Store(args.folder.resolve()), args.now, args.accept_shrink)
    _say(words)
    return code


def _release(args: argparse.Namespace) -> int:
    Store(args.folder.resolve()).release(args.generation)
    _say(f"{args.generation} is current: pdshub-compose archive mount {args.folder}, or reload the unit")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    args = parser().parse_args(arguments)
    os.umask(0o022)
    try:
        code: int = args.run(args)
    except ExportError as error:
        sys.stderr.write(f"{export.NAME}: {line(str(error))}\n")
        return 2 if args.command == "render" else 1
    except (json.JSONDecodeError, OSError) as error:
        sys.stderr.write(f"{export.NAME}: {line(str(error))}\n")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
