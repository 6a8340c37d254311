"""The annotation that makes the kubelet refresh the notice."""

from __future__ import annotations

from pdshub.kube import POD
from pdshub.reconcile.hub.act.notify import act
from pdshub.render.keys import digest
from tests.unit.reconcile.hub.act.acting import Acting
from tests.unit.reconcile.test_decide import facts


def test_the_pod_is_annotated_with_the_digest_of_its_notice() -> None:
    bench = Acting()
    bench.put(POD, "hub-1", annotations={"theirs": "x"})
    assert bench.run(act, facts(notice_pod="hub-1", notice="words")) == ""
    annotations = bench.get(POD, "hub-1")["metadata"]["annotations"]
    assert annotations == {"theirs": "x", "pdshub.dev/notice": digest("words")}


def test_a_pod_that_is_gone_is_no_error() -> None:
    assert Acting().run(act, facts(notice_pod="hub-1", notice="words")) == ""
