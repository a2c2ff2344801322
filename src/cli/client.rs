//! Speaks to the running `serve`: one connection per request, plain HTTP.

use std::{path::PathBuf, time::Duration};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, Uri, header},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::TcpStream, time::timeout};

use super::terminal::{Failure, Output};
use crate::{config::Secret, http::payload::ErrorPayload};

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

    /// For people, or the API's JSON.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

/// A server, and what to tell it.
#[derive(Debug)]
pub(super) struct Client {
    url: String,
    /// `host:port`.
    authority: String,
    token: Option<Secret>,
}

impl ServerArgs {
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let url = self.server.trim_end_matches('/');
        let example = "give the server's base URL, as http://127.0.0.1:9308";
        let wrong = || Failure::usage(format!("`{url}` is not a server's URL"), example);
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        if uri.scheme_str() == Some("https") {
            return Err(Failure::usage("https is not in this version", example));
        }
        let bare = uri.path() == "/" && uri.query().is_none();
        if uri.scheme_str() != Some("http") || !bare {
            return Err(wrong());
        }
        let host = uri.host().filter(|it| !it.is_empty()).ok_or_else(wrong)?;
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        Ok(Client { url: url.to_owned(), authority, token: self.token()? })
    }

    fn token(&self) -> Result<Option<Secret>, Failure> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            let what = format!("the token file {} cannot be read: {error}", path.display());
            Failure::usage(what, "name the file of the server's remediation.token_file")
        })?;
        Ok(Some(Secret::new(text.trim().to_owned())))
    }
}

impl Client {
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, Body::empty()).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| self.odd(&error))?;
        self.call(Method::POST, path, Body::from(body)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<T, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.authority)
            .header(header::CONNECTION, "close")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        let request = request.body(body).map_err(|error| self.odd(&error))?;
        let (status, answer) = match timeout(ANSWER_TIMEOUT, self.exchange(request)).await {
            Ok(answered) => answered?,
            Err(_elapsed) => {
                let what = format!("{} did not answer within {ANSWER_TIMEOUT:?}", self.url);
                return Err(Failure::new(
                    what,
                    "look at the server's log; the order may be stored",
                ));
            }
        };
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(|error| self.odd(&error));
        }
        let Ok(refused) = serde_json::from_slice(&answer) else { return Err(self.odd(&status)) };
        Err(failure_of(status, refused))
    }

    async fn exchange(&self, request: Request<Body>) -> Result<(StatusCode, Vec<u8>), Failure> {
        let stream = match timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.authority)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.no_server(&error.to_string())),
            Err(_elapsed) => return Err(self.no_server("no connection within 5 s")),
        };
        let odd = |error: hyper::Error| self.odd(&error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(odd)?;
        let exchange = async move {
            let response = sender.send_request(request).await.map_err(odd)?;
            let status = response.status();
            let body = axum::body::to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX);
            let body = body.await.map_err(|error| self.odd(&error))?;
            Ok((status, body.to_vec()))
        };
        // The connection moves the bytes of the exchange; its own error is the exchange's error.
        let (_moved, answer) = futures_util::future::join(connection, exchange).await;
        answer
    }

    fn no_server(&self, why: &str) -> Failure {
        Failure::new(
            format!("no server answers at {}: {why}", self.url),
            "start one with `kafka-optimizer serve --config.file FILE`, or name it with --server",
        )
    }

    fn odd(&self, error: &dyn std::fmt::Display) -> Failure {
        let what = format!("{} does not answer as kafka-optimizer does: {error}", self.url);
        Failure::new(what, "look at what listens there, and at its version")
    }
}

fn failure_of(status: StatusCode, refused: ErrorPayload) -> Failure {
    let advice = match status {
        StatusCode::UNAUTHORIZED => "name the file of the token with --token-file".to_owned(),
        StatusCode::FORBIDDEN => "configure a token on the server, and restart it".to_owned(),
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
            "`kafka-optimizer runs` shows the runs and where they stand".to_owned()
        }
        _ => format!("the server's log says more; search it for {}", refused.request_id),
    };
    Failure::new(refused.error, advice)
}
