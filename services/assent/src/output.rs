//! What a command answers with, on standard output.

/// Prints one line of an answer.
#[expect(clippy::print_stdout, reason = "the answer of a command")]
pub(crate) fn print(line: &str) {
    println!("{line}");
}

/// Prints a table: the first row is its head, columns as wide as their widest cell.
pub(crate) fn print_table(rows: &[Vec<String>]) {
    for line in table(rows) {
        print(&line);
    }
}

fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "bb"], ["ccc", "d"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), ["a    bb", "ccc  d"]);
    }
}
