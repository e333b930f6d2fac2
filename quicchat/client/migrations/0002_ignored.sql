-- Of whom the user of this device wants to hear nothing.
CREATE TABLE ignored (
    user TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
