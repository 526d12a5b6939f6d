"""Signing in at an identity provider: OpenID Connect's code flow with PKCE, by Authlib; providers are settings alone.

The browser is sent to the provider with a state, of which it keeps a cookie: an answer that was begun in another
browser is refused. Addresses come from the provider's discovery document; its issuer must be the one of the settings.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete
from sqlalchemy.orm import Session

from colonnade.gateway.accounts import people
from colonnade.gateway.accounts.tables import AccountRow, IdentityRow, LoginFlowRow, digest, new_secret
from colonnade.gateway.settings import Provider, Settings
from colonnade.gateway.store import Forbidden, Store, now

FLOW_MINUTES = 10
TIMEOUT = 10.0
KEEP = 3600.0  # seconds that a discovery document is believed
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
LEEWAY = 120  # seconds that clocks may differ


class SignInFailed(Forbidden):
    """The identity provider did not sign the person in; the text says why."""


@dataclass(frozen=True)
class Metadata:
    """What a provider tells of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None


class Providers:
    """The identity providers of the settings.

    Args:
        settings: options.
        store: where a sign-in that is under way is kept, since it may end at another gateway.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._known: dict[str, tuple[float, Metadata]] = {}

    def callback(self, name: str) -> str:
        """Where a provider sends browsers back to; to be registered there."""
        return f"{self._settings.public_url}/oidc/{name}/callback"

    def begin(self, name: str, next: str) -> tuple[str, str]:
        """Begin a sign-in.

        Returns:
            The provider's address to send the browser to, and the state for its cookie.

        Raises:
            SignInFailed: the provider cannot be reached.
        """
        provider, metadata = self._provider(name), self._metadata(name)
        state, verifier, nonce = new_secret(), generate_token(64), generate_token(32)
        with self._client(name, provider) as client:
            address, _ = client.create_authorization_url(
                metadata.authorization_endpoint, state=state, code_verifier=verifier, nonce=nonce
            )
        with self._store.write() as session:
            session.execute(delete(LoginFlowRow).where(LoginFlowRow.expires <= now()))
            session.add(
                LoginFlowRow(
                    digest=digest(state),
                    provider=name,
                    verifier=verifier,
                    nonce=nonce,
                    next=next[:2000],
                    expires=now() + timedelta(minutes=FLOW_MINUTES),
                )
            )
        return str(address), state

    def finish(self, name: str, answer: str, state: str, cookie: str) -> tuple[AccountRow, str]:
        """Take the provider's answer; gives the account and where the person was heading.

        Args:
            name: of the provider.
            answer: the address that the browser was sent back to, with its query.
            state: of that address.
            cookie: the state that this browser began with.

        Raises:
            SignInFailed: it was begun elsewhere, is too old, or the provider's word does not hold.
        """
        if not state or state != cookie:
            raise SignInFailed("This sign-in was not begun in this browser; begin again.")
        with self._store.write() as session:
            flow = session.get(LoginFlowRow, digest(state))
            if flow is not None:
                session.delete(flow)
        if flow is None or flow.provider != name or flow.expires <= now():
            raise SignInFailed("This sign-in took too long or has ended already; begin again.")
        claims = self._claims(name, answer, flow)
        with self._store.write() as session:
            return _account_of(session, claims), flow.next

    # --- inside ----------------------------------------------------------------------------------

    def _provider(self, name: str) -> Provider:
        found = self._settings.oidc.get(name)
        if found is None:
            raise SignInFailed("There is no such identity provider here.")
        return found

    def _client(self, name: str, provider: Provider) -> Any:
        return OAuth2Client(
            provider.client_id,
            provider.client_secret.get_secret_value() or None,
            scope=provider.scope,
            redirect_uri=self.callback(name),
            code_challenge_method="S256",
            timeout=TIMEOUT,
        )

    def _metadata(self, name: str) -> Metadata:
        read, found = self._known.get(name, (float("-inf"), None))
        if found is None or time.monotonic() - read > KEEP:
            found = _discover(self._provider(name))
            self._known[name] = (time.monotonic(), found)
        return found

    def _claims(self, name: str, answer: str, flow: LoginFlowRow) -> dict[str, Any]:
        """The provider's word on who it is, checked; what the ID token lacks comes from the userinfo endpoint."""
        provider, metadata = self._provider(name), self._metadata(name)
        try:
            with self._client(name, provider) as client:
                token = client.fetch_token(
                    metadata.token_endpoint, authorization_response=answer, code_verifier=flow.verifier
                )
                claims = self._checked(str(token.get("id_token") or ""), provider, metadata, flow.nonce)
                if metadata.userinfo_endpoint and not ("email" in claims and "name" in claims):
                    told = client.get(metadata.userinfo_endpoint).raise_for_status().json()
                    if told.get("sub") == claims["sub"]:
                        claims = told | claims
        except SignInFailed:
            raise
        except (httpx.HTTPError, ValueError) as error:
            raise SignInFailed(f"{provider.name} could not be reached; try again later.") from error
        except Exception as error:  # Authlib's own errors: the provider, or the person there, refused
            raise SignInFailed(f"{provider.name} did not sign you in.") from error
        return claims

    def _checked(self, text: str, provider: Provider, metadata: Metadata, nonce: str) -> dict[str, Any]:
        """The claims of an ID token: signature, issuer, audience, times and nonce hold."""
        try:
            keys = KeySet.import_key_set(httpx.get(metadata.jwks_uri, timeout=TIMEOUT).raise_for_status().json())
            token = jwt.decode(text, keys, algorithms=ALGORITHMS)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": metadata.issuer},
                    "aud": {"essential": True, "value": provider.client_id},
                    "exp": {"essential": True},
                    "sub": {"essential": True},
                },
                params={"nonce": nonce, "client_id": provider.client_id},
            )
            claims.validate(leeway=LEEWAY)
        except httpx.HTTPError:
            raise
        except (JoseError, Exception) as error:
            raise SignInFailed(f"What {provider.name} answered is not valid ({type(error).__name__}).") from error
        return {**claims, "iss": metadata.issuer}


def _discover(provider: Provider) -> Metadata:
    address = provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
    try:
        found = httpx.get(address, timeout=TIMEOUT, follow_redirects=False).raise_for_status().json()
        names = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
        metadata = Metadata(
            **{name: str(found[name]) for name in names}, userinfo_endpoint=found.get("userinfo_endpoint")
        )
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise SignInFailed(f"{provider.name} could not be reached; try again later.") from error
    if metadata.issuer.rstrip("/") != provider.issuer.rstrip("/"):
        raise SignInFailed(f"{provider.name} gives itself out as somebody else.")
    if urlsplit(provider.issuer).scheme == "https":
        for place in (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri):
            if urlsplit(place).scheme != "https":
                raise SignInFailed(f"{provider.name} names an address that is not protected.")
    return metadata


def _account_of(session: Session, claims: dict[str, Any]) -> AccountRow:
    """The account of an identity: the one it belongs to, the one of its proven address, or a new one."""
    issuer, subject = str(claims["iss"]), str(claims["sub"])
    account = people.of_identity(session, issuer, subject)
    if account is None:
        account = _first_visit(session, claims)
        session.add(IdentityRow(issuer=issuer, subject=subject, account=account.id))
    if account.disabled:
        raise SignInFailed("This account is closed.")
    return account


def _first_visit(session: Session, claims: dict[str, Any]) -> AccountRow:
    email, proven = str(claims.get("email") or "").strip().lower(), claims.get("email_verified") in (True, "true")
    taken = people.by_email(session, email) if email else None
    if taken is not None and not proven:
        raise SignInFailed("There is an account for your mail address, and the provider has not proven it to be yours.")
    if taken is not None:
        return taken
    name = str(claims.get("name") or claims.get("preferred_username") or email or "unnamed")
    return people.new_account(session, name, email=email if email and proven else None)
