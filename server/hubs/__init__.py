"""Hubs: enrolment, tokens, tickets."""
