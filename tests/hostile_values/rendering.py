"""What helm makes of a chart's values, offline, and what somebody could read in it."""

from __future__ import annotations

import functools
import json
import re
import subprocess

import yaml

from pdshub.helm import KUBERNETES
from tests.helm_program import helm
from tests.hostile_values.charts import KINDS, NAMES, HubChart
from tests.hostile_values.places import Json


def rendered(chart: HubChart, values: Json) -> subprocess.CompletedProcess[str]:
    """What the operator's own look renders offline. Its ends of lines stay as they are."""
    options = ["--namespace", NAMES.namespace, "--skip-crds", "--kube-version", KUBERNETES, "--values", "-"]
    command = [helm(), "template", NAMES.name, str(chart.where), *options]
    done = subprocess.run(command, input=json.dumps(values).encode(), capture_output=True, check=False)
    texts = (said.decode(errors="replace") for said in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(command, done.returncode, *texts)


_SOURCE = re.compile(r"^# Source: .*$", re.MULTILINE)
_BREAKS = re.compile("\r\n|[\r\x85\u2028\u2029]")


def objects(text: str) -> list[Json]:
    """All objects that anybody could read in a text: every end of line is one, and lists are what they hold."""
    found: list[Json] = []
    for reading in {text, _BREAKS.sub("\n", text)}:
        for chunk in re.split(r"^---", reading, flags=re.MULTILINE):
            try:
                read = list(yaml.load_all(chunk, yaml.CSafeLoader))
            except (yaml.YAMLError, ValueError):
                continue
            for body in read:
                if isinstance(body, dict) and "kind" in body:
                    found += [body, *(item for item in body.get("items") or () if isinstance(item, dict))]
    return found


@functools.lru_cache(maxsize=64)
def foreign(text: str, namespace: str = NAMES.namespace) -> bool:
    """Whether a text holds an object that a hub may not have, in any reading of it."""
    for body in objects(text):
        meta = body.get("metadata")
        where = meta.get("namespace") if isinstance(meta, dict) else None
        if f"{body.get('apiVersion')} {body['kind']}" not in KINDS or where not in (None, namespace):
            return True
    return False


def chunks(text: str) -> list[str]:
    """The documents of a rendered chart as Helm cuts them, each with the chart's file that made it."""
    found, source = [], ""
    for chunk in re.split(r"^---[^\n]*\n", text, flags=re.MULTILINE):
        named = _SOURCE.search(chunk)
        found.append(chunk if named else f"{source}\n{chunk}")
        source = named[0] if named else source
    return found
