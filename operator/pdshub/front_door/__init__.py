"""Files for a machine in front of the cluster that ends TLS: Apache httpd. No input, no output."""
