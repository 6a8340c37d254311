"""The objects of a view's surveyor: what is there, what is missing, what is in the way. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from pdshub import ports
from pdshub.api.base import parse_quantity
from pdshub.api.view import ArchiveViewSpec
from pdshub.installation import Installation, refusal, storage_refusal
from pdshub.kube import CLAIM, DEPLOYMENT, POD, SECRET, SERVICE, VOLUME, Kube, Object, Resource
from pdshub.pki import Due
from pdshub.reconcile.common.objects import Step, orphaned
from pdshub.reconcile.common.workloads import judge
from pdshub.render import homes, surveyor
from pdshub.render.names import VIEW_LABEL
from pdshub.render.surveyor import RENDERED, SurveyorNames
from pdshub.wellknown import MANAGER

CERTIFY = "certify"
"""How of a Step: its body is a Secret that gets a new certificate when it is written."""
KEEP_STORE = "pdshub.dev/keep-store"
"""Annotation of a view: with "true" the claim of the store outlives the surveyor."""


class Obstacle(StrEnum):
    """Why there is no surveyor that could be asked. Most are the reason of condition Surveyed."""

    NO_IMAGE = "NoImage"
    NOT_ALLOWED = "NotAllowed"
    STORAGE_TOO_LARGE = "StorageTooLarge"
    NO_STORAGE_CLASS = "NoStorageClass"
    NOT_OURS = "NotOurs"
    SETTLING = "Settling"
    """What is left of an earlier surveyor is still going."""
    REFUSED = "Refused"
    """The API server refuses an object."""
    STARTING = "Starting"
    """It is there, and nothing is known against its pod."""
    NOT_RUNNING = "NotRunning"
    """It is there, and Kubernetes says why its pod does not run."""

    @property
    def passes(self) -> bool:
        """Whether it may be gone in a moment, without anybody doing anything."""
        return self in (Obstacle.SETTLING, Obstacle.STARTING, Obstacle.NOT_RUNNING)


@dataclass(frozen=True)
class SurveyorObjects:
    """What there is of a view's surveyor, and what has to be written."""

    steps: tuple[Step, ...] = ()
    address: str = ""
    """Where it answers, as ip:port; empty before its Service is there."""
    namespace: str = ""
    """Where its objects are."""
    obstacle: Obstacle | None = None
    trouble: str = ""
    """The obstacle in words, for people; empty without one."""
    runs: bool = False
    """Its pod is available."""
    refused: str = ""
    """What the view asks for and does not get, though its surveyor goes on."""
    exists: bool = False
    """There is at least one object of the surveyor: a view that goes must not leave it behind."""


def refused(
    spec: ArchiveViewSpec, installation: Installation, store: Object | None, classes: Sequence[Any]
) -> tuple[Obstacle, str] | None:
    """Why no surveyor can be made, with a sentence that says what to do; None when one can."""
    if not installation.surveyor.image:
        return Obstacle.NO_IMAGE, "the installation names no image for surveyors: users see the sources live"
    if words := "; ".join(filter(None, (refusal(source, installation.archive) for source in spec.sources))):
        return Obstacle.NOT_ALLOWED, words
    if store is None and (words := storage_refusal(spec.survey.storage, installation.surveyor)):
        return Obstacle.STORAGE_TOO_LARGE, words
    chosen = spec.survey.storage_class_name
    if store is None and homes.find(chosen, classes) is None:
        what = f"StorageClass {chosen} does not exist" if chosen else "the cluster has no default StorageClass"
        return (
            Obstacle.NO_STORAGE_CLASS,
            f"{what}: users see the sources live until spec.survey.storageClassName names one that exists",
        )
    return None


def foreign(item: Object, names: SurveyorNames) -> bool:
    """Whether an object that has the name of ours is somebody else's."""
    labels = item["metadata"].get("labels") or {}
    return (labels.get("app.kubernetes.io/managed-by"), labels.get(VIEW_LABEL)) != (MANAGER, names.labels[VIEW_LABEL])


def smaller(store: Object, spec: ArchiveViewSpec) -> bool:
    """Whether the store's claim asks for less than the spec."""
    have = store["spec"].get("resources", {}).get("requests", {}).get("storage", "0")
    return parse_quantity(have) < parse_quantity(spec.survey.storage)


def judge_objects(
    names: SurveyorNames,
    spec: ArchiveViewSpec,
    uid: str,
    installation: Installation,
    found: Mapping[str, Object | None],
    classes: Sequence[Any],
    due: Due,
) -> SurveyorObjects:
    """Compare what there is with what should be: pure. ``found`` by the parts that ``places`` names."""
    exists = any(item is not None and not foreign(item, names) for item in found.values())
    if no := refused(spec, installation, found["store"], classes):
        return SurveyorObjects(obstacle=no[0], trouble=no[1], exists=exists)
    for item in filter(None, found.values()):
        what = f"{item.get('kind', 'object')} {item['metadata']['name']}"
        if foreign(item, names):
            why = (
                f"{what} is there already and is not PDSHub's: leave it as it is, and give the ArchiveView another name"
            )
            return SurveyorObjects(obstacle=Obstacle.NOT_OURS, trouble=why, exists=exists)
        if item["metadata"].get("deletionTimestamp"):
            why = f"{what} of an earlier surveyor is still going"
            return SurveyorObjects(obstacle=Obstacle.SETTLING, trouble=why, exists=exists)
    steps: list[Step] = []
    store, claim, volume = found["store"], found["claim"], found["volume"]
    too_large = storage_refusal(spec.survey.storage, installation.surveyor)
    if store is None:
        steps.append(Step(f"claim {names.name} is made", surveyor.store(names, spec)))
    elif smaller(store, spec) and not too_large and _grows(store, classes):
        steps.append(Step(f"claim {names.name} grows", surveyor.store(names, spec), "resize"))
    if volume is None:
        steps.append(Step(f"volume {names.volume} is made", surveyor.sources_volume(names, uid)))
    elif orphaned(volume, claim):
        steps.append(Step(f"volume {names.volume} is made available again", volume, "rebind"))
    if claim is None:
        steps.append(Step(f"claim {names.sources} is made", surveyor.sources_claim(names, uid)))
    secret = found["certificate"]
    if secret is None or not due.fulfilled(secret["metadata"].get("annotations")):
        body = surveyor.certificate(names, uid)
        steps.append(Step(f"certificate {names.certificate} is written", body, CERTIFY))
    service, deployment = found["service"], found["deployment"]
    for have, body in (
        (service, surveyor.service(names, uid)),
        (deployment, surveyor.deployment(names, installation.surveyor, uid, spec.sources)),
    ):
        wanted = body["metadata"]["annotations"][RENDERED]
        if have is None or (have["metadata"].get("annotations") or {}).get(RENDERED) != wanted:
            steps.append(Step(f"{body['kind']} {names.name} is written", body, "apply"))
    return SurveyorObjects(tuple(steps), address(service), names.namespace, refused=too_large, exists=exists)


def _grows(store: Object, classes: Sequence[Any]) -> bool:
    """Whether Kubernetes would let the claim grow; where it does not, asking again and again changes nothing."""
    chosen = homes.find(store["spec"].get("storageClassName"), classes)
    return bool(chosen and chosen.get("allowVolumeExpansion"))


def address(service: Object | None) -> str:
    """ip:port of a Service; empty while it has none."""
    ip = str(((service or {}).get("spec") or {}).get("clusterIP") or "")
    if ip in ("", "None"):
        return ""
    return f"[{ip}]:{ports.SURVEYOR}" if ":" in ip else f"{ip}:{ports.SURVEYOR}"


def places(names: SurveyorNames) -> dict[str, tuple[Resource, str]]:
    """Every object of a surveyor; the store last: it goes last, if at all."""
    return {
        "deployment": (DEPLOYMENT, names.name),
        "service": (SERVICE, names.name),
        "certificate": (SECRET, names.certificate),
        "claim": (CLAIM, names.sources),
        "volume": (VOLUME, names.volume),
        "store": (CLAIM, names.name),
    }


async def read(kube: Kube, names: SurveyorNames) -> dict[str, Object | None]:
    """What there is of a surveyor; of its Secret the metadata alone. Raises KubeError."""
    found: dict[str, Object | None] = {}
    for part, (resource, name) in places(names).items():
        ask = kube.get_metadata if resource == SECRET else kube.get
        found[part] = await ask(resource, name, names.namespace if resource.namespaced else None)
    return found


async def observe(
    kube: Kube,
    names: SurveyorNames,
    spec: ArchiveViewSpec,
    uid: str,
    installation: Installation,
    classes: Sequence[Any],
    due: Due,
) -> SurveyorObjects:
    """Read and compare, and ask why the pod does not run. Raises KubeError."""
    found = await read(kube, names)
    judged = judge_objects(names, spec, uid, installation, found, classes, due)
    deployment = found["deployment"]
    if judged.obstacle or deployment is None:
        return judged
    work = judge(deployment, [])
    if work.available:
        return replace(judged, runs=True)
    labels = ",".join(f"{key}={value}" for key, value in names.selector.items())
    work = judge(deployment, await kube.items(POD, names.namespace, labels=labels))
    if work.trouble:
        return replace(judged, obstacle=Obstacle.NOT_RUNNING, trouble=work.trouble)
    return replace(judged, obstacle=Obstacle.STARTING, trouble="its pod is starting")


def left(found: Mapping[str, Object | None], names: SurveyorNames, keep_store: bool) -> list[str]:
    """Parts of a surveyor that are still there, not going yet, and ours to take away."""
    return [
        part
        for part, item in found.items()
        if item is not None
        and not item["metadata"].get("deletionTimestamp")
        and not foreign(item, names)
        and not (part == "store" and keep_store)
    ]
