//! Rows of cells, one below the other, what is said below them, and how much of it a terminal shows.

use terminal_size::{Width, terminal_size_of};

use crate::core::progress::{count, few};

/// Wider cells stand out: what a stranger wrote at length must not widen all others.
const WIDEST: usize = 200;

/// The rows as lines, their columns two spaces apart; all are flushed left but for `right`.
pub fn columns<const COUNT: usize>(rows: &[[String; COUNT]], right: Option<usize>) -> String {
    let mut widths = [0; COUNT];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            let own = cell.chars().count();
            if own <= WIDEST {
                *width = own.max(*width);
            }
        }
    }
    let mut text = String::new();
    for row in rows {
        let start = text.len();
        for (column, (width, cell)) in widths.iter().zip(row).enumerate() {
            let space = " ".repeat(width.saturating_sub(cell.chars().count()));
            match Some(column) == right {
                true => text.extend([space.as_str(), cell, "  "]),
                false => text.extend([cell, space.as_str(), "  "]),
            }
        }
        let end = text.get(start..).unwrap_or_default().trim_end().len();
        text.truncate(start + end);
        text.push('\n');
    }
    text
}

/// What of the lines a terminal shows: each as far as it fits, so that a row is a line. Whatever is no terminal is given
/// all, and so are programs, by `--json`.
pub fn shown(text: String) -> String {
    match terminal_size_of(std::io::stdout()) {
        Some((Width(width), _)) if width > 1 => cut(&text, width.into()),
        _ => text,
    }
}

fn cut(text: &str, width: usize) -> String {
    let lines = text
        .lines()
        .map(|line| match line.char_indices().nth(width) {
            None => format!("{line}\n"),
            Some(_) => {
                let kept: String = line.chars().take(width - 1).collect();
                format!("{}…\n", kept.trim_end())
            }
        });
    lines.collect()
}

/// What is said of packages that `sync` refuses, since the lock has no digest of them.
pub(super) fn without_digest(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!(
        "note: `sync` refuses {}, of which the lock has no digest: {}; `lockwright complete` asks the index for \
         them\n",
        count(names.len(), "package"),
        few(names),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line() {
        assert_eq!(cut("abc\nabcd\nab  cd\n", 3), "abc\nab…\nab…\n");
        assert_eq!(cut("", 3), "");
    }

    #[test]
    fn columns_are_as_wide_as_their_cells_and_no_wider_than_is_shown() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [row(["a", "1", ""]), row(["ö日", "100", "x"])];
        assert_eq!(columns(&rows, Some(1)), "a     1\nö日  100  x\n");
        let long = "x".repeat(100_000);
        let rows = [row([&long, "1", ""]), row(["a", "2", "y"])];
        assert_eq!(columns(&rows, None), format!("{long}  1\na  2  y\n"));
    }
}
