"""What opens files: kept by the id of the sealed file, told inside of messages. (spec 15-keys)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quicchat.client.e2ee.keyring import Drawer, Keyring
from quicchat.client.e2ee.parcels import sealed_size
from quicchat.errors import Code, Refused
from quicchat.wire.chapters.messages import Post

if TYPE_CHECKING:
    from quicchat.wire.sealed import FileKey, SealedAttachments


def key_of(keyring: Keyring, file: bytes | None) -> FileKey | None:
    """What opens a file of the server; None where it is not sealed, or its key is not here."""
    if not file or keyring.get(Drawer.FILE, file) is None:
        return None
    # As the keyring does: their vocabulary is not read in before there is something to read.
    from quicchat.wire.sealed import FileKey

    return keyring.read(FileKey, Drawer.FILE, file)


def learn(keyring: Keyring, key: FileKey) -> bool:
    """Keep what a message says that opens a file; whether it was new.

    The first one stays: nobody who learns later of a file, and names it, is to make it unreadable or call it otherwise.
    """
    if keyring.get(Drawer.FILE, key.file) is not None:
        return False
    from quicchat.wire.sealed import packed

    keyring.put(Drawer.FILE, key.file, packed(key))
    return True


def rows(post: Post, keyring: Keyring) -> SealedAttachments | None:
    """The files of a post as they stand inside it.

    Raises Refused where one of them is not sealed: it was uploaded before the conversation was encrypted.
    """
    found = []
    for file, size, media_type, name, modified in post.attachments or ():
        key = key_of(keyring, file)
        if key is None or size != sealed_size(key.size):
            raise Refused(Code.FILE_CHANGED, f"{name or 'It'} was not encrypted; send it again.")
        found.append((file, size, media_type, name, modified, key.secret, key.size, key.root))
    return tuple(found) or None
