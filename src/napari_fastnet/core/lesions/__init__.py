"""Lesions: connected cells, their evidence, their piece of tissue, and their match."""
