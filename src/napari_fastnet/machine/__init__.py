"""Files, processes and memory of this computer."""
