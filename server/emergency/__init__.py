"""Emergency access ("break-glass"): people's data for whoever's role does not reach it, for a reason and a while."""
