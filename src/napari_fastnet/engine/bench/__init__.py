"""How fast detection is on a machine, and how near that is to what it could be."""
