//! Handlers of the pages: metrics, health checks, the landing page and the pages of runs.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use tokio::time::timeout;

use super::{
    Inner,
    error::ApiError,
    html,
    landing::Landing,
    run_page::RunPage,
    runs::{self, ListQuery, ListedRuns},
    runs_page::RunsPage,
};
use crate::expose::Format;

/// The cluster metrics as encoded after the latest round, followed by this process's own metrics,
/// encoded now.
pub(super) async fn metrics(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let format = format_for(&headers);
    let own = match format {
        Format::Text => inner.state.telemetry.encode(),
        Format::OpenMetrics => inner.state.telemetry.encode_open_metrics(),
    };

    let own = own.map_err(|error| {
        let message = "this process's own metrics could not be encoded";
        ApiError::with_cause(StatusCode::INTERNAL_SERVER_ERROR, message, &error)
    })?;

    let page = Arc::clone(&inner.state.pages.borrow());
    let kind = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, VARIES_BY)];

    Ok(if accepts_gzip(&headers) {
        let body = page.gzip(format, &own);
        (kind, [(header::CONTENT_ENCODING, "gzip")], body).into_response()
    } else {
        let pieces = futures_util::stream::iter(page.identity(format, &own));
        (kind, Body::from_stream(pieces)).into_response()
    })
}

const VARIES_BY: &str = "Accept, Accept-Encoding";

/// `OpenMetrics` if the client names it and prefers nothing else; otherwise the text format, also
/// for browsers and curl.
fn format_for(headers: &HeaderMap) -> Format {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok());
    let (mut open, mut text) = (0.0_f32, 0.0_f32);

    for range in values.flat_map(|it| it.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let quality = parts.find_map(|it| it.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);

        if kind.eq_ignore_ascii_case("application/openmetrics-text") {
            open = open.max(quality);
        } else if kind.eq_ignore_ascii_case("text/plain") {
            text = text.max(quality);
        }
    }

    if open > 0.0 && open >= text { Format::OpenMetrics } else { Format::Text }
}

/// Whether the client accepts gzip, by name or by `*`, and not with `q=0`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|it| it.to_str().ok());
    let mut any = false;

    for (coding, wanted) in values.flat_map(|it| it.split(',')).map(coding) {
        if coding.eq_ignore_ascii_case("gzip") {
            return wanted;
        }

        any |= coding == "*" && wanted;
    }

    any
}

fn coding(text: &str) -> (&str, bool) {
    let mut parts = text.split(';').map(str::trim);
    let coding = parts.next().unwrap_or_default();
    let quality = parts
        .find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")))
        .map(str::parse::<f32>);

    (coding, quality.is_none_or(|it| it.is_ok_and(|it| it > 0.0)))
}

/// A page that a person waits for shows what it has by then.
const FINDINGS_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn healthy() -> &'static str {
    "kafka-optimizer is alive.\n"
}

pub(super) async fn ready(State(inner): State<Arc<Inner>>) -> Result<&'static str, ApiError> {
    let advice = if !*inner.state.ready.borrow() {
        "not ready: the first collection round has not finished yet"
    } else if !inner.state.telemetry.store_is_usable() {
        "not ready: the state store cannot be read or written; the log says why"
    } else {
        return Ok("kafka-optimizer is ready.\n");
    };

    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, advice))
}

pub(super) async fn landing(State(inner): State<Arc<Inner>>) -> Response {
    let state = &inner.state;
    let settings = state.settings();
    let gathered = timeout(FINDINGS_TIMEOUT, state.diagnosis.reports(None)).await;
    let temporary = state.pipeline.temporary_changes().await;
    let page = Landing {
        about: &settings.about,
        now: state.clock.wall(),
        paused: state.pipeline.paused(),
        config_fault: state.telemetry.config_fault(),
        web_fault: state.web.fault(),
        clusters: state.telemetry.status(),
        reports: gathered.ok(),
        temporary: temporary.ok(),
    };

    html::respond(page.page())
}

pub(super) async fn runs(
    State(inner): State<Arc<Inner>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let query = runs::listed(query)?;
    let ListedRuns { runs, next } = runs::matching(&inner, &query).await?;
    let settings = inner.state.settings();
    let page =
        RunsPage { about: &settings.about, now: inner.state.clock.wall(), query, runs, next };

    Ok(html::respond(page.page()))
}

pub(super) async fn run(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = runs::run_id(&id)?;
    let detail = runs::stored(&inner, id).await?;
    let case = inner.state.pipeline.case(id).await?;
    let page = RunPage { now: inner.state.clock.wall(), detail, case };

    Ok(html::respond(page.page()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_used_if_the_client_accepts_it() {
        for (value, gzip) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("*", true),
            ("GZIP", true),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip; q=0, *", false),
            ("GZIP;Q=0", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), gzip, "{value:?}");
        }

        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn the_format_is_the_one_the_client_prefers() {
        for (value, want) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            // Prometheus 2.42 and 3.5.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                 version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;\
                 escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.1", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            assert_eq!(format_for(&headers), want, "{value:?}");
        }
    }
}
