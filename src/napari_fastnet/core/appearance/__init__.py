"""What tissue looks like: sharpness, stain, and flags where a heatmap is doubtful."""
