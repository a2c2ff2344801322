//! Proves to a broker who we are (KIP-43, KIP-152): which mechanism, then its messages to and fro.
//!
//! What a mechanism says is made by `rsasl`; here are the requests that carry it, the bounds on
//! what a broker may ask of us, and what its refusals mean.
//!
//! Invariant: with SCRAM nothing else is sent before the broker has proved that it knows the
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
    call::{shortened, text},
    connection::Connection,
    connection_error::ConnectionError,
    error_codes, frame,
    options::{SASL_EXCHANGES_MAX, SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN},
};
use crate::{
    kafka::Api,
    security::{LoadedSecurity, Mechanism, Sasl, Secret, Security},
};

/// The first version in which the mechanism's messages travel in requests of their own; brokers
/// since 1.0 know it.
const SASL_HANDSHAKE: i16 = 1;

/// Ends an exchange that the broker has refused with a message of the mechanism (RFC 7628, 3.2.3):
/// its answer is the refusal in Kafka's words.
const GIVE_UP: &[u8] = b"\x01";

/// How we prove who we are, with the secret itself.
pub(super) struct Login<'a> {
    sasl: &'a Sasl,
    secret: &'a Secret,
}

impl<'a> Login<'a> {
    /// `None` where there is no SASL.
    pub(super) fn new(security: &'a Security, material: &'a LoadedSecurity) -> Option<Self> {
        Some(Self { sasl: security.sasl.as_ref()?, secret: material.secret.as_ref()? })
    }

    /// Who and how, for a message.
    fn describe(&self) -> String {
        let mechanism = self.sasl.mechanism();
        match self.sasl.username() {
            Some(user) => format!("{mechanism} as `{user}`"),
            None => mechanism.to_string(),
        }
    }

    const fn advice(&self) -> &'static str {
        match self.sasl {
            Sasl::Plain(_) | Sasl::ScramSha256(_) | Sasl::ScramSha512(_) => {
                "look at security.sasl.username and password_file"
            }
            Sasl::OAuthBearer { .. } => "look at the token in security.sasl.token_file",
        }
    }
}

/// Proves who we are. Returns how long the broker believes it, where it says so (KIP-368).
pub(super) async fn authenticate(
    connection: &Connection,
    common: &AdapterContext,
    login: &Login<'_>,
) -> Result<Option<Duration>, ConnectionError> {
    let chosen = choose(connection, common, login.sasl.mechanism()).await;
    chosen.inspect_err(|it| common.counts.failed(Api::SaslHandshake, it.fault()))?;
    let proved = sasl_exchange(connection, common, login).await;
    proved.inspect_err(|it| common.counts.failed(Api::SaslAuthenticate, it.fault()))
}

async fn choose(
    connection: &Connection,
    common: &AdapterContext,
    mechanism: Mechanism,
) -> Result<(), ConnectionError> {
    let request = SaslHandshakeRequest::default().with_mechanism(text(mechanism.label()));
    common.counts.sent(Api::SaslHandshake);
    let frame = connection.exchange(&request, SASL_HANDSHAKE).await?;
    let (code, offered) = frame.get(4..).and_then(offer).ok_or_else(|| {
        ConnectionError::Malformed("an answer to SaslHandshake that ends early".to_owned())
    })?;
    match code {
        error_codes::NONE => Ok(()),
        error_codes::UNSUPPORTED_SASL_MECHANISM => Err(ConnectionError::AuthRefused(format!(
            "the broker does not offer {mechanism} but {}; look at security.sasl.mechanism",
            shortened(offered.join(", "))
        ))),
        error_codes::ILLEGAL_SASL_STATE => Err(ConnectionError::AuthRefused(
            "the listener on that port has no SASL; use another port, or leave out security.sasl"
                .to_owned(),
        )),
        code => Err(ConnectionError::AuthRefused(format!(
            "SaslHandshake for {mechanism}: error {code}"
        ))),
    }
}

/// Reads the error, a count, and so many names. By hand, because the codec would reserve room for
/// whatever the count of this old version claims.
fn offer(body: &[u8]) -> Option<(i16, Vec<String>)> {
    let (code, rest) = body.split_first_chunk()?;
    let (count, mut rest) = rest.split_first_chunk()?;
    let mut names = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk()?;
        let (name, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
        names.push(String::from_utf8_lossy(name).into_owned());
        rest = after;
    }
    Some((i16::from_be_bytes(*code), names))
}

async fn sasl_exchange(
    connection: &Connection,
    common: &AdapterContext,
    login: &Login<'_>,
) -> Result<Option<Duration>, ConnectionError> {
    let version = connection.versions().agree::<SaslAuthenticateRequest>();
    let version = version.ok_or_else(|| {
        ConnectionError::Malformed("no version of SaslAuthenticate in common".to_owned())
    })?;
    let mut proof = SaslSession::begin(login)?;
    let (mut challenge, mut lifetime) = (None, None);
    for _ in 0..SASL_EXCHANGES_MAX {
        let Some(said) = proof.answer(challenge.as_deref())? else { return Ok(lifetime) };
        common.counts.sent(Api::SaslAuthenticate);
        let request = SaslAuthenticateRequest::default().with_auth_bytes(said.into());
        let frame = connection.exchange(&request, version).await?;
        let answer = frame::decode::<SaslAuthenticateRequest>(frame, version)
            .map_err(|it| ConnectionError::Malformed(format!("SaslAuthenticate: {it}")))?;
        if answer.error_code != error_codes::NONE {
            return Err(refused(login, &answer));
        }
        let milliseconds = u64::try_from(answer.session_lifetime_ms).ok().filter(|it| 0 < *it);
        lifetime = milliseconds.map(Duration::from_millis);
        challenge = Some(answer.auth_bytes);
    }
    Err(ConnectionError::Malformed(format!(
        "{}: the broker asks without end",
        login.sasl.mechanism()
    )))
}

fn refused(login: &Login<'_>, answer: &SaslAuthenticateResponse) -> ConnectionError {
    let code = answer.error_code;
    let words = answer.error_message.as_ref().filter(|it| !it.is_empty());
    let words = words.map_or_else(|| format!("error {code}"), |it| shortened(it.to_string()));
    ConnectionError::AuthRefused(format!(
        "{}: the broker says: {words}; {}",
        login.describe(),
        login.advice()
    ))
}

/// Our side of one exchange.
struct SaslSession {
    session: Session,
    mechanism: Mechanism,
    over: bool,
}

impl SaslSession {
    fn begin(login: &Login<'_>) -> Result<Self, ConnectionError> {
        let mechanism = login.sasl.mechanism();
        let answers = Answers {
            username: login.sasl.username().unwrap_or_default().to_owned(),
            secret: login.secret.clone(),
        };
        let failed =
            |error: &dyn std::error::Error| ConnectionError::Malformed(format!("SASL: {error}"));
        let config = SASLConfig::builder().with_default_mechanisms().with_callback(answers);
        let config = config.map_err(|error| failed(&error))?;
        let name = Mechname::parse(mechanism.label().as_bytes()).map_err(|error| failed(&error))?;
        let session = SASLClient::new(config).start_suggested(&[name]);
        let session = session.map_err(|error| failed(&error))?;
        Ok(Self { session, mechanism, over: false })
    }

    /// What we say to `challenge`; `None` when all is said and, with SCRAM, the broker's proof has
    /// been verified.
    fn answer(&mut self, challenge: Option<&[u8]>) -> Result<Option<Vec<u8>>, ConnectionError> {
        if self.over {
            return Ok(None);
        }
        let challenge: Option<&[u8]> = match (self.mechanism, challenge) {
            (Mechanism::OAuthBearer, Some(reason)) if !reason.is_empty() => {
                self.over = true;
                return Ok(Some(GIVE_UP.to_vec()));
            }
            (Mechanism::ScramSha256 | Mechanism::ScramSha512, Some(message)) => {
                attributes_are_whole(message)?;
                Some(message)
            }
            (_, challenge) => challenge,
        };
        let mut said = Cursor::new(Vec::new());
        // A few milliseconds of hashing with SCRAM, once a connection.
        match self.session.step(challenge, &mut said).map_err(|it| distrust(&it))? {
            State::Running => {}
            State::Finished(MessageSent::Yes) => self.over = true,
            State::Finished(MessageSent::No) => return Ok(None),
        }
        Ok(Some(said.into_inner()))
    }
}

/// The library takes the first two bytes of each attribute for granted.
fn attributes_are_whole(message: &[u8]) -> Result<(), ConnectionError> {
    if message.split(|it| *it == b',').all(|it| 2 <= it.len()) {
        return Ok(());
    }
    Err(ConnectionError::Malformed("SaslAuthenticate: not a message of SCRAM".to_owned()))
}

fn distrust(error: &SessionError) -> ConnectionError {
    if matches!(error, SessionError::MutualAuthenticationFailed) {
        let text = "the broker let us in without proving that it knows the password: \
                    it may not be the broker that it seems to be";
        return ConnectionError::AuthRefused(text.to_owned());
    }
    // What goes wrong before the end is the broker's message, or what it asks for.
    ConnectionError::AuthRefused(format!("what the broker says makes no sense: {error}"))
}

/// Answers what the library asks.
struct Answers {
    username: String,
    secret: Secret,
}

impl SessionCallback for Answers {
    fn callback(
        &self,
        _: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        if let Some(iterations) = context.get_ref::<Iterations>() {
            bearable(*iterations)?;
        }
        request
            .satisfy::<AuthId>(&self.username)?
            .satisfy::<Password>(self.secret.reveal().as_bytes())?
            .satisfy::<OAuthBearerToken>(self.secret.reveal())?;
        Ok(())
    }
}

fn bearable(iterations: u32) -> Result<(), SessionError> {
    if (SCRAM_ITERATIONS_MIN..=SCRAM_ITERATIONS_MAX).contains(&iterations) {
        return Ok(());
    }
    let words = format!(
        "it asks for {iterations} iterations of SCRAM, where {SCRAM_ITERATIONS_MIN} to \
         {SCRAM_ITERATIONS_MAX} are allowed"
    );
    Err(SessionError::Boxed(words.into()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::security::PasswordFile;

    fn proof_with(mechanism: fn(PasswordFile) -> Sasl) -> SaslSession {
        let file = PasswordFile { username: "us,er=".to_owned(), password_file: PathBuf::new() };
        let secret = Secret::new("pencil".to_owned());
        SaslSession::begin(&Login { sasl: &mechanism(file), secret: &secret }).unwrap()
    }

    fn text_of(said: Option<Vec<u8>>) -> String {
        String::from_utf8(said.unwrap()).unwrap()
    }

    #[test]
    fn plain_is_said_once() {
        let mut proof = proof_with(Sasl::Plain);
        assert_eq!(text_of(proof.answer(None).unwrap()), "\0us,er=\0pencil");
        assert_eq!(proof.answer(Some(b"")).unwrap(), None);
    }

    #[test]
    fn a_token_is_said_as_rfc_7628_wants_it_and_a_refusal_is_acknowledged() {
        let sasl = Sasl::OAuthBearer { token_file: PathBuf::new() };
        let secret = Secret::new("a.b.c".to_owned());
        let login = Login { sasl: &sasl, secret: &secret };
        let first = "n,,\x01auth=Bearer a.b.c\x01\x01";
        let mut accepted = SaslSession::begin(&login).unwrap();
        assert_eq!(text_of(accepted.answer(None).unwrap()), first);
        assert_eq!(accepted.answer(Some(b"")).unwrap(), None);
        let mut refused = SaslSession::begin(&login).unwrap();
        assert_eq!(text_of(refused.answer(None).unwrap()), first);
        let reason = br#"{"status":"invalid_token"}"#;
        assert_eq!(text_of(refused.answer(Some(reason)).unwrap()), "\x01");
        assert_eq!(refused.answer(Some(b"")).unwrap(), None);
    }

    /// Answers our first message with `message`, in which `NONCE` is ours.
    fn scram_said(message: &str) -> Result<Option<Vec<u8>>, ConnectionError> {
        let mut proof = proof_with(Sasl::ScramSha256);
        let first = text_of(proof.answer(None).unwrap());
        let nonce = first.strip_prefix("n,,n=us=2Cer=3D,r=").expect("escaped, no channel binding");
        proof.answer(Some(message.replace("NONCE", nonce).as_bytes()))
    }

    #[test]
    fn scram_answers_a_sound_challenge_and_nothing_else() {
        let sound = "r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert!(text_of(scram_said(sound).unwrap()).starts_with("c=biws,r="));
        for (challenge, word) in [
            ("r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095", "iterations"),
            ("r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=65537", "iterations"),
            ("r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4294967296", "iteration"),
            ("r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0", "iteration"),
            ("r=NONCE,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"),
            ("r=theirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"),
            ("m=x,r=NONCEtheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "extension"),
            ("r=NONCEtheirs,s=*,i=4096", "base64"),
            ("", "not a message of SCRAM"),
            ("r=NONCEtheirs", "missing"),
            ("r=NONCEtheirs,,", "not a message of SCRAM"),
            ("r=NONCEtheirs,s=,i", "not a message of SCRAM"),
        ] {
            let ending = scram_said(challenge).expect_err(challenge);
            let words = format!("{ending:?}");
            assert!(words.contains(word), "{challenge}: {words}");
        }
    }

    #[test]
    fn what_a_broker_offers_is_read_whole_or_not_at_all() {
        let whole = b"\0\x21\0\0\0\x02\0\x05PLAIN\0\x0dSCRAM-SHA-256";
        let (code, names) = offer(whole).unwrap();
        assert_eq!((code, names), (33, vec!["PLAIN".to_owned(), "SCRAM-SHA-256".to_owned()]));
        for end in 0..whole.len() {
            assert!(offer(&whole[..end]).is_none(), "{end}");
        }
        assert!(offer(b"\0\0\xff\xff\xff\xff\0\x01a").is_none(), "4 billion names");
    }
}
