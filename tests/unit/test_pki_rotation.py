"""The authority over the years: when it gets a successor, who signs, who is trusted, and who understands whom."""

from __future__ import annotations

import asyncio
import base64
import datetime
import itertools
import ssl
from collections.abc import Mapping
from typing import Any, cast

import pytest

from pdshub import pki, tls_names
from pdshub.kube import Kube
from pdshub.pki import authority as authorities
from pdshub.pki.authority import Authority, step
from pdshub.pki.secrets import ROTATE, ROTATED, read_authority
from pdshub.reconcile.common.tls import Tls
from tests.unit.reconcile.fakes import FakeKube
from tests.unit.test_pki import context, shake

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def day(number: float) -> datetime.datetime:
    return NOW + number * DAY


FIRST = authorities.created(NOW)
SECOND = pki.issue(day(10), "pdshub-ca", None)
ANNOUNCED = Authority(FIRST.signer, next=SECOND, since=day(10))
SWITCHED = Authority(SECOND, former=(FIRST.signer.certificate,), since=day(11))


def shape(before: Authority | None, after: Authority) -> str:
    """What happened, in a word."""
    if after == before:
        return "nothing"
    if before is None or after.signer.certificate not in before.trust:
        return "anew"
    if after.next and not before.next:
        assert after.signer == before.signer and after.former == before.former and after.since is None
        return "announced"
    if before.next and after.signer == before.next:
        assert after.former[0] == before.signer.certificate and after.next is None and after.since is None
        return "switched"
    assert after.signer == before.signer and after.former == () and before.former
    return "dropped"


@pytest.mark.parametrize(
    ("before", "at", "asked", "happens"),
    [
        (None, 0, False, "anew"),
        (FIRST, 0, False, "nothing"),
        (FIRST, 3650 - 366, False, "nothing"),
        (FIRST, 3650 - 364, False, "announced"),
        (FIRST, 3651, False, "anew"),  # whom could it still convince?
        (FIRST, 10, True, "announced"),
        (ANNOUNCED, 10.9, False, "nothing"),
        (ANNOUNCED, 10.9, True, "nothing"),  # it is on its way
        (ANNOUNCED, 11.1, False, "switched"),
        (ANNOUNCED, 400, False, "switched"),
        (Authority(FIRST.signer, next=SECOND), 400, False, "nothing"),  # nobody has been told of it yet
        (SWITCHED, 12, False, "nothing"),
        (SWITCHED, 40.9, False, "nothing"),
        (SWITCHED, 41.1, False, "dropped"),
        (Authority(SECOND, former=(b"x",)), 400, False, "nothing"),
        (SWITCHED, 12, True, "announced"),
        (SWITCHED, 3651, False, "announced"),  # the former has expired, the present has a year
    ],
)
def test_steps_over_time(before: Authority | None, at: float, asked: bool, happens: str) -> None:
    assert shape(before, step(before, day(at), asked=asked)) == happens


class Cluster:
    """The Secrets, as an operator that looks from time to time keeps them."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.look(0)

    def look(self, at: float) -> list[str]:
        """One look; what was written."""
        self.kube.writes.clear()
        self.credentials = asyncio.run(pki.ensure(cast(Kube, self.kube), "ns", day(at)))
        return list(self.kube.writes)

    def secret(self, name: str) -> Mapping[str, Any]:
        return self.kube.objects[("secrets", "ns", name)]

    def pair(self, name: str) -> tuple[pki.Pair, bytes]:
        data = {key: base64.b64decode(text) for key, text in self.secret(name)["data"].items()}
        return pki.Pair(data["tls.crt"], data["tls.key"]), data["ca.crt"]

    @property
    def authority(self) -> Authority:
        found = read_authority(dict(self.secret(pki.CA)))
        assert found is not None
        return found

    def ask(self, word: str) -> None:
        self.secret(pki.CA)["metadata"]["annotations"][ROTATE] = word


def test_a_change_from_end_to_end() -> None:
    cluster = Cluster()
    old_leaves = {name: cluster.pair(name)[0] for name in (pki.NODE, pki.OPERATOR)}
    marks = [cluster.credentials.authority.mark]
    assert cluster.look(1) == []
    cluster.ask("please")
    ca, leaves = f"secrets/{pki.CA}", [f"apply secrets/{name}" for name in old_leaves]
    # announced: the same certificates, two authorities to trust; the day begins when they are written
    assert cluster.look(2) == [f"apply {ca}", *leaves, f"patch {ca}"]
    marks.append(cluster.credentials.authority.mark)
    assert {name: cluster.pair(name)[0] for name in old_leaves} == old_leaves
    assert cluster.authority.since == day(2) and cluster.authority.trust.count(b"BEGIN CERT") == 2
    assert cluster.secret(pki.CA)["metadata"]["annotations"][ROTATED] == "please"
    assert cluster.look(2.5) == []
    # switched: new certificates, the same trust
    assert cluster.look(3.1) == [f"apply {ca}", *leaves, f"patch {ca}"]
    marks.append(cluster.credentials.authority.mark)
    assert all(cluster.pair(name)[0] != old for name, old in old_leaves.items())
    assert all(cluster.pair(name)[0].issued_by(cluster.authority.signer) for name in old_leaves)
    assert cluster.authority.trust.count(b"BEGIN CERT") == 2 and cluster.authority.next is None
    # dropped: one authority
    assert cluster.look(30) == []
    assert cluster.look(33.2) == [f"apply {ca}", *leaves, f"patch {ca}"]
    marks.append(cluster.credentials.authority.mark)
    assert cluster.credentials.trust == cluster.authority.signer.certificate == cluster.pair(pki.NODE)[1]
    assert cluster.look(34) == []
    assert len(set(marks)) == len(marks), "surveyors' certificates are written anew at each step"


def test_an_operator_that_dies_midway_waits_no_shorter() -> None:
    cluster = Cluster()
    cluster.ask("please")

    class KilledError(Exception):
        pass

    async def dies(*_: Any) -> None:
        raise KilledError

    patch = cluster.kube.patch
    cluster.kube.patch = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(KilledError):
        cluster.look(2)
    assert cluster.authority.next is not None and cluster.authority.since is None
    cluster.kube.patch = patch  # type: ignore[method-assign]
    cluster.look(20)
    assert cluster.authority.next is not None and cluster.authority.since == day(20)
    cluster.look(21.1)
    assert cluster.authority.next is None


def test_an_authority_of_an_earlier_version_goes_on() -> None:
    cluster = Cluster()
    secret = cast(dict[str, Any], cluster.secret(pki.CA))
    secret["metadata"].pop("annotations")
    for key in ("next.crt", "next.key"):
        del secret["data"][key]
    signer, node = cluster.authority.signer, cluster.pair(pki.NODE)
    assert cluster.look(400 - 365) == [f"patch secrets/{pki.CA}"]
    assert cluster.authority.signer == signer and cluster.pair(pki.NODE) == node


def test_those_who_begin_at_once_share_one_authority() -> None:
    kube = FakeKube()
    get = kube.get

    async def slowly(*arguments: Any) -> Any:
        await asyncio.sleep(0)
        return await get(*arguments)

    kube.get = slowly  # type: ignore[method-assign]
    tls = Tls(cast(Kube, kube), "ns")

    async def all_at_once() -> list[pki.Due]:
        return await asyncio.gather(*(tls.due() for _ in range(3)))

    marks = {due.mark for due in asyncio.run(all_at_once())}
    assert len(marks) == 1 and kube.writes == [f"apply secrets/{n}" for n in (pki.CA, pki.NODE, pki.OPERATOR)]


NO_CERTIFICATE = "bm8gY2VydGlmaWNhdGU="


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        *((key, text) for key in ("tls.crt", "tls.key", "ca.crt") for text in ("", "%")),
        ("tls.crt", NO_CERTIFICATE),
        ("ca.crt", NO_CERTIFICATE),
    ],
)
@pytest.mark.parametrize("name", [pki.CA, pki.NODE, pki.OPERATOR])
def test_what_is_damaged_is_made_anew(name: str, damage: str, text: str) -> None:
    cluster = Cluster()
    cast(dict[str, Any], cluster.secret(name))["data"][damage] = text
    cluster.look(1)
    for leaf in (pki.NODE, pki.OPERATOR):
        pair, trust = cluster.pair(leaf)
        assert trust == cluster.authority.trust and pair.issued_by(cluster.authority.signer)


# --- programs that are at different steps


def stages() -> list[dict[str, tuple[pki.Pair, bytes]]]:
    """Certificate and trust of each program before a change, and after each of its steps; by the name in them."""
    now = datetime.datetime.now(datetime.UTC)
    old, new = (pki.issue(now, "pdshub-ca", None) for _ in range(2))
    both = old.certificate + new.certificate
    programs = [
        ("pdshub-operator", "", False, True),
        ("pdshub-node", "", True, True),
        ("pdshub-surveyor", tls_names.surveyor("sbn"), True, False),
    ]
    leaves = {
        authority: {
            dns or name: pki.issue(now, name, authority, server=server, client=client, dns=dns)
            for name, dns, server, client in programs
        }
        for authority in (old, new)
    }
    trusts = ((old, old.certificate), (old, both), (new, both), (new, new.certificate))
    return [{name: (pair, trust) for name, pair in leaves[signer].items()} for signer, trust in trusts]


STAGES = stages()
WHO = [
    ("pdshub-operator", "pdshub-node"),
    ("pdshub-operator", tls_names.surveyor("sbn")),
    ("pdshub-node", tls_names.surveyor("sbn")),
]


@pytest.mark.parametrize(("client", "server"), WHO)
@pytest.mark.parametrize(("one", "other"), list(itertools.product(range(4), repeat=2)))
def test_programs_one_step_apart_understand_each_other(client: str, server: str, one: int, other: int) -> None:
    """Client first, server first, some late: whoever is at most one step behind is answered. Two steps are too many."""
    sides = context(*STAGES[other][server], server=True), context(*STAGES[one][client], server=False)
    if abs(one - other) <= 1:
        shake(*sides, server)
    else:
        with pytest.raises(ssl.SSLError):
            shake(*sides, server)
