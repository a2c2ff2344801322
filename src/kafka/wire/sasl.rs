//! SASL authentication (KIP-43, KIP-152): the `SaslHandshake` that selects a mechanism, then the
//! mechanism's own messages in `SaslAuthenticate` requests.
//!
//! The `rsasl` crate implements the mechanisms. This module carries their messages, limits what a
//! broker may ask of us, and explains refusals.
//!
//! Invariant: with SCRAM no other request is sent before the broker has proved that it knows the
//! password too.

use std::{io::Cursor, time::Duration};

use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
};
use rsasl::{
    callback::{Context, Request, SessionCallback, SessionData},
    mechanisms::scram::properties::Iterations,
    prelude::{Mechname, MessageSent, SASLClient, SASLConfig, Session, SessionError, State},
    property::{AuthId, OAuthBearerToken, Password},
};

use super::{
    AdapterContext,
    api_call::{code_name, str_bytes, truncate_message},
    connection::Connection,
    connection_error::ConnectionError,
    error_codes::{ErrorCode, ParseResponseErrorCode},
    frame,
    options::{SASL_EXCHANGES_MAX, SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN},
};
use crate::{
    model::Api,
    security::{LoadedSecurity, Mechanism, Sasl, Secret, Security},
};

/// The first version after which the mechanism's messages travel in `SaslAuthenticate` requests.
/// Brokers since 1.0 support it.
const SASL_HANDSHAKE_VERSION: i16 = 1;

/// Ends an OAUTHBEARER exchange after the server's error message (RFC 7628, 3.2.3). The broker
/// answers with the reason as a Kafka error.
const OAUTHBEARER_ABORT: &[u8] = b"\x01";

/// A mechanism with the secret to use for it.
pub(super) struct SaslLogin<'a> {
    sasl: &'a Sasl,
    secret: &'a Secret,
}

impl<'a> SaslLogin<'a> {
    /// `None` if SASL is not configured.
    pub(super) fn new(security: &'a Security, loaded: &'a LoadedSecurity) -> Option<Self> {
        Some(Self { sasl: security.sasl.as_ref()?, secret: loaded.secret.as_ref()? })
    }

    /// The mechanism and the user, for messages.
    fn describe(&self) -> String {
        let mechanism = self.sasl.mechanism();
        match self.sasl.username() {
            Some(user) => format!("{mechanism} as `{user}`"),
            None => mechanism.to_string(),
        }
    }

    /// The settings to check after a refusal.
    const fn advice(&self) -> &'static str {
        match self.sasl {
            Sasl::Plain(_) | Sasl::ScramSha256(_) | Sasl::ScramSha512(_) => {
                "check security.sasl.username and password_file"
            }
            Sasl::OAuthBearer { .. } => "check the token in security.sasl.token_file",
        }
    }
}

/// Authenticates a new connection. Returns the lifetime of the session if the broker limits it
/// (KIP-368).
pub(super) async fn authenticate(
    connection: &Connection,
    context: &AdapterContext,
    login: &SaslLogin<'_>,
) -> Result<Option<Duration>, ConnectionError> {
    let counters = &context.counters;

    let handshake = sasl_handshake(connection, context, login.sasl.mechanism()).await;
    handshake.inspect_err(|it| counters.record_failed(Api::SaslHandshake, it.failure()))?;

    let exchange = sasl_exchange(connection, context, login).await;

    exchange.inspect_err(|it| counters.record_failed(Api::SaslAuthenticate, it.failure()))
}

async fn sasl_handshake(
    connection: &Connection,
    context: &AdapterContext,
    mechanism: Mechanism,
) -> Result<(), ConnectionError> {
    let request = SaslHandshakeRequest::default().with_mechanism(str_bytes(mechanism.label()));
    context.counters.record_sent(Api::SaslHandshake);
    let frame = connection.exchange(&request, SASL_HANDSHAKE_VERSION).await?;

    let response = frame
        .get(4..)
        .and_then(HandshakeResponse::parse)
        .ok_or_else(|| ConnectionError::Malformed("truncated SaslHandshake response".to_owned()))?;
    let problem = match response.code.err() {
        None => return Ok(()),
        Some(ErrorCode::UnsupportedSaslMechanism) => format!(
            "the broker does not support {mechanism} on that port, only {}; \
             check security.sasl.mechanism",
            truncate_message(response.mechanisms.join(", "))
        ),
        Some(ErrorCode::IllegalSaslState) => {
            "the listener on that port does not use SASL; use the \
                                              port of a SASL listener, or remove security.sasl"
                .to_owned()
        }
        Some(_) => format!("SaslHandshake for {mechanism}: {}", code_name(response.code)),
    };

    Err(ConnectionError::AuthRefused(problem))
}

/// The response to `SaslHandshake`, in version 1.
#[derive(Debug, PartialEq)]
struct HandshakeResponse {
    code: i16,
    /// The mechanisms that the broker supports.
    mechanisms: Vec<String>,
}

impl HandshakeResponse {
    /// Parses an error code, a count, and that many names. Not with the codec, which would allocate
    /// whatever the count of this old version claims.
    fn parse(body: &[u8]) -> Option<Self> {
        let (code, rest) = body.split_first_chunk()?;
        let (count, mut rest) = rest.split_first_chunk()?;

        let mut mechanisms = Vec::new();
        for _ in 0..u32::from_be_bytes(*count) {
            let (length, after) = rest.split_first_chunk()?;
            let (name, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
            mechanisms.push(String::from_utf8_lossy(name).into_owned());
            rest = after;
        }

        Some(Self { code: i16::from_be_bytes(*code), mechanisms })
    }
}

/// Exchanges the mechanism's messages until both sides are done.
async fn sasl_exchange(
    connection: &Connection,
    context: &AdapterContext,
    login: &SaslLogin<'_>,
) -> Result<Option<Duration>, ConnectionError> {
    let version = connection.versions().negotiate::<SaslAuthenticateRequest>();
    let version = version.ok_or_else(|| {
        let problem = "no SaslAuthenticate version that both sides support";
        ConnectionError::Malformed(problem.to_owned())
    })?;

    let mut session = SaslSession::start(login)?;
    let mut challenge = None;
    let mut lifetime = None;
    for _ in 0..SASL_EXCHANGES_MAX {
        let Some(message) = session.step(challenge.as_deref())? else { return Ok(lifetime) };

        context.counters.record_sent(Api::SaslAuthenticate);
        let request = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
        let frame = connection.exchange(&request, version).await?;
        let response = frame::decode::<SaslAuthenticateRequest>(frame, version)
            .map_err(|error| ConnectionError::Malformed(format!("SaslAuthenticate: {error}")))?;
        if response.error_code.is_err() {
            return Err(refused(login, &response));
        }

        let lifetime_ms = u64::try_from(response.session_lifetime_ms).ok().filter(|it| *it > 0);
        lifetime = lifetime_ms.map(Duration::from_millis);
        challenge = Some(response.auth_bytes);
    }

    let mechanism = login.sasl.mechanism();

    Err(ConnectionError::Malformed(format!(
        "{mechanism}: not finished after {SASL_EXCHANGES_MAX} SaslAuthenticate requests"
    )))
}

fn refused(login: &SaslLogin<'_>, response: &SaslAuthenticateResponse) -> ConnectionError {
    let message = response.error_message.as_ref().filter(|it| !it.is_empty());
    let message = message
        .map_or_else(|| code_name(response.error_code), |it| truncate_message(it.to_string()));

    let (login, advice) = (login.describe(), login.advice());

    ConnectionError::AuthRefused(format!("{login}: the broker says: {message}; {advice}"))
}

/// The client's side of one authentication.
struct SaslSession {
    session: Session,
    mechanism: Mechanism,
    /// We have sent our last message.
    finished: bool,
}

impl SaslSession {
    fn start(login: &SaslLogin<'_>) -> Result<Self, ConnectionError> {
        let mechanism = login.sasl.mechanism();
        let callback = LoginCallback {
            username: login.sasl.username().unwrap_or_default().to_owned(),
            secret: login.secret.clone(),
        };

        let failed =
            |error: &dyn std::error::Error| ConnectionError::Malformed(format!("SASL: {error}"));
        let config = SASLConfig::builder().with_default_mechanisms().with_callback(callback);
        let config = config.map_err(|error| failed(&error))?;
        let name = Mechname::parse(mechanism.label().as_bytes()).map_err(|error| failed(&error))?;
        let session = SASLClient::new(config).start_suggested(&[name]);
        let session = session.map_err(|error| failed(&error))?;

        Ok(Self { session, mechanism, finished: false })
    }

    /// Our answer to `challenge`. `None` when nothing is left to send and, with SCRAM, the broker's
    /// proof is verified.
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<Option<Vec<u8>>, ConnectionError> {
        if self.finished {
            return Ok(None);
        }

        let challenge: Option<&[u8]> = match (self.mechanism, challenge) {
            (Mechanism::OAuthBearer, Some(reason)) if !reason.is_empty() => {
                self.finished = true;
                return Ok(Some(OAUTHBEARER_ABORT.to_vec()));
            }
            (Mechanism::ScramSha256 | Mechanism::ScramSha512, Some(message)) => {
                check_scram_attributes(message)?;
                Some(message)
            }
            (_, challenge) => challenge,
        };

        let mut answer = Cursor::new(Vec::new());
        // SCRAM hashes for a few milliseconds, once per connection.
        match self.session.step(challenge, &mut answer).map_err(|it| session_failed(&it))? {
            State::Running => {}
            State::Finished(MessageSent::Yes) => self.finished = true,
            State::Finished(MessageSent::No) => return Ok(None),
        }

        Ok(Some(answer.into_inner()))
    }
}

/// Every attribute of a SCRAM message has at least two bytes (`r=…`). The library indexes them
/// without a check.
fn check_scram_attributes(message: &[u8]) -> Result<(), ConnectionError> {
    if message.split(|it| *it == b',').all(|it| it.len() >= 2) {
        return Ok(());
    }
    Err(ConnectionError::Malformed("SaslAuthenticate: not a SCRAM message".to_owned()))
}

fn session_failed(error: &SessionError) -> ConnectionError {
    if matches!(error, SessionError::MutualAuthenticationFailed) {
        let text = "the broker accepted us without proving that it knows the password: \
                    it may not be the broker that it claims to be";
        return ConnectionError::AuthRefused(text.to_owned());
    }

    // An error before the end is about the broker's message, or about what it asks for.
    ConnectionError::AuthRefused(format!("invalid SASL message from the broker: {error}"))
}

/// Provides the library with the username and the secret.
struct LoginCallback {
    username: String,
    secret: Secret,
}

impl SessionCallback for LoginCallback {
    fn callback(
        &self,
        _: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        if let Some(iterations) = context.get_ref::<Iterations>() {
            check_iterations(*iterations)?;
        }

        request
            .satisfy::<AuthId>(&self.username)?
            .satisfy::<Password>(self.secret.reveal().as_bytes())?
            .satisfy::<OAuthBearerToken>(self.secret.reveal())?;

        Ok(())
    }
}

fn check_iterations(iterations: u32) -> Result<(), SessionError> {
    if (SCRAM_ITERATIONS_MIN..=SCRAM_ITERATIONS_MAX).contains(&iterations) {
        return Ok(());
    }

    let problem = format!(
        "it asks for {iterations} iterations of SCRAM, allowed are {SCRAM_ITERATIONS_MIN} to \
         {SCRAM_ITERATIONS_MAX}"
    );

    Err(SessionError::Boxed(problem.into()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::security::PasswordFile;

    fn session(mechanism: fn(PasswordFile) -> Sasl) -> SaslSession {
        let file = PasswordFile { username: "us,er=".to_owned(), password_file: PathBuf::new() };
        let secret = Secret::new("pencil".to_owned());
        SaslSession::start(&SaslLogin { sasl: &mechanism(file), secret: &secret }).unwrap()
    }

    fn text(message: Option<Vec<u8>>) -> String {
        String::from_utf8(message.unwrap()).unwrap()
    }

    #[test]
    fn plain_sends_one_message() {
        let mut session = session(Sasl::Plain);
        assert_eq!(text(session.step(None).unwrap()), "\0us,er=\0pencil");
        assert_eq!(session.step(Some(b"")).unwrap(), None);
    }

    #[test]
    fn a_token_is_sent_as_in_rfc_7628_and_an_error_message_is_acknowledged() {
        let sasl = Sasl::OAuthBearer { token_file: PathBuf::new() };
        let secret = Secret::new("a.b.c".to_owned());
        let login = SaslLogin { sasl: &sasl, secret: &secret };
        let first = "n,,\x01auth=Bearer a.b.c\x01\x01";

        let mut accepted = SaslSession::start(&login).unwrap();

        assert_eq!(text(accepted.step(None).unwrap()), first);
        assert_eq!(accepted.step(Some(b"")).unwrap(), None);

        let mut refused = SaslSession::start(&login).unwrap();
        assert_eq!(text(refused.step(None).unwrap()), first);
        let reason = br#"{"status":"invalid_token"}"#;
        assert_eq!(text(refused.step(Some(reason)).unwrap()), "\x01");
        assert_eq!(refused.step(Some(b"")).unwrap(), None);
    }

    /// Our answer to `challenge`, in which `NONCE` stands for our nonce.
    fn scram_answer(challenge: &str) -> Result<Option<Vec<u8>>, ConnectionError> {
        let mut session = session(Sasl::ScramSha256);
        let first = text(session.step(None).unwrap());
        let nonce = first.strip_prefix("n,,n=us=2Cer=3D,r=").expect("escaped, no channel binding");
        session.step(Some(challenge.replace("NONCE", nonce).as_bytes()))
    }

    #[test]
    fn scram_answers_only_valid_challenges() {
        let valid = "r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

        assert!(text(scram_answer(valid).unwrap()).starts_with("c=biws,r="));

        for (challenge, want) in [
            ("r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095", "iterations"),
            ("r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=65537", "iterations"),
            ("r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4294967296", "iteration"),
            ("r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0", "iteration"),
            ("r=NONCE,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"),
            ("r=theirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"),
            ("m=x,r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "extension"),
            ("r=NONCEtheirs,s=*,i=4096", "base64"),
            ("", "not a SCRAM message"),
            ("r=NONCEtheirs", "missing"),
            ("r=NONCEtheirs,,", "not a SCRAM message"),
            ("r=NONCEtheirs,s=,i", "not a SCRAM message"),
        ] {
            let error = scram_answer(challenge).expect_err(challenge);
            let shown = format!("{error:?}");
            assert!(shown.contains(want), "{challenge}: {shown}");
        }
    }

    #[test]
    fn a_truncated_handshake_response_is_rejected() {
        let complete = b"\0\x21\0\0\0\x02\0\x05PLAIN\0\x0dSCRAM-SHA-256";
        let response = HandshakeResponse::parse(complete).unwrap();

        assert_eq!(response.code, 33);
        assert_eq!(response.mechanisms, ["PLAIN", "SCRAM-SHA-256"]);

        for end in 0..complete.len() {
            assert_eq!(HandshakeResponse::parse(&complete[..end]), None, "{end}");
        }

        let billions = b"\0\0\xff\xff\xff\xff\0\x01a";
        assert_eq!(HandshakeResponse::parse(billions), None, "4 billion names");
    }
}
