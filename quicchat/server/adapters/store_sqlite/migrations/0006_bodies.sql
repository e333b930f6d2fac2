-- Long bodies in pieces. One without a room is put aside by its user; with one it belongs to the event there.
CREATE TABLE body (
    id     INTEGER NOT NULL PRIMARY KEY,
    user   TEXT    NOT NULL REFERENCES account,
    digest BLOB    NOT NULL CHECK (length(digest) = 32),
    size   INTEGER NOT NULL,
    held   INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    room   INTEGER REFERENCES room,
    epoch  INTEGER,
    seq    INTEGER
) STRICT;

CREATE UNIQUE INDEX body_aside ON body (user, digest) WHERE room IS NULL;
CREATE INDEX body_old ON body (at) WHERE room IS NULL;
CREATE UNIQUE INDEX body_named ON body (room, epoch, seq, digest) WHERE room IS NOT NULL;

CREATE TABLE piece (
    body   INTEGER NOT NULL REFERENCES body,
    offset INTEGER NOT NULL,
    data   BLOB    NOT NULL,
    PRIMARY KEY (body, offset)
) STRICT;
