"""midspan's life in a process: wiring, the pulse, fork and exit."""
