//! Columns for people.

use std::io::{self, Write};

/// Writes `rows` under `head` to stdout, each column as wide as its widest cell.
///
/// # Errors
/// Those of stdout.
pub(crate) fn print<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = io::stdout().lock();
    line(&mut out, &widths, head)?;
    rows.iter().try_for_each(|row| line(&mut out, &widths, row.each_ref().map(String::as_str)))
}

fn line<const N: usize>(out: &mut impl Write, widths: &[usize; N], cells: [&str; N]) -> io::Result<()> {
    let mut text = String::new();
    for (width, cell) in widths.iter().zip(cells) {
        text.push_str(cell);
        text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
    }
    writeln!(out, "{}", text.trim_end())
}

/// A dash for what is not there.
pub(crate) fn or_dash<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "–".into(), ToString::to_string)
}
