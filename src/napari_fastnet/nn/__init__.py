"""The network in torch: no slides, no Qt."""
