"""The hub's tables, as migrations: entry N takes `user_version` N to N + 1. Never edit one that was released;
append."""

# `state` of a record: 0 not yet answered by the server, 1 answered, 2 refused by it as a request (kept, offered
# again on a new epoch),
# 3 damaged in the reader (no bytes). The counters in `readers` are kept by triggers, so that no page or status
# counts rows.
MIGRATIONS = (
    """
    CREATE TABLE settings (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

    CREATE TABLE readers (
        reader_id BLOB PRIMARY KEY CHECK (length(reader_id) = 8),
        name TEXT NOT NULL DEFAULT '', firmware TEXT NOT NULL DEFAULT '',
        battery INTEGER, flags INTEGER NOT NULL DEFAULT 0, rssi INTEGER,
        first INTEGER, next INTEGER, released INTEGER NOT NULL DEFAULT 0, down INTEGER NOT NULL DEFAULT 0,
        generation INTEGER, boot_id BLOB, clock_source INTEGER, free INTEGER,
        stored INTEGER NOT NULL DEFAULT 0, stored_hash BLOB,
        delivered INTEGER NOT NULL DEFAULT 0,
        waiting INTEGER NOT NULL DEFAULT 0, undelivered INTEGER NOT NULL DEFAULT 0, kept INTEGER NOT NULL DEFAULT 0,
        seen_ms INTEGER, visited_ms INTEGER, collected_ms INTEGER, delivered_ms INTEGER
    ) STRICT;

    CREATE TABLE records (
        id INTEGER PRIMARY KEY,
        reader_id BLOB NOT NULL REFERENCES readers, number INTEGER NOT NULL,
        sealed BLOB, hash BLOB, previous BLOB, generation INTEGER,
        received_ms INTEGER NOT NULL,
        state INTEGER NOT NULL DEFAULT 0, answered_ms INTEGER, disposition INTEGER, problem TEXT,
        UNIQUE (reader_id, number)
    ) STRICT;
    CREATE INDEX records_waiting ON records (id) WHERE state = 0;
    CREATE INDEX records_age ON records (answered_ms) WHERE state IN (1, 3);

    CREATE TRIGGER records_added AFTER INSERT ON records BEGIN
        UPDATE readers SET kept = kept + 1, waiting = waiting + (new.state = 0),
            undelivered = undelivered + (new.state <> 3 AND new.number > delivered)
        WHERE reader_id = new.reader_id;
    END;
    CREATE TRIGGER records_answered AFTER UPDATE OF state ON records WHEN old.state <> new.state BEGIN
        UPDATE readers SET waiting = waiting + (new.state = 0) - (old.state = 0) WHERE reader_id = new.reader_id;
    END;
    CREATE TRIGGER records_dropped AFTER DELETE ON records BEGIN
        UPDATE readers SET kept = kept - 1, waiting = waiting - (old.state = 0),
            undelivered = undelivered - (old.state <> 3 AND old.number > delivered)
        WHERE reader_id = old.reader_id;
    END;
    CREATE TRIGGER readers_delivered AFTER UPDATE OF delivered ON readers WHEN new.delivered > old.delivered BEGIN
        UPDATE readers SET undelivered = undelivered - (
            SELECT count(*) FROM records WHERE reader_id = new.reader_id AND state <> 3
                AND number > old.delivered AND number <= new.delivered)
        WHERE reader_id = new.reader_id;
    END;

    CREATE TABLE evidence (
        id INTEGER PRIMARY KEY,
        reader_id BLOB NOT NULL REFERENCES readers, number INTEGER NOT NULL, hash BLOB NOT NULL, sealed BLOB NOT NULL,
        reason TEXT NOT NULL, received_ms INTEGER NOT NULL,
        state INTEGER NOT NULL DEFAULT 0, answered_ms INTEGER, disposition INTEGER, problem TEXT,
        UNIQUE (reader_id, number, hash)
    ) STRICT;
    CREATE INDEX evidence_waiting ON evidence (id) WHERE state = 0;

    CREATE TABLE receipts (
        reader_id BLOB PRIMARY KEY REFERENCES readers, number INTEGER NOT NULL, sealed BLOB NOT NULL,
        received_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE commands (
        reader_id BLOB NOT NULL REFERENCES readers, number INTEGER NOT NULL, sealed BLOB NOT NULL,
        received_ms INTEGER NOT NULL,
        PRIMARY KEY (reader_id, number)
    ) STRICT;
    CREATE TABLE tickets (
        reader_id BLOB NOT NULL REFERENCES readers, generation INTEGER NOT NULL,
        expiry INTEGER NOT NULL, secret BLOB NOT NULL CHECK (length(secret) = 32),
        PRIMARY KEY (reader_id, generation)
    ) STRICT;
    CREATE TABLE sightings (
        id INTEGER PRIMARY KEY, reader_id BLOB NOT NULL, sighting BLOB NOT NULL,
        wall_ms INTEGER NOT NULL, steady_ms INTEGER NOT NULL, boot TEXT NOT NULL
    ) STRICT;
    CREATE TABLE problems (
        code TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL,
        since_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (code, subject)
    ) STRICT, WITHOUT ROWID;
    """,
    # What came in a file: receipts that no server handed over itself count once a reader has taken them (by_file), and
    # records of other hubs are carried beside our own, so that they never stand for what was collected here.
    """
    ALTER TABLE receipts ADD COLUMN by_file INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE carried (
        id INTEGER PRIMARY KEY,
        reader_id BLOB NOT NULL CHECK (length(reader_id) = 8), number INTEGER NOT NULL, hash BLOB NOT NULL,
        sealed BLOB NOT NULL, received_ms INTEGER NOT NULL,
        state INTEGER NOT NULL DEFAULT 0, answered_ms INTEGER, disposition INTEGER, problem TEXT,
        UNIQUE (reader_id, number, hash)
    ) STRICT;
    CREATE INDEX carried_waiting ON carried (id) WHERE state = 0;
    CREATE INDEX carried_age ON carried (answered_ms) WHERE state = 1;
    """,
    # Registrations: sealed to the server, and none of it readable here. `state`: 0 not yet answered, 1 set aside by the
    # server, 2 refused by it as a request, 3 held by it.
    """
    CREATE TABLE registrations (
        id INTEGER PRIMARY KEY,
        registration_id BLOB NOT NULL UNIQUE CHECK (length(registration_id) = 16),
        sealed BLOB NOT NULL, hash BLOB NOT NULL, made_ms INTEGER NOT NULL,
        state INTEGER NOT NULL DEFAULT 0, answered_ms INTEGER, disposition INTEGER, problem TEXT
    ) STRICT;
    CREATE INDEX registrations_waiting ON registrations (id) WHERE state = 0;
    """,
    # Images that readers update to, and which reader awaits which. `held`: bytes of it in its file here; all of them
    # once it was checked. `offset`: the next byte that the reader wants; `code`: what it said last (WANTED or ERROR).
    """
    CREATE TABLE images (
        image_id BLOB PRIMARY KEY CHECK (length(image_id) = 16),
        size INTEGER NOT NULL, hash BLOB NOT NULL CHECK (length(hash) = 32), held INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE awaited (
        reader_id BLOB PRIMARY KEY REFERENCES readers,
        image_id BLOB NOT NULL REFERENCES images ON DELETE CASCADE,
        offset INTEGER NOT NULL DEFAULT 0, code INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX awaited_image ON awaited (image_id);
    """,
)
