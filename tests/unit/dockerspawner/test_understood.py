"""What is not known is said to be so, and nothing is concluded from it; what does not matter is not complained of."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdshub.dockerspawner import database
from pdshub.dockerspawner.deployment import Deployment
from pdshub.dockerspawner.traits import Verdict
from tests.unit.dockerspawner.samples import imported, make

OPENS = "def people(path):\n    with open(path) as f:\n        return set(f.read().split())\n"
GOOGLE = "c.JupyterHub.authenticator_class = 'google'\n"


def read(folder: Path, text: str, *people: str) -> Deployment:
    (folder / "jupyterhub_config.py").write_text("import os\n" + text)
    known = database.read(make(folder / "j.sqlite", *people)) if people else None
    return imported(folder, database=known)


def subjects(made: Deployment, verdict: Verdict) -> set[str]:
    return {entry.subject for entry in made.report.of(verdict)}


LISTS = {
    "a file that is not here": OPENS + "c.Authenticator.allowed_users = people('/srv/hub/allow_list.txt')\n",
    "a variable": "c.Authenticator.allowed_users = set(os.environ['PEOPLE'].split())\n",
    "a condition": "if os.environ['WHO'] == 'x':\n    c.Authenticator.allowed_users = {'ada'}\n",
    "a program": "c.Authenticator.allowed_users = ask()\n",
    "some of it": "c.Authenticator.allowed_users = {'ada'} | ask()\n",
}


@pytest.mark.parametrize("case", LISTS)
def test_a_list_that_is_not_known_lets_nobody_in(case: str, tmp_path: Path) -> None:
    """The old hub let in who was on it, and not everybody of its database."""
    made = read(tmp_path, LISTS[case], "ada", "eve")
    assert "eve" not in made.people.allowed and "eve" not in made.hub["spec"].get("users", {}).get("allowed", ())


def test_without_a_list_people_of_the_database_are_on_it(tmp_path: Path) -> None:
    made = read(tmp_path, "c.JupyterHub.port = 8000\n", "ada", "eve")
    assert made.people.allowed == ["ada", "eve"] and "users of the database" in subjects(made, Verdict.TAKEN)


def test_a_list_that_is_not_here_is_asked_for(tmp_path: Path) -> None:
    made = read(tmp_path, LISTS["a file that is not here"])
    (entry,) = (each for each in made.report.of(Verdict.CONTRADICTION) if "allowed_users" in each.subject)
    assert "/srv/hub/allow_list.txt, which is not among the files" in entry.words
    assert made.report.understood == made.report.statements


@pytest.mark.parametrize("path", ["/srv/settings.yaml", "/srv/users.yaml", "/srv/users.py", "/srv/cities.txt"])
def test_a_file_that_is_no_list_of_names_is_not_taken_for_one(path: str, tmp_path: Path) -> None:
    made = read(tmp_path, f"{OPENS}c.Authenticator.allowed_users = people({path!r})\n")
    assert made.report.understood < made.report.statements


SIGN_IN = "if os.environ['AUTH'] == 'google':\n    c.JupyterHub.authenticator_class = 'google'\n"


def test_a_sign_in_that_depends_on_what_is_not_known_is_not_the_default(tmp_path: Path) -> None:
    made = read(tmp_path, f"{SIGN_IN}c.GoogleOAuthenticator.hosted_domain = ['example.org']\n")
    words = " ".join(entry.words for entry in made.report.entries)
    assert "PAMAuthenticator" not in words and "is set, and" not in words
    assert "c.JupyterHub.authenticator_class" in subjects(made, Verdict.CONTRADICTION)


OWN = "class Mine(DockerSpawner):\n    def start(self):\n        pass\nc.JupyterHub.spawner_class = Mine\n"


def test_homes_that_only_code_knows(tmp_path: Path) -> None:
    made = read(tmp_path, f"from dockerspawner import DockerSpawner\n{OWN}")
    assert "homes" in subjects(made, Verdict.UNREAD) and "homes" not in subjects(made, Verdict.CONTRADICTION)
    assert "homes" in subjects(read(tmp_path, GOOGLE), Verdict.CONTRADICTION), "where no code is, none are kept"


def test_a_sign_in_of_their_own_may_use_what_is_set_for_others(tmp_path: Path) -> None:
    text = "from jupyterhub.auth import Authenticator\nclass Both(Authenticator):\n    pass\n"
    text += "c.JupyterHub.authenticator_class = Both\nc.GoogleOAuthenticator.hosted_domain = ['example.org']\n"
    made = read(tmp_path, text)
    assert "c.GoogleOAuthenticator.hosted_domain" in subjects(made, Verdict.UNREAD)


STRANGERS = "from cas import CASAuthenticator\nc.JupyterHub.authenticator_class = CASAuthenticator\n"


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("c.CASAuthenticator.login_url = 'x'", Verdict.NONE),
        ("c.CASLocalAuthenticator.logout_url = 'x'", Verdict.CONTRADICTION),
        ("c.GoogleOAuthenticator.hosted_domain = 'x'", Verdict.CONTRADICTION),
        ("c.Sparner.cmd = 'x'", Verdict.UNREAD),
        ("c.DockerSpawner.zzz = 'x'", Verdict.UNREAD),
    ],
)
def test_traits_of_what_is_not_known_or_does_not_run(line: str, verdict: Verdict, tmp_path: Path) -> None:
    made = read(tmp_path, f"{STRANGERS}{line}\n")
    assert line.partition(" ")[0] in subjects(made, verdict)
    assert (made.report.understood == made.report.statements) is (verdict is not Verdict.UNREAD)


@pytest.mark.parametrize(
    ("line", "understood"),
    [
        ("c.JupyterHub.bind_url = ask()", True),
        ("c.ConfigurableHTTPProxy.auth_token = open('/etc/token').read()", True),
        ("if ask():\n    c.JupyterHub.port = 1\nelse:\n    c.JupyterHub.port = 2", True),
        ("c.Spawner.mem_limit = ask()", False),
        ("c.Spawner.environment = ask()", False),
        ("if ask():\n    c.Spawner.mem_limit = '1G'", False),
        ("x = ask()", False),
    ],
)
def test_a_value_of_which_nothing_is_taken_over_need_not_be_known(line: str, understood: bool, tmp_path: Path) -> None:
    report = read(tmp_path, f"{line}\n").report
    assert (report.understood == report.statements) is understood


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/home/jovyan/work/pds.sbn/pds3", True),
        ("/home/jovyan/work/pds", True),
        ("/home/jovyan/work/pdsx", False),
        ("/home/jovyan/work/Archive", True),
        ("/home/jovyan/work/scratch", False),
        ("/data/pds.sbnx", False),
    ],
)
def test_directories_that_are_said_to_be_read_only(target: str, found: bool, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("| **PDS archive** | `pds.sbn` (read-only) |\nscratch can be written to\n")
    volumes = {"/srv/{username}": "/home/jovyan/work", "/nas/x": target}
    made = read(tmp_path, f"c.DockerSpawner.volumes = {volumes!r}\n")
    assert (target in {bind.target for bind in made.binds.archives}) is found
