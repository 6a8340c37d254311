"""The alerts: one row each. docs/alerts.md, the chart's PrometheusRule and Ansible's rules come from this table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Alert:
    """``wait``: how long ``expr`` has to hold, as 15m. ``page``: PAGE.md#HEADING of docs/. ``says``: one sentence,
    in which {{ $labels.X }} is a label of what fired."""

    name: str
    severity: str
    expr: str
    wait: str
    page: str
    says: str


CRITICAL, WARNING, INFO = "critical", "warning", "info"
"""Somebody gets up; somebody looks on the next working day; worth knowing."""
VIEW, NODE, HUB = "{{ $labels.view }}", "{{ $labels.node }}", "{{ $labels.hub }}"
LATE = "36 * 3600"
"""A day, and half a day for a run that took long."""
WRONG = "troubleshooting.md#somebody-could-write-or-bytes-are-wrong"
OLD = "troubleshooting.md#users-see-an-old-generation"
AUDIT = "audit.md#when-something-is-missing"
POOL = "storage.md#how-full-the-pool-is"
BACKUPS = "troubleshooting.md#backups"

ARCHIVE = (
    Alert("ArchiveWritable", CRITICAL, "pdshub_node_proof_unwritable == 0", "",
          WRONG, f"view {VIEW}: a user could write on node {NODE}"),
    Alert("ArchiveDamaged", CRITICAL, 'pdshub_node_proof_result{result="violated"} == 1', "",
          WRONG, f"view {VIEW}: the proof of node {NODE} was violated"),
    Alert("ArchiveSourceDown", CRITICAL, "pdshub_node_source_up == 0", "5m",
          "troubleshooting.md#the-nas-is-down",
          f"view {VIEW}: source {{{{ $labels.source }}}} does not answer node {NODE}"),
    Alert("ArchiveDeliveryNotTakenUp", WARNING, 'pdshub_node_proof_result{result="changing"} == 1', "1d",
          "health.md#delivery-and-damage", f"view {VIEW}: files delivered a day ago are in no generation yet"),
    Alert("ArchiveNotProvenForADay", WARNING, "time() - pdshub_node_proof_timestamp_seconds > 86400", "15m",
          "health.md#proof", f"view {VIEW}: node {NODE} has not proven it for a day"),
    Alert("ArchivePluginFails", WARNING, "increase(pdshub_node_reconcile_failures_total[10m]) > 0", "30m",
          "health.md#the-plugin-itself", f"the plugin of node {NODE} fails for half an hour"),
    Alert("ArchiveNodeSilent", CRITICAL, 'up{job="pdshub-node"} == 0', "5m",
          "troubleshooting.md#a-node-does-not-report", f"node {NODE}: the plugin does not answer"),
    Alert("ArchiveNodeDiskFull", WARNING,
          "pdshub_node_generations_bytes / pdshub_node_generations_max_bytes > 0.9", "15m",
          "administrator.md#disks-of-the-nodes", f"node {NODE}: nine tenths of what generations may take are taken"),
    Alert("ArchiveNotFetched", WARNING, "pdshub_node_fetches_failing > 0", "30m",
          "troubleshooting.md#a-node-does-not-report", f"node {NODE} can't fetch what was released"),
    Alert("ArchiveServersHeld", INFO, "pdshub_node_view_held > 0", "6h",
          OLD, f"view {VIEW}: servers on node {NODE} show an old generation for six hours"),
    Alert("ArchiveGenerationWaits", WARNING, "max by (view) (pdshub_operator_view_candidate) == 1", "1d",
          "data-manager.md#look-approve", f"view {VIEW}: a generation waits for a decision since yesterday"),
    Alert("ArchiveShrunk", WARNING, 'pdshub_operator_view_candidate{reason="Shrink"} == 1', "10m",
          OLD, f"view {VIEW}: a survey found far fewer files than users see; they keep what they have"),
)  # fmt: skip
SURVEYS = (
    Alert("SurveyFails", WARNING, "pdshub_survey_failures >= 3", "15m",
          "troubleshooting.md#nothing-is-surveyed", f"view {VIEW}: the last surveys failed"),
    Alert("SurveyStoreFull", WARNING,
          'pdshub_store_bytes{kind="free"} / ignoring(kind) pdshub_store_bytes{kind="size"} < 0.1', "15m",
          "archive/surveyor.md#what-it-keeps", f"view {VIEW}: a tenth of the surveyor's store is left"),
    Alert("PinnedFilesChanged", WARNING, "pdshub_verify_drifted_files > 0", "",
          "data-manager.md#pin-roll-back", f"view {VIEW}: files of a pinned generation are not what they were"),
)  # fmt: skip
HUBS = (
    Alert("OperatorSilent", CRITICAL, "pdshub_operator_healthy == 0 or absent(pdshub_operator_healthy)", "10m",
          "troubleshooting.md#the-operator-waits-for-its-volume",
          "the operator does not run, or its loops do not turn; hubs go on, and nobody looks after them"),
    Alert("OperatorCannotAsk", WARNING, "pdshub_operator_api_up == 0", "10m",
          "troubleshooting.md#the-operator-cannot-look", "the API server does not answer the operator"),
    Alert("HubNotReady", CRITICAL, 'pdshub_operator_hubs{condition="Ready",status="False"} > 0', "15m",
          "troubleshooting.md#the-hub-does-not-start", "a hub is not ready: kubectl pdshub status names it"),
    Alert("HubStalled", WARNING, 'pdshub_operator_hubs{condition="Stalled",status="True"} > 0', "15m",
          "troubleshooting.md#stalled-the-chart-or-the-values", "a hub waits for somebody to correct its spec"),
    Alert("HubReachesWhatIsClosed", CRITICAL, 'pdshub_operator_hubs{condition="NetworkEnforced",status="False"} > 0',
          "", "network.md#try-it", "a probe reached what is closed to servers of a hub"),
    Alert("HubListNotKnown", WARNING, 'pdshub_operator_hubs{condition="UsersKnown",status="False"} > 0', "1h",
          "administrator.md#a-list-that-lost-many-people", "a hub's list of people can't be made, the old one stays"),
    Alert("CertificateNotRenewed", WARNING, "pdshub_operator_certificate_remaining_ratio < 0.2", "1h",
          "troubleshooting.md#the-certificate", f"hub {HUB}: a fifth of its certificate's life is left"),
    Alert("CertificateEnded", CRITICAL, "pdshub_operator_certificate_remaining_ratio <= 0", "",
          "troubleshooting.md#the-certificate", f"hub {HUB}: its certificate has ended"),
    Alert("AuditNotWritten", WARNING, "increase(pdshub_operator_audit_failed_total[15m]) > 0", "15m",
          AUDIT, "the audit log can't be written"),
    Alert("AuditLost", CRITICAL, "increase(pdshub_operator_audit_lost_total[1h]) > 0", "",
          AUDIT, "entries of the audit log are lost"),
)  # fmt: skip
COPIES = (
    Alert("BackupNever", CRITICAL, "pdshub_backup_last_success_timestamp_seconds == 0", "26h",
          BACKUPS, f"hub {HUB}: nothing was ever saved whole"),
    Alert("BackupOld", CRITICAL,
          f"0 < pdshub_backup_last_success_timestamp_seconds < time() - {LATE}", "1h",
          BACKUPS, f"hub {HUB}: the last whole backup is older than 36 hours"),
    Alert("BackupFails", WARNING, "increase(pdshub_backup_failures_total[1d]) > 0", "",
          BACKUPS, f"hub {HUB}: a backup lacked something"),
    Alert("RestoreNotVerified", WARNING, "pdshub_backup_restore_verified == 0", "1h",
          "recover-drills.md#when-it-is-false", f"hub {HUB}: no drill shows that its backups can be read"),
)  # fmt: skip
HOMES = (
    Alert("HomesPoolFull", CRITICAL, "pdshub_homes_pool_fill_ratio > 0.95", "5m",
          POOL, f"node {NODE}: no home is made or grows, and soon none can be written"),
    Alert("HomesPoolFills", WARNING, "pdshub_homes_pool_fill_ratio > 0.85", "15m",
          POOL, f"node {NODE}: the pool of homes is nearly full"),
    Alert("HomesCheckpointsLost", WARNING, 'increase(pdshub_homes_checkpoints_dropped_total{why="room"}[1h]) > 0', "",
          POOL, f"node {NODE}: homes as they were before went, for want of room"),
    Alert("HomesFail", WARNING, "pdshub_homes_problems > 0", "1h",
          "storage.md#when-something-is-wrong", f"node {NODE}: the driver of homes could not do all of its work"),
)  # fmt: skip
GROUPS: dict[str, tuple[Alert, ...]] = {
    "pdshub-archive": ARCHIVE,
    "pdshub-surveys": SURVEYS,
    "pdshub-hubs": HUBS,
    "pdshub-backups": COPIES,
    "pdshub-homes": HOMES,
}
ALERTS = tuple(alert for group in GROUPS.values() for alert in group)
