//! Plain tables for the terminal.

/// Columns are as wide as their widest cell; cells that look like numbers are aligned to the right.
pub fn render(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut width: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            if let Some(wide) = width.get_mut(column) {
                *wide = (*wide).max(cell.chars().count());
            }
        }
    }
    let mut text = line(head.iter().copied(), &width);
    let rule: Vec<String> = width.iter().map(|wide| "─".repeat(*wide)).collect();
    text.push_str(&line(rule.iter().map(String::as_str), &width));
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str), &width));
    }
    text
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, width: &[usize]) -> String {
    let padded: Vec<String> = cells
        .zip(width)
        .map(|(cell, wide)| {
            let pad = " ".repeat(wide.saturating_sub(cell.chars().count()));
            if is_number(cell) { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
        })
        .collect();
    format!("  {}\n", padded.join("  ").trim_end())
}

fn is_number(cell: &str) -> bool {
    cell.starts_with(|c: char| c.is_ascii_digit()) && cell.trim_end_matches('×').parse::<f64>().is_ok()
}

/// "1.5 s", "230 ms": short enough for a column.
pub fn duration(time: std::time::Duration) -> String {
    if time.as_secs_f64() >= 1.0 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} ms", time.as_millis())
    }
}
