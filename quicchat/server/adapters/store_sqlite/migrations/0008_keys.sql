-- The device list of a user as he signed it, and the fingerprints in it, 20 bytes each one after the other.
CREATE TABLE key_list (
    user         TEXT    NOT NULL PRIMARY KEY REFERENCES account,
    serial       INTEGER NOT NULL,
    identity     BLOB    NOT NULL,
    devices      BLOB    NOT NULL,
    signature    BLOB    NOT NULL,
    fingerprints BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

-- The key of each device, `listed` where its fingerprint stands in the list. A handle has 64 bits without a sign,
-- which no INTEGER holds: it is written in hexadecimal. `at` is when the key came, Unix ms.
CREATE TABLE key_device (
    user        TEXT    NOT NULL REFERENCES account,
    device      BLOB    NOT NULL,
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 20),
    handle      TEXT    NOT NULL CHECK (length(handle) = 16),
    name        TEXT    NOT NULL,
    certificate BLOB    NOT NULL,
    at          INTEGER NOT NULL,
    listed      INTEGER NOT NULL CHECK (listed IN (0, 1)),
    PRIMARY KEY (user, device),
    UNIQUE (user, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE INDEX key_device_handle ON key_device (handle) WHERE listed = 1;

-- The parts of backups, all of one user's of one generation.
CREATE TABLE backup (
    user       TEXT    NOT NULL REFERENCES account,
    part       INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    data       BLOB    NOT NULL,
    PRIMARY KEY (user, part)
) STRICT, WITHOUT ROWID;

-- The KEY events: nobody's news.
CREATE TABLE quiet (
    room  INTEGER NOT NULL REFERENCES room,
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (room, epoch, seq)
) STRICT, WITHOUT ROWID;

-- What of a KEY event is for one device alone.
CREATE TABLE entry (
    room   INTEGER NOT NULL REFERENCES room,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    user   TEXT    NOT NULL REFERENCES account,
    device BLOB    NOT NULL,
    handle TEXT    NOT NULL,
    packet BLOB    NOT NULL,
    PRIMARY KEY (room, epoch, seq, user, device)
) STRICT, WITHOUT ROWID;
