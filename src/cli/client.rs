//! Speaks to the running `serve` over its API, by plain HTTP or TLS.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use axum::http::{Method, StatusCode, Uri, header};
use reqwest::{Certificate, Identity, RequestBuilder, Response, redirect::Policy};
use serde::{Serialize, de::DeserializeOwned};

use super::terminal::{Failure, Output};
use crate::{config::Secret, http::payload::ErrorPayload, telemetry::chain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The server stores before it answers, and that may wait for another writer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A thousand runs are less than a megabyte.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How to reach the server, and what to print.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// The running `kafka-optimizer serve`.
    #[arg(
        long,
        value_name = "URL",
        env = "KAFKA_OPTIMIZER_SERVER",
        default_value = "http://127.0.0.1:9308"
    )]
    server: String,

    /// File with the token of the server's `remediation.token_file`; needed to change anything.
    #[arg(long, value_name = "FILE", env = "KAFKA_OPTIMIZER_TOKEN_FILE")]
    token_file: Option<PathBuf>,

    /// File with `NAME:PASSWORD` of a user of the server's web configuration; enough to look, where
    /// there is no token.
    #[arg(long, value_name = "FILE", env = "KAFKA_OPTIMIZER_USER_FILE")]
    user_file: Option<PathBuf>,

    /// File with the certificates of the authorities that the server's certificate is held against,
    /// instead of those that this machine knows.
    #[arg(long, value_name = "FILE", env = "KAFKA_OPTIMIZER_CA_FILE")]
    ca_file: Option<PathBuf>,

    /// File with the certificate to show to a server that asks for one.
    #[arg(long, value_name = "FILE", requires = "key_file", env = "KAFKA_OPTIMIZER_CERT_FILE")]
    cert_file: Option<PathBuf>,

    /// File with the key of that certificate.
    #[arg(long, value_name = "FILE", requires = "cert_file", env = "KAFKA_OPTIMIZER_KEY_FILE")]
    key_file: Option<PathBuf>,

    /// For people, or the API's JSON.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

/// Who speaks. A request has one `Authorization` header; the token may do all that a user may.
#[derive(Debug)]
enum Authorization {
    Nobody,
    User(Secret, Secret),
    Token(Secret),
}

/// A server, and what to tell it.
#[derive(Debug)]
pub(super) struct ApiClient {
    url: String,
    authorization: Authorization,
    connections: reqwest::Client,
}

impl ServerArgs {
    pub(super) fn client(&self) -> Result<ApiClient, Failure> {
        let url = self.server.trim_end_matches('/');
        let example = "give the server's base URL, as http://127.0.0.1:9308";
        let wrong = || Failure::usage(format!("`{url}` is not a server's URL"), example);
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let bare = uri.path() == "/" && uri.query().is_none();
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let named = uri.host().is_some_and(|it| !it.is_empty());
        if !known || !bare || !named || uri.authority().is_some_and(|it| it.as_str().contains('@'))
        {
            return Err(wrong());
        }
        let secured = if uri.scheme_str() == Some("https") { Secured::Tls } else { Secured::Not };
        let connections = self.connections(secured)?;
        Ok(ApiClient { url: url.to_owned(), authorization: self.authorization()?, connections })
    }

    fn authorization(&self) -> Result<Authorization, Failure> {
        if let Some(path) = &self.token_file {
            let advice = "name the file of the server's remediation.token_file";
            let text = text_of(path, "token", advice)?;
            return Ok(Authorization::Token(Secret::new(text.trim().to_owned())));
        }
        let Some(path) = &self.user_file else { return Ok(Authorization::Nobody) };
        let advice = "write NAME:PASSWORD of a user of the server's web configuration into it";
        let text = text_of(path, "user", advice)?;
        let Some((name, password)) = text.trim_end_matches(['\r', '\n']).split_once(':') else {
            let what = format!("the user file {} holds no `:`", path.display());
            return Err(Failure::usage(what, advice));
        };
        Ok(Authorization::User(Secret::new(name.to_owned()), Secret::new(password.to_owned())))
    }

    fn connections(&self, secured: Secured) -> Result<reqwest::Client, Failure> {
        // The process has one provider; whoever comes second finds it there.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy();
        builder = match (secured, &self.ca_file) {
            (Secured::Not, _) => builder.tls_certs_only(std::iter::empty()),
            (Secured::Tls, None) => builder,
            (Secured::Tls, Some(path)) => builder.tls_certs_only(authorities(path)?),
        };
        if let (Some(certificate), Some(key)) = (&self.cert_file, &self.key_file) {
            let advice = "name a file in PEM";
            let mut pem = bytes_of(key, "key", advice)?;
            pem.push(b'\n');
            pem.extend(bytes_of(certificate, "certificate", advice)?);
            let identity = Identity::from_pem(&pem)
                .map_err(|error| Failure::usage(chain(&error), "give both files in PEM"))?;
            builder = builder.identity(identity);
        }
        builder.build().map_err(|error| Failure::usage(chain(&error), "look at the named files"))
    }
}

/// Whether the server is asked who it is.
#[derive(Clone, Copy, Debug)]
enum Secured {
    Not,
    Tls,
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let advice = "name a file with the authority's certificate in PEM";
    let unusable = |problem: &str| {
        let what = format!("the authority file {} cannot be used: {problem}", path.display());
        Failure::usage(what, advice)
    };
    let found = Certificate::from_pem_bundle(&bytes_of(path, "authority", advice)?)
        .map_err(|error| unusable(&chain(&error)))?;
    if found.is_empty() {
        return Err(unusable("there is no certificate in it"));
    }
    Ok(found)
}

fn text_of(path: &Path, what: &str, advice: &str) -> Result<String, Failure> {
    String::from_utf8(bytes_of(path, what, advice)?).map_err(|_| {
        Failure::usage(format!("the {what} file {} is no text", path.display()), advice)
    })
}

fn bytes_of(path: &Path, what: &str, advice: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let what = format!("the {what} file {} cannot be read: {error}", path.display());
        Failure::usage(what, advice)
    })
}

impl ApiClient {
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(self.request(Method::GET, path)).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| self.odd(&error))?;
        self.call(self.request(Method::POST, path).body(body)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .connections
            .request(method, format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, "application/json");
        match &self.authorization {
            Authorization::Nobody => request,
            Authorization::User(name, password) => {
                request.basic_auth(name.reveal(), Some(password.reveal()))
            }
            Authorization::Token(token) => request.bearer_auth(token.reveal()),
        }
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status();
        let answer = self.body(response).await?;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|error| self.odd(&error));
        }
        let Ok(refused) = serde_json::from_slice(&answer) else { return Err(self.odd(&status)) };
        Err(failure_of(status, refused))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if ANSWER_BYTES_MAX < body.len().saturating_add(chunk.len()) {
                return Err(self.odd(&format!("more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, error: reqwest::Error) -> Failure {
        let (connect, late) = (error.is_connect(), error.is_timeout());
        let why = chain(&error.without_url());
        if connect && self.url.starts_with("https:") {
            return Failure::new(
                format!("no server answers at {}: {why}", self.url),
                "start one, or name it with --server; name the authority of its certificate with \
                 --ca-file",
            );
        }
        if connect {
            return Failure::new(
                format!("no server answers at {}: {why}", self.url),
                "start one with `kafka-optimizer serve --config.file FILE`, or name it with \
                 --server",
            );
        }
        if late {
            let what = format!("{} did not answer within {ANSWER_TIMEOUT:?}", self.url);
            return Failure::new(what, "look at the server's log; the order may be stored");
        }
        self.odd(&why)
    }

    fn odd(&self, error: &dyn std::fmt::Display) -> Failure {
        let what = format!("{} does not answer as kafka-optimizer does: {error}", self.url);
        Failure::new(what, "look at what listens there, and at its version")
    }
}

fn failure_of(status: StatusCode, refused: ErrorPayload) -> Failure {
    let advice = match status {
        StatusCode::UNAUTHORIZED => {
            "name the file of the token with --token-file, or to look only, that of a user with \
             --user-file"
                .to_owned()
        }
        StatusCode::FORBIDDEN => "configure a token on the server, and restart it".to_owned(),
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
            "`kafka-optimizer runs` shows the runs and where they stand".to_owned()
        }
        _ => format!("the server's log says more; search it for {}", refused.request_id),
    };
    Failure::new(refused.error, advice)
}
