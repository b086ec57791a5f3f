"""Who writes: the tracker, and what is built on it."""
