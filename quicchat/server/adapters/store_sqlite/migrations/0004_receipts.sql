-- `shown` is how far others may see that he has read; `at` is when his cursors that others see moved last, Unix ms.
ALTER TABLE member ADD COLUMN shown INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN at INTEGER NOT NULL DEFAULT 0;

-- Events that name a member and that he has not read; only messages that name somebody have rows here.
CREATE TABLE mention (
    user  TEXT    NOT NULL REFERENCES account,
    room  INTEGER NOT NULL REFERENCES room,
    epoch INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (user, room, epoch, seq)
) STRICT, WITHOUT ROWID;

-- Which events correct which: who takes back a message takes back its corrections too.
CREATE TABLE edit (
    room   INTEGER NOT NULL REFERENCES room,
    epoch  INTEGER NOT NULL,
    target INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (room, epoch, target, seq)
) STRICT, WITHOUT ROWID;
