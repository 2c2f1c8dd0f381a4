"""The shop's errors, and their JSON responses."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, jsonify


class ShopError(Exception):
    """Base of the shop's errors."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def as_json(self) -> dict[str, Any]:
        """The body of the response."""
        return {"error": self.message}


class InvalidError(ShopError):
    """The request is invalid."""

    status = 400


class NotFoundError(ShopError):
    """The resource does not exist in this run."""

    status = 404


class ConflictError(ShopError):
    """The state of the resource does not allow the request."""

    status = 409

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state

    def as_json(self) -> dict[str, Any]:
        """The body of the response, with that state."""
        return {**super().as_json(), "state": self.state}


def refuse(error: ShopError) -> tuple[Response, int]:
    """The response to a shop error."""
    return jsonify(error.as_json()), error.status


def apologise(error: Exception) -> tuple[Response, int]:
    """The response to an unexpected exception."""
    current_app.logger.exception("unexpected: %s", error)
    return jsonify({"error": "something went wrong"}), 500
