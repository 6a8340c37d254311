"""What the reconcile of hubs and of views shares: queue, context, conditions, events, status."""
