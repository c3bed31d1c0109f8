"""Every table of the server in one place: importing this fills the metadata that migrations and tests look at."""

from sqlmodel import SQLModel

import server.accounts.models
import server.api.models
import server.assays.models
import server.audit.models
import server.corrections.models
import server.custody.models
import server.emergency.models
import server.followup.models
import server.hubs.models
import server.notices.models
import server.openid.models
import server.organisations.models
import server.patients.models
import server.quality.models
import server.readers.models
import server.recalls.models
import server.registrations.models
import server.results.models
import server.retention.models
import server.updates.models

MODELS = (
    server.accounts.models,
    server.api.models,
    server.assays.models,
    server.audit.models,
    server.corrections.models,
    server.custody.models,
    server.emergency.models,
    server.followup.models,
    server.hubs.models,
    server.notices.models,
    server.openid.models,
    server.organisations.models,
    server.patients.models,
    server.quality.models,
    server.readers.models,
    server.recalls.models,
    server.registrations.models,
    server.results.models,
    server.retention.models,
    server.updates.models,
)
metadata = SQLModel.metadata
