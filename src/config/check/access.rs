//! Checks who may change state: tokens and client certificates, with their scopes (I9).

use std::{collections::BTreeSet, path::PathBuf};

use super::{CheckReport, KeyPath};
use crate::{
    config::{
        AccessConfig, ClientGrant, Problem, RemediationConfig, Secret, SecretReader, TokenGrant,
        raw::{RawClient, RawToken},
    },
    model::{Mode, Principal, Scope, Scopes},
};

/// Shorter tokens can be guessed. 128 bits in hexadecimal have 32 bytes.
const TOKEN_BYTES_MIN: usize = 16;
/// Name of the token in `token_file`.
const TOKEN_NAME_DEFAULT: &str = "token";

/// The keys of `remediation` that say who may change state.
pub(super) struct RawAccess {
    pub(super) token_file: Option<PathBuf>,
    pub(super) tokens: Vec<RawToken>,
    pub(super) client_sans: Vec<String>,
    pub(super) clients: Vec<RawClient>,
}

pub(super) fn access(
    raw: RawAccess,
    mode: Mode,
    reader: SecretReader<'_>,
    report: &mut CheckReport,
) -> AccessConfig {
    let root = KeyPath::root("remediation");
    let is_missing = raw.token_file.is_none()
        && raw.tokens.is_empty()
        && raw.client_sans.is_empty()
        && raw.clients.is_empty();

    // I9, I1: `act` without authentication is rejected at start, on loopback too.
    if mode == Mode::Act && is_missing {
        report.problem(
            root.key("token_file"),
            "is required in mode `act`: name a file with a token of at least 16 bytes",
        );
    }

    let mut check =
        AccessCheck { reader, report, names: BTreeSet::new(), found: AccessConfig::default() };
    if let Some(file) = raw.token_file {
        let name = TOKEN_NAME_DEFAULT.to_owned();
        check.add_token(name, all_scopes(), file, &root.key("token_file"));
    }

    for (index, token) in raw.tokens.into_iter().enumerate() {
        check.token(token, &root.key("tokens").index(index));
    }

    let mut sans = BTreeSet::new();
    let once = raw.client_sans.into_iter().filter(|it| sans.insert(it.clone()));

    for (index, san) in once.enumerate() {
        check.add_client(san, None, all_scopes(), &root.key("client_sans").index(index));
    }

    for (index, client) in raw.clients.into_iter().enumerate() {
        check.client(client, &root.key("clients").index(index));
    }

    check.found
}

/// The same grants, with the tokens that their files contain now.
pub(in crate::config) fn reread(
    access: &AccessConfig,
    reader: SecretReader<'_>,
) -> Result<AccessConfig, Vec<Problem>> {
    let mut report = CheckReport { problems: Vec::new(), warnings: Vec::new() };
    let found = AccessConfig { tokens: Vec::new(), clients: access.clients.clone() };
    let mut check = AccessCheck { reader, report: &mut report, names: BTreeSet::new(), found };
    let path = KeyPath::root("remediation").key("token_file");

    for it in &access.tokens {
        check.add_token(it.name.to_string(), it.scopes.clone(), it.file.clone(), &path);
    }

    let found = check.found;
    if report.problems.is_empty() { Ok(found) } else { Err(report.problems) }
}

/// Warns where playbooks need a scope that nobody has.
pub(super) fn warn_unused(remediation: &RemediationConfig, report: &mut CheckReport) {
    if remediation.access.is_empty() || remediation.playbooks.is_empty() {
        return;
    }

    let mut warn = |scope: Scope, result: &str| {
        if !remediation.access.grants(scope) {
            let advice =
                format!("no token and no client certificate has the scope `{scope}`: {result}");
            report.warning("remediation.tokens", advice);
        }
    };
    warn(Scope::Alerts, "no alert can be delivered");

    if remediation.playbooks.iter().any(|it| it.approve) {
        warn(Scope::Approve, "nobody can approve the runs of a playbook with `approve: true`");
    }
}

fn all_scopes() -> Scopes {
    Scope::ALL.iter().copied().collect()
}

struct AccessCheck<'a> {
    reader: SecretReader<'a>,
    report: &'a mut CheckReport,
    names: BTreeSet<String>,
    found: AccessConfig,
}

impl AccessCheck<'_> {
    fn token(&mut self, raw: RawToken, path: &KeyPath) {
        let name = raw.name.unwrap_or_default();
        self.report.name(&path.key("name"), &name);
        let scopes = self.scopes(raw.scopes, &path.key("scopes"));

        match raw.token_file {
            Some(file) => self.add_token(name, scopes, file, &path.key("token_file")),
            None => {
                self.report.problem(path.key("token_file"), "is required: the file with the token");
            }
        }
    }

    fn client(&mut self, raw: RawClient, path: &KeyPath) {
        if let Some(name) = &raw.name {
            self.report.name(&path.key("name"), name);
        }
        let scopes = self.scopes(raw.scopes, &path.key("scopes"));
        self.add_client(raw.san.unwrap_or_default(), raw.name, scopes, &path.key("san"));
    }

    fn scopes(&mut self, raw: Option<Vec<String>>, path: &KeyPath) -> Scopes {
        let written = raw.unwrap_or_default();
        if written.is_empty() {
            let advice = format!("name at least one of {}", super::labels::<Scope>());
            self.report.problem(path, advice);
        }

        let mut scopes = Scopes::new();
        for (index, label) in written.iter().enumerate() {
            scopes.extend(self.report.choice::<Scope>(path.index(index), label));
        }

        scopes
    }

    fn add_token(&mut self, name: String, scopes: Scopes, file: PathBuf, path: &KeyPath) {
        self.add_name(&name, path);
        let Some(token) = self.read_token(&file, path) else { return };

        if let Some(equal) = self.found.tokens.iter().find(|it| it.token == token) {
            let advice = format!("contains the same token as `{}`: make one for each", equal.name);
            self.report.problem(path, advice);
        }

        self.found.tokens.push(TokenGrant { name: Principal::new(name), scopes, file, token });
    }

    fn add_client(&mut self, san: String, name: Option<String>, scopes: Scopes, path: &KeyPath) {
        if san.is_empty() {
            return self.report.problem(path, "must not be empty: name a SAN of the certificate");
        }

        if self.found.clients.iter().any(|it| it.san == san) {
            self.report.problem(path, format!("`{san}` is listed more than once"));
        }

        let name = name.unwrap_or_else(|| san.clone());
        self.add_name(&name, path);
        self.found.clients.push(ClientGrant { san, name: Principal::new(name), scopes });
    }

    fn add_name(&mut self, name: &str, path: &KeyPath) {
        if !self.names.insert(name.to_owned()) {
            let advice = format!("`{name}` is already the name of another token or certificate");
            self.report.problem(path, advice);
        }
    }

    fn read_token(&mut self, file: &std::path::Path, path: &KeyPath) -> Option<Secret> {
        let shown = file.display();
        let read = match (self.reader)(file) {
            Ok(read) => read,
            Err(error) => {
                self.report.problem(path, format!("cannot read {shown}: {error}"));
                return None;
            }
        };

        let text = read.text.trim();
        if text.len() < TOKEN_BYTES_MIN {
            let advice = format!(
                "{shown} contains {} bytes; a token needs at least {TOKEN_BYTES_MIN}: make one with \
                 `openssl rand -hex 32`",
                text.len(),
            );
            self.report.problem(path, advice);
            return None;
        }

        // It is sent in a header.
        if !text.bytes().all(|it| it.is_ascii_graphic()) {
            let advice = format!("{shown}: a token must be one word of printable ASCII");
            self.report.problem(path, advice);
            return None;
        }

        if read.world_readable {
            let advice = format!("{shown} is readable by every user; run chmod o-r on it");
            self.report.warning(path, advice);
        }

        Some(Secret::new(text.to_owned()))
    }
}
