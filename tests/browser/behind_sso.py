"""An application whose own login, on another site, decides who may look. Drives no browser."""

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse

from fastapi_lens import Access, LensConfig, LensMiddleware, Scope, lens_admin

SESSION = "session_of_the_host"


def may_look(request: Request) -> Access:
    """Access for the host's session; anybody else signs in at another host name."""
    if SESSION not in request.cookies:
        login = f"http://127.0.0.1:{request.url.port}/sso"
        raise HTTPException(303, headers={"Location": login})
    return Access(Scope.ADMIN, "ada")


app = FastAPI(title="behind sso")
app.add_middleware(LensMiddleware, config=LensConfig(authorize=may_look))
app.include_router(lens_admin)


@app.get("/sso")
def sso() -> HTMLResponse:
    """Where people sign in."""
    return HTMLResponse("<title>Single sign-on</title>")
