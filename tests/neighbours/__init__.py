"""midspan beside other tools that watch the same calls: each in an environment of its own (`make test-neighbours`)."""
