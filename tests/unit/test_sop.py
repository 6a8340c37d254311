"""The runbooks without a cluster: their form, their links, their commands; what is executed and what says why not."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from sybil.example import SybilFailure

from pdshub.cli import main as plugin
from tests import manual, sop
from tests.e2e import sop_scenes

PAGE = pytest.mark.parametrize("page", sop.PAGES, ids=lambda page: page.stem)
ISSUE = {
    "deploy", "update-pdshub", "update-chart", "update-kubernetes", "update-images", "account-taken-over", "nas-down",
    "disk-full", "certificate-ends", "hub-down", "node-dead", "data-withdrawn", "secret-leaked",
}  # fmt: skip
INDEX = sop.FOLDER / "index.md"


def test_there_is_a_page_for_everything_and_the_index_names_each() -> None:
    assert {page.stem for page in sop.PAGES} == ISSUE
    text = INDEX.read_text()
    assert [page.name for page in sop.PAGES if f"({page.name})" not in text] == []


@PAGE
def test_every_heading_is_there_in_its_order_and_has_words(page: Path) -> None:
    text = page.read_text()
    found = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert tuple(found) == sop.HEADINGS and text.startswith("# ")
    for part in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]:
        assert re.sub(r"<!--.*?-->", "", part).strip()


@PAGE
def test_it_was_executed_by_a_run_or_not_yet(page: Path) -> None:
    said = sop.last_executed(page.read_text())
    assert said == sop.NOT_YET or sop.RECORDED.fullmatch(said), said


@PAGE
def test_verification_is_executed(page: Path) -> None:
    part = page.read_text().partition("\n## Verification\n")[2].partition("\n## ")[0]
    assert "```bash" in part, "nobody verifies by words alone"


@PAGE
def test_blocks_are_those_that_readers_see_and_bash_reads_them(page: Path) -> None:
    blocks = sop.blocks(page)
    assert [("bash", block.text) for block in blocks] == manual.blocks(f"sop/{page.name}")
    for block in blocks:
        done = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr


def test_nine_blocks_of_ten_are_executed_and_skips_do_not_grow() -> None:
    blocks = [block for page in sop.PAGES for block in sop.blocks(page)]
    skipped = [block for block in blocks if block.skip]
    assert len(blocks) > 60 and len(skipped) <= 0.1 * len(blocks)
    assert len(skipped) == sop.MOST_SKIPPED, "fewer: lower the number"
    assert all(len(block.skip.split()) >= 4 for block in skipped), "a reason is a sentence"


def test_every_scene_has_a_function_and_every_function_a_scene() -> None:
    asked = {part.name for page in sop.PAGES for part in sop.parts(page) if isinstance(part, sop.Scene)}
    assert asked == sop_scenes.names()


@pytest.mark.parametrize("page", [*sop.PAGES, INDEX], ids=lambda page: page.stem)
def test_links_lead_to_headings(page: Path) -> None:
    assert manual.broken_links(page) == []


def commands(text: str) -> list[str]:
    """The commands of the plugin in a block, with a value for each variable."""
    text = re.sub(r"\$\{?\w+\}?", "x", text.replace("\\\n", " "))
    return re.findall(r"kubectl pdshub ((?:\"[^\"]*\"|[^\"|;>&)\n])+)", text)


@PAGE
def test_every_command_of_the_plugin_is_one(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    between = [f"kubectl pdshub {line}" for line in re.findall(r"`kubectl pdshub ([^`]+)`", page.read_text())]
    for text in (*(block.text for block in sop.blocks(page)), *between):
        for line in commands(text):
            try:
                plugin.parser().parse_args(shlex.split(line))
            except SystemExit:
                said = capsys.readouterr()
                assert line.startswith("--version"), f"{line}: {said.err}"


@PAGE
def test_nobody_is_asked_and_no_secret_is_in_a_command_line(page: Path) -> None:
    for block in sop.blocks(page):
        assert "--from-literal" not in block.text
        for line in commands(block.text):
            asks = re.match(r"(users suspend|users remove|reinstall|rollback|homes move)\b", line)
            harmless = re.search(r"--(dry-run|list|undo|yes)\b", line)
            assert not asks or harmless, line


@PAGE
def test_the_names_that_blocks_use_have_examples_on_the_page(page: Path) -> None:
    text = "\n".join(block.text for block in sop.blocks(page))
    used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)\}?", text))
    said = set(re.findall(r"\b([A-Z_]+)=", text))
    assert used <= said, used - said


# --- the parser


def written(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text)
    return page


def test_scenes_and_blocks_in_their_order(tmp_path: Path) -> None:
    page = written(
        tmp_path,
        "# A\n<!-- scene: rain -->\n```bash\na\n```\nwords\n"
        "<!-- skip: no umbrella: none -->\n```bash\nb\n\nc\n```\n```bash\nd\n```",
    )
    assert sop.parts(page) == [
        sop.Scene("rain"), sop.Block("a\n"), sop.Block("b\n\nc\n", "no umbrella: none"), sop.Block("d\n"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("```sh\na\n```\n", "is ```bash"),
        ("```\na\n```\n", "is ```bash"),
        ("```bash \na\n```\n", "is ```bash"),
        ("```console\n$ a\n```\n", "is ```bash"),
        ("~~~bash\na\n~~~\n", "is ```bash"),
        ("- x\n\n  ```bash\n  a\n  ```\n", "is ```bash"),
        ("> ```bash\n> a\n> ```\n", "is ```bash"),
        ("```bash\na\n", "without an end"),
        ("```bash\n```\n", "an empty block"),
        ("```bash\na\n```\n```bash\nb\n", "without an end"),
        ("<!-- skip: because -->\n", "a skip without a block"),
        ("<!-- skip: because -->\n<!-- skip: again -->\n```bash\na\n```\n", "between a skip and its block"),
        ("<!-- skip: because -->\n<!-- scene: rain -->\n```bash\na\n```\n", "between a skip and its block"),
        ("<!-- skip: -->\n```bash\na\n```\n", "a comment is"),
        ("<!-- skip -->\n```bash\na\n```\n", "a comment is"),
        ("<!-- scene: -->\n", "a comment is"),
        ("<!-- sikp: because -->\n```bash\na\n```\n", "a comment is"),
        ("<!-- skip: because\nof more -->\n```bash\na\n```\n", "a comment is"),
    ],
)
def test_a_page_that_is_not_certain_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(sop.BadPage, match=re.escape(why)):
        sop.parts(written(tmp_path, text))


def test_cells_and_what_they_show(tmp_path: Path) -> None:
    page = written(
        tmp_path,
        "# A\n```python\n6 * 7\n```\nwhich is\n```text\n42\n```\n"
        "```bash\ntrue\n```\n```bash\necho b\n```\n```text\nb\n…\n```\n",
    )
    assert sop.parts(page, sop.COURSE) == [
        sop.Block("6 * 7\n", language="python", shown=("42",)),
        sop.Block("true\n"), sop.Block("echo b\n", shown=("b", "…")),
    ]  # fmt: skip
    with pytest.raises(sop.BadPage):
        sop.parts(page)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("```text\na\n```\n", "is ```bash or ```python"),
        ("```bash\na\n```\n```text\nb\n```\n```text\nc\n```\n", "is ```bash or ```python"),
        ("```bash\na\n```\n<!-- scene: rain -->\n```text\nb\n```\n", "is ```bash or ```python"),
        ("<!-- skip: because -->\n```bash\na\n```\n```text\nb\n```\n", "not executed shows nothing"),
        ("```bash\na\n```\n```text\nb\n", "without an end"),
        ("```yaml\na\n```\n", "is ```bash or ```python"),
    ],
)
def test_what_a_course_may_not_have(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(sop.BadPage, match=re.escape(why)):
        sop.parts(written(tmp_path, text), sop.COURSE)


def test_manifests_are_read_and_not_executed(tmp_path: Path) -> None:
    page = written(tmp_path, "```yaml\nkind: A\n```\n```bash\na\n```\n")
    assert sop.parts(page, sop.RECOVERY) == [sop.Block("a\n")]
    with pytest.raises(sop.BadPage, match="between a skip and its block"):
        sop.parts(written(tmp_path, "<!-- skip: because -->\n```yaml\na\n```\n```bash\na\n```\n"), sop.RECOVERY)


def test_a_page_that_is_no_text_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(b"```bash\n\xff\n```\n")
    with pytest.raises(sop.BadPage):
        sop.parts(page)


def test_comments_inside_of_a_block_are_its_text(tmp_path: Path) -> None:
    page = written(tmp_path, "```bash\ncat <<END\n<!-- skip: me -->\nEND\n```\n")
    assert sop.parts(page) == [sop.Block("cat <<END\n<!-- skip: me -->\nEND\n")]


def desk(tmp_path: Path, **scenes: object) -> sop.Desk:
    folder = tmp_path / "desk"
    folder.mkdir()
    return sop.Desk(folder, {"PATH": "/usr/bin:/bin", "GIVEN": "yes"}, {key: scenes[key] for key in scenes})  # type: ignore[misc]


def test_blocks_share_a_folder_and_what_they_export(tmp_path: Path) -> None:
    said: list[str] = []
    page = written(
        tmp_path,
        "```bash\nexport A=${GIVEN:-no}$'\\n'\"'q' $(id -u)\" B=1\nlocal_one=2\necho hello > file\n```\n"
        "<!-- scene: rain -->\n<!-- skip: would be wrong here -->\n```bash\nfalse\n```\n"
        '```bash\ntest "${local_one:-none}" = none\n[[ "$A" == yes*"\'q\'"* ]]\ntest "$(cat file)" = hello\n```\n',
    )
    made = desk(tmp_path, rain=lambda: said.append("wet"))
    sop.execute(page, made)
    assert (made.executed, made.skipped, said) == (2, 1, ["wet"])


def test_what_comes_is_what_is_shown(tmp_path: Path) -> None:
    made = desk(tmp_path)
    made.notebook = lambda text: (0, f"{eval(text)}\n")  # noqa: S307
    page = written(
        tmp_path,
        "```python\n6 * 7\n```\n```text\n42\n```\n"
        "```bash\necho at 8a1b9c8a1b9c; echo '… surveying' >&2; echo b\n```\n```text\nat 4f0c2a91be77\nb\n```\n",
    )
    sop.execute(page, made, sop.COURSE)
    assert made.executed == 2
    for wrong in ("```bash\necho 41\n```\n```text\n42\n```\n", "```bash\ntrue\n```\n```text\n42\n```\n"):
        with pytest.raises(SybilFailure, match="the page shows"):
            sop.execute(written(tmp_path, wrong), made, sop.COURSE)


def test_commands_go_where_a_prefix_leads(tmp_path: Path) -> None:
    there = sop.Terminal(tmp_path, {"PATH": "/usr/bin:/bin"}, ("env", "WHERE=there"))
    assert there("export MINE=$WHERE\npwd\n") == (0, f"{tmp_path}\n")
    assert there('echo "$MINE"\nfalse\n') == (1, "there\n")


@pytest.mark.parametrize("text", ["false\ntrue", "false | true", 'echo "$MISSING"', "exit 3", "read -r line", "if"])
def test_the_first_error_ends_a_page_and_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    page = written(tmp_path, f"# A\n\n```bash\n{text}\n```\n\n```bash\ntouch never\n```\n")
    made = desk(tmp_path)
    with pytest.raises(SybilFailure, match="line 3") as error:
        sop.execute(page, made)
    assert str(page) in str(error.value) and not (made.folder / "never").exists()


def test_a_scene_that_nobody_knows_ends_a_page(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        sop.execute(written(tmp_path, "<!-- scene: snow -->\n"), desk(tmp_path))


def test_a_run_is_recorded_once_and_nothing_else_is_changed(tmp_path: Path) -> None:
    made = desk(tmp_path)
    made.executed, made.skipped = 7, 1
    text = "# A\n\n## Rollback\nnone\n\n## Last executed\nnot yet\n"
    once = sop.recorded(text, "2026-11-27", "0123456789abcdef", made)
    assert once == text.replace("not yet", "2026-11-27, commit 0123456789ab: 7 blocks executed, 1 skipped")
    assert sop.recorded(once, "2026-11-27", "0123456789abcdef", made) == once and sop.unrecorded(once) == text
    assert sop.RECORDED.fullmatch(sop.last_executed(once))
    for wrong in ("# A\n", "# A\n\n## Last executed\nnot yet\n\n## More\n"):
        with pytest.raises(sop.BadPage):
            sop.recorded(wrong, "2026-11-27", "0123456789abcdef", made)


def test_nothing_executed_is_never_recorded(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        sop.recorded("# A\n\n## Last executed\nnot yet\n", "2026-11-27", "0123456789abcdef", desk(tmp_path))
