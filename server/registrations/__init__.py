"""Registrations that hubs sealed in the field: opened, matched to a person, or shown to somebody who decides."""
