-- What somebody may do in a room, whether he is in or not: 0 outcast, 1 visitor, 3 moderator, 4 owner; 2, member,
-- is as good as no row. Rooms that were there before have no owner.
CREATE TABLE rank (
    room INTEGER NOT NULL REFERENCES room,
    user TEXT    NOT NULL REFERENCES account,
    rank INTEGER NOT NULL CHECK (rank BETWEEN 0 AND 4),
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;

-- What is not used yet; the room is one that the user is not in.
CREATE TABLE invitation (
    user    TEXT    NOT NULL REFERENCES account,
    room    INTEGER NOT NULL REFERENCES room,
    inviter TEXT    NOT NULL REFERENCES account,
    at      INTEGER NOT NULL,
    PRIMARY KEY (user, room)
) STRICT, WITHOUT ROWID;

CREATE INDEX invitation_room ON invitation (room);

-- The digest of the key that a room asks for.
ALTER TABLE room ADD COLUMN secret BLOB CHECK (length(secret) = 32);
