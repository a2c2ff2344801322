//! A Prometheus server over its HTTP API, version 1.
//!
//! Invariant: credentials of the URL reach the server and nothing else: no message, no log line.

use std::{error::Error, fmt::Write, time::Duration};

use async_trait::async_trait;
use reqwest::{Client, Response, Url, redirect::Policy};

use super::{
    InstantSeries, Prometheus, PrometheusError, QueryRange, RangeSeries,
    payload::{self, ApiResponse, InvalidResponse, RawSample},
};

/// A longer answer is a query that no window of ours asks for.
const BODY_BYTES_MAX: usize = 16 << 20;

#[derive(Clone, Debug)]
pub struct HttpPrometheus {
    client: Client,
    base: Url,
    shown: String,
    timeout: Duration,
}

impl HttpPrometheus {
    /// A server at `url`, which may carry a path and credentials. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// When `url` is not one, or TLS cannot be set up.
    pub fn new(url: &str, timeout: Duration) -> Result<Self, PrometheusError> {
        let unusable = |shown: &str, problem: String| PrometheusError::Unavailable {
            url: shown.to_owned(),
            problem,
        };
        // What is not understood may hold credentials anywhere: it is not shown.
        let hidden = |problem| unusable("the configured url", problem);
        let base = Url::parse(url).map_err(|error| hidden(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(hidden("neither http nor https".to_owned()));
        }
        let shown = without_credentials(&base);
        let client = client(&base, timeout).map_err(|error| unusable(&shown, reason(error)))?;
        Ok(Self { client, base, shown, timeout })
    }

    /// POST, because queries may be longer than what a URL may hold.
    async fn ask(
        &self,
        endpoint: &str,
        query: &str,
        rest: &[(&str, String)],
    ) -> Result<payload::Data, PrometheusError> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", endpoint]);
        }
        // The server stops evaluating when we stop listening.
        let mut form = vec![("query", query.to_owned()), ("timeout", seconds(self.timeout))];
        form.extend_from_slice(rest);
        let sent = self.client.post(url).form(&form).send().await;
        let response = sent.map_err(|error| self.unavailable(reason(error)))?;
        let status = response.status();
        let body = self.body(response).await?;
        match payload::read(&body) {
            Ok(ApiResponse::Success { data }) if status.is_success() => Ok(data),
            Ok(ApiResponse::Error { error_type, error }) if status.is_client_error() => {
                let problem = format!("{error_type}: {error}");
                Err(PrometheusError::Refused { query: query.to_owned(), problem })
            }
            Ok(ApiResponse::Error { error_type, error }) => {
                Err(self.unavailable(format!("{status}: {error_type}: {error}")))
            }
            Ok(ApiResponse::Success { .. }) => Err(self.unavailable(status.to_string())),
            Err(_) if !status.is_success() => Err(self.unavailable(status.to_string())),
            Err(InvalidResponse(problem)) => Err(self.unavailable(problem)),
        }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, PrometheusError> {
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.unavailable(reason(error)))?
        {
            if BODY_BYTES_MAX < body.len().saturating_add(chunk.len()) {
                let problem = format!("an answer of more than {BODY_BYTES_MAX} bytes");
                return Err(self.unavailable(problem));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unavailable(&self, problem: String) -> PrometheusError {
        PrometheusError::Unavailable { url: self.shown.clone(), problem }
    }

    fn read<T>(&self, read: Result<T, InvalidResponse>) -> Result<T, PrometheusError> {
        read.map_err(|InvalidResponse(problem)| self.unavailable(problem))
    }
}

#[async_trait]
impl Prometheus for HttpPrometheus {
    async fn instant(&self, query: &str) -> Result<Vec<InstantSeries>, PrometheusError> {
        let data = self.ask("query", query, &[]).await?;
        self.read(RawSample::instant(data))
    }

    async fn range(
        &self,
        query: &str,
        span: QueryRange,
    ) -> Result<Vec<RangeSeries>, PrometheusError> {
        let rest = [
            ("start", span.from.seconds().to_string()),
            ("end", span.to.seconds().to_string()),
            ("step", seconds(span.step)),
        ];
        let data = self.ask("query_range", query, &rest).await?;
        self.read(RawSample::range(data))
    }
}

fn client(base: &Url, timeout: Duration) -> Result<Client, reqwest::Error> {
    // The process has one provider; whoever comes second finds it there.
    drop(rustls::crypto::ring::default_provider().install_default());
    // Following a redirect could send credentials to another host.
    let builder = Client::builder().timeout(timeout).redirect(Policy::none());
    // Without TLS, a machine without certificates of authorities is no obstacle.
    let builder =
        if base.scheme() == "https" { builder } else { builder.tls_certs_only(std::iter::empty()) };
    builder.build()
}

fn without_credentials(url: &Url) -> String {
    let mut shown = url.clone();
    // Fails for a URL that can hold no credentials.
    let _nothing_to_hide = shown.set_username("").and_then(|()| shown.set_password(None));
    shown.set_query(None);
    shown.to_string()
}

/// The error and its causes, without the URL: it may hold credentials.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Writing to a String cannot fail.
        let _infallible = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

fn seconds(it: Duration) -> String {
    it.as_secs_f64().to_string()
}
