-- Keys of this device and what opens sealed messages, by drawer and name (client/e2ee/keyring.py).
CREATE TABLE keyring (
    drawer TEXT NOT NULL,
    name BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (drawer, name)
) STRICT, WITHOUT ROWID;

-- What is sent instead of `body`, once it is sealed; of MSG_SEND, version 2.
ALTER TABLE outbox ADD COLUMN sealed BLOB;

-- How far what was opened here is to be trusted (client/seal.py); NULL where it came in plain.
ALTER TABLE event ADD COLUMN seal INTEGER;
