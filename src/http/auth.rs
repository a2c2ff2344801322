//! Authorization of requests that change state (I9). They need the token, or a client certificate
//! named in the configuration; on loopback too, because a browser on the same machine can post
//! there.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Inner, error::ApiError, web::VerifiedClient};
use crate::config::Secret;

/// Extractor: proof that the client may change state, and that the request is not a browser form.
#[derive(Debug)]
pub(super) struct WriteAccess(());

impl FromRequestParts<Arc<Inner>> for WriteAccess {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, inner: &Arc<Inner>) -> Result<Self, ApiError> {
        let settings = inner.state.settings();
        let client = parts.extensions.get::<VerifiedClient>();
        if !client.is_some_and(|it| it.has_any_san(&settings.client_sans)) {
            require_token(&parts.headers, settings.token.as_ref())?;
        }

        // A form cannot send this content type, and a script of another origin needs a preflight.
        if !is_json(&parts.headers) {
            let advice = "send `Content-Type: application/json`";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, advice));
        }

        Ok(Self(()))
    }
}

fn require_token(headers: &HeaderMap, token: Option<&Secret>) -> Result<(), ApiError> {
    let Some(token) = token else {
        let advice = "no token is configured: set remediation.token_file, and send the token as \
                      `Authorization: Bearer …`";
        return Err(ApiError::new(StatusCode::FORBIDDEN, advice));
    };

    if bearer(headers).is_none() {
        let advice = "send the token as `Authorization: Bearer …`";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, advice));
    }

    if !has_token(headers, token) {
        let advice = "the token is not the one in remediation.token_file";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, advice));
    }

    Ok(())
}

pub(super) fn has_token(headers: &HeaderMap, token: &Secret) -> bool {
    bearer(headers).is_some_and(|it| same(it, token.reveal().as_bytes()))
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Compares digests, so that the time depends on neither content nor length.
fn same(presented: &[u8], token: &[u8]) -> bool {
    Sha256::digest(presented).ct_eq(&Sha256::digest(token)).into()
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = value.and_then(|it| it.split(';').next());
    essence.is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json"))
}
