"""quicchat: a chat over QUIC that neither loses nor doubles a message it has acknowledged. (ARCHITECTURE)"""

__version__ = "0.1.0"
