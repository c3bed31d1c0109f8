"""The server: accepts sealed records from hubs, opens and interprets them, and shows results to clinicians.

One folder a domain, each with the same few file names, so that a newcomer knows the room before opening the door:

    models.py      the tables, as SQLModel classes
    repository.py  all SQL of the domain, and nothing else
    service.py     what the domain decides; never commits, the request or the job does
    endpoints.py   the HTTP face: a FastAPI `router`
    schemas.py     shapes of requests and answers
    tasks.py       work that runs behind the requests

    organisations  organisations and their sites
    accounts       people, sign-in, sessions
    readers        enrolled readers, their keys, their last known state
    hubs           enrolment of hubs, assertions and short tokens, tickets
    custody        sealed records, the exchange, chains, receipts, downlink, quarantine
    results        what was inside: outcomes and events, test times, recomputation
    worklist       what waits for a clinician
    audit          who read or changed what, written first, append-only
    database       engine, tenancy (row-level security), migrations, the embedded PostgreSQL
    web            templates and static files of the pages

`settings.py` holds every DOORSTEP_* variable, `problems.py` every error answer (RFC 9457), `app.py` puts the
application together and `command.py` is `doorstep server`.
"""
