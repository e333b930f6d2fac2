-- Up to where each room is indexed: only as far as somebody has searched. `latest` is the latest `ts` up to there.
CREATE TABLE indexed (
    room   INTEGER NOT NULL PRIMARY KEY REFERENCES room,
    epoch  INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    latest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What can be found. The words themselves are in the table `words`, under the same ids; it is made by the first
-- search, because an SQLite without FTS5 could not make it here, and would not start.
CREATE TABLE searchable (
    id    INTEGER NOT NULL PRIMARY KEY,
    room  INTEGER NOT NULL REFERENCES room,
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    UNIQUE (room, epoch, seq)
) STRICT;
