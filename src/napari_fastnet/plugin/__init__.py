"""The napari plugin: reader, writer, sample data, settings and the FastNet panel."""
