"""What can go wrong in the shop, and how the browser hears of it."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, jsonify


class ShopError(Exception):
    """Base of what the shop refuses on purpose."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"error": self.message}


class InvalidError(ShopError):
    """The request makes no sense."""

    status = 400


class NotFoundError(ShopError):
    """There is no such thing in this run."""

    status = 404


class ConflictError(ShopError):
    """Not now: the thing is in a state that forbids it."""

    status = 409

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state

    def as_json(self) -> dict[str, Any]:
        """The body of the answer, with the state that is in the way."""
        return {**super().as_json(), "state": self.state}


def refuse(error: ShopError) -> tuple[Response, int]:
    """Answer a refusal as JSON."""
    return jsonify(error.as_json()), error.status


def apologise(error: Exception) -> tuple[Response, int]:
    """Answer a failure of our own."""
    current_app.logger.exception("unexpected: %s", error)
    return jsonify({"error": "something went wrong"}), 500
