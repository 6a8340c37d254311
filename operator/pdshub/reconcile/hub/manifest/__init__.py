"""What Helm would apply, and what it applied: read within bounds, judged, compared with what is there."""
