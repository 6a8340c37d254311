"""Earlier versions of files for people themselves: what they ask at the hub's page is fetched, done and answered."""
