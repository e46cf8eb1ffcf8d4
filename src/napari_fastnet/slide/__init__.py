"""Reading of slides: levels, µm/px, tiles."""
