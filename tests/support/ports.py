"""Ports for servers that have to be told one, and for endpoints at which nobody listens."""

from __future__ import annotations

import random
import socket

# below those that the kernel hands out, to servers bound to port 0 and to every client: by default 32768 and above on
# Linux, 49152 and above elsewhere
_PORTS = range(15_000, 32_000)

_chance = random.SystemRandom()  # hypothesis seeds the other
_reserved: list[socket.socket] = []


def free_port() -> int:
    """A port of the loopback interface on which nothing listens, and that no other test gets.

    It stays reserved while this process lives, by a UDP socket of the same number: two tests that run at once never
    have the same one, and a server that starts slowly still finds it free.
    """
    while True:
        port = _chance.choice(_PORTS)
        reservation = socket.socket(type=socket.SOCK_DGRAM)
        try:
            reservation.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:  # taken
            reservation.close()
        else:
            _reserved.append(reservation)
            return port
