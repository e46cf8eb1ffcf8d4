"""QuPath's projects: their images, and the objects in their data files."""
