"""Credentials of the API's clients. All of them are public: this is a demo."""

import hashlib
import hmac

DEMO_KEY = "demo-key"
"""Of the lens's admin, unless ``LENS_REPORT_KEY`` names another."""

DEMO_PARTNER_KEY = "partner-demo"
DEMO_WEBHOOK_SECRET = b"the-example-has-no-real-secrets"

ACCEPTED = "tok_card"
DECLINED = "tok_declined"
PROVIDER_DOWN = "tok_provider_down"


def webhook_signature(body: bytes) -> str:
    """Signature that the payment provider sends with a notice, so that nobody else can send one."""
    return hmac.new(DEMO_WEBHOOK_SECRET, body, hashlib.sha256).hexdigest()
