"""Names of volumes and directories by version, setting and template."""

from __future__ import annotations

import pytest

from pdshub.dockerspawner import names
from pdshub.dockerspawner.names import Rule

ODD = "first.last@example.edu"


@pytest.mark.parametrize(
    ("name", "new", "old"),
    [
        (ODD, "first-2elast-40example-2eedu", "first_2Elast_40example_2Eedu"),
        ("ada", "ada", "ada"),
        ("Ada", "-41da", "Ada"),
        ("a-b", "a-2db", "a-b"),
        ("a_b", "a-5fb", "a_5Fb"),
        ("ü", "-c3-bc", "_C3_BC"),
    ],
)
def test_escaping(name: str, new: str, old: str) -> None:
    assert (names.escaped(name), names.legacy(name)) == (new, old)


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (Rule("jupyterhub-user-{username}"),
         ["jupyterhub-user-first-2elast-40example-2eedu", "jupyterhub-user-first_2Elast_40example_2Eedu",
          f"jupyterhub-user-{ODD}"]),
        (Rule("hub-{username}", "legacy"),
         ["hub-first_2Elast_40example_2Eedu", "hub-first-2elast-40example-2eedu", f"hub-{ODD}"]),
        (Rule("/srv/{raw_username}"), [f"/srv/{ODD}"]),
        (Rule("/home/{username}", raw=True), [f"/home/{ODD}", "/home/first-2elast-40example-2eedu",
                                              "/home/first_2Elast_40example_2Eedu"]),
        (Rule("{prefix}-{username}-{servername}", prefix="j"), ["j-first-2elast-40example-2eedu-",
                                                               "j-first_2Elast_40example_2Eedu-", f"j-{ODD}-"]),
        (Rule("v-{raw_username}-{imagename}", image="lab/note:3"), [f"v-{ODD}-lab-note-3", f"v-{ODD}-lab_note:3"]),
        (Rule("v-{unknown}"), []),
        (Rule("shared"), ["shared"]),
    ],
)  # fmt: skip
def test_candidates(rule: Rule, found: list[str]) -> None:
    assert rule.candidates(ODD) == found


@pytest.mark.parametrize("template", ["/srv/homes/{raw_username}", "/srv/homes/{username}", "/srv/u-{raw_username}/x"])
@pytest.mark.parametrize("name", ["..", ".", "", "../x", "a/../../b", "\0", "/etc", "ada/.ssh", "a//b"])
def test_no_name_leads_elsewhere_or_into_another_s_home(template: str, name: str) -> None:
    for candidate in names.below_fixed(Rule(template), name):
        assert candidate.count("/") == template.count("/x") and "\0" not in candidate
        assert not {".", "..", ""} & set(candidate.split("/")) and not candidate.startswith("/")


@pytest.mark.parametrize(
    ("template", "fixed", "named", "personal"),
    [
        ("/srv/homes/{username}", "/srv/homes", False, True),
        ("/srv/homes/u-{username}/work", "/srv/homes", False, True),
        ("hub-{username}", "", True, True),
        ("/mnt/pds", "/mnt", False, False),
        ("data", "", True, False),
    ],
)
def test_templates(template: str, fixed: str, named: bool, personal: bool) -> None:
    rule = Rule(template)
    assert (rule.fixed, rule.named, rule.personal) == (fixed, named, personal)


def test_paths_below_the_fixed_part() -> None:
    assert names.below_fixed(Rule("/srv/homes/u-{username}/work"), "ada") == ["u-ada/work"]
