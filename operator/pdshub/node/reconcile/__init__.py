"""From what is wanted and what is mounted to the next steps, and doing them."""
