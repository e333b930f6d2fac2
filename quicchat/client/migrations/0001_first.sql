-- The memory of one user's device at one server.

CREATE TABLE cursor (
    room TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,    -- held
    given INTEGER NOT NULL,  -- given to the application
    read INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    room TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body BLOB NOT NULL,      -- of MSG, version 2
    whole TEXT,              -- the long text of which body has the beginning
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    cid BLOB PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    room TEXT NOT NULL,
    body BLOB NOT NULL,      -- of MSG_SEND, version 2
    whole BLOB,
    state INTEGER NOT NULL,
    epoch INTEGER,
    seq INTEGER,
    reason TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    value BLOB NOT NULL,
    expires INTEGER NOT NULL, -- Unix ms
    salt BLOB,                -- of the password, as the last login told it
    iterations INTEGER
) STRICT;

-- How far others have come in rooms where one has messages.
CREATE TABLE receipt (
    room TEXT NOT NULL,
    user TEXT NOT NULL,
    delivered INTEGER NOT NULL,
    read INTEGER NOT NULL,
    at INTEGER NOT NULL,     -- Unix ms
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;
