"""What the node says of itself: the operator's report, metrics, the liveness probe."""
