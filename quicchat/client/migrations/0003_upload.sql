-- Files of one's own that are on their way, until the server has all of them.
CREATE TABLE upload (
    number INTEGER PRIMARY KEY,
    cid BLOB NOT NULL UNIQUE,
    body BLOB NOT NULL,      -- of MSG_SEND, version 2
    chunk INTEGER NOT NULL,  -- bytes
    paths TEXT NOT NULL      -- JSON: [[path, bytes, modified in ns] ...]
) STRICT;
