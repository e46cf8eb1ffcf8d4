"""Shipped model bundles, one folder each; see `napari_fastnet.model.bundle`."""
