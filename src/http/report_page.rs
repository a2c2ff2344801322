//! The report as HTML: the page `/report`, and the file that `kafka-optimizer report --format html`
//! writes. It prints well.

use maud::{Markup, html};

use super::{
    growth_chart,
    html::{Document, code_spans},
};
use crate::report::{BarPair, Report, ReportBlock, ReportSection, ReportStep, ReportTable};

/// Height of one pair of bars with its label, in pixels.
const PAIR_HEIGHT: usize = 54;
/// The bar before is this wide, in percent of the page.
const BAR_BEFORE: f64 = 45.0;
/// Room for the text beside the bar after, which may be longer than that before.
const BAR_MAX: f64 = 75.0;
/// A longer text has a line of its own on a phone.
const LONG_CELL: usize = 32;

/// The page of the server, with links to the others.
pub(super) fn page(report: &Report) -> String {
    let links = html! {
        nav {
            a href="/" { "All clusters" }
            a href="/runs" { "Runs" }
            a href="/api/v1/report" { "This report as JSON" }
        }
    };

    document(report, &links)
}

/// A file of its own.
pub fn report_file(report: &Report) -> String {
    document(report, &html! {})
}

fn document(report: &Report, links: &Markup) -> String {
    let sections = report.sections();
    let body = html! {
        header { h1 { "Kafka report" } }
        p.dim { (report.subtitle()) }
        (links)

        @for it in &sections { (section(it)) }
    };

    Document { title: "Kafka report".to_owned(), refresh: None, body }.render()
}

fn section(section: &ReportSection) -> Markup {
    html! {
        section.report {
            @if section.level == 2 { h2 { (section.title) } } @else { h3 { (section.title) } }
            @for it in &section.blocks { (block(it)) }
        }
    }
}

fn block(block: &ReportBlock) -> Markup {
    match block {
        ReportBlock::Paragraph(text) => html! { p { (code_spans(text)) } },
        ReportBlock::Table(it) => table(it),
        ReportBlock::List(all) => html! { ul { @for it in all { li { (code_spans(it)) } } } },
        ReportBlock::Checklist(all) => html! { ul.steps { @for it in all { (step(it)) } } },
        ReportBlock::Bars(pairs) if pairs.is_empty() => html! {},
        ReportBlock::Bars(pairs) => bars(pairs),
        ReportBlock::GrowthCharts(all) => html! {
            div.charts { @for it in all { (growth_chart::markup(it)) } }
        },
    }
}

fn step(step: &ReportStep) -> Markup {
    html! {
        li {
            (code_spans(&step.text))
            @if let Some(command) = &step.command { br; code { (command) } }
        }
    }
}

fn table(table: &ReportTable) -> Markup {
    html! {
        table {
            thead { tr { @for it in &table.header { th { (it) } } } }
            tbody {
                @for cells in &table.rows {
                    tr {
                        @for (index, cell) in cells.iter().enumerate() {
                            (data(table, index, cell))
                        }
                    }
                }
            }
        }
    }
}

/// A cell, which says its column on a phone. The first one names the row.
fn data(table: &ReportTable, index: usize, cell: &str) -> Markup {
    let says_itself = |it: &&&str| cell.is_empty() || cell.starts_with(**it);
    let column = table.header.get(index).filter(|it| !says_itself(it));

    html! {
        @if index == 0 { td.name { (cell) } }
        @else if cell.len() > LONG_CELL { td.long data-of=[column] { (code_spans(cell)) } }
        @else { td data-of=[column] { (code_spans(&tied(cell))) } }
    }
}

/// The text with each number on the same line as its unit.
fn tied(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    let mut rest = cell.chars().peekable();

    while let Some(it) = rest.next() {
        let is_before_unit = rest.peek().is_some_and(|next| *next == '%' || next.is_alphabetic());
        let is_after_number = text.ends_with(|last: char| last.is_ascii_digit());
        text.push(if it == ' ' && is_after_number && is_before_unit { '\u{a0}' } else { it });
    }

    text
}

/// Before and after of each run, one under the other: the bar before is 100 %.
fn bars(pairs: &[BarPair]) -> Markup {
    let height = pairs.len().saturating_mul(PAIR_HEIGHT);
    let what = "The objective after each kept run, as a share of what it was before";

    html! {
        figure {
            svg.bars role="img" aria-label=(what) width="100%" height=(height) {
                @for (index, BarPair { label, share }) in pairs.iter().enumerate() {
                    @let top = index.saturating_mul(PAIR_HEIGHT);
                    @let after = (BAR_BEFORE * share).clamp(0.0, BAR_MAX);
                    text x="0" y=(top + 14) { (label) }
                    rect.before x="0" y=(top + 20) width={ (BAR_BEFORE) "%" } height="11" {}
                    @let beside = after.max(BAR_BEFORE) + 1.0;
                    rect.after x="0" y=(top + 33) width=(format!("{after:.1}%")) height="11" {}

                    text.dim x=(format!("{beside:.1}%")) y=(top + 43) {
                        (format!("{:.0} % of before", share * 100.0))
                    }
                }
            }
            figcaption.dim { (what) "." }
        }
    }
}
