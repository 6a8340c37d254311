"""Alerts and dashboards: tables here, files by hack/generate (docs/decisions/0037-alerts.md)."""
