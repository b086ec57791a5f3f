"""One module for each provider: a table and its readers."""
