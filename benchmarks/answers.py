"""Completeness check of a server's answer. For load generators; measures nothing."""


def status_of(answer: bytes) -> int | None:
    """The status code of an answer; None while a part of it is missing.

    Args:
        answer: The bytes so far of an HTTP/1.1 answer with a Content-Length.
    """
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return None
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return int(head.split(b" ", 2)[1]) if len(body) >= int(length) else None
