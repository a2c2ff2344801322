//! The web configuration as parsed: every key optional.
//!
//! Unknown or unsupported values are rejected while parsing, so that the message has their line.

use std::{collections::BTreeMap, fmt, marker::PhantomData, path::PathBuf, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, Visitor},
};

use super::{super::raw::present_or_default, Cipher, ClientAuth, Curve, PasswordHash, TlsVersion};
use crate::model::ClosedList;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWeb {
    #[serde(default, deserialize_with = "present_or_default")]
    pub(super) tls_server_config: Option<RawTlsServer>,
    pub(super) http_server_config: Option<RawHttp>,
    pub(super) basic_auth_users: Option<RawUsers>,
    pub(super) rate_limit: Option<RawRate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTlsServer {
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) client_auth_type: Option<Word<ClientAuth>>,
    pub(super) client_ca_file: Option<PathBuf>,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) min_version: Option<Word<TlsVersion>>,
    pub(super) max_version: Option<Word<TlsVersion>>,
    pub(super) cipher_suites: Option<Vec<Word<Cipher>>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
    pub(super) curve_preferences: Option<Vec<Word<Curve>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp {
    #[expect(dead_code, reason = "accepted for compatibility; the server only speaks HTTP/1.1")]
    pub(super) http2: Option<bool>,
    pub(super) headers: Option<RawHeaders>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRate {
    pub(super) interval: Option<Word<Interval>>,
    pub(super) burst: Option<u32>,
}

/// A value that is parsed from one string.
pub(super) trait FromWord: Sized {
    /// For serde's message: what the file must contain here.
    const EXPECTED: &'static str;

    /// Parses `word`; the error says what is wrong with it.
    fn from_word(word: &str) -> Result<Self, String>;
}

/// Deserializes a [`FromWord`] value.
#[derive(Clone, Debug)]
pub(super) struct Word<T>(pub(super) T);

impl<'de, T: FromWord> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneWord<T>(PhantomData<T>);

        impl<T: FromWord> Visitor<'_> for OneWord<T> {
            type Value = Word<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Word<T>, E> {
                T::from_word(word).map(Word).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(OneWord(PhantomData))
    }
}

fn choice<T: ClosedList>(word: &str) -> Result<T, String> {
    T::from_label(word).ok_or_else(|| {
        let labels: Vec<&str> = T::ALL.iter().map(|it| it.label()).collect();
        format!("`{word}` is not one of {}", labels.join(", "))
    })
}

impl FromWord for TlsVersion {
    const EXPECTED: &'static str = "a TLS version, such as TLS12";

    fn from_word(word: &str) -> Result<Self, String> {
        if ["TLS10", "TLS11"].contains(&word) {
            return Err(format!("`{word}` is insecure and not supported; the minimum is TLS12"));
        }

        choice(word)
    }
}

impl FromWord for Cipher {
    const EXPECTED: &'static str = "a cipher suite";

    fn from_word(word: &str) -> Result<Self, String> {
        choice(word).map_err(|error| {
            format!("{error}: other suites lack forward secrecy or authenticated encryption")
        })
    }
}

impl FromWord for Curve {
    const EXPECTED: &'static str = "a curve, such as X25519";

    fn from_word(word: &str) -> Result<Self, String> {
        choice(word)
    }
}

impl FromWord for ClientAuth {
    const EXPECTED: &'static str = "a client auth type, such as RequireAndVerifyClientCert";

    fn from_word(word: &str) -> Result<Self, String> {
        match word {
            "" => Ok(Self::None),
            // The exporter toolkit's older name.
            "RequireClientCert" => Ok(Self::RequireAny),
            _ => choice(word),
        }
    }
}

impl FromWord for PasswordHash {
    const EXPECTED: &'static str = "a password hash as printed by `htpasswd -nBC 10 USER`";

    // The hash is a secret: no message contains it.
    fn from_word(word: &str) -> Result<Self, String> {
        Self::new(word).map_err(|error| format!("not a bcrypt hash: {error}"))
    }
}

/// Time between two requests; `None` means no limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval(pub(super) Option<Duration>);

impl FromWord for Interval {
    const EXPECTED: &'static str = "a duration, such as 100ms";

    fn from_word(word: &str) -> Result<Self, String> {
        match humantime::parse_duration(word) {
            Ok(interval) => Ok(Self((!interval.is_zero()).then_some(interval))),
            Err(_) if word == "0" => Ok(Self(None)),
            Err(error) => Err(format!("`{word}` is not a duration ({error}); write 100ms or 1s")),
        }
    }
}

/// Password hashes by user name.
#[derive(Debug, Default)]
pub(super) struct RawUsers(pub(super) BTreeMap<String, PasswordHash>);

impl<'de> Deserialize<'de> for RawUsers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UsersVisitor;

        impl<'de> Visitor<'de> for UsersVisitor {
            type Value = RawUsers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("users with their hashed passwords")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<RawUsers, M::Error> {
                let mut users = BTreeMap::new();
                while let Some((name, Word(hash))) =
                    map.next_entry::<String, Word<PasswordHash>>()?
                {
                    if users.contains_key(&name) {
                        return Err(de::Error::custom(format!(
                            "duplicate entry with key `{name}`"
                        )));
                    }

                    users.insert(name, hash);
                }

                Ok(RawUsers(users))
            }
        }

        deserializer.deserialize_map(UsersVisitor)
    }
}

/// The headers that the exporter toolkit allows, and their allowed values if it restricts them.
const HEADERS: &[(&str, &[&str])] = &[
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// Name of a header and its allowed values.
struct Header(&'static str, &'static [&'static str]);

impl FromWord for Header {
    const EXPECTED: &'static str = "the name of a header";

    fn from_word(word: &str) -> Result<Self, String> {
        let header = HEADERS.iter().find(|it| it.0 == word);
        header.map(|it| Self(it.0, it.1)).ok_or_else(|| {
            let names: Vec<&str> = HEADERS.iter().map(|it| it.0).collect();
            format!("`{word}` is not one of {}", names.join(", "))
        })
    }
}

impl<'de> DeserializeSeed<'de> for Header {
    type Value = (&'static str, String);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Header {
    type Value = (&'static str, String);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a header's value")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        if !self.1.is_empty() && !self.1.contains(&value) {
            return Err(E::custom(format!("`{value}` is not one of {}", self.1.join(", "))));
        }

        if !value.bytes().all(|it| it == b' ' || it.is_ascii_graphic()) {
            return Err(E::custom("a header's value is one line of printable ASCII"));
        }

        Ok((self.0, value.to_owned()))
    }
}

/// Header values by header name.
#[derive(Debug, Default)]
pub(super) struct RawHeaders(pub(super) BTreeMap<&'static str, String>);

impl<'de> Deserialize<'de> for RawHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadersVisitor;

        impl<'de> Visitor<'de> for HeadersVisitor {
            type Value = RawHeaders;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("headers with their values")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<RawHeaders, M::Error> {
                let mut headers = BTreeMap::new();
                while let Some(Word(header)) = map.next_key::<Word<Header>>()? {
                    let (name, value) = map.next_value_seed(header)?;
                    if headers.insert(name, value).is_some() {
                        return Err(de::Error::custom(format!(
                            "duplicate entry with key `{name}`"
                        )));
                    }
                }

                Ok(RawHeaders(headers))
            }
        }

        deserializer.deserialize_map(HeadersVisitor)
    }
}
