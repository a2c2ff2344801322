//! `basic_auth_users`: verifies passwords.
//!
//! A bcrypt check takes about 80 ms of a core. So a verified password is cached, as a digest with a
//! salt of this process; few checks run at once (the caller's semaphore), on blocking threads. An
//! unknown user name takes as long as a known one.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::config::{Secret, web::PasswordHash};

/// How long a request waits for its password check to start.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Salt and hash that unknown user names are checked against; no password has this hash.
const DUMMY_HASH: &str = "aQ3vYkz8Uo1rWm5LtXb2cuHL9s7WhOmpjHQcOT7w0zt6EvkZ1Yuka";
/// Cost of the dummy hash if there are no users.
const COST_DEFAULT: u32 = 10;

/// User name and password of a request.
pub(super) struct BasicCredentials {
    name: String,
    password: Secret,
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicCredentials(..)")
    }
}

impl BasicCredentials {
    /// `None` without a well-formed `Authorization: Basic …`.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, word) = value.split_at_checked(b"basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }

        let text = String::from_utf8(STANDARD.decode(word.trim_ascii()).ok()?).ok()?;
        let (name, password) = text.split_once(':')?;

        Some(Self { name: name.to_owned(), password: Secret::new(password.to_owned()) })
    }
}

/// Too many passwords are waiting to be checked.
#[derive(Debug)]
pub(super) struct Busy;

/// The users and their password hashes.
#[derive(Debug, Default)]
pub(super) struct Users {
    hashes: BTreeMap<String, PasswordHash>,
    dummy: Option<PasswordHash>,
    salt: [u8; 32],
    /// The digest of each user's last verified password.
    verified: Mutex<HashMap<String, [u8; 32]>>,
}

impl Users {
    pub(super) fn new(hashes: BTreeMap<String, PasswordHash>) -> Self {
        let cost = hashes.values().map(PasswordHash::cost).max().unwrap_or(COST_DEFAULT);
        let dummy = PasswordHash::new(&format!("$2y${cost:02}${DUMMY_HASH}")).ok();
        Self { hashes, dummy, salt: rand::random(), verified: Mutex::default() }
    }

    /// If there are no users, everyone may read.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether the user exists and the password is right. `checks` limits how many run at once.
    pub(super) async fn verify(
        &self,
        credentials: BasicCredentials,
        checks: &Arc<Semaphore>,
    ) -> Result<bool, Busy> {
        let Some(hash) = self.hash_for(&credentials.name) else { return Ok(false) };
        let digest = self.digest(&credentials, hash);
        if self.is_verified(&credentials.name, &digest) {
            return Ok(true);
        }

        let waiting = tokio::time::timeout(WAIT_MAX, Arc::clone(checks).acquire_owned());
        let Ok(Ok(permit)) = waiting.await else { return Err(Busy) };

        // A request before this one may have verified the same password.
        if self.is_verified(&credentials.name, &digest) {
            return Ok(true);
        }

        let (password, hash) = (credentials.password, hash.clone());
        let check = spawn_blocking(move || {
            // Held until the work is done, even if the client disconnects before.
            let _permit = permit;
            bcrypt::verify(password.reveal(), hash.reveal()).unwrap_or(false)
        });

        let known = self.hashes.contains_key(&credentials.name);
        let verified = check.await.is_ok_and(|it| it) && known;
        if verified {
            let mut all = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(credentials.name, digest);
        }

        Ok(verified)
    }

    /// The hash to check against: a dummy for an unknown `name`.
    fn hash_for(&self, name: &str) -> Option<&PasswordHash> {
        self.hashes.get(name).or(self.dummy.as_ref())
    }

    fn is_verified(&self, name: &str, digest: &[u8; 32]) -> bool {
        let all = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).is_some_and(|it| it == digest)
    }

    fn digest(&self, credentials: &BasicCredentials, hash: &PasswordHash) -> [u8; 32] {
        // The hash has a fixed length, so the concatenation is unambiguous.
        Sha256::new()
            .chain_update(self.salt)
            .chain_update(hash.reveal())
            .chain_update(credentials.password.reveal())
            .finalize()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(cost: u32) -> Users {
        let hash = bcrypt::hash("right", cost).unwrap();
        Users::new(BTreeMap::from([("prometheus".to_owned(), PasswordHash::new(&hash).unwrap())]))
    }

    fn login(name: &str, password: &str) -> BasicCredentials {
        BasicCredentials { name: name.to_owned(), password: Secret::new(password.to_owned()) }
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_is_verified() {
        let (users, checks) = (users(4), Arc::new(Semaphore::new(1)));
        let mut answers = Vec::new();
        for (name, password) in
            [("prometheus", "right"), ("prometheus", "wrong"), ("nobody", "right"), ("", "")]
        {
            answers.push(users.verify(login(name, password), &checks).await.unwrap());
        }

        assert_eq!(answers, [true, false, false, false]);
    }

    #[tokio::test]
    async fn a_verified_password_is_cached_and_a_wrong_one_is_not() {
        let (users, checks) = (users(4), Arc::new(Semaphore::new(1)));
        assert!(users.verify(login("prometheus", "right"), &checks).await.unwrap());

        // From here on no check can run.
        checks.close();
        assert!(users.verify(login("prometheus", "right"), &checks).await.unwrap());
        for (name, password) in [("prometheus", "wrong"), ("nobody", "right")] {
            assert!(users.verify(login(name, password), &checks).await.is_err(), "{name}");
        }

        assert_eq!(users.verified.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_unknown_user_costs_as_much_as_a_known_one() {
        let users = users(8);
        assert_eq!(users.hash_for("nobody").unwrap().cost(), 8);

        // It must be a valid hash: an error would return at once.
        let dummy = users.hash_for("nobody").unwrap().reveal();

        assert!(!bcrypt::verify("wrong", dummy).unwrap());
    }

    #[test]
    fn credentials_are_read_as_browsers_and_prometheus_send_them() {
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            BasicCredentials::from_headers(&headers)
                .map(|it| (it.name, it.password.reveal().to_owned()))
        };

        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));

        assert_eq!(of("Basic YTpi"), pair("a", "b"));
        assert_eq!(of("basic YTpiOmM="), pair("a", "b:c"));
        assert_eq!(of("Basic Og=="), pair("", ""));
        for value in ["", "Basic", "Basic ", "Basic YQ==", "Basic ???", "Bearer YTpi", "Basic /w=="]
        {
            assert_eq!(of(value), None, "{value}");
        }
    }
}
