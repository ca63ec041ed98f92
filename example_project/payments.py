"""Stands in for a payment provider: a token decides what happens. Talks to nobody."""

import secrets

from example_project.credentials import DECLINED, PROVIDER_DOWN
from example_project.errors import PaymentDeclinedError, ProviderDownError


class PaymentProvider:
    """Takes and returns money, or says why not."""

    def charge(self, token: str, amount_cents: int) -> str:
        """Take money.

        Returns:
            The provider's reference of the payment.

        Raises:
            PaymentDeclinedError: The token is `DECLINED`.
            ProviderDownError: The token is `PROVIDER_DOWN`.
        """
        if token == DECLINED:
            raise PaymentDeclinedError(f"The card was declined for {amount_cents / 100:.2f} EUR.")
        if token == PROVIDER_DOWN:
            raise ProviderDownError("The payment provider does not answer. Try again later.")
        return f"pay_{secrets.token_hex(8)}"
