"""The shop mounted in another application, its admin under one more prefix. Drives no browser."""

from fastapi import FastAPI

from fastapi_lens import lens_admin
from tests.browser import shop

shop.app.include_router(lens_admin, prefix="/internal")

app = FastAPI()
app.mount("/api", shop.app)
