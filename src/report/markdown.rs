//! The report as a Markdown document.

use std::fmt::Write as _;

use super::{Report, ReportBlock, ReportStep, ReportTable};

impl Report {
    /// The whole report; texts from brokers and alerts cannot become markup.
    pub fn markdown(&self) -> String {
        let mut out = format!("# Kafka report\n\n{}\n", text(&self.subtitle()));
        for section in self.sections() {
            let marks = "#".repeat(section.level);
            let _infallible = write!(out, "\n{marks} {}\n", text(&section.title));
            for block in &section.blocks {
                render(block, &mut out);
            }
        }

        out
    }
}

fn render(block: &ReportBlock, out: &mut String) {
    let _infallible = match block {
        ReportBlock::Paragraph(it) => write!(out, "\n{}\n", text(it)),
        ReportBlock::Table(it) => write!(out, "\n{}", table(it)),
        ReportBlock::List(all) => {
            let items: Vec<String> = all.iter().map(|it| format!("- {}\n", text(it))).collect();
            write!(out, "\n{}", items.concat())
        }
        ReportBlock::Checklist(all) => {
            let items: String = all.iter().map(step).collect();
            write!(out, "\n{items}")
        }
        // The tables beside them have the numbers.
        ReportBlock::Bars(_) | ReportBlock::GrowthCharts(_) => Ok(()),
    };
}

fn step(step: &ReportStep) -> String {
    let command = step.command.as_ref().map(|it| {
        let line: String = it.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        format!("\n  `{}`", line.replace('`', "'"))
    });

    format!("- [ ] {}{}\n", text(&step.text), command.unwrap_or_default())
}

fn table(table: &ReportTable) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let header = row(table.header.iter().map(|it| (*it).to_owned()).collect());
    let rule = row(table.header.iter().map(|_| "---".to_owned()).collect());
    let rows = table.rows.iter().map(|cells| row(cells.iter().map(|it| text(it)).collect()));
    let rows: String = rows.collect();

    format!("{header}{rule}{rows}")
}

/// One line, in which nothing ends a cell or begins a tag or a link.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '|' | '[' | '*' => {
                out.push('\\');
                out.push(it);
            }
            '<' => out.push_str("&lt;"),
            it if it.is_control() => out.push(' '),
            it => out.push(it),
        }
    }

    out
}
