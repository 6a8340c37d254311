"""Who may sign in: a changed list is in effect without a restart, and whoever goes off it is taken out.

Times are printed and not asserted: the machine may be busy. What happened is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import namespace, variant, wait_ready
from tests.e2e.hubclient import Person
from tests.e2e.people_hub import PeopleHub

SPACE, HUB = "e2e-people", "folk"
STAFF = ["cleo", "dora", "emil", "fred", "gina"]
SOURCE = "staff"
FROM = [{"configMap": {"name": SOURCE, "key": "list"}}]
SYSTEM = "pdshub-system"


@dataclass
class Folk(PeopleHub):
    """The hub of this file."""

    allowed: list[str] = field(default_factory=lambda: ["ada", "bela"])
    suspended: list[str] = field(default_factory=list)

    def write(self) -> None:
        """Write the names of the spec."""
        self.patch({"spec": {"users": {"allowed": self.allowed, "suspended": self.suspended}}})

    def says(self, kind: str, **wanted: str) -> dict[str, Any]:
        """A condition, as soon as it is as wanted."""
        found: dict[str, Any] = eventually(
            lambda: self.cluster.condition("pdshub", HUB, kind, SPACE),
            lambda c: all(c.get(key) == value for key, value in wanted.items()),
            within=120,
            what=f"{kind} is {wanted}",
        )
        return found

    def enforced(self) -> None:
        """Wait until the hub goes by the list of the present spec."""
        generation = self.cluster.get("pdshub", HUB, SPACE)["metadata"]["generation"]
        eventually(
            lambda: self.cluster.condition("pdshub", HUB, "UsersEnforced", SPACE),
            lambda c: c.get("status") == "True" and c.get("observedGeneration") == generation,
            within=120,
            what="the list is in effect",
        )

    def events(self, reason: str) -> list[str]:
        """Messages of the events of a reason."""
        return [e["message"] for e in self.cluster.items("events", SPACE) if e["reason"] == reason]


@pytest.fixture(scope="module")
def folk(cluster: Cluster, sample: dict[str, Any]) -> Iterator[Folk]:
    """A hub with two people in its spec, an admin, and more in a ConfigMap."""
    namespace(cluster, SPACE)
    made = Folk(cluster, SPACE, HUB, SOURCE)
    made.write_source("# staff\n\n" + "\n".join(STAFF) + "\n")
    users = {"allowed": made.allowed, "admins": ["root-admin"], "from": FROM}
    cluster.apply(variant(sample, HUB, SPACE, archive=None, users=users))
    try:
        wait_ready(cluster, HUB, SPACE)
        made.enforced()
        yield made
    finally:
        cluster.kubectl("delete", "pdshub", HUB, "-n", SPACE, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", SPACE, "--wait=false")


def timed(what: str, true: Callable[[], bool]) -> None:
    """Wait until something is so, and print how long that was."""
    began = time.monotonic()
    eventually(true, bool, within=120, what=what)
    print(f"{what}: {time.monotonic() - began:.1f} s")


def cut_off(folk: Folk, person: Person) -> None:
    """Nothing of somebody works any more: session, token, server, pod, a new sign-in."""
    home = person.session.get(person.url("/hub/home"), allow_redirects=False, timeout=30)
    assert home.status_code == 302 and "/hub/login" in home.headers["Location"], "the cookie from before"
    assert person.call("GET", "/hub/api/user").status_code == 403, "the token from before"
    server = person.session.get(person.url(f"/user/{person.slug}/api/status"), allow_redirects=False, timeout=30)
    assert server.status_code != 200, "the server from before"
    assert folk.pods_of(person.name) == [] and not folk.may(person.name)


def test_a_changed_list_is_in_effect_without_a_restart(folk: Folk) -> None:
    before = folk.unchanged()
    assert not folk.may("nora")
    folk.allowed.append("nora")
    folk.write()
    timed("a name on the list may sign in", lambda: folk.may("nora"))
    folk.allowed.remove("nora")
    folk.write()
    timed("a name off the list may not", lambda: not folk.may("nora"))
    folk.enforced()
    assert folk.unchanged() == before
    said = folk.events("UsersChanged")
    assert any("1 came onto the list and 0 went off it" in message and "kubectl" in message for message in said)


def test_who_goes_off_the_list_loses_session_token_server_and_pod(folk: Folk) -> None:
    before = folk.unchanged()
    ada, bela = folk.sign_in("ada"), folk.sign_in("bela")
    for person in (ada, bela):
        person.start()
    homes = {c["metadata"]["name"]: c["metadata"]["uid"] for c in folk.cluster.items("pvc", SPACE)}
    folk.allowed.remove("ada")
    folk.write()
    timed("a removal is over", lambda: not folk.pods_of("ada") and not folk.may("ada"))
    folk.enforced()
    cut_off(folk, ada)
    assert any(message.startswith("ada was taken out") for message in folk.events("UserRemoved"))
    assert bela.call("GET", "/user/bela/api/status").status_code == 200, "another's server goes on"
    assert folk.unchanged() == before
    kept = {c["metadata"]["name"]: c["metadata"]["uid"] for c in folk.cluster.items("pvc", SPACE)}
    assert homes.items() <= kept.items(), "the home stays"
    folk.allowed.append("ada")
    folk.write()
    timed("back on the list", lambda: folk.may("ada"))
    assert ada.call("GET", "/hub/api/user").status_code == 403, "an old token stays dead"
    home = ada.session.get(ada.url("/hub/home"), allow_redirects=False, timeout=30)
    assert home.status_code == 302, "and so does an old session"


def test_who_is_suspended_is_out_and_comes_back_to_the_same_home(folk: Folk) -> None:
    bela = folk.sign_in("bela")
    bela.start()
    with bela.kernel() as kernel:
        kernel.run("open('kept.txt', 'w').write('as it was')").ok()
    folk.suspended.append("bela")
    folk.write()
    timed("a suspension is over", lambda: not folk.pods_of("bela"))
    folk.enforced()
    cut_off(folk, bela)
    folk.suspended.remove("bela")
    folk.write()
    timed("and taken back", lambda: folk.may("bela"))
    again = folk.sign_in("bela")
    again.start()
    with again.kernel() as kernel:
        assert kernel.run("print(open('kept.txt').read())").ok() == "as it was"


def test_a_changed_config_map_acts_like_the_spec(folk: Folk) -> None:
    before = folk.unchanged()
    cleo = folk.sign_in("cleo")
    folk.write_source("# staff\n\n" + "\n".join([*STAFF[1:], "Hans"]) + "\n")
    timed("a name of the ConfigMap may sign in", lambda: folk.may("hans"))
    timed("and the other may not", lambda: not folk.may("cleo"))
    eventually(lambda: cleo.call("GET", "/hub/api/user").status_code, lambda s: s == 403, what="cleo's token is dead")
    assert folk.unchanged() == before


def test_an_emptied_source_stops_until_somebody_approves(folk: Folk) -> None:
    dora = folk.sign_in("dora")
    folk.write_source("")
    said = folk.says("UsersKnown", status="False", reason="ShrunkTooMuch")["message"]
    assert dora.call("GET", "/hub/api/user").status_code == 200 and folk.may("emil"), "nobody is cut off"
    folk.allowed.append("mallory")
    folk.write()
    folk.says("UsersKnown", status="False", reason="ShrunkTooMuch")
    assert not folk.may("mallory"), "nobody new gets in"
    folk.allowed.remove("mallory")
    folk.write()
    said = folk.says("UsersKnown", status="False", reason="ShrunkTooMuch", message=said)["message"]
    command = said[said.index("(kubectl annotate") + 1 : said.index(")")].split()
    folk.cluster.kubectl(*command[1:])
    folk.says("UsersKnown", status="True")
    timed("an approved loss is carried out", lambda: not folk.may("dora"))
    folk.enforced()
    cut_off(folk, dora)
    folk.cluster.kubectl("delete", "configmap", "staff", "-n", SPACE)
    folk.says("UsersKnown", status="False", reason="SourceMissing")
    assert folk.may("ada"), "a source that is gone cuts nobody off"
    folk.write_source("\n".join(STAFF))
    folk.says("UsersKnown", status="True")


@pytest.mark.alone
def test_two_are_removed_at_once_while_the_operator_is_killed(folk: Folk) -> None:
    people = [folk.sign_in(name) for name in ("ada", "emil")]
    for person in people:
        person.start()
    folk.allowed.remove("ada")
    folk.write()
    folk.write_source("\n".join(name for name in STAFF if name != "emil"))
    eventually(
        lambda: folk.cluster.condition("pdshub", HUB, "UsersEnforced", SPACE),
        lambda c: c.get("reason") == "Removing",
        within=60,
        every=0.05,
        what="a removal is under way",
    )
    folk.cluster.kubectl(
        "delete", "pod", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator", "--grace-period=0", "--force"
    )
    timed("both are out", lambda: not folk.pods_of("ada") and not folk.pods_of("emil"))
    folk.enforced()
    for person in people:
        cut_off(folk, person)


def test_ten_thousand_names_are_one_list(folk: Folk) -> None:
    before = folk.unchanged()
    many = [f"{number:05}.{'x' * 22}@example.org" for number in range(10_000)]
    folk.write_source("\n".join([*STAFF, *many]))
    timed("the last of ten thousand may sign in", lambda: folk.may(many[-1]))
    assert folk.unchanged() == before
    # the list is in effect before the status counts it
    eventually(lambda: folk.cluster.get("pdshub", HUB, SPACE)["status"]["users"] > 10_000, what="all are counted")
    folk.write_source("\n".join(STAFF))
    digest = folk.says("UsersKnown", reason="ShrunkTooMuch")["message"].partition("approve-users=")[2].partition(")")[0]
    folk.patch({"metadata": {"annotations": {"pdshub.dev/approve-users": digest}}})
    folk.says("UsersKnown", status="True")
