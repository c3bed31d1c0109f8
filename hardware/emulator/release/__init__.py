"""Releases: the image that readers update to, and what hub, server and firmware are made of."""
