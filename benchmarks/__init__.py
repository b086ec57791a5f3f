"""What midspan costs: every number of the README's table, `make bench`."""
