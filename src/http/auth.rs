//! Authorization of requests that change state (I9). They need a token, or a client certificate
//! named in the configuration, with the scope for what they change; on loopback too, because a
//! browser on the same machine can post there.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::{Inner, error::ApiError, web::VerifiedClient};
use crate::{
    config::{AccessConfig, ClientGrant, TokenGrant},
    model::{Principal, Scope, Scopes},
};

/// The tokens and client certificates that may change state.
pub struct Access {
    tokens: Vec<HashedToken>,
    clients: Vec<ClientGrant>,
}

struct HashedToken {
    digest: [u8; 32],
    granted: Granted,
}

/// Whom a token or a certificate stands for, and what it allows.
#[derive(Clone)]
struct Granted {
    name: Principal,
    scopes: Scopes,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access(..)")
    }
}

impl Access {
    pub fn new(config: &AccessConfig) -> Self {
        let hashed = |it: &TokenGrant| HashedToken {
            digest: Sha256::digest(it.token.reveal().as_bytes()).into(),
            granted: Granted { name: it.name.clone(), scopes: it.scopes.clone() },
        };

        Self { tokens: config.tokens.iter().map(hashed).collect(), clients: config.clients.clone() }
    }

    /// Whether the request has any of the tokens, whatever its scopes.
    pub(super) fn accepts_token(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|it| self.find_token(it).is_some())
    }

    /// Compares with every token, so that the time depends on neither content nor length of the
    /// presented one, nor on which of the tokens it is.
    fn find_token(&self, presented: &[u8]) -> Option<&Granted> {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        let mut found = u32::MAX;

        for (index, token) in (0_u32..).zip(&self.tokens) {
            found.conditional_assign(&index, token.digest.ct_eq(&presented));
        }

        let index = usize::try_from(found).ok()?;
        self.tokens.get(index).map(|it| &it.granted)
    }

    /// Who sends the request, if they have `scope`.
    fn authorize(&self, parts: &Parts, scope: Scope) -> Result<Principal, ApiError> {
        let client = parts.extensions.get::<VerifiedClient>();
        let named =
            self.clients.iter().filter(|it| client.is_some_and(|client| client.has_san(&it.san)));
        let certificates =
            named.map(|it| Granted { name: it.name.clone(), scopes: it.scopes.clone() });
        let presented = bearer(&parts.headers);
        let token = presented.and_then(|it| self.find_token(it)).cloned();

        let all: Vec<Granted> = certificates.chain(token).collect();
        if let Some(granted) = all.iter().find(|it| it.scopes.contains(&scope)) {
            return Ok(granted.name.clone());
        }

        Err(match (all.first(), presented) {
            (Some(Granted { name, .. }), _) => {
                let what = format!("`{name}` does not have the scope `{scope}`");
                ApiError::new(StatusCode::FORBIDDEN, what)
            }
            (None, _) if self.tokens.is_empty() => {
                let advice = "no token is configured: set remediation.tokens or \
                              remediation.token_file, and send the token as `Authorization: Bearer …`";
                ApiError::new(StatusCode::FORBIDDEN, advice)
            }
            (None, None) => {
                let advice = "send the token as `Authorization: Bearer …`";
                ApiError::new(StatusCode::UNAUTHORIZED, advice)
            }
            (None, Some(_)) => {
                let advice = "the token is not one of the configured tokens";
                ApiError::new(StatusCode::UNAUTHORIZED, advice)
            }
        })
    }
}

fn check(parts: &Parts, inner: &Inner, scope: Scope) -> Result<Principal, ApiError> {
    let principal = inner.state.settings().access.authorize(parts, scope)?;

    // A form cannot send this content type, and a script of another origin needs a preflight.
    if !is_json(&parts.headers) {
        let advice = "send `Content-Type: application/json`";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, advice));
    }

    Ok(principal)
}

macro_rules! extractor {
    ($(#[$meta:meta])* $name:ident requires $scope:expr) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub(super) struct $name(pub(super) Principal);

        impl FromRequestParts<Arc<Inner>> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(
                parts: &mut Parts,
                inner: &Arc<Inner>,
            ) -> Result<Self, ApiError> {
                check(parts, inner, $scope).map(Self)
            }
        }
    };
}

extractor! {
    /// Extractor: who delivers alerts. Proof that they may, and that the request is not a browser
    /// form.
    AlertSender requires Scope::Alerts
}
extractor! {
    /// Extractor: who gives an order. Proof that they may, and that the request is not a browser
    /// form.
    Operator requires Scope::Operate
}
extractor! {
    /// Extractor: who decides about a plan. Proof that they may, and that the request is not a
    /// browser form.
    Approver requires Scope::Approve
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = value.and_then(|it| it.split(';').next());
    essence.is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json"))
}
