"""The pages about AWS speak of the template, the checks and the prices that there are."""

from __future__ import annotations

import re
from datetime import date

import pytest

from aws import addresses, checks
from pdshub.aws_plan import bill, plan, words
from pdshub.aws_plan.bill import Bills, Kind
from tests.unit.aws import test_faults, test_overlay
from tests.unit.aws.planted import ROOT, template
from tests.unit.aws_plan.hubs import prices, usage

DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text()


def rows(text: str) -> list[list[str]]:
    """Cells of the lines of tables."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_resource_has_its_name_in_terraform() -> None:
    found: dict[str, str] = {}
    for cells in rows(page("terraform-names.md"))[1:]:
        kinds, names, terraform = (re.findall(r"`([\w:]+)`", cell) for cell in cells[:3])
        assert terraform and all(name.startswith("aws_") for name in terraform), cells
        for kind in kinds:
            named = {name for name, one in template()["Resources"].items() if one["Type"] == kind}
            assert named and named <= set(names), f"{kind}: {sorted(named ^ set(names))}"
            found |= dict.fromkeys(named, kind)
    assert found == {name: one["Type"] for name, one in template()["Resources"].items()}


@pytest.mark.parametrize("place", range(4))
def test_the_comparison_is_what_the_price_file_makes(place: int) -> None:
    made = plan.make("hub/sbn", usage(), prices("us-east-1"), date(2026, 11, 26))
    option = made.options[place]
    archive = bill.total(line for line in option.lines if line.kind is Kind.ARCHIVE)
    row = f"| {option.title} | {words.money(option.monthly)} | {words.money(archive)} |"
    assert row in page("alternatives.md"), f"write: {row}"


def test_so_is_the_archive_alone() -> None:
    bills = Bills(usage(), prices("us-east-1"))
    costs = {
        "S3": bills.archive_s3(),
        "EFS": bills.archive_efs(),
        "FSx for OpenZFS": bills.archive_fsx(),
        "on premises": bills.archive_at_home(),
    }
    text = page("alternatives.md")
    for name, lines in costs.items():
        money = words.money(bill.total(lines))
        assert re.search(rf"{name}(?: \(.*?\))? {re.escape(money)}|{name} {re.escape(money)}", text), f"{name} {money}"


def test_ways_and_columns_are_the_same() -> None:
    heading = next(cells for cells in rows(page("alternatives.md")) if cells[0] == "" and len(cells) > 3)
    assert len(heading) == 1 + len(plan.make("h", usage(), prices(), date(2026, 11, 26)).options)


def test_every_rule_is_on_the_page_and_has_a_fault() -> None:
    codes = {fault[1] for fault in (*test_faults.FAULTS, *test_overlay.FAULTS)}
    text = page("aws.md")
    said = set(re.findall(r"\bA\d\d\b", text.replace("A18 to A20", "A18 A19 A20")))
    assert said == codes
    count = len(test_faults.FAULTS) + len(test_overlay.FAULTS)
    assert count > int(re.findall(r"More than (\d+) faults", text)[0])


@pytest.mark.parametrize("name", ["aws.md", "alternatives.md", "decisions/0029-aws.md", "terraform-names.md"])
def test_no_page_says_that_it_ran(name: str) -> None:
    text = page(name).lower()
    assert (
        "not deployed" in text
        or "nothing of it was deployed" in text
        or "nobody has stood on" in text
        or ("no configuration was made" in text)
    )


def test_values_on_the_page_are_those_of_the_template() -> None:
    text, parameters = page("aws.md"), template()["Parameters"]
    must = {name for name, one in parameters.items() if "Default" not in one}
    assert all(f"{name}=" in text for name in must)
    assert addresses.VPC in text and addresses.SERVICES in text
    assert f"`{parameters['CoreInstanceType']['Default']}`" in text
    assert f"`{parameters['UserInstanceType']['Default']}`" in text
    assert all(f"`{region}`" in text for region in checks.REGIONS)
