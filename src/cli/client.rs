//! Client of the API of a running `serve`, over plain HTTP or TLS.

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
/// The server writes to its store before it responds, and may have to wait for another writer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// A thousand runs are less than a megabyte.
const RESPONSE_BYTES_MAX: usize = 64 << 20;

/// Where `serve` listens by default, on this machine.
const DEFAULT_SERVER: &str = "http://127.0.0.1:9308";

/// How to reach the server, and what to print of its response.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// Base URL of the running `kafka-optimizer serve`.
    #[arg(
        long,
        value_name = "URL",
        env = "KAFKA_OPTIMIZER_SERVER",
        default_value = DEFAULT_SERVER
    )]
    server: String,

    /// File with a token that the server knows (`remediation.tokens`, `remediation.token_file`).
    /// Needed by every command that changes something.
    #[arg(long, value_name = "FILE", env = "KAFKA_OPTIMIZER_TOKEN_FILE")]
    token_file: Option<PathBuf>,

    /// File with `NAME:PASSWORD` of a user of the server's web configuration. Enough for commands
    /// that only read.
    #[arg(long, value_name = "FILE", env = "KAFKA_OPTIMIZER_USER_FILE")]
    user_file: Option<PathBuf>,

    /// PEM file with the CA certificates that the server's certificate is verified against, instead
    /// of the system's.
    #[arg(long, value_name = "FILE", env = "KAFKA_OPTIMIZER_CA_FILE")]
    ca_file: Option<PathBuf>,

    /// PEM file with the client certificate, for servers that ask for one.
    #[arg(long, value_name = "FILE", requires = "key_file", env = "KAFKA_OPTIMIZER_CERT_FILE")]
    cert_file: Option<PathBuf>,

    /// PEM file with the private key of the client certificate.
    #[arg(long, value_name = "FILE", requires = "cert_file", env = "KAFKA_OPTIMIZER_KEY_FILE")]
    key_file: Option<PathBuf>,

    /// Output for people, or the API's JSON.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

/// The `Authorization` header of each request. There is only one, so the token wins over the user:
/// it allows everything that a user may do.
#[derive(Debug)]
enum Authorization {
    None,
    User(Secret, Secret),
    Token(Secret),
}

#[derive(Debug)]
pub(super) struct ApiClient {
    url: String,
    authorization: Authorization,
    connections: reqwest::Client,
}

impl ServerArgs {
    /// The arguments as a person writes them, for another command.
    pub(super) fn written(&self) -> Vec<String> {
        let files = [
            ("--token-file", &self.token_file),
            ("--user-file", &self.user_file),
            ("--ca-file", &self.ca_file),
            ("--cert-file", &self.cert_file),
            ("--key-file", &self.key_file),
        ];
        let mut written = Vec::new();

        if self.server != DEFAULT_SERVER {
            written.extend(["--server".to_owned(), self.server.clone()]);
        }

        for (name, file) in files {
            if let Some(file) = file {
                written.extend([name.to_owned(), file.display().to_string()]);
            }
        }

        if self.output == Output::Json {
            written.extend(["--output", "json"].map(str::to_owned));
        }

        written
    }

    pub(super) fn client(&self) -> Result<ApiClient, Failure> {
        let url = self.server.trim_end_matches('/');
        let example = "pass the server's base URL, such as http://127.0.0.1:9308";
        let wrong = || Failure::usage(format!("`{url}` is not a valid server URL"), example);
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let bare = uri.path() == "/" && uri.query().is_none();
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let named = uri.host().is_some_and(|it| !it.is_empty());

        if !known || !bare || !named || uri.authority().is_some_and(|it| it.as_str().contains('@'))
        {
            return Err(wrong());
        }

        let connections = self.connections(uri.scheme_str() == Some("https"))?;

        Ok(ApiClient { url: url.to_owned(), authorization: self.authorization()?, connections })
    }

    fn authorization(&self) -> Result<Authorization, Failure> {
        if let Some(path) = &self.token_file {
            let advice = "pass a file with a token that the server names in remediation.tokens";
            let text = read_text(path, "token", advice)?;
            return Ok(Authorization::Token(Secret::new(text.trim().to_owned())));
        }

        let Some(path) = &self.user_file else { return Ok(Authorization::None) };
        let advice = "write NAME:PASSWORD of a user of the server's web configuration into it";
        let text = read_text(path, "user", advice)?;
        let Some((name, password)) = text.trim_end_matches(['\r', '\n']).split_once(':') else {
            let what = format!("the user file {} contains no `:`", path.display());
            return Err(Failure::usage(what, advice));
        };

        Ok(Authorization::User(Secret::new(name.to_owned()), Secret::new(password.to_owned())))
    }

    fn connections(&self, tls: bool) -> Result<reqwest::Client, Failure> {
        // One provider per process; an error means that it is already installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(RESPONSE_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy();

        builder = match (tls, &self.ca_file) {
            (false, _) => builder.tls_certs_only(std::iter::empty()),
            (true, None) => builder,
            (true, Some(path)) => builder.tls_certs_only(ca_certificates(path)?),
        };

        if let (Some(certificate), Some(key)) = (&self.cert_file, &self.key_file) {
            let advice = "pass a PEM file";
            let mut pem = read_bytes(key, "key", advice)?;
            pem.push(b'\n');
            pem.extend(read_bytes(certificate, "certificate", advice)?);
            let identity = Identity::from_pem(&pem)
                .map_err(|error| Failure::usage(chain(&error), "pass both files in PEM"))?;

            builder = builder.identity(identity);
        }

        builder
            .build()
            .map_err(|error| Failure::usage(chain(&error), "check the files that were passed"))
    }
}

fn ca_certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let advice = "pass a PEM file with the CA's certificate";
    let unusable = |problem: &str| {
        let what = format!("cannot use the CA file {}: {problem}", path.display());
        Failure::usage(what, advice)
    };

    let found = Certificate::from_pem_bundle(&read_bytes(path, "CA", advice)?)
        .map_err(|error| unusable(&chain(&error)))?;

    if found.is_empty() {
        return Err(unusable("it contains no certificate"));
    }

    Ok(found)
}

fn read_text(path: &Path, what: &str, advice: &str) -> Result<String, Failure> {
    String::from_utf8(read_bytes(path, what, advice)?).map_err(|_| {
        Failure::usage(format!("the {what} file {} is not UTF-8", path.display()), advice)
    })
}

fn read_bytes(path: &Path, what: &str, advice: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let what = format!("cannot read the {what} file {}: {error}", path.display());
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
        let body = serde_json::to_vec(body).map_err(|error| self.unexpected(&error))?;
        self.call(self.request(Method::POST, path).body(body)).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(self.request(Method::DELETE, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .connections
            .request(method, format!("{}{path}", self.url))
            .header(header::CONTENT_TYPE, "application/json");

        match &self.authorization {
            Authorization::None => request,
            Authorization::User(name, password) => {
                request.basic_auth(name.reveal(), Some(password.reveal()))
            }
            Authorization::Token(token) => request.bearer_auth(token.reveal()),
        }
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let response = request.send().await.map_err(|error| self.request_failure(error))?;
        let status = response.status();
        let body = self.body(response).await?;

        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| self.unexpected(&error));
        }

        let Ok(error) = serde_json::from_slice(&body) else { return Err(self.unexpected(&status)) };

        Err(failure_of(status, error))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.request_failure(error))?
        {
            if RESPONSE_BYTES_MAX < body.len().saturating_add(chunk.len()) {
                return Err(self.unexpected(&format!("more than {RESPONSE_BYTES_MAX} bytes")));
            }

            body.extend_from_slice(&chunk);
        }

        Ok(body)
    }

    fn request_failure(&self, error: reqwest::Error) -> Failure {
        let (connect, timeout) = (error.is_connect(), error.is_timeout());
        let why = chain(&error.without_url());

        if why.contains("CaUsedAsEndEntity") {
            return Failure::new(
                format!("the certificate of {} is that of a CA: {why}", self.url),
                "a CA's certificate (CA:TRUE, the default of `openssl req -x509`) cannot be a server's: \
                 make one with -addext basicConstraints=CA:FALSE, or one that the CA has signed",
            );
        }

        if connect && self.url.starts_with("https:") {
            return Failure::new(
                format!("no server answers at {}: {why}", self.url),
                "start a server, or pass its URL with --server and its CA certificate with --ca-file",
            );
        }

        if connect {
            return Failure::new(
                format!("no server answers at {}: {why}", self.url),
                "start one with `kafka-optimizer serve --config.file FILE`, or pass its URL with \
                 --server",
            );
        }

        if timeout {
            let what = format!("{} did not answer within {RESPONSE_TIMEOUT:?}", self.url);
            return Failure::new(what, "check the server's log; the order may have been stored");
        }

        self.unexpected(&why)
    }

    fn unexpected(&self, error: &dyn std::fmt::Display) -> Failure {
        let what = format!("unexpected response from {}: {error}", self.url);
        Failure::new(what, "check that kafka-optimizer listens there, and its version")
    }
}

fn failure_of(status: StatusCode, error: ErrorPayload) -> Failure {
    let advice = match status {
        StatusCode::UNAUTHORIZED => {
            "pass the token's file with --token-file; to read only, a user's file with --user-file \
             is enough"
                .to_owned()
        }
        StatusCode::FORBIDDEN => {
            "pass a token with that scope, or configure one in the server's `remediation.tokens`"
                .to_owned()
        }
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
            "`kafka-optimizer runs` shows all runs and their states, `baseline list` the baselines"
                .to_owned()
        }
        _ => format!("search the server's log for {}", error.request_id),
    };

    Failure::new(error.error, advice)
}
