"""Another site, whose page asks for what its visitor might see. Drives no browser."""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

app = FastAPI(openapi_url=None)


@app.get("/favicon.ico")
def icon() -> HTMLResponse:
    """None, but no error either."""
    return HTMLResponse()


@app.get("/")
def kittens(target: str) -> HTMLResponse:
    """Images and a frame that guess keys, and a link; each ends with something that is no key."""
    images = "".join(f'<img alt="" src="{target}guess-{number}">' for number in range(8))
    frame = f'<iframe src="{target}guess"></iframe>'
    return HTMLResponse(f"{images}{frame}<a href='{target}key-of-mallory'>kittens</a>")
