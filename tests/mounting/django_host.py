"""A Django project. It has no mounts and no lifespan of its own: Starlette, which midspan brings along, has both."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.mounting.host import HostError, State


class Marked:
    """Middleware that names the host in every answer of Django's, and handles its error."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["x-host"] = "yes"
        return response

    def process_exception(self, _: HttpRequest, error: Exception) -> HttpResponse | None:
        return HttpResponse(str(error), status=418) if isinstance(error, HostError) else None


settings.configure(
    SECRET_KEY="of a test",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[f"{__name__}.Marked"],
    LOGGING_CONFIG=None,
)
django = get_asgi_application()
state = State()


async def tell(_: HttpRequest) -> HttpResponse:
    return JsonResponse(state.tell())


def teapot(_: HttpRequest) -> HttpResponse:
    raise HostError("short and stout")


def broken(_: HttpRequest) -> HttpResponse:
    raise RuntimeError("of the host's own")


urlpatterns = [path("state", tell), path("teapot", teapot), path("broken", broken)]
app = Starlette(routes=[Mount("/midspan", state.mount()), Mount("/", django)], lifespan=state.lifespan)
