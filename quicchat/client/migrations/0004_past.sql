-- The last events of each room, unbroken, to be read and searched without the server.

-- The place where the unbroken run begins that ends at seq; seq + 1 where there is none.
ALTER TABLE cursor ADD COLUMN first INTEGER NOT NULL DEFAULT 1;

-- Of a correction, and of what takes something back: the place that it is about.
ALTER TABLE event ADD COLUMN about INTEGER;

-- Of what was kept so far nobody noted that. The server has it; what the application has not had stays.
DELETE FROM event WHERE seq <= (SELECT given FROM cursor WHERE cursor.room = event.room);
UPDATE cursor SET first = seq + 1;

CREATE INDEX about ON event (room, about) WHERE about IS NOT NULL;

-- What of a room the index of words has; it is written when somebody searches.
CREATE TABLE indexed (
    room TEXT PRIMARY KEY,
    low INTEGER NOT NULL,
    high INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE searchable (
    id INTEGER PRIMARY KEY,  -- by the time it was said
    room TEXT NOT NULL,
    seq INTEGER NOT NULL,
    UNIQUE (room, seq)
) STRICT;

-- What the user chose for this server.
CREATE TABLE preference (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
