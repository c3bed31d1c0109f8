"""Enrolled readers, their keys and their last known state."""
