"""What midspan costs next to other tools that watch the same calls."""
