-- Long texts are files now.
DROP TABLE piece;
DROP TABLE body;

-- Where bytes of files are, or come to be: `place` numbers that, and is never used again. Of each content there is
-- at most one that is whole. `at` is when somebody last had to do with it, Unix ms.
CREATE TABLE blob (
    place INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    file  BLOB    NOT NULL CHECK (length(file) = 32),
    size  INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    whole INTEGER NOT NULL CHECK (whole IN (0, 1)),
    at    INTEGER NOT NULL
) STRICT;

CREATE INDEX blob_file ON blob (file);
CREATE INDEX blob_at ON blob (at);
CREATE UNIQUE INDEX blob_whole ON blob (file) WHERE whole = 1;

-- Who uploads or has uploaded what. Unfinished uploads share no place.
CREATE TABLE upload (
    user  TEXT    NOT NULL REFERENCES account,
    file  BLOB    NOT NULL,
    place INTEGER NOT NULL REFERENCES blob,
    PRIMARY KEY (user, file)
) STRICT, WITHOUT ROWID;

CREATE INDEX upload_place ON upload (place);

-- What events name, in their order.
CREATE TABLE attachment (
    room       INTEGER NOT NULL REFERENCES room,
    epoch      INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    place      INTEGER NOT NULL REFERENCES blob,
    name       TEXT    NOT NULL,
    media_type TEXT    NOT NULL,
    modified   INTEGER NOT NULL,
    PRIMARY KEY (room, epoch, seq, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX attachment_place ON attachment (place);

-- What is forgotten, until its bytes are gone.
CREATE TABLE garbage (
    place INTEGER NOT NULL PRIMARY KEY,
    file  BLOB    NOT NULL,
    size  INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    whole INTEGER NOT NULL
) STRICT;
