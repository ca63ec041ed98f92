"""An application behind a key, for servers with several workers."""

from fastapi import FastAPI

from fastapi_lens import LensConfig, LensMiddleware, lens_admin

KEY = "what-a-thousand-guesses-do-not-find"

app = FastAPI()
app.add_middleware(LensMiddleware, config=LensConfig(report_key=KEY, app_name="guarded"))
app.include_router(lens_admin)
