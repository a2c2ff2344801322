//! Who may speak (I9). A handler that changes state takes a [`WriteAccess`], and there is none without
//! the token or a client certificate that is named in the configuration, on loopback too: a browser
//! on the same machine can post there.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Inner, error::ApiError, web::VerifiedClient};
use crate::config::Secret;

/// Proof that the request came from who may change state and that no browser form sent it.
#[derive(Debug)]
pub(super) struct WriteAccess(());

impl FromRequestParts<Arc<Inner>> for WriteAccess {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, inner: &Arc<Inner>) -> Result<Self, ApiError> {
        let peer = parts.extensions.get::<VerifiedClient>();
        if !peer.is_some_and(|it| it.is_one_of(&inner.state.client_sans)) {
            presents_token(&parts.headers, inner.state.token.as_ref())?;
        }
        // Forms cannot send this type, and scripts of other origins must ask first.
        if !is_json(&parts.headers) {
            let advice = "send `Content-Type: application/json`";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, advice));
        }
        Ok(Self(()))
    }
}

fn presents_token(headers: &HeaderMap, token: Option<&Secret>) -> Result<(), ApiError> {
    let Some(token) = token else {
        let advice = "no token is configured: set remediation.token_file, and send its content as \
                      `Authorization: Bearer …`";
        return Err(ApiError::new(StatusCode::FORBIDDEN, advice));
    };
    if bearer(headers).is_none() {
        let advice = "send the token as `Authorization: Bearer …`";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, advice));
    }
    if !carry(headers, token) {
        let advice = "the token is not the one of remediation.token_file";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, advice));
    }
    Ok(())
}

/// Whether the headers carry the token.
pub(super) fn carry(headers: &HeaderMap, token: &Secret) -> bool {
    bearer(headers).is_some_and(|it| same(it, token.reveal().as_bytes()))
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// In constant time, for tokens of any two lengths: digests have one length.
fn same(presented: &[u8], token: &[u8]) -> bool {
    Sha256::digest(presented).ct_eq(&Sha256::digest(token)).into()
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = value.and_then(|it| it.split(';').next());
    essence.is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json"))
}
