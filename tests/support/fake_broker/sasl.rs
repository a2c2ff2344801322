//! The broker's side of SASL, written for the tests only. It shares no code with the client it
//! tests, and is tested with the example of RFC 7677.

use std::num::NonZeroU32;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use kafka_protocol::{
    messages::{
        ApiKey, RequestHeader, SaslAuthenticateRequest, SaslAuthenticateResponse,
        SaslHandshakeRequest, SaslHandshakeResponse,
    },
    protocol::StrBytes,
};
use ring::{digest, hmac, pbkdf2};

use super::answers::DecodedRequest;

const UNSUPPORTED_MECHANISM: i16 = 33;
const FAILED: i16 = 58;
const MECHANISM: &str = "SCRAM-SHA-256";
const ITERATIONS: u32 = 4_096;
const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

/// The broker requires SCRAM-SHA-256 with this password.
#[derive(Clone, Debug)]
pub(crate) struct FakeSasl {
    pub(crate) password: &'static str,
    pub(crate) trick: SaslTrick,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum SaslTrick {
    #[default]
    Nothing,
    /// Accepts the right password without proving that it knows it.
    Bluff,
    /// Sends this instead of its first message; `NONCE` becomes the client's nonce.
    Challenge(String),
    /// Sends this instead of its last message.
    Last(String),
    /// Session lifetime in milliseconds.
    Session(i64),
}

#[derive(Debug, Default)]
pub(super) struct FakeSaslSession {
    begun: Option<ScramStart>,
    open: bool,
}

#[derive(Debug)]
struct ScramStart {
    client_first: String,
    server_first: String,
}

/// What to do with a request during authentication.
pub(super) enum SaslStep {
    /// It is processed like any other.
    Normal,
    /// It belongs to the authentication; this is the response.
    Authentication(Vec<u8>),
    /// The client is not authenticated: like Kafka, the broker closes the connection.
    Close,
}

impl FakeSaslSession {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the codec's list, not ours")]
    pub(super) fn pass(
        &mut self,
        sasl: Option<&FakeSasl>,
        header: &RequestHeader,
        body: &Bytes,
    ) -> SaslStep {
        let Some(sasl) = sasl else { return SaslStep::Normal };
        let on = DecodedRequest { header, body: body.clone() };

        match ApiKey::try_from(header.request_api_key).unwrap() {
            ApiKey::SaslHandshake => SaslStep::Authentication(on.answer(|it| Self::handshake(&it))),
            ApiKey::SaslAuthenticate => {
                SaslStep::Authentication(on.answer(|it| self.authenticate(sasl, &it)))
            }
            ApiKey::ApiVersions => SaslStep::Normal,
            _ if self.open => SaslStep::Normal,
            _ => SaslStep::Close,
        }
    }

    fn handshake(request: &SaslHandshakeRequest) -> SaslHandshakeResponse {
        let known = request.mechanism.as_str() == MECHANISM;
        let code = if known { 0 } else { UNSUPPORTED_MECHANISM };
        let offered = vec![StrBytes::from_static_str(MECHANISM)];

        SaslHandshakeResponse::default().with_error_code(code).with_mechanisms(offered)
    }

    fn authenticate(
        &mut self,
        sasl: &FakeSasl,
        request: &SaslAuthenticateRequest,
    ) -> SaslAuthenticateResponse {
        let said = String::from_utf8(request.auth_bytes.to_vec()).unwrap();
        let answer = SaslAuthenticateResponse::default();
        let lifetime = if let SaslTrick::Session(it) = sasl.trick { it } else { 0 };

        match self.say(sasl, &said) {
            Some(words) => answer.with_auth_bytes(words.into()).with_session_lifetime_ms(lifetime),
            None => answer
                .with_error_code(FAILED)
                .with_error_message(Some(StrBytes::from_static_str("invalid credentials"))),
        }
    }

    fn say(&mut self, sasl: &FakeSasl, said: &str) -> Option<String> {
        let Some(begun) = self.begun.take() else {
            let client_first = said.strip_prefix("n,,").expect("no channel binding").to_owned();
            let nonce = attribute(&client_first, "r=");
            let server_first = if let SaslTrick::Challenge(words) = &sasl.trick {
                words.replace("NONCE", nonce)
            } else {
                format!("r={nonce}{NONCE},s={SALT},i={ITERATIONS}")
            };
            self.begun = Some(ScramStart { client_first, server_first: server_first.clone() });
            return Some(server_first);
        };
        let (without_proof, proof) = said.rsplit_once(",p=").unwrap();
        let message = format!("{},{},{without_proof}", begun.client_first, begun.server_first);
        let (wanted, signature) = scram(sasl.password, ITERATIONS, &message);

        if proof != wanted {
            return None;
        }

        self.open = true;

        Some(match &sasl.trick {
            SaslTrick::Bluff => format!("v={}", scram("guessed", ITERATIONS, &message).1),
            SaslTrick::Last(words) => words.clone(),
            SaslTrick::Nothing | SaslTrick::Challenge(_) | SaslTrick::Session(_) => {
                format!("v={signature}")
            }
        })
    }
}

fn attribute<'a>(message: &'a str, name: &str) -> &'a str {
    message.split(',').find_map(|it| it.strip_prefix(name)).unwrap()
}

/// The client's proof and the broker's signature (RFC 5802, 3).
fn scram(password: &str, iterations: u32, message: &str) -> (String, String) {
    let salt = BASE64.decode(SALT).unwrap();
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    let iterations = NonZeroU32::new(iterations).unwrap();
    let password = password.as_bytes();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password, &mut salted);
    let sign = |key: &[u8], what: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), what);
    let client_key = sign(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let signed = sign(stored_key.as_ref(), message.as_bytes());
    let proof: Vec<u8> =
        client_key.as_ref().iter().zip(signed.as_ref()).map(|(key, sign)| key ^ sign).collect();
    let server_key = sign(&salted, b"Server Key");
    let signature = sign(server_key.as_ref(), message.as_bytes());

    (BASE64.encode(proof), BASE64.encode(signature))
}

#[test]
fn the_fake_broker_computes_the_example_of_rfc_7677() {
    let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                   r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                   s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                   c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let (proof, signature) = scram("pencil", 4_096, message);

    assert_eq!(proof, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    assert_eq!(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}
