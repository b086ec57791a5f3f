"""Foreign Python vocabularies for the same operations."""
