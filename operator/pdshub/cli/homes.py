"""``kubectl pdshub homes``: every home of a hub, whose it is, how large, how full, and whether anybody needs it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli import homes_adopt, homes_move, homes_reset, hub_choice, terminal, users, volume_use, words
from pdshub.cli.archive import Said
from pdshub.cli.census import Census, quantity
from pdshub.cli.hub_choice import UseError, key
from pdshub.cli.kubectl import Kubectl

Json = dict[str, Any]
ORDERS = ("user", "size", "used", "last-use")


def rows(census: Census, use: volume_use.Use, order: str) -> list[Json]:
    """A row for every home. By user, or with what is largest or longest unused first. Keys are always the same."""
    found = []
    for home in census.homes:
        amount, why = use.of(home.claim)
        found.append(
            {
                "claim": home.claim,
                "user": home.user or None,
                "size": home.size or None,
                "usedBytes": amount,
                "usedUnknown": why or None,
                "lastUsed": home.last_used or None,
                "orphan": home.orphan,
                "offboarded": home.offboarded,
                "storageClass": home.storage_class or None,
                "volume": home.volume or None,
                "created": home.created or None,
            }
        )
    found.sort(key=lambda row: (str(row["user"] or "~"), str(row["claim"])))
    if order == "size":
        found.sort(key=lambda row: -quantity(str(row["size"] or "")))
    elif order == "used":
        found.sort(key=lambda row: -(row["usedBytes"] if isinstance(row["usedBytes"], int) else -1))
    elif order == "last-use":
        found.sort(key=lambda row: str(row["lastUsed"] or ""))
    return found


def sums(found: Sequence[Mapping[str, Any]]) -> Json:
    """How many homes there are, and their bytes. Keys are always the same."""

    def size(some: Sequence[Mapping[str, Any]]) -> int:
        return sum(quantity(str(row["size"] or "")) for row in some)

    known = [row["usedBytes"] for row in found if row["usedBytes"] is not None]
    orphans, left = [row for row in found if row["orphan"]], [row for row in found if row["offboarded"]]
    return {
        "homes": len(found), "bytes": size(found), "usedBytes": sum(known), "usedKnown": len(known),
        "orphans": len(orphans), "orphanBytes": size(orphans),
        "offboarded": len(left), "offboardedBytes": size(left),
    }  # fmt: skip


def amount(number: int | None) -> str:
    """Bytes for people, as 1.5Gi."""
    if number is None:
        return "unknown"
    value, units = float(number), ["", "Ki", "Mi", "Gi", "Ti", "Pi"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.1f}{units[0]}" if units[0] else str(number)


def text(found: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table, and their sums."""
    if not found:
        return "no homes"
    lines: list[Sequence[Any]] = [["CLAIM", "USER", "SIZE", "USED", "LAST USE", "STATE"]]
    for row in found:
        state = [word for word in ("orphan", "offboarded") if row[word]]
        lines.append([row["claim"], row["user"], row["size"], amount(row["usedBytes"]), row["lastUsed"] or "unknown",
                      ", ".join(state)])  # fmt: skip
    total = sums(found)
    said = f"{total['homes']} homes of {amount(total['bytes'])}; used: "
    said += f"{amount(total['usedBytes'])} in the {total['usedKnown']} that tell" if total["usedKnown"] else "unknown"
    for word, plural in (("orphan", "orphans"), ("offboarded", "offboarded")):
        if total[plural]:
            said += f"; {total[plural]} {plural if total[plural] > 1 else word} of {amount(total[f'{word}Bytes'])}"
    return f"{words.table(lines)}\n{said}"


def _reasons(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why it is not known how full homes are, a line for each reason."""
    counts: dict[str, int] = {}
    for row in found:
        if row["usedUnknown"]:
            counts[row["usedUnknown"]] = counts.get(row["usedUnknown"], 0) + 1
    return [f"used is unknown of {number}: {why}" for why, number in sorted(counts.items())]


def listing(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``homes list``: every home of each hub that is meant."""
    answer, blocks = list[Json](), list[str]()
    for hub in hub_choice.every(kubectl, args):
        namespace, name = key(hub)
        census, notes = users.counted(kubectl, hub)
        use = volume_use.read(kubectl, namespace) if census.homes else volume_use.Use()
        found = rows(census, use, args.sort)
        notes += use.notes
        answer.append(
            {"namespace": namespace, "name": name, "asOf": census.time or None, "homes": found, "sums": sums(found),
             "notes": notes}
        )  # fmt: skip
        heading = f"hub {namespace}/{name}" + (f", as of {census.time}" if census.time else "")
        lines = [printable(heading), text(terminal.safe(found)), *map(printable, _reasons(found))]
        blocks.append("\n".join([*lines, *(printable(f"note: {note}") for note in notes)]))
    return {"hubs": answer}, "\n\n".join(blocks) or "no hubs", 0


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """``homes list``, ``reset``, ``move`` or ``adopt``. Raises UseError where a name is said that has no meaning."""
    if args.command == "reset":
        return homes_reset.reset(kubectl, args)
    if args.command == "move":
        return homes_move.move(kubectl, args)
    if args.command == "adopt":
        return homes_adopt.adopt(kubectl, args)
    if args.name:
        raise UseError(f"{args.name!r} has no meaning here: kubectl pdshub homes lists every home")
    return listing(kubectl, args)


EXAMPLES = f"""examples:
  kubectl pdshub homes --sort size
  kubectl pdshub homes reset ada@example.org             # settings go to before-reset-<date>, after a backup
  kubectl pdshub homes reset ada@example.org --dry-run
{homes_move.EXAMPLES}
{homes_adopt.EXAMPLES}

exit codes of adopt: 0 done; 1 something could not be adopted; 2 wrong use
exit codes of reset: 0 done; 1 something could not be moved, or the home could not be saved; 2 wrong use
exit codes of move: 0 done; 1 failed: the home is as it was, or the same command goes on, as is said; 2 wrong use;
3 the storage has not grown the volume yet"""


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``homes``. ``top``: where commands are added; ``common``: options that every one has."""
    said = "every home: its user, size, how full it is, last use, whether anybody needs it; reset, move, adopt"
    sub: argparse.ArgumentParser = top.add_parser(
        "homes", parents=[common], help=said, description=said, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    sub.add_argument(
        "command", nargs="?", choices=("list", "reset", "move", "adopt"), default="list", help="default: list"
    )
    homes_reset.arguments(sub)
    homes_move.arguments(sub)
    homes_adopt.arguments(sub)
    hub_choice.arguments(sub)
    sub.add_argument("--sort", choices=ORDERS, default="user", help="largest, or longest unused, first (default: user)")
    sub.set_defaults(run=run)
