-- Users go by their names, which never change; rooms by numbers, since every event names its room.

CREATE TABLE store (
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;

CREATE TABLE account (
    name       TEXT    NOT NULL PRIMARY KEY,
    salt       BLOB    NOT NULL,
    iterations INTEGER NOT NULL,
    stored_key BLOB    NOT NULL,
    server_key BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
    user   TEXT    NOT NULL REFERENCES account,
    device BLOB    NOT NULL,
    name   TEXT    NOT NULL,
    seen   INTEGER NOT NULL,
    PRIMARY KEY (user, device)
) STRICT, WITHOUT ROWID;

-- `ended`: an ephemeral room whose last member left; its log stays, and the next room of the name has the next epoch.
CREATE TABLE room (
    id      INTEGER NOT NULL PRIMARY KEY,
    name    TEXT    NOT NULL UNIQUE,
    kind    TEXT    NOT NULL CHECK (kind IN ('open', 'direct', 'announcements', 'ended')),
    topic   TEXT    NOT NULL DEFAULT '',
    policy  INTEGER NOT NULL DEFAULT 0,
    epoch   INTEGER NOT NULL DEFAULT 1,
    members INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX room_open ON room (name) WHERE kind = 'open';

-- `since` is the place before the membership began. Sign-up makes a row for each of the standing rooms.
CREATE TABLE member (
    room  INTEGER NOT NULL REFERENCES room,
    user  TEXT    NOT NULL REFERENCES account,
    since INTEGER NOT NULL,
    read  INTEGER NOT NULL,
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX member_user ON member (user);

-- A device without a row stands at the `since` of its user.
CREATE TABLE cursor (
    user      TEXT    NOT NULL REFERENCES account,
    room      INTEGER NOT NULL REFERENCES room,
    device    BLOB    NOT NULL,
    delivered INTEGER NOT NULL,
    PRIMARY KEY (user, room, device)
) STRICT, WITHOUT ROWID;

-- The log, and the one truth about a room's head: the greatest seq. Rows lie in the order in which they are read.
CREATE TABLE event (
    room   INTEGER NOT NULL REFERENCES room,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL CHECK (seq > 0),
    sender TEXT    NOT NULL REFERENCES account,
    cid    BLOB    NOT NULL CHECK (length(cid) = 16),
    body   BLOB    NOT NULL,
    PRIMARY KEY (room, epoch, seq),
    UNIQUE (sender, cid)
) STRICT, WITHOUT ROWID;

INSERT INTO store (secret) VALUES (urandom(32));
INSERT INTO room (id, name, kind) VALUES (1, '*', 'announcements'), (2, 'general', 'open');
