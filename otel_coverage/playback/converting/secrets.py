"""What is never written into a playback recording: passwords, tokens, keys. Variables of the environment replace it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

SHORTEST = 4
"""A secret that is shorter is replaced where it is one alone: elsewhere, it may be part of any word."""

_WORDS = {
    *("password", "passwd", "pass", "passphrase", "passcode", "pwd", "secret", "token", "credential", "credentials"),
    *(
        "authorization",
        "auth",
        "otp",
        "totp",
        "pin",
        "cvv",
        "cvc",
        "signature",
        "sig",
        "jwt",
        "bearer",
        "apikey",
        "sid",
    ),
    *("session", "sessionid", "password1", "password2", "passwort", "kennwort"),
}
_PAIRS = {("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key"), ("card", "number")}
_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_QUERY_WORDS = {"code", "state", "ticket", "samlresponse", "nonce"}  # of sign-on


def is_secret(name: str, *, in_query: bool = False) -> bool:
    """Whether a field, a header or a parameter of that name holds a secret."""
    words = [word.lower() for word in _SPLIT.split(name) if word]
    if {*words, "".join(words)} & _WORDS or not _PAIRS.isdisjoint(pairwise(words)):
        return True
    return in_query and len(words) == 1 and words[0] in _QUERY_WORDS


class Variables:
    """Names of environment variables, one for each secret."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        """
        Args:
            names: secrets that have variables already, each with its variable.
        """
        self._names = dict(names or {})

    def name(self, secret: str, hint: str) -> str:
        """The variable that holds a secret.

        Args:
            secret: its value.
            hint: the name of the field that it was found in.
        """
        if secret not in self._names:
            words = [word for word in _SPLIT.split(hint) if word] or ["SECRET"]
            base = name = "PLAYBACK_" + re.sub(r"\W", "_", "_".join(words)).upper()
            number = 2
            while name in self._names.values():
                name, number = f"{base}_{number}", number + 1
            self._names[secret] = name
        return self._names[secret]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Secrets and their variables, the longest first: one may be part of another."""
        return iter(sorted(self._names.items(), key=lambda each: (-len(each[0]), each)))

    @property
    def names(self) -> list[str]:
        """The variables, in the order in which their secrets were found."""
        return list(self._names.values())
