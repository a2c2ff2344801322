//! The adapter to a real Prometheus server, over version 1 of its HTTP API.
//!
//! Invariant: credentials are sent to the server only; no error or log line contains them.

use std::{
    error::Error,
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{Response, Url};

use super::{
    InstantSeries, Prometheus, PrometheusError, QueryRange, RangeSeries,
    client::LoadedClient,
    payload::{self, ApiResponse, InvalidResponse, RawSample},
};
use crate::security::HttpOptions;

/// Largest response. No query of ours needs more.
const BODY_BYTES_MAX: usize = 16 << 20;

#[derive(Clone, Debug)]
pub struct HttpPrometheus {
    options: HttpOptions,
    /// Made when it is first needed, and anew when a file has changed.
    loaded: Arc<Mutex<Option<LoadedClient>>>,
    /// May contain credentials, so it must not be shown.
    base_url: Url,
    /// The URL without credentials, for messages.
    shown_url: String,
    timeout: Duration,
}

impl HttpPrometheus {
    /// A server at `url`, which may contain a path and credentials. Opens no connection yet.
    ///
    /// # Errors
    ///
    /// If `url` is invalid.
    pub fn new(url: &str, timeout: Duration) -> Result<Self, PrometheusError> {
        Self::with_options(url, timeout, HttpOptions::default())
    }

    /// As [`HttpPrometheus::new`], with credentials, TLS, headers or a proxy.
    ///
    /// # Errors
    ///
    /// If `url` is invalid. The files of the options are read by each query.
    pub fn with_options(
        url: &str,
        timeout: Duration,
        options: HttpOptions,
    ) -> Result<Self, PrometheusError> {
        let unavailable = |shown_url: &str, problem: String| PrometheusError::Unavailable {
            url: shown_url.to_owned(),
            problem,
        };

        // An invalid URL may contain credentials anywhere, so it is not shown.
        let invalid = |problem| unavailable("the configured url", problem);
        let base_url = Url::parse(url).map_err(|error| invalid(error.to_string()))?;

        if !matches!(base_url.scheme(), "http" | "https") {
            return Err(invalid("the scheme must be http or https".to_owned()));
        }

        let shown_url = without_credentials(&base_url);
        let loaded = Arc::default();

        Ok(Self { options, loaded, base_url, shown_url, timeout })
    }

    /// The client, with the present content of the files.
    async fn client(&self) -> Result<LoadedClient, PrometheusError> {
        let this = self.clone();
        let load = move || {
            let mut loaded = this.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(current) = loaded.as_ref().filter(|it| it.is_current(&this.options)) {
                return Ok(current.clone());
            }

            let new = LoadedClient::load(&this.options, &this.base_url, this.timeout);
            let new = new.map_err(|problem| this.unavailable(problem))?;
            Ok(loaded.insert(new).clone())
        };

        match tokio::task::spawn_blocking(load).await {
            Ok(result) => result,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// Uses POST, because a query may be longer than a URL may be.
    async fn query(
        &self,
        endpoint: &str,
        query: &str,
        parameters: &[(&str, String)],
    ) -> Result<payload::Data, PrometheusError> {
        let mut url = self.base_url.clone();
        if let Some(name) = &self.options.tls.server_name {
            url.set_host(Some(name)).map_err(|error| self.unavailable(error.to_string()))?;
        }

        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", endpoint]);
        }

        // With `timeout`, the server stops evaluating when we stop waiting.
        let mut form = vec![("query", query.to_owned()), ("timeout", seconds(self.timeout))];
        form.extend_from_slice(parameters);
        let loaded = self.client().await?;
        let request = loaded.authorize(&self.options, loaded.client.post(url).form(&form));
        let response = request.send().await;
        let response = response.map_err(|error| self.unavailable(reason(error)))?;
        let status = response.status();
        let body = self.body(response).await?;

        match payload::parse(&body) {
            Ok(ApiResponse::Success { data }) if status.is_success() => Ok(data),
            Ok(ApiResponse::Error { error_type, error }) if status.is_client_error() => {
                let problem = format!("{error_type}: {error}");
                Err(PrometheusError::Rejected { query: query.to_owned(), problem })
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
            if body.len().saturating_add(chunk.len()) > BODY_BYTES_MAX {
                let problem = format!("response is longer than {BODY_BYTES_MAX} bytes");
                return Err(self.unavailable(problem));
            }
            body.extend_from_slice(&chunk);
        }

        Ok(body)
    }

    fn unavailable(&self, problem: String) -> PrometheusError {
        PrometheusError::Unavailable { url: self.shown_url.clone(), problem }
    }

    fn valid<T>(&self, result: Result<T, InvalidResponse>) -> Result<T, PrometheusError> {
        result.map_err(|InvalidResponse(problem)| self.unavailable(problem))
    }
}

#[async_trait]
impl Prometheus for HttpPrometheus {
    async fn instant(&self, query: &str) -> Result<Vec<InstantSeries>, PrometheusError> {
        let data = self.query("query", query, &[]).await?;
        self.valid(RawSample::instant(data))
    }

    async fn range(
        &self,
        query: &str,
        range: QueryRange,
    ) -> Result<Vec<RangeSeries>, PrometheusError> {
        let parameters = [
            ("start", range.start.seconds().to_string()),
            ("end", range.end.seconds().to_string()),
            ("step", seconds(range.step)),
        ];
        let data = self.query("query_range", query, &parameters).await?;

        self.valid(RawSample::range(data))
    }
}

fn without_credentials(url: &Url) -> String {
    let mut shown = url.clone();

    // Fails for a URL that cannot contain credentials.
    let _no_credentials = shown.set_username("").and_then(|()| shown.set_password(None));
    shown.set_query(None);
    shown.to_string()
}

/// The error and its sources, without the URL, which may contain credentials.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();

    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a String cannot fail.
        let _infallible = write!(text, ": {error}");
        source = error.source();
    }

    text
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}
