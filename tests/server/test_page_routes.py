"""The files of the web page, as they are sent."""

from __future__ import annotations

import re

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from midspan.server.app import create_app
from midspan.server.page_routes import page_routes

PATHS = sorted(route.path for route in page_routes())
SCRIPTS = [path for path in PATHS if path.endswith(".js")]


def test_the_page_is_a_document_a_style_sheet_and_modules() -> None:
    assert PATHS[0] == "/" and "/page/page.css" in PATHS and "/page/page.js" in PATHS


@pytest.mark.parametrize("path", PATHS)
def test_3_6_9_every_file_bears_the_policy(client: httpx2.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src data:; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    kind = {"js": "text/javascript", "css": "text/css"}.get(path.rpartition(".")[2], "text/html")
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"


def test_3_6_9_nothing_is_inline_and_nothing_comes_from_elsewhere(client: httpx2.Client) -> None:
    document = client.get("/").text
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", document)
    for path in PATHS:
        text = client.get(path).text.replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(^|\s)//.*|https\?:.*", "", text, flags=re.MULTILINE), path


@pytest.mark.parametrize("path", SCRIPTS)
def test_3_6_9_no_script_makes_elements_out_of_text(client: httpx2.Client, path: str) -> None:
    found = re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", client.get(path).text
    )
    assert found == []


def test_what_a_file_refers_to_is_there_and_relative(client: httpx2.Client) -> None:
    referred = set(re.findall(r'(?:href|src)="(page/[^"]+)"', client.get("/").text))
    for path in SCRIPTS:
        referred |= {"page/" + name for name in re.findall(r'from "\./([^"]+)"', client.get(path).text)}
    assert {"/" + name for name in referred} == set(PATHS) - {"/"}


def test_the_page_needs_no_token_and_the_api_does(serving, registry) -> None:
    with serving(registry, token="secret") as client:
        assert {client.get(path).status_code for path in PATHS} == {200}
        assert client.get("/v1/operations").status_code == 401
        assert client.post("/").status_code == 405


def test_other_names_are_unknown(client: httpx2.Client) -> None:
    for path in ("/page/", "/page/none.js", "/page/index.html", "/page/%2e%2e/app.py", "/page/page.js/"):
        assert client.get(path).status_code == 404


def test_the_page_is_there_below_a_prefix(served, registry, serving) -> None:
    with serving(registry) as client:
        app = create_app(registry, metrics=lambda _: (b"", "text/plain"))
        served[0].app = Starlette(routes=[Mount("/tools/midspan", app)])
        assert "<title>midspan</title>" in client.get("/tools/midspan/").text
        assert client.get("/tools/midspan/page/page.js").status_code == 200
