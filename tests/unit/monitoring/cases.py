"""For each alert series with which it fires, and series with which it does not, as promtool writes them.

Time begins at 0 (Unix time, too) and there is a sample every minute: 0x30 is thirty-one times 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """``labels``: what the firing alert has beside its severity. ``at``: when both are looked at."""

    fires: dict[str, str]
    quiet: dict[str, str]
    at: str = "1h"
    labels: dict[str, str] = field(default_factory=dict)


ALWAYS = "x1700"
"""Behind a value: for more than a day."""
VIEW = {"view": "sbn"}
BOTH = {"view": "sbn", "node": "n1"}
NODE = {"node": "n1"}
HUB = {"hub": "hub/sbn"}


def series(name: str, labels: dict[str, str]) -> str:
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def one(name: str, labels: dict[str, str], fires: str, quiet: str, at: str = "1h") -> Case:
    """A case of one series, whose labels the alert has."""
    what = series(name, labels)
    return Case({what: fires}, {what: quiet}, at, labels)


def hubs(condition: str, status: str, at: str = "1h") -> Case:
    labels = {"condition": condition, "status": status}
    return one("pdshub_operator_hubs", labels, "1" + ALWAYS, "0" + ALWAYS, at)


CASES: dict[str, Case] = {
    "ArchiveWritable": one("pdshub_node_proof_unwritable", BOTH, "0x60", "1x60"),
    "ArchiveDamaged": one("pdshub_node_proof_result", {**BOTH, "result": "violated"}, "1x60", "0x60"),
    "ArchiveSourceDown": one("pdshub_node_source_up", {**BOTH, "source": "main"}, "1x50 0x10", "1x57 0x3"),
    "ArchiveDeliveryNotTakenUp": one(
        "pdshub_node_proof_result", {**BOTH, "result": "changing"}, "1" + ALWAYS, "1x720 0 1x980", "25h"
    ),
    "ArchiveNotProvenForADay": one("pdshub_node_proof_timestamp_seconds", BOTH, "0" + ALWAYS, "7200" + ALWAYS, "25h"),
    "ArchivePluginFails": one(
        "pdshub_node_reconcile_failures_total", {"node": "n1", "view": "sbn"}, "0+1x60", "0x10 1x50"
    ),
    "ArchiveNodeSilent": one("up", {"job": "pdshub-node", "node": "n1"}, "1x50 0x10", "1x50 0x3 1x10"),
    "ArchiveNodeDiskFull": Case(
        {series("pdshub_node_generations_bytes", NODE): "95x60",
         series("pdshub_node_generations_max_bytes", NODE): "100x60"},
        {series("pdshub_node_generations_bytes", NODE): "89x60",
         series("pdshub_node_generations_max_bytes", NODE): "100x60"},
        labels=NODE,
    ),
    "ArchiveNotFetched": one("pdshub_node_fetches_failing", NODE, "1x60", "0x20 1x5 0x40"),
    "ArchiveServersHeld": one("pdshub_node_view_held", BOTH, "2" + ALWAYS, "2x120 0x300", "7h"),
    "ArchiveGenerationWaits": Case(
        {series("pdshub_operator_view_candidate", {**VIEW, "reason": "Approve"}): "1" + ALWAYS,
         series("pdshub_operator_view_candidate", {**VIEW, "reason": "Shrink"}): "0" + ALWAYS},
        {series("pdshub_operator_view_candidate", {**VIEW, "reason": "Approve"}): "1x600 0x1000"},
        "25h", VIEW,
    ),
    "ArchiveShrunk": one("pdshub_operator_view_candidate", {**VIEW, "reason": "Shrink"}, "1x60", "0x60"),
    "SurveyFails": one("pdshub_survey_failures", VIEW, "3x60", "2x60"),
    "SurveyStoreFull": Case(
        {series("pdshub_store_bytes", {**VIEW, "kind": "free"}): "9x60",
         series("pdshub_store_bytes", {**VIEW, "kind": "size"}): "100x60"},
        {series("pdshub_store_bytes", {**VIEW, "kind": "free"}): "11x60",
         series("pdshub_store_bytes", {**VIEW, "kind": "size"}): "100x60"},
        labels=VIEW,
    ),
    "PinnedFilesChanged": one("pdshub_verify_drifted_files", VIEW, "1x60", "0x60"),
    "OperatorSilent": Case({"pdshub_operator_healthy": "1x30"}, {"pdshub_operator_healthy": "1x60"}),
    "OperatorCannotAsk": one("pdshub_operator_api_up", {"pod": "o"}, "1x40 0x20", "1x55 0x5"),
    "HubNotReady": hubs("Ready", "False"),
    "HubStalled": hubs("Stalled", "True"),
    "HubReachesWhatIsClosed": hubs("NetworkEnforced", "False"),
    "HubListNotKnown": hubs("UsersKnown", "False", "2h"),
    "CertificateNotRenewed": one(
        "pdshub_operator_certificate_remaining_ratio", HUB, "0.19" + ALWAYS, "0.21" + ALWAYS, "2h"
    ),
    "CertificateEnded": one("pdshub_operator_certificate_remaining_ratio", HUB, "-0.01x60", "0.1x60"),
    "AuditNotWritten": one("pdshub_operator_audit_failed_total", {"pod": "o"}, "0+1x60", "5x60"),
    "AuditLost": one("pdshub_operator_audit_lost_total", {"pod": "o"}, "0x50 1x10", "1x60"),
    "BackupNever": one(
        "pdshub_backup_last_success_timestamp_seconds", HUB, "0" + ALWAYS, "0x600 36000" + ALWAYS, "27h"
    ),
    "BackupOld": one(
        "pdshub_backup_last_success_timestamp_seconds", HUB, "1x2400", "1x1000 60000x1400", "38h"
    ),
    "BackupFails": one("pdshub_backup_failures_total", HUB, "0x50 1x10", "1x60"),
    "RestoreNotVerified": one("pdshub_backup_restore_verified", HUB, "0" + ALWAYS, "1" + ALWAYS, "2h"),
    "HomesPoolFull": one("pdshub_homes_pool_fill_ratio", NODE, "0.96x60", "0.94x60"),
    "HomesPoolFills": one("pdshub_homes_pool_fill_ratio", NODE, "0.86x60", "0.84x60"),
    "HomesCheckpointsLost": one(
        "pdshub_homes_checkpoints_dropped_total", {**NODE, "why": "room"}, "0x50 1x10", "1x60"
    ),
    "HomesFail": one("pdshub_homes_problems", NODE, "1" + ALWAYS, "1x50 0x10 1x60", "2h"),
    "PdshubMachineOld": one(
        "pdshub_machine_last_good_timestamp_seconds", {"instance": "n1", "what": "etcd"}, "0x2400", "7200x2400", "37h"
    ),
    "PdshubMachineRunFailed": one(
        "pdshub_machine_last_run_ok", {"instance": "n1", "what": "root"}, "0" + ALWAYS, "1" + ALWAYS, "2h"
    ),
    "PdshubMachinePoolFull": one("pdshub_machine_pool_used_ratio", {"instance": "n1"}, "0.86x60", "0.85x60"),
    "PdshubMachineSilent": Case(
        {series("pdshub_machine_last_good_timestamp_seconds", {"what": "root"}): "0" + ALWAYS},
        {series("pdshub_machine_last_good_timestamp_seconds", {"what": "etcd"}): "0" + ALWAYS},
        "2h", {"what": "etcd"},
    ),
}  # fmt: skip
