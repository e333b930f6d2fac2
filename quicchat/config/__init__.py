"""Every setting of server and client, declared once: flags, environment and file follow from it. (spec 12-operation)"""

from quicchat.config.settings import LOOPBACK, ClientConfig, ServerConfig, Setting, is_loopback, settings
from quicchat.config.sources import DEBUG, BadSetting, home, read

__all__ = [
    "DEBUG",
    "LOOPBACK",
    "BadSetting",
    "ClientConfig",
    "ServerConfig",
    "Setting",
    "home",
    "is_loopback",
    "read",
    "settings",
]
