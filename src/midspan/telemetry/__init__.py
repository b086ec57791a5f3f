"""Out to other tools: OpenTelemetry spans, Prometheus metrics. Each is one processor or one reader of the core."""
