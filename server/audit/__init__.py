"""The audit log: append-only, written before patient data is read."""
