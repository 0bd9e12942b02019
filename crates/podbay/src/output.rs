//! Data on stdout: a table for a person, JSON for a program.

use crate::cli::Output;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::printable;
use crate::terminal::Terminal;
use comfy_table::{Attribute, Cell, Table, presets};
use serde::Serialize;

/// Shown where there is nothing.
pub const NONE: &str = "-";

/// Rows under a heading. Every cell is made safe to print.
pub struct Rows {
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Rows {
    /// An empty table.
    pub fn new(head: &'static [&'static str]) -> Self {
        Self { head, rows: Vec::new() }
    }

    /// One more row.
    pub fn push(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.head.len(), "one cell for each column");
        self.rows.push(cells);
    }

    fn render(&self, terminal: &Terminal) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        // No column is ever wrapped: an id in two pieces cannot be copied.
        if !terminal.color {
            table.force_no_tty();
        }
        let bold = |text: &&str| {
            let cell = Cell::new(*text);
            if terminal.color { cell.add_attribute(Attribute::Bold) } else { cell }
        };
        table.set_header(self.head.iter().map(bold).collect::<Vec<_>>());
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| printable::line(cell)).collect::<Vec<_>>());
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        trimmed(&table.to_string())
    }
}

/// Named values, one on each line. Every value is made safe to print.
pub fn details(values: &[(&str, String)]) -> String {
    let width = values.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{name:width$}  {}\n", printable::line(value));
    values.iter().map(line).collect()
}

fn trimmed(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

impl Context<'_> {
    /// Shows `value` as JSON, or as what `text` makes of it.
    pub fn show<T: Serialize>(&mut self, value: &T, text: impl FnOnce(&T) -> String) -> Result<()> {
        let text = match self.output {
            Output::Table => text(value),
            Output::Json => {
                let json = serde_json::to_string_pretty(value);
                let json =
                    json.map_err(|error| Failure::server(format!("cannot be shown as JSON: {error}")))?;
                format!("{}\n", printable::json(&json))
            }
        };
        self.terminal.data(&text)
    }

    /// Shows a list as JSON or as a table; says so if it is empty.
    pub fn list<T: Serialize>(
        &mut self,
        items: &[T],
        nothing: &str,
        rows: impl FnOnce(&[T]) -> Rows,
    ) -> Result<()> {
        if items.is_empty() {
            self.terminal.say(nothing);
        }
        if items.is_empty() && self.output == Output::Table {
            return Ok(());
        }
        let table = rows(items).render(self.terminal);
        self.show(&items, |_| table)
    }
}

/// Something or [`NONE`].
pub fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

/// Dollars, with as many digits as they need and at least two.
pub fn dollars(amount: f64) -> String {
    let text = format!("{amount:.6}");
    let trimmed = text.trim_end_matches('0');
    let decimals = trimmed.len() - trimmed.find('.').map_or(trimmed.len(), |point| point + 1);
    if decimals >= 2 { format!("${trimmed}") } else { format!("${amount:.2}") }
}

/// A time of the wire without fractions: `2026-08-20 10:00:00Z`.
pub fn time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_and_time_as_people_read_them() {
        let cases =
            [(1.5, "$1.50"), (0.0, "$0.00"), (0.00014, "$0.00014"), (1.656_799_999_999_999_8, "$1.6568")];
        for (amount, text) in cases {
            assert_eq!(dollars(amount), text);
        }
        assert_eq!(time("2026-08-20T10:00:00.123456Z"), "2026-08-20 10:00:00Z");
        assert_eq!(time("\u{1b}[0m"), "\u{1b}[0m");
    }
}
