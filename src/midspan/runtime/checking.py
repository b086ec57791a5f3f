"""What is wrong with settings and only shows when they are used: told at once, before anything is switched on."""

from __future__ import annotations

from midspan.runtime.attaching import provider_names
from midspan.settings import Settings, SettingsError


def check(settings: Settings) -> None:
    """Raises SettingsError for what only shows when it is used: a provider nobody knows, an address without a token."""
    _check_providers(settings)
    _check_address(settings)
    _check_token(settings)


def _check_providers(settings: Settings) -> None:
    known = provider_names()
    unknown = sorted({name.removeprefix("-") for name in settings.providers} - {*known})
    if unknown:
        accepted = ", ".join(known)
        raise SettingsError(
            f"MIDSPAN_PROVIDERS={','.join(settings.providers)!r} is not valid: accepted is {accepted}, or -name"
        )


def _check_address(settings: Settings) -> None:
    address = settings.server
    if address is None or settings.token or settings.token_file:
        return
    from midspan.server.addresses import is_loopback

    if not is_loopback(address.host):
        raise SettingsError(
            f"MIDSPAN_SERVER={str(address)!r} is not valid without a token: set MIDSPAN_TOKEN, or bind 127.0.0.1"
        )


def _check_token(settings: Settings) -> None:
    if settings.token is None:
        return
    from midspan.server.tokens import Tokens

    try:
        Tokens.parse(settings.token)
    except ValueError as error:
        raise SettingsError(f"MIDSPAN_TOKEN is not valid: {error}") from None
