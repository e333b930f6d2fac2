"""Every setting of server and client, declared once: flags, environment and file follow from it. (spec 12-operation)"""

from quicchat.config.settings import LOOPBACK, ClientConfig, ServerConfig, Setting, is_loopback, settings
from quicchat.config.sources import DEBUG, BadSetting, Settled, home, read, settled, usual_file

__all__ = [
    "DEBUG",
    "LOOPBACK",
    "BadSetting",
    "ClientConfig",
    "ServerConfig",
    "Setting",
    "Settled",
    "home",
    "is_loopback",
    "read",
    "settings",
    "settled",
    "usual_file",
]
