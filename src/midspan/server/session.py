"""`/v1/session`: a browser's cookie in exchange for a token, so that a page need not keep the token itself."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from midspan.server.auth import COOKIE, unauthorized

SECONDS = 12 * 3600


def session_routes() -> list[Route]:
    """`POST` (with `Authorization: Bearer`) sets the cookie, HttpOnly and SameSite=Strict; `DELETE` takes it away."""
    return [Route("/v1/session", _session, methods=["POST", "DELETE"])]


async def _session(request: Request) -> Response:
    answer = Response(status_code=204)
    path = request.scope.get("root_path") or "/"
    if request.method == "DELETE":
        answer.delete_cookie(COOKIE, path=path)
        return answer
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise unauthorized()
    answer.set_cookie(
        COOKIE,
        secret.strip(),
        max_age=SECONDS,
        path=path,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return answer
