"""What a hub would need and cost at AWS, and what else it could be there. Pure: from figures of a hub to a plan."""
