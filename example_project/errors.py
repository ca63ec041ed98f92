"""Errors of the shop, and the HTTP status of each.

ShopError
├── NotFoundError           404, the row that the path names is not there
├── NotAllowedError         401, the partner's key or the webhook's signature is wrong
├── PaymentDeclinedError    402, the provider refuses the customer's means of payment
├── ConflictError           409, the state of the order or of the stock forbids it
├── TooLargeError           413, an upload is larger than we take
├── WrongMediaTypeError     415, an upload is of a kind that we don't take
├── InvalidUploadError      422, an uploaded file lacks what it has to hold
└── ProviderDownError       503, the payment provider does not answer
"""

from http import HTTPStatus
from typing import ClassVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse


class ShopError(Exception):
    """A request that the shop understands and refuses; its text is for the client."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST


class NotFoundError(ShopError):
    """The row that the path names is not there."""

    status = HTTPStatus.NOT_FOUND


class NotAllowedError(ShopError):
    """The partner's key or the webhook's signature is wrong."""

    status = HTTPStatus.UNAUTHORIZED


class PaymentDeclinedError(ShopError):
    """The provider refuses the customer's means of payment."""

    status = HTTPStatus.PAYMENT_REQUIRED


class ConflictError(ShopError):
    """The state of the order or of the stock forbids it."""

    status = HTTPStatus.CONFLICT


class TooLargeError(ShopError):
    """An upload is larger than we take."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class WrongMediaTypeError(ShopError):
    """An upload is of a kind that we don't take."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class InvalidUploadError(ShopError):
    """An uploaded file lacks what it has to hold."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class ProviderDownError(ShopError):
    """The payment provider does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


def answer_shop_errors(app: FastAPI) -> None:
    """Let an application answer a `ShopError` with its status and its text."""

    @app.exception_handler(ShopError)
    async def answer(_request: Request, error: Exception) -> JSONResponse:
        status = error.status if isinstance(error, ShopError) else HTTPStatus.INTERNAL_SERVER_ERROR
        return JSONResponse({"detail": str(error)}, status_code=status)
