-- A device has at most one resume token, kept as its SHA-256; without one it has to be logged in anew.
ALTER TABLE device ADD COLUMN token BLOB CHECK (length(token) = 32);
ALTER TABLE device ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX device_token ON device (token) WHERE token IS NOT NULL;

-- When any of the user's devices was last here: what others are told of somebody who is away.
ALTER TABLE account ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;

UPDATE account SET seen = coalesce((SELECT max(device.seen) FROM device WHERE device.user = account.name), 0);
