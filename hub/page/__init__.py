"""The operator's page: what the readers hold, what is delivered, what to do next. On this machine only."""
