"""Files on other computers, read in ranges: their addresses, transport and cache."""
