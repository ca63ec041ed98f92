"""The application that `benchmarks.admin_load` asks, with an admin that needs a key, under uvicorn.

``python -m benchmarks.admin_load_server URL PORT KEY``. Measures nothing.
"""

import sys

import uvicorn
from fastapi import FastAPI

from benchmarks.storage_routes import APP, add_routes
from fastapi_lens import LensConfig, LensMiddleware, lens_admin

if __name__ == "__main__":
    url, port, key = sys.argv[1:]
    app = FastAPI(title=APP)
    app.add_middleware(LensMiddleware, config=LensConfig(database_url=url, report_key=key))
    app.include_router(lens_admin)
    add_routes(app)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        log_level="warning",
        access_log=False,
        # Clients that ask every five seconds are connected all the time.
        timeout_keep_alive=60,
    )
