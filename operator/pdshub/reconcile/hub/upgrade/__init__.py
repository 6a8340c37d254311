"""Before an upgrade the hub's database is copied; spec.upgrade.rollback brings a copy back, with its release."""
