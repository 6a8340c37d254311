"""A hub from its backup alone: which snapshots, the database, the keys, one home after the other."""
