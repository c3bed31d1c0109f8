"""Assays: the catalogue of packs, which reader was given which, and the codes that others know them by."""
