//! Rows of words in columns, as wide as they need.

use comfy_table::{ContentArrangement, Table, presets};

use crate::surfaces::cli::ui::Ui;
use crate::transcript::escape;

/// Prints rows below a heading. Cells are escaped here; the last column takes what width is left.
pub fn print(ui: &Ui, heading: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(ui.width).unwrap_or(u16::MAX)).set_header(heading);
    for row in rows {
        table.add_row(row.iter().map(|cell| escape::terminal(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for line in table.to_string().lines() {
        ui.result_text(&format!("{}\n", line.trim_end()));
    }
}
