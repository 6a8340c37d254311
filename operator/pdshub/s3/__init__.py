"""A bucket of an S3 service, read: requests that are signed, counted and bounded, and what a page of a listing says."""
