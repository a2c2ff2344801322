//! Who may speak (I9). A handler that changes state takes a [`Speaker`], and there is none without
//! the token, on loopback too: a browser on the same machine can post there.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Inner, refused::Refused};

/// Proof that the request carried the token and that no browser form sent it.
#[derive(Debug)]
pub(super) struct Speaker(());

impl FromRequestParts<Arc<Inner>> for Speaker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, inner: &Arc<Inner>) -> Result<Self, Refused> {
        let Some(token) = &inner.state.token else {
            let advice = "no token is configured: set remediation.token_file, and send its content \
                          as `Authorization: Bearer …`";
            return Err(Refused::new(StatusCode::FORBIDDEN, advice));
        };
        let Some(presented) = bearer(&parts.headers) else {
            let advice = "send the token as `Authorization: Bearer …`";
            return Err(Refused::new(StatusCode::UNAUTHORIZED, advice));
        };
        if !same(presented, token.reveal().as_bytes()) {
            let advice = "the token is not the one of remediation.token_file";
            return Err(Refused::new(StatusCode::UNAUTHORIZED, advice));
        }
        // Forms cannot send this type, and scripts of other origins must ask first.
        if !is_json(&parts.headers) {
            let advice = "send `Content-Type: application/json`";
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, advice));
        }
        Ok(Self(()))
    }
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
