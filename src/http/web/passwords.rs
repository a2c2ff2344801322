//! `basic_auth_users`: who knows a password.
//!
//! A check costs some 80 ms of a core. So what was proven once is remembered, as a digest under a
//! salt of this process; few checks run at once (the caller's semaphore), and not on the threads
//! that serve. A name that nobody has costs the same as one that somebody has.

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

/// How long a password waits for those before it.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// What names that nobody has are checked against: the salt and hash of no password.
const NOBODY: &str = "aQ3vYkz8Uo1rWm5LtXb2cuHL9s7WhOmpjHQcOT7w0zt6EvkZ1Yuka";
/// Where all users' hashes are of no use.
const COST_DEFAULT: u32 = 10;

/// A name and a password, as they were sent.
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
    /// From `Authorization: Basic …`.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
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

/// Too many passwords wait to be checked.
#[derive(Debug)]
pub(super) struct Busy;

/// The users, and what they have proven.
#[derive(Debug, Default)]
pub(super) struct Users {
    hashes: BTreeMap<String, PasswordHash>,
    nobody: Option<PasswordHash>,
    salt: [u8; 32],
    /// One digest for each user at most.
    proven: Mutex<HashMap<String, [u8; 32]>>,
}

impl Users {
    pub(super) fn new(hashes: BTreeMap<String, PasswordHash>) -> Self {
        let cost = hashes.values().map(PasswordHash::cost).max().unwrap_or(COST_DEFAULT);
        let nobody = PasswordHash::new(&format!("$2y${cost:02}${NOBODY}")).ok();
        Self { hashes, nobody, salt: rand::random(), proven: Mutex::default() }
    }

    /// Whether there are none, so that everyone may read.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether there is such a user, with that password.
    pub(super) async fn verify(
        &self,
        login: BasicCredentials,
        checks: &Arc<Semaphore>,
    ) -> Result<bool, Busy> {
        let Some(hash) = self.hash_for(&login.name) else { return Ok(false) };
        let digest = self.digest(&login, hash);
        if self.is_verified(&login.name, &digest) {
            return Ok(true);
        }
        let waiting = tokio::time::timeout(WAIT_MAX, Arc::clone(checks).acquire_owned());
        let Ok(Ok(permit)) = waiting.await else { return Err(Busy) };
        // Those before us may have brought the same password.
        if self.is_verified(&login.name, &digest) {
            return Ok(true);
        }
        let (password, hash) = (login.password, hash.clone());
        let check = spawn_blocking(move || {
            // Held to the end of the work, though the client may be gone before.
            let _permit = permit;
            bcrypt::verify(password.reveal(), hash.reveal()).unwrap_or(false)
        });
        let known = self.hashes.contains_key(&login.name);
        let proven = check.await.is_ok_and(|it| it) && known;
        if proven {
            let mut all = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(login.name, digest);
        }
        Ok(proven)
    }

    /// What the password of `name` is checked against.
    fn hash_for(&self, name: &str) -> Option<&PasswordHash> {
        self.hashes.get(name).or(self.nobody.as_ref())
    }

    fn is_verified(&self, name: &str, digest: &[u8; 32]) -> bool {
        let all = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).is_some_and(|it| it == digest)
    }

    fn digest(&self, login: &BasicCredentials, hash: &PasswordHash) -> [u8; 32] {
        // The hash has one length, so that the parts cannot be read in another way.
        Sha256::new()
            .chain_update(self.salt)
            .chain_update(hash.reveal())
            .chain_update(login.password.reveal())
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
    async fn a_user_is_a_name_with_its_password() {
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
    async fn what_was_proven_needs_no_check_and_what_was_not_does() {
        let (users, checks) = (users(4), Arc::new(Semaphore::new(1)));
        assert!(users.verify(login("prometheus", "right"), &checks).await.unwrap());
        // From here on a check cannot be made.
        checks.close();
        assert!(users.verify(login("prometheus", "right"), &checks).await.unwrap());
        for (name, password) in [("prometheus", "wrong"), ("nobody", "right")] {
            assert!(users.verify(login(name, password), &checks).await.is_err(), "{name}");
        }
        assert_eq!(users.proven.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_name_that_nobody_has_costs_what_a_known_one_costs() {
        let users = users(8);
        assert_eq!(users.hash_for("nobody").unwrap().cost(), 8);
        // Not an error, which would be at hand at once.
        let nobody = users.hash_for("nobody").unwrap().reveal();
        assert!(!bcrypt::verify("wrong", nobody).unwrap());
    }

    #[test]
    fn a_login_is_read_as_browsers_and_prometheus_send_it() {
        let of = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            BasicCredentials::of(&headers).map(|it| (it.name, it.password.reveal().to_owned()))
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
