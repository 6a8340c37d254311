"""From figures to machines, bills, four ways and their words: tables of cases at prices that a test sets."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pdshub.aws_plan import alternatives, bill, picture, plan, sizing, words
from pdshub.aws_plan.bill import Bills, Kind, Line
from pdshub.aws_plan.usage import GIB, TIB, Figure, How
from tests.unit.aws_plan.hubs import TODAY, prices, usage

BY_NAME = {machine.name: machine for machine in (*sizing.MACHINES, *sizing.LARGER)}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("machine", "changed", "held", "bound"),
    [
        ("r6i.xlarge", {"memory": 2 * GIB, "cores": 0.1}, 15, "memory"),
        ("r6i.xlarge", {"memory": 4 * GIB, "cores": 0.1}, 7, "memory"),
        ("r6i.xlarge", {"memory": 256 << 20, "cores": 1}, 3, "cores"),
        ("r6i.xlarge", {"memory": 64 << 20, "cores": 0.01}, 23, "volumes"),
        ("m6i.large", {"memory": 64 << 20, "cores": 0.01}, 19, "pods"),
        ("r6i.4xlarge", {"memory": 1 * GIB, "cores": 0.1}, 19, "volumes"),
        ("m6i.large", {"largest_memory": 8 * GIB}, 0, "memory"),
        ("m6i.large", {"memory": 7.9 * GIB}, 0, "memory"),
    ],
)
def test_servers_on_a_machine(machine: str, changed: dict[str, float], held: int, bound: str) -> None:
    assert sizing.per_node(BY_NAME[machine], usage(**changed)) == (held, bound)


@pytest.mark.parametrize("machine", BY_NAME.values(), ids=lambda machine: machine.name)
def test_a_machine_leaves_less_than_it_has(machine: sizing.Machine) -> None:
    assert 0.5 * machine.gib * GIB < sizing.free_memory(machine) < machine.gib * GIB
    assert 0.5 * machine.cores < sizing.free_cores(machine) < machine.cores


@pytest.mark.parametrize(
    ("nodes", "hours", "found"), [(1, 176, 730), (0, 176, 730), (3, 176, 730 + 352), (2, 10000, 1460), (4, 0, 730)]
)
def test_hours_of_nodes(nodes: int, hours: float, found: int) -> None:
    assert sizing.node_hours(nodes, hours) == found


@pytest.mark.parametrize(
    "changed",
    [{}, {"at_once": 1}, {"at_once": 200}, {"memory": 16 * GIB, "largest_memory": 32 * GIB}, {"cores": 2}],
)
def test_the_cheapest_machines_hold_everybody(changed: dict[str, float]) -> None:
    of = usage(**changed)
    chosen = sizing.cheapest(of, prices())
    assert chosen is not None and chosen.per_node * chosen.nodes >= of.at_once.value
    for machine in sizing.MACHINES:
        alone = sizing.cheapest(of, prices(), [machine])
        assert alone is None or alone.monthly >= chosen.monthly


def test_a_server_that_no_machine_holds() -> None:
    too_large = usage(largest_memory=512 * GIB, memory=400 * GIB)
    assert sizing.cheapest(too_large, prices()) is None
    made = plan.make("hub/sbn", too_large, prices(), TODAY)
    assert made.sizing is None and {option.key for option in made.options if option.why_not} >= {"eks", "vpn", "studio"}
    assert "No plan" in words.markdown(made) and plan.as_json(made)["sizing"] is None
    ElementTree.fromstring(picture.svg(made))  # noqa: S314 - made here


@pytest.mark.parametrize(
    ("gigabytes", "tiers"),
    [
        (0, [("egress.10tb", 0)]),
        (100, [("egress.10tb", 0)]),
        (101, [("egress.10tb", 1)]),
        (10340, [("egress.10tb", 10240)]),
        (10341, [("egress.10tb", 10240), ("egress.50tb", 1)]),
        (51300 + 50, [("egress.10tb", 10240), ("egress.50tb", 40960), ("egress.150tb", 50)]),
        (200000, [("egress.10tb", 10240), ("egress.50tb", 40960), ("egress.150tb", 102400), ("egress.more", 46300)]),
    ],
)
def test_what_goes_out_is_paid_by_tiers(gigabytes: int, tiers: list[tuple[str, int]]) -> None:
    lines = Bills(usage(egress_bytes=gigabytes * GIB), prices()).egress()
    assert [(line.quantity, line.price) for line in lines] == [(n, prices().of(key)) for key, n in tiers]


@pytest.mark.parametrize(
    ("files", "requests"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (1_000_000, 1000), (999_999_001, 1_000_000)]
)
def test_a_survey_of_s3_asks_once_for_a_thousand_names(files: int, requests: int) -> None:
    bills = Bills(usage(archive_files=files, surveys=10), prices())
    assert bills.listings_of_one() == requests and bills.listings() == 10 * requests


def test_the_survey_of_a_million_objects_is_within_its_bar() -> None:
    made = plan.make("hub/sbn", usage(archive_files=1_000_000), prices(), TODAY)
    assert made.survey == (1000, Decimal("0.005")) and made.survey[0] <= 1100


@pytest.mark.parametrize(
    ("read", "size", "files", "requests"),
    [
        (0, TIB, 1e6, 0),
        (TIB, TIB, 1000, 1000 + TIB // bill.CHUNK),
        (TIB // 2, TIB, 1000, 500 + TIB // 2 // bill.CHUNK),
        (TIB, 0, 0, TIB // bill.CHUNK),
    ],
)
def test_every_read_is_a_request(read: int, size: int, files: float, requests: int) -> None:
    assert Bills(usage(read_bytes=read, archive_bytes=size, archive_files=files), prices()).reads() == requests


@pytest.mark.parametrize(
    ("quantity", "price", "monthly"), [("730", "0.1", "73.00"), ("1", "0.005", "0.01"), ("0", "5", "0.00")]
)
def test_a_line(quantity: str, price: str, monthly: str) -> None:
    line = Line(Kind.NETWORK, "x", Decimal(quantity), "hour", Decimal(price))
    assert str(line.monthly) == monthly and bill.total([line, line]) == 2 * line.monthly


@pytest.mark.parametrize("archive", alternatives.ARCHIVES)
@pytest.mark.parametrize("region", ["us-east-1", "us-west-2"])
def test_four_ways_each_with_a_bill_and_with_what_breaks(archive: str, region: str) -> None:
    made = plan.make("hub/sbn", usage(), prices(region), TODAY, archive)
    assert [option.key for option in made.options] == ["eks", "vpn", "compose", "studio"]
    for option in made.options:
        assert option.lines and not option.why_not and option.keeps and len(option.breaks) >= 3
        assert option.monthly == sum(line.monthly for line in option.lines) > 0
        assert sum(picture.parts(option).values()) == option.monthly
    eks = {line.what for line in made.options[0].lines}
    assert {"NAT gateway", "EKS control plane", "load balancer", "out to the internet, after 100 GB"} <= eks
    assert ("reads of files" in eks) is (archive == "s3")
    assert not any("archive" in line.what for line in made.options[1].lines), "it stays where it is"


@pytest.mark.parametrize(
    ("changed", "dearer"),
    [
        ({"egress_bytes": TIB}, {"eks", "vpn", "compose", "studio"}),
        ({"archive_bytes": 20 * TIB}, {"eks", "compose", "studio"}),
        ({"at_once": 100}, {"eks", "vpn", "compose", "studio"}),
        ({"home_bytes": 4 * TIB}, {"eks", "vpn", "studio"}),
        ({"home_used": 200 * GIB}, {"eks", "vpn", "compose"}),
        ({"surveys": 7300}, {"eks"}),
    ],
)
def test_what_makes_which_way_dearer(changed: dict[str, float], dearer: set[str]) -> None:
    before = {option.key: option.monthly for option in plan.make("h", usage(), prices(), TODAY).options}
    after = {option.key: option.monthly for option in plan.make("h", usage(**changed), prices(), TODAY).options}
    assert {key for key in before if after[key] > before[key]} == dearer


def test_what_is_assumed_is_said() -> None:
    guessed = replace(usage(), read_bytes=Figure(TIB, How.ASSUMED, "a tenth of the archive"))
    notes = plan.make("h", guessed, prices(), TODAY).notes
    assert any(note.startswith("assumed") and "read of the archive in a month" in note for note in notes)
    assert not any(note.startswith("assumed") for note in plan.make("h", usage(), prices(), TODAY).notes)


def test_a_plan_says_that_it_was_not_deployed_and_that_prices_are_old() -> None:
    made = plan.make("hub/sbn", usage(), prices(), TODAY, notes=("pods can not be read",))
    page = words.markdown(made)
    assert made.notes[0] == plan.NOT_DEPLOYED and made.notes[-1] == "pods can not be read"
    assert plan.as_json(made)["prices"]["old"] is bool(prices().warning(TODAY))
    if prices().warning(TODAY):
        assert words.plain(prices().warning(TODAY)) in page


def test_answers_for_programs_are_stable() -> None:
    answer = plan.as_json(plan.make("hub/sbn", usage(), prices(), TODAY))
    assert json.loads(json.dumps(answer)) == answer
    assert sorted(answer) == [
        "archive", "archives", "date", "figures", "hub", "notes", "options", "prices", "region", "sizing", "survey",
    ]  # fmt: skip
    assert sorted(answer["figures"]) == sorted(vars(usage()))
    keys = ["breaks", "keeps", "key", "lines", "monthly", "once", "title", "whyNot"]
    assert all(sorted(option) == keys for option in answer["options"])
    lines = [line for option in answer["options"] for line in option["lines"]]
    assert all(sorted(line) == ["kind", "monthly", "price", "quantity", "unit", "what"] for line in lines)
    assert set(answer["archives"]) == {"s3", "efs", "fsx", "premises"}


NASTY = "sbn\x1b[2J|`x`<script>alert(1)</script>\n# forged\u202e"


def test_names_of_a_cluster_are_text_on_the_page_and_in_the_picture() -> None:
    made = plan.make(NASTY, usage(), prices(), TODAY, notes=(NASTY,))
    page, drawn = words.markdown(made), picture.svg(made)
    assert "\n# forged" not in page and "<script>" not in page and "\x1b" not in page and "\u202e" not in page
    assert "<script>" not in drawn and "\x1b" not in drawn
    assert ElementTree.fromstring(drawn).find(f"{SVG}title") is not None  # noqa: S314 - made here


def test_the_picture_has_a_bar_for_every_way_within_its_frame() -> None:
    made = plan.make("hub/sbn", usage(), prices(), TODAY)
    root = ElementTree.fromstring(picture.svg(made))  # noqa: S314 - made here
    width = float(root.attrib["viewBox"].split()[2])
    bars = [bar for bar in root.iter(f"{SVG}rect") if bar.find(f"{SVG}title") is not None]
    assert len({bar.attrib["y"] for bar in bars}) == len(made.options)
    assert all(float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width for bar in bars)
    assert {bar.attrib["class"] for bar in bars} <= set(map(str, Kind))
    drawn = picture.svg(made)
    assert all(f".{kind}{{" in drawn.partition("@media")[2] for kind in Kind), "colours for the dark"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 bytes"), (512, "512 bytes"), (2 << 20, "2.0 MiB"), (3 * GIB, "3.0 GiB"), (10 * TIB, "10.0 TiB"),
        (1.5 * 1024 * TIB, "1.5 PiB"),
    ],
)  # fmt: skip
def test_bytes_for_people(value: float, text: str) -> None:
    assert words.size(value) == text


@pytest.mark.parametrize(("value", "text"), [(40, "40"), (0.5, "0.50"), (1e6, "1,000,000"), (1234.5, "1,234")])
def test_numbers_for_people(value: float, text: str) -> None:
    assert words.number(value) == text


def of_tables(page: str) -> list[list[str]]:
    """Lines of each table of a page."""
    tables: list[list[str]] = [[]]
    for line in page.splitlines():
        if line.startswith("|"):
            tables[-1].append(line)
        elif tables[-1]:
            tables.append([])
    return [table for table in tables if table]


def columns(line: str) -> int:
    return line.replace("\\|", "").count("|")


def test_tables_of_the_page_are_whole() -> None:
    page = words.markdown(plan.make(NASTY, usage(), prices(), TODAY, notes=(NASTY,)))
    found: list[list[str]] = of_tables(page)
    assert len(found) >= 7
    for table in found:
        assert len({columns(line) for line in table}) == 1, table[0]


def test_a_figure_is_counted_up() -> None:
    cases: list[tuple[Any, int]] = [(0, 0), (0.1, 1), (1, 1), (1.01, 2), (10, 10)]
    assert [Figure(float(value), How.GIVEN, "").whole for value, _ in cases] == [whole for _, whole in cases]
