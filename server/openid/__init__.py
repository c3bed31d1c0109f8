"""Sign-in by an organisation's own OpenID Connect provider."""
