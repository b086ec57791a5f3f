"""Frameworks on instrumented clients, each in an environment of its own (`make test-frameworks`)."""
