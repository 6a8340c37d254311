"""Texts that hide an object, in every value of a hub chart: what is tried, how it is found, and what comes of it.

The packaged zero-to-jupyterhub is attacked by ``tests/e2e/test_91_values.py`` and ``./hack/bench walls``, which are
told where it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub.reconcile.hub.manifest.rules import judge_rendered
from tests.hostile_values.attack import Attack, Outcome
from tests.hostile_values.charts import NAMES, ROOT, HubChart, airgap
from tests.hostile_values.payloads import MARK, PAYLOADS
from tests.hostile_values.places import places, put
from tests.hostile_values.rendering import chunks, foreign, helm

PUBLIC = yaml.safe_load((ROOT / "tests/data/z2jh-4.4.0-values.schema.yaml").read_text())
_IMAGE = {"required": ["n", "t"], "properties": {"n": {"type": "string"}}}
PLACES: dict[str, Any] = {
    "properties": {
        "name": {"type": "string"},
        "kind": {"enum": ["A", "B"]},
        "count": {"type": "integer"},
        "path": {"type": ["string", "null"], "pattern": "^/"},
        "list": {"type": "array", "items": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": False, "patternProperties": {".*": {"type": "string"}}},
        "images": {"type": "object", "patternProperties": {".*": _IMAGE}},
        "deep": {"properties": {"ref": {"$ref": "#/$defs/text"}}},
        "free": {"type": "object", "additionalProperties": True},
    },
    "$defs": {"text": {"type": "string"}},
}


def test_places_of_a_schema() -> None:
    found = {place.title: put({}, (place, "T")) for place in places(PLACES)}
    free = {title: values["free"] for title, values in found.items() if title.startswith("free")}
    assert {title: values for title, values in found.items() if title not in free} == {
        "name": {"name": "T"},
        "kind": {"kind": "T"},
        "path": {"path": "/T"},
        "list[]": {"list": ["T"]},
        "labels.KEY": {"labels": {"F": "T"}},
        "labels{}": {"labels": {"FT": "x"}},
        "images.KEY.n": {"images": {"F": {"t": "x", "n": "T"}}},
        "images{}": {"images": {"FT": {"n": "x", "t": "x"}}},
        "deep.ref": {"deep": {"ref": "T"}},
    }
    assert list(free.values()) == [
        {"f": "T"}, {"T": "x"}, {"f": {"name": "T"}}, {"f": {"T": "x"}}, {"f": ["T"]}, {"f": [{"name": "T"}]},
    ]  # fmt: skip


def test_places_of_the_real_charts() -> None:
    found = {place.title for place in places(PUBLIC)}
    assert len(found) > 600
    assert {
        "fullnameOverride", "proxy.service.loadBalancerIP", "hub.image.tag", "hub.labels.KEY", "hub.labels{}",
        "prePuller.extraImages.KEY.name", "hub.extraFiles.KEY.stringData", "scheduling.userScheduler.image.name",
        "hub.args[]", "hub.extraEnv.KEY", "ingress.hosts[]", "singleuser.profileList[].KEY", "custom.KEY",
    } <= found  # fmt: skip
    assert len(places(airgap().schema)) > 200


UNQUOTED = """# Source: jupyterhub/templates/proxy/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: proxy
  labels:
    app: x
spec:
  loadBalancerIP: %s:tag
  ports:
    - port: 80
"""
QUOTED = UNQUOTED.replace("%s:tag", '"%s"')
IN_SINGLE_QUOTES = UNQUOTED.replace("%s:tag", "'%s'")
IN_METADATA = UNQUOTED.replace("app: x", "app: %s").replace("loadBalancerIP: %s:tag", "type: ClusterIP")


@pytest.mark.parametrize("payload", [name for name in PAYLOADS if name != "a template"])
@pytest.mark.parametrize("printed", [UNQUOTED, QUOTED, IN_SINGLE_QUOTES, IN_METADATA], ids=["not", "2", "1", "label"])
def test_each_text_is_judged_where_a_chart_prints_it_so(printed: str, payload: str) -> None:
    """What the rules let pass is what it was: an object of the hub, in every reading."""
    text = printed % PAYLOADS[payload].replace(MARK, "evil")
    assert judge_rendered(text, NAMES, {}) is not None or not foreign(text)


@pytest.mark.parametrize(
    ("printed", "payload", "harms"),
    [
        (UNQUOTED, "an object", True),
        (UNQUOTED, "an object of the cluster", True),
        (UNQUOTED, "a list of objects", True),
        (UNQUOTED, "an object beside the separator", True),
        (UNQUOTED, "carriage returns and newlines", True),
        (UNQUOTED, "carriage returns", True),
        (UNQUOTED, "U+2028", True),
        (UNQUOTED, "U+0085", True),
        (QUOTED, "an object behind a double quote", True),
        (IN_SINGLE_QUOTES, "an object behind a single quote", True),
        (IN_METADATA, "a namespace of the same object", True),
        (QUOTED, "an anchor", False),
        (UNQUOTED, "an object", True),
    ],
)
def test_the_texts_are_attacks(printed: str, payload: str, harms: bool) -> None:
    """Found by other code than the rules': a rule that sees nothing would be noticed."""
    text = printed % PAYLOADS[payload].replace(MARK, "evil")
    assert foreign(text) is harms
    assert (judge_rendered(text, NAMES, {}) is not None) is harms


def test_a_render_is_cut_as_helm_cuts_it() -> None:
    first, second, third = chunks("---\n# Source: a.yaml\nkind: A\n---\nkind: B\n--- # c\n# Source: c.yaml\nkind: C\n")[
        1:
    ]
    assert "kind: A" in first and second == "# Source: a.yaml\nkind: B\n" and third.startswith("# Source: c.yaml")


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("raw", "quoted", "hidden", "unused", "double", "run")},
        "chosen": {"enum": ["A"]},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
TEMPLATE = """apiVersion: v1
kind: ConfigMap
metadata:
  name: demo
  labels:
    {{- toYaml .Values.labels | nindent 4 }}
data:
  raw: {{ .Values.raw }}
  quoted: {{ .Values.quoted | quote }}
  double: "{{ .Values.double }}"
  hidden: {{ .Values.hidden | b64enc }}
  run: {{ tpl .Values.run . | quote }}
  chosen: {{ .Values.chosen }}
"""


@pytest.fixture
def small(tmp_path: Path) -> HubChart:
    """A chart that prints its values in every way."""
    try:
        helm()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    values = {**dict.fromkeys(SCHEMA["properties"], "x"), "chosen": "A", "labels": {"a": "b"}}
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/a.yaml").write_text(TEMPLATE)
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: small\nversion: 1.0.0\n")
    (tmp_path / "values.schema.json").write_text(json.dumps(SCHEMA))
    return HubChart("small", tmp_path, SCHEMA, {}, values, values)


def test_what_becomes_of_attacks_on_a_chart(small: HubChart) -> None:
    report = Attack(small).all()
    ends: dict[str, set[Outcome]] = {}
    for (place, _), outcome in report.outcomes.items():
        ends.setdefault(place, set()).add(outcome)
    assert len(report.outcomes) == len(PAYLOADS) * 9 and report.counts.total() == len(report.outcomes)
    assert {place.title for place in report.unquoted} == {"raw", "labels{}"}, (
        "keys begin with a letter, which needs none"
    )
    assert Outcome.LOOK in ends["raw"] and Outcome.LOOK in ends["double"]
    # toYaml makes nothing at all of some ends of line
    assert ends["labels.KEY"] <= {Outcome.DATA, Outcome.UNUSED}
    assert report.outcomes["raw", "an object"] is Outcome.LOOK
    assert report.outcomes["double", "an object behind a double quote"] is Outcome.LOOK
    assert report.outcomes["quoted", "an object"] is report.outcomes["labels.KEY", "an object"] is Outcome.DATA
    assert ends["hidden"] == ends["unused"] == {Outcome.UNUSED} and ends["chosen"] == {Outcome.SCHEMA}
    assert report.escaped == ["run: a template"], "a chart that runs a value as a template is found out"
    assert report.line.startswith("small: 153 attacks in 9 places")


def test_rules_that_see_nothing_are_found_out(small: HubChart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.hostile_values.attack.judge_rendered", lambda *_: None)
    escaped = Attack(small).all().escaped
    assert {"raw: an object", "raw: U+2028", "double: an object behind a double quote"} <= set(escaped)


@pytest.mark.long
def test_no_value_of_the_airgap_chart_becomes_an_object() -> None:
    """Each text in each value of the schema."""
    try:
        helm()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    report = Attack(airgap()).all()
    print(report.line)
    assert report.escaped == []
    assert report.counts[Outcome.DATA] > 1000 and report.counts[Outcome.SCHEMA] > 100
