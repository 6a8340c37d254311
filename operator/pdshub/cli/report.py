"""``kubectl pdshub report``: a ZIP for whoever helps. Secrets are blanked, keys stay; nothing is sent anywhere."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pdshub import rfc3339
from pdshub.archive.findings import printable
from pdshub.cli import archive, held, hub_choice, report_blank, report_pack, status_words, users, users_act, version
from pdshub.cli.archive import CliError, Said
from pdshub.cli.hub_choice import HUBS, is_object_name, key
from pdshub.cli.kubectl import Kubectl
from pdshub.cli.report_pack import Pack
from pdshub.cli.terminal import safe
from pdshub.cli.tried import SYSTEM, Reader
from pdshub.wellknown import GROUP

Json = dict[str, Any]
LOG_LINES, LOG_BYTES, MOST_LOGS, MOST_USERS_LOGS = 2000, 1 << 20, 80, 10
CLUSTER = ("nodes", "storageclasses", "csidrivers", "csinodes", "priorityclasses", "persistentvolumes", "namespaces")
"""What is not of one namespace."""
OF_PLACES = (
    "pods", "events", "deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch", "services",
    "persistentvolumeclaims", "resourcequotas", "limitranges", "networkpolicies.networking.k8s.io",
    "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
)  # fmt: skip
OWN = (HUBS, f"hubbackups.{GROUP}", f"hubrestores.{GROUP}")
SHOWN_MAPS = frozenset({"pdshub-installation"})
"""ConfigMaps that are in the report with their content; of others the keys and their sizes alone: lists of people."""
_SECRETS = (
    '{{range .items}}{{printf "%s\\t%s\\t" .metadata.name .type}}'
    '{{range $k, $v := .data}}{{printf "%s=%d " $k (len $v)}}{{end}}{{"\\n"}}{{end}}'
)
"""What kubectl prints of Secrets: names, types, keys and the length of each value in base64, and no value."""
README = """A report about PDSHub, made by kubectl pdshub report at {at}.

What is in it: objects of the API (objects/), logs (logs/), names and keys of Secrets (secrets/), the state of each hub
in words (status.txt), versions (version.json), and what could not be read (not-read.txt).

Blanked: values of Secrets (they were never read), literal values of environment variables, everything under keys that
speak of passwords, tokens, cookies or keys, and in logs whatever looks like one. Such a rule can miss something: look
before you pass it on.

NOT blanked: names and addresses of people, names of hosts, paths, images. Treat it as you treat the audit log.
"""


def arguments(top: Any, common: argparse.ArgumentParser) -> None:
    """The command line of ``report``."""
    text = "a ZIP for whoever helps: objects, events, logs, conditions; Secrets and passwords blanked, sizes bounded"
    sub: argparse.ArgumentParser = top.add_parser("report", parents=[common], help=text, description=text)
    hub_choice.arguments(sub)
    sub.add_argument("--to", default="", metavar="FILE", help="default: pdshub-report-<time>.zip, here")
    sub.add_argument("--system", default=SYSTEM, metavar="NAMESPACE", help=f"where PDSHub is (default {SYSTEM})")
    sub.set_defaults(run=run)


def run(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Writes the report. What may not be read is noted in it, and keeps nothing else out."""
    file = Path(args.to or f"pdshub-report-{rfc3339.now().replace(':', '').replace('-', '')}.zip")
    if file.exists() or file.is_symlink():
        raise CliError(f"{file} is there already: name another one with --to")
    pack, notes = collect(kubectl, args)
    try:
        report_pack.write(file, pack)
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}") from None
    answer: Json = {
        "file": str(file), "files": sorted(pack.files), "bytes": pack.size, "leftOut": pack.left_out, "notes": notes,
    }  # fmt: skip
    lines = [f"{file}: {len(pack.files)} files, {pack.size >> 10} KiB unpacked; only you may read it"]
    lines += [f"left out: {name}" for name in pack.left_out[:20]]
    lines += [f"note: {note}" for note in notes[:20]]
    lines.append("look into it before you pass it on: names of people are in it; secrets were blanked by rules")
    return answer, "\n".join(map(printable, lines)), 0


def collect(
    kubectl: Kubectl, args: argparse.Namespace, told: Callable[[str], None] = users_act.tell
) -> tuple[Pack, list[str]]:
    """All that is in the report, and what could not be read."""
    pack, read = Pack(), Reader(kubectl)
    pack.put("README.txt", README.format(at=rfc3339.now()))
    known, notes = version.look(kubectl, args.system)
    read.notes += notes
    pack.put_object("version.json", known)
    hubs = [hub_choice.one(kubectl, args)] if args.hub else hub_choice.every(kubectl, args)
    views = read.items("views", archive.VIEWS)
    pack.put_object("objects/archiveviews.json", views)
    _status(read, pack, hubs, views)
    for kind in CLUSTER:
        pack.put_object(f"objects/{kind}.json", read.items(kind, kind))
    surveyors = {str(((view.get("status") or {}).get("surveyor") or {}).get("namespace") or "") for view in views}
    places = [args.system, *sorted(surveyors - {""}), *sorted({key(hub)[0] for hub in hubs})]
    for place in dict.fromkeys(filter(is_object_name, places)):
        told(f"namespace {place}")
        _of_place(read, pack, place, of_hubs=place in {key(hub)[0] for hub in hubs})
    pack.put("events-of-views.json", _json(read.items("events of views", "events", "-n", "default", "--field-selector",
                                                      "involvedObject.kind=ArchiveView")))  # fmt: skip
    pack.put("not-read.txt", report_blank.text("\n".join(read.notes) or "everything was read"))
    return pack, read.notes


def _json(found: list[Json]) -> str:
    made = Pack()
    made.put_object("x", found)
    return made.files["x"].decode()


def _status(read: Reader, pack: Pack, hubs: list[Json], views: list[Json]) -> None:
    now, blocks = rfc3339.seconds(rfc3339.now()), list[str]()
    for hub in hubs:
        census, notes = users.counted(read.kubectl, hub)
        servers = held.of_hub(status_words.view_of(hub, views), read, key(hub)[0])
        blocks.append(status_words.screen(safe(status_words.summary(hub, census, views, now, servers))))
        blocks += notes
    pack.put("status.txt", report_blank.text("\n\n".join(blocks) or "no hubs"))


def _of_place(read: Reader, pack: Pack, place: str, *, of_hubs: bool) -> None:
    """Objects, keys of ConfigMaps and Secrets, and logs of a namespace."""
    for kind in (*(OWN if of_hubs else ()), *OF_PLACES):
        pack.put_object(f"objects/{place}/{kind}.json", read.items(f"{kind} of {place}", kind, "-n", place))
    maps = read.items(f"configmaps of {place}", "configmaps", "-n", place)
    pack.put_object(f"objects/{place}/configmaps.json", [_map(one) for one in maps])
    line = ("get", "secrets", "-n", place, "-o", f"go-template={_SECRETS}")
    if (names := read.text(f"names of Secrets of {place}", *line)) is not None:
        pack.put(f"secrets/{place}.txt", "\n".join(map(_secret, names.splitlines())))
    for pod, container, previous in _logs(read.items(f"pods of {place}", "pods", "-n", place)):
        flags = [f"--tail={LOG_LINES}", f"--limit-bytes={LOG_BYTES}", *(["--previous"] if previous else [])]
        text = read.text(f"log of {place}/{pod}", "logs", "-n", place, pod, "-c", container, *flags)
        if text:
            pack.put_log(f"logs/{place}/{pod}.{container}{'.previous' if previous else ''}.log", text)


def _map(found: Json) -> Json:
    """A ConfigMap: its keys and sizes, and what is in it where that is no list of people."""
    if found["metadata"]["name"] in SHOWN_MAPS:
        return found
    sizes = {part: {str(name): len(str(value)) for name, value in (found.get(part) or {}).items()}
             for part in ("data", "binaryData")}  # fmt: skip
    return {"metadata": found["metadata"], "sizes": sizes}


def _secret(line: str) -> str:
    """What is printed of a Secret, checked: a name, a type, keys with a length. Anything else is not passed on."""
    name, _, rest = line.partition("\t")
    kind, _, keys = rest.partition("\t")
    good = [word for word in keys.split() if word.rpartition("=")[2].isdigit()]
    return printable(f"{name[:253]} ({kind[:100]}): {' '.join(word[:270] for word in good)}")


def _logs(pods: list[Json]) -> Iterator[tuple[str, str, bool]]:
    """(pod, container, the run before) of the logs that are read: of PDSHub's programs all, of people's servers few."""
    servers, count = 0, 0
    for pod in sorted(pods, key=_is_server):
        name = pod["metadata"]["name"]
        servers += _is_server(pod)
        if not is_object_name(name) or servers > MOST_USERS_LOGS:
            continue
        status = pod.get("status") or {}
        for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            container = one.get("name")
            if count >= MOST_LOGS or not is_object_name(container):
                continue
            count += 1
            yield name, container, False
            if (one.get("restartCount") or 0) > 0:
                yield name, container, True


def _is_server(pod: Json) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return labels.get("component") == "singleuser-server"
