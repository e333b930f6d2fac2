-- What each version of a shared file is, so that it is not read again at every start. Nothing here is of worth: all of
-- it follows from the files. `stamp` is device, inode, size, and the times of the last changes of content and of all.
CREATE TABLE digest (
    stamp  BLOB NOT NULL PRIMARY KEY CHECK (length(stamp) = 40),
    file   BLOB NOT NULL CHECK (length(file) = 32),
    leaves BLOB NOT NULL
) STRICT;
