"""The pages on backups tell the truth: their YAML is what the API takes, their commands are commands."""

from __future__ import annotations

import re
import shlex
from typing import Any, get_args

import pytest
import yaml

from pdshub.api.backup import HubBackupSpec, Phase
from pdshub.api.backup_repository import KINDS
from pdshub.api.hub_backup import CACHES, Backup, Exclude, Retention
from pdshub.cli import main as plugin
from pdshub.cli import moment
from tests.manual import DOCS, blocks, steps

PAGES = ("backup.md", "recover.md", "recover-drills.md")


def documents(page: str) -> list[dict[str, Any]]:
    return [found for language, text in blocks(page) if language == "yaml" for found in yaml.safe_load_all(text)]


def backups() -> list[Backup]:
    return [Backup.model_validate(found["spec"]["backup"]) for found in documents("backup.md") if "kind" not in found]


def test_every_repository_is_shown_and_is_one() -> None:
    assert {found.repository.kind for found in backups()} == set(KINDS)


def test_every_field_is_shown() -> None:
    """But for those that choose what is saved at all."""
    shown = set[str]()
    for found in documents("backup.md"):
        shown |= found.get("spec", {}).get("backup", {}).keys()
    text = (DOCS / "backup.md").read_text()
    for field in (field.alias or name for name, field in Backup.model_fields.items()):
        assert field in shown or f"`{field}" in text or field in ("what", "drill"), field


def test_defaults_are_what_the_page_says() -> None:
    (found,) = (backup for backup in backups() if backup.hours)
    assert found.retention == Retention() and found.history == 30 and found.deadline_minutes == 360
    assert Exclude().caches and not Exclude().environments
    text = (DOCS / "backup.md").read_text()
    for cache in CACHES:
        assert f"`{cache}`" in text or cache == ".local/share/Trash", cache
    keeps = re.search(r"--keep-last (\d+) --keep-daily (\d+) --keep-weekly (\d+) --keep-monthly (\d+)", text)
    assert keeps and [int(number) for number in keeps.groups()] == list(Retention().model_dump().values())


def test_the_object_is_one() -> None:
    (found,) = (found for found in documents("backup.md") if "kind" in found)
    assert (found["apiVersion"], found["kind"]) == ("pdshub.dev/v1alpha1", "HubBackup")
    assert HubBackupSpec.model_validate(found["spec"]).users == ["ada@example.org"]


@pytest.mark.parametrize("page", ["backup.md", "administrator.md", "kubectl-plugin.md", "troubleshooting.md"])
def test_commands_are_commands(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the pages on recovery: test_recover_pages.py."""
    lines = [step.command for step in steps(page) if step.command.startswith("kubectl pdshub ")]
    assert lines
    for line in lines:
        try:
            plugin.parser().parse_args(shlex.split(line, comments=True)[2:])
        except SystemExit:
            pytest.fail(f"{line}: {capsys.readouterr().err}")


def test_commands_between_words_are_commands(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        line
        for page in PAGES
        for line in re.findall(r"`kubectl pdshub ([^`]+)`", (DOCS / page).read_text())
        if "…" not in line
    ]
    assert found
    for line in found:
        try:
            plugin.parser().parse_args(shlex.split(line))
        except SystemExit:
            pytest.fail(f"{line}: {capsys.readouterr().err}")


@pytest.mark.parametrize(
    ("area", "known"), [("backup", {"now", "status", "list", "show", "key"}), ("restore", {"user"})]
)
def test_the_plugins_page_names_every_command(area: str, known: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        plugin.main([area, "--help"])
    assert set(re.findall(r"^    (\w+)", capsys.readouterr().out, re.MULTILINE)) - {"COMMAND"} == known
    page = (DOCS / "kubectl-plugin.md").read_text()
    assert set(re.findall(rf"^\| `[^`]*\b{area} (\w+)", page, re.MULTILINE)) == known
    assert "kubectl pdshub restore-deleted --file" in page and "kubectl pdshub homes reset NAME" in page


def test_the_moments_of_the_runbook_are_moments() -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 11, 26, 15, 0, tzinfo=UTC)
    text = (DOCS / "recover.md").read_text()
    found = re.findall(r'--at ("[^"$]+"|[^\s"]\S*?)(?=[`\s])', text)
    assert len(found) >= 6
    for written in found:
        moment.parse(written.strip('"'), now, lambda wall: wall.replace(tzinfo=UTC))


def test_every_phase_that_is_an_end_has_a_code_on_the_page() -> None:
    table = (DOCS / "backup.md").read_text().partition("| exit code |")[2].partition("\n\n")[0]
    for phase in set(get_args(Phase)) - {"Pending", "Running"}:
        assert f"*{phase}*" in table
    assert re.findall(r"^\| (\d) \|", table, re.MULTILINE) == ["0", "1", "3", "4"]


@pytest.mark.parametrize("page", [*PAGES, "administrator.md", "researcher.md", "conditions.md", "kubectl-plugin.md"])
def test_links_lead_to_headings(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", (DOCS / page).read_text(), flags=re.DOTALL)):
        if "://" in link or "img/" in link:
            continue
        name, _, anchor = link.partition("#")
        target = DOCS / (name or page)
        assert target.exists(), f"{page}: {link}"
        headings = re.findall(r"^#+ +(.*)$", target.read_text(), re.MULTILINE)
        known = {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}
        assert not anchor or anchor in known, f"{page}: {link}"


def test_a_yaml_that_is_none_is_found() -> None:
    with pytest.raises(ValueError, match="choose exactly one repository"):
        Backup.model_validate({"repository": {"claim": {"name": "a"}, "nfs": {"server": "b", "path": "/c"}}})
