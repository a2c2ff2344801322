//! The web configuration as written: every key optional.
//!
//! A word that is not known, or that this program cannot keep, is refused where it is read, so that
//! the message has its line.

use std::{collections::BTreeMap, fmt, marker::PhantomData, path::PathBuf, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, Visitor},
};

use super::{Cipher, ClientAuth, Curve, PasswordHash, TlsVersion};

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWeb {
    pub(super) tls_server_config: Option<RawTlsServer>,
    pub(super) http_server_config: Option<RawHttp>,
    pub(super) basic_auth_users: Option<RawUsers>,
    pub(super) rate_limit: Option<RawRate>,
}

/// `tls_server_config`.
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

/// `http_server_config`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHttp {
    #[expect(dead_code, reason = "HTTP/1.1 is spoken, which every client of the other speaks too")]
    pub(super) http2: Option<bool>,
    pub(super) headers: Option<RawHeaders>,
}

/// `rate_limit`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRate {
    pub(super) interval: Option<Word<Interval>>,
    pub(super) burst: Option<u32>,
}

/// A value that is written as one word.
pub(super) trait FromWord: Sized {
    /// What a reader expects there.
    const EXPECTED: &'static str;

    /// The value, or what is wrong with the word.
    fn from_word(word: &str) -> Result<Self, String>;
}

/// A [`FromWord`] value in the file.
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

fn choice<T: Copy>(word: &str, all: &[T], label: fn(T) -> &'static str) -> Result<T, String> {
    all.iter().copied().find(|it| label(*it) == word).ok_or_else(|| {
        let all: Vec<&str> = all.iter().map(|it| label(*it)).collect();
        format!("`{word}` is not one of {}", all.join(", "))
    })
}

impl FromWord for TlsVersion {
    const EXPECTED: &'static str = "a version, as TLS12";

    fn from_word(word: &str) -> Result<Self, String> {
        if ["TLS10", "TLS11"].contains(&word) {
            return Err(format!("`{word}` is broken and not offered here; TLS12 is the least"));
        }
        choice(word, Self::ALL, Self::label)
    }
}

impl FromWord for Cipher {
    const EXPECTED: &'static str = "a cipher suite";

    fn from_word(word: &str) -> Result<Self, String> {
        choice(word, Self::ALL, Self::label).map_err(|error| {
            format!("{error}: others have no forward secrecy or no authenticated encryption")
        })
    }
}

impl FromWord for Curve {
    const EXPECTED: &'static str = "a curve, as X25519";

    fn from_word(word: &str) -> Result<Self, String> {
        choice(word, Self::ALL, Self::label)
    }
}

impl FromWord for ClientAuth {
    const EXPECTED: &'static str = "a policy, as RequireAndVerifyClientCert";

    fn from_word(word: &str) -> Result<Self, String> {
        match word {
            "" => Ok(Self::None),
            // The toolkit's older word.
            "RequireClientCert" => Ok(Self::RequireAny),
            _ => choice(word, Self::ALL, Self::label),
        }
    }
}

impl FromWord for PasswordHash {
    const EXPECTED: &'static str = "a password as `htpasswd -nBC 10 USER` hashes it";

    // The word is a secret: no message repeats it.
    fn from_word(word: &str) -> Result<Self, String> {
        Self::new(word).map_err(|error| format!("no password hash of bcrypt: {error}"))
    }
}

/// Between two requests; `None` is without a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval(pub(super) Option<Duration>);

impl FromWord for Interval {
    const EXPECTED: &'static str = "a duration, as 100ms";

    fn from_word(word: &str) -> Result<Self, String> {
        match humantime::parse_duration(word) {
            Ok(interval) => Ok(Self((!interval.is_zero()).then_some(interval))),
            Err(_) if word == "0" => Ok(Self(None)),
            Err(error) => Err(format!("`{word}` is not a duration ({error}); write 100ms or 1s")),
        }
    }
}

/// `basic_auth_users`: name to hash.
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

/// The headers that the toolkit lets be set, and the values of those that have a list.
const HEADERS: &[(&str, &[&str])] = &[
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// The name of a header, as the toolkit spells it, with its values.
struct Header(&'static str, &'static [&'static str]);

impl FromWord for Header {
    const EXPECTED: &'static str = "the name of a header";

    fn from_word(word: &str) -> Result<Self, String> {
        choice(word, HEADERS, |it| it.0).map(|it| Self(it.0, it.1))
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

/// `http_server_config.headers`.
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
