"""Alerts and the weekly digest, sent to a webhook by one worker for all. Knows no HTML and no SQL.

Rules, digest, texts and payload are pure; `http_post` sends; `notifier` has the thread.
"""
