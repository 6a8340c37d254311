"""Steps are written; what is there stays; an adopted claim keeps its data and gets a new count of attempts."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.kube import CLAIM, CONFIG_MAP, SECRET, KubeError
from pdshub.reconcile.common.objects import Step
from pdshub.reconcile.hub.act.prepare import act
from pdshub.reconcile.hub.database import judge_database
from pdshub.reconcile.hub.facts import Attempt
from pdshub.render.keys import TOKEN_KEY
from pdshub.render.names import Names
from tests.unit.reconcile.hub.act.acting import Acting
from tests.unit.reconcile.test_decide import facts

NAMES = Names("ns", "demo")


def notice(text: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns"}, "data": {"k": text}}


def test_new_secrets_get_content_of_their_own() -> None:
    found = []
    for _ in range(2):
        bench = Acting()
        bench.run(act, facts(new_secrets=("demo-keys", "demo-sign-in")))
        assert bench.names(SECRET) == {"demo-keys", "demo-sign-in"}
        assert set(bench.get(SECRET, "demo-sign-in")["data"]) == {"password"}
        found.append(bench.get(SECRET, "demo-keys")["data"])
    assert found[0] != found[1] and all(
        set(data)
        == {
            "hub.config.JupyterHub.cookie_secret",
            "hub.config.CryptKeeper.keys",
            "hub.services.pdshub-operator.apiToken",
        }
        for data in found
    )


def test_a_secret_that_is_there_stays() -> None:
    bench = Acting()
    bench.kube.put(SECRET, {"metadata": {"name": "demo-keys", "namespace": "ns"}, "data": {"k": "v"}})
    bench.run(act, facts(new_secrets=("demo-keys",)))
    assert bench.get(SECRET, "demo-keys")["data"] == {"k": "v"}


def test_keys_from_before_get_the_operators_token_and_keep_what_they_have() -> None:
    bench = Acting()
    bench.kube.put(SECRET, {"metadata": {"name": "demo-keys", "namespace": "ns"}, "data": {"k": "v"}})
    meta = bench.get(SECRET, "demo-keys")["metadata"]
    body = {"kind": "Secret", "metadata": {key: meta[key] for key in ("name", "namespace", "resourceVersion")}}
    step = Step("a token", body, "key")
    bench.run(act, facts(steps=(step,)))
    data = bench.get(SECRET, "demo-keys")["data"]
    assert set(data) == {"k", TOKEN_KEY} and data["k"] == "v"
    with pytest.raises(KubeError):  # somebody has written them meanwhile
        bench.run(act, facts(steps=(step,)))
    assert bench.get(SECRET, "demo-keys")["data"] == data


@pytest.mark.parametrize(("how", "expected"), [("create", "old"), ("apply", "new")])
def test_create_keeps_and_apply_replaces(how: str, expected: str) -> None:
    bench = Acting()
    bench.kube.put(CONFIG_MAP, notice("old"))
    bench.run(act, facts(steps=(Step("c is written", notice("new"), how),)))
    assert bench.get(CONFIG_MAP, "c")["data"] == {"k": expected}


def brought_back(bench: Acting) -> Step:
    bench.put(
        CLAIM, "hub-db-dir", {"volumeName": "pv"}, labels={"pdshub.dev/hub": "demo", "component": "x", "mine": "y"}
    )
    (step,) = judge_database(NAMES, bench.get(CLAIM, "hub-db-dir"), None, False).steps
    return step


def test_adoption_changes_metadata_alone_and_counts_attempts_anew() -> None:
    bench = Acting()
    step = brought_back(bench)
    memory = bench.context.memory("ns", "demo")
    memory.attempt = Attempt("1-a", 5, "NotOurs", "no")
    bench.run(act, facts(steps=(step,)))
    claim = bench.get(CLAIM, "hub-db-dir")
    assert claim["spec"] == {"volumeName": "pv"}
    assert claim["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "Helm",
        "component": "hub",
        "mine": "y",
        "pdshub.dev/hub": "demo",
    }
    assert claim["metadata"]["annotations"] == {
        "meta.helm.sh/release-name": "demo",
        "meta.helm.sh/release-namespace": "ns",
    }
    assert memory.attempt == Attempt("1-a")


def test_a_claim_that_changed_since_it_was_judged_is_not_adopted() -> None:
    bench = Acting()
    step = brought_back(bench)
    bench.put(CLAIM, "hub-db-dir", {"volumeName": "pv"}, labels={"pdshub.dev/hub": "other"})
    with pytest.raises(KubeError):
        bench.run(act, facts(steps=(step,)))
    assert "annotations" not in bench.get(CLAIM, "hub-db-dir")["metadata"]
