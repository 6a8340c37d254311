"""The list of a hub's people: made of its sources, given to the hub, and whoever is off it is taken out."""
