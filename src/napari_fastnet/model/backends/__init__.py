"""Back ends that run a network."""
