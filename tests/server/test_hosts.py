from __future__ import annotations

import http.client

import pytest

LOOPBACK = ["localhost", "LocalHost:1234", "127.0.0.1", "127.0.0.1:9465", "127.8.9.10:80", "[::1]", "[::1]:9465"]
FOREIGN = [
    "evil.example", "evil.example:9465", "127.0.0.1.evil.example", "localhost.evil.example", "evil-localhost",
    "10.0.0.5:9465", "0.0.0.0:9465", "[::ffff:10.0.0.5]", "[fe80::1]:9465", "::1", "localhost:port", "localhost:80:90",
    "user@localhost", "2130706433", "0x7f.1", "127.1", "",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_names_and_addresses_are_answered_on_any_port(client, host: str) -> None:
    assert client.get("/v1/operations", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_a_host_that_is_not_ours_is_misdirected(client, host: str) -> None:
    answer = client.get("/v1/operations", headers={"Host": host})
    assert (answer.status_code, answer.headers["content-type"]) == (421, "application/problem+json")


def test_no_path_is_exempt_from_the_host_check(client) -> None:
    paths = ("/v1/operations/one", "/v1/statistics", "/metrics", "/healthz", "/readyz", "/none")
    seen = {client.get(path, headers={"Host": "evil.example"}).status_code for path in paths}
    assert seen == {421}


def test_a_request_without_a_host_is_misdirected(client) -> None:
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=20)
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"
    connection.putrequest("GET", "/v1/operations", skip_host=True)
    connection.endheaders()
    assert connection.getresponse().status == 421
    connection.close()


def test_configured_names_are_answered_too(serving, registry) -> None:
    with serving(registry, allowed_hosts=["Box.internal", "10.0.0.5:9465", "fd00::7"]) as client:
        seen = [
            client.get("/v1/operations", headers={"Host": host}).status_code
            for host in (
                "box.internal",
                "BOX.internal:80",
                "10.0.0.5",
                "[fd00::7]:9465",
                "sub.box.internal",
                "127.0.0.1",
            )
        ]
    assert seen == [200, 200, 200, 200, 421, 200]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://"])
def test_a_change_from_a_foreign_origin_is_refused(client, registry, origin: str) -> None:
    registry.create_tracker("one").complete()
    answer = client.delete("/v1/operations/one", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:midspan:problem:foreign-origin")
    assert registry.get("one") is not None


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9465", "http://localhost", "http://[::1]:8080"])
def test_a_change_from_our_own_origin_is_taken(client, registry, origin: str) -> None:
    registry.create_tracker("one").complete()
    assert client.delete("/v1/operations/one", headers={"Origin": origin}).status_code == 204


def test_a_change_that_another_site_makes_is_refused_without_an_origin_too(client, registry) -> None:
    registry.create_tracker("one").complete()
    answer = client.delete("/v1/operations/one", headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:midspan:problem:foreign-origin")
    assert client.get("/v1/operations/one", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_no_answer_allows_another_origin_to_read_it(client) -> None:
    for answer in (
        client.get("/v1/operations", headers={"Origin": "https://evil.example"}),
        client.options("/v1/operations"),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
