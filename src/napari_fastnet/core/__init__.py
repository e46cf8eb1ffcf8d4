"""Pure image and geometry code: no files, no torch, no dask, no Qt."""
