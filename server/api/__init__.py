"""What every part of the JSON interface under /api/v1 shares; each domain's calls are in its own `api.py`."""
