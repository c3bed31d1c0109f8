"""The clinician's pages: templates, static files, charts and wording, shared by the domains that have a page."""
