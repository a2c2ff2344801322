//! What the pages have in common: the document around them, and times in words.
//!
//! Plain HTML that loads nothing, runs no script and fits a phone. `maud` escapes every text in it.

use std::time::Duration;

use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::model::WallTime;

/// `Content-Security-Policy`: the browser may only display the page.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("pages.css");

/// How bad a statement on a page is; the worst is shown first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Good,
    Warning,
    Bad,
}

impl Severity {
    /// The CSS class.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// A page as a whole.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) title: String,
    /// `None` for a page that will not change.
    pub(super) refresh: Option<Duration>,
    pub(super) body: Markup,
}

impl Document {
    pub(super) fn render(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    @if let Some(after) = self.refresh {
                        meta http-equiv="refresh" content=(after.as_secs());
                    }
                    title { (self.title) }

                    style { (PreEscaped(STYLE)) }
                }
                body { (self.body) }
            }
        };

        page.into_string()
    }
}

/// A rendered page with its headers.
pub(super) fn respond(page: String) -> Response {
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")];

    (headers, Html(page)).into_response()
}

/// How long ago; the tooltip has the timestamp.
pub(super) fn since(now: WallTime, at: Option<WallTime>) -> Markup {
    let Some(at) = at else { return html! { "never" } };
    html! { span title=(timestamp(at)) { (duration(now.since(at))) " ago" } }
}

pub(super) fn timestamp(at: WallTime) -> String {
    let at = Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// In a single unit, the largest that fits.
pub(super) fn duration(it: Duration) -> String {
    let (seconds, millis) = (it.as_secs(), it.as_millis());

    match seconds {
        0 => format!("{millis} ms"),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A text in which what stands between two backticks is code.
pub(super) fn code_spans(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// `log_dirs` as `log dirs`.
pub(super) fn words(label: &str) -> String {
    label.replace('_', " ")
}
