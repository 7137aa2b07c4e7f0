//! What all pages are made of: paths, links, tables. Nothing of a file becomes markup.

use crate::runbook::program::Program;
use crate::transcript::escape::{markdown, markdown_code};
use crate::transcript::graph::{self, Graph};

/// The page to begin at; code hosts show it with its directory.
pub const INDEX: &str = "README.md";
/// First line of every page.
const MADE: &str = "<!-- Made by `rerail docs`; what is changed here is lost with the next one. -->\n";

/// Where the page of a runbook is, below the directory.
pub fn of_runbook(name: &str) -> String {
    format!("runbooks/{name}.md")
}

/// Where the page of an action is.
pub fn of_action(name: &str) -> String {
    format!("actions/{name}.md")
}

/// A page that is being written.
pub struct Page {
    text: String,
    /// From this page to the directory.
    up: &'static str,
}

impl Page {
    /// A page in one of the two folders.
    pub fn below(name: &str, title: &str) -> Page {
        let mut page = Page { text: MADE.to_owned(), up: "../" };
        page.line(&format!("# {name}: {}\n", markdown(title)));
        page
    }

    /// The page beside the folders.
    pub fn index(title: &str) -> Page {
        let mut page = Page { text: MADE.to_owned(), up: "" };
        page.line(&format!("# {title}\n"));
        page
    }

    /// Markdown of this program.
    pub fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Prose of a file, paragraph by paragraph.
    pub fn prose(&mut self, text: &str) {
        for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
            self.line(&format!("{}\n", words_of(paragraph)));
        }
    }

    pub fn heading(&mut self, text: &str) {
        self.line(&format!("## {text}\n"));
    }

    /// Rows whose cells are Markdown already; nothing without rows.
    pub fn table(&mut self, heads: &[&str], rows: Vec<Vec<String>>) {
        if rows.is_empty() {
            return;
        }
        self.line(&format!("| {} |", heads.join(" | ")));
        self.line(&format!("|{}", "---|".repeat(heads.len())));
        for row in rows {
            let cells: Vec<&str> = row.iter().map(|cell| if cell.is_empty() { " " } else { cell.as_str() }).collect();
            self.line(&format!("| {} |", cells.join(" | ")));
        }
        self.line("");
    }

    /// `key: value` lines above everything else; those without a value are left out.
    pub fn facts(&mut self, facts: &[(&str, String)]) {
        let rows = facts.iter().filter(|(_, value)| !value.is_empty());
        self.table(&["", ""], rows.map(|(key, value)| vec![(*key).to_owned(), value.clone()]).collect());
    }

    /// A fenced block; its text holds no fence.
    pub fn fenced(&mut self, language: &str, text: &str) {
        self.line(&format!("```{language}\n{}\n```\n", text.trim_end()));
    }

    pub fn runbook(&self, name: &str) -> String {
        format!("[{}]({}{})", code(name), self.up, of_runbook(name))
    }

    pub fn action(&self, name: &str) -> String {
        format!("[{}]({}{})", code(name), self.up, of_action(name))
    }

    /// The steps as a diagram.
    pub fn graph(&mut self, program: &Program) {
        self.heading("Graph");
        self.fenced("mermaid", &graph::mermaid(&Graph::of(program)));
    }

    pub fn finish(self) -> String {
        let mut text = self.text.trim_end().to_owned();
        text.push('\n');
        text
    }
}

/// A name or an expression.
pub fn code(text: &str) -> String {
    markdown_code(text)
}

/// Words of a file in one line. What stands in backquotes there, and expressions, are code here.
pub fn words_of(text: &str) -> String {
    let mut words = String::new();
    let mut rest = text;
    while let Some((before, inside, behind)) = next_code(rest) {
        words.push_str(&spaced(before));
        words.push_str(&code(inside));
        rest = behind;
    }
    words.push_str(&spaced(rest));
    words
}

/// The first code of a text, with what stands before and behind it.
fn next_code(text: &str) -> Option<(&str, &str, &str)> {
    let quoted = text.find('`').and_then(|at| {
        let end = at + 1 + text[at + 1..].find('`').filter(|length| *length > 0)?;
        Some((&text[..at], &text[at + 1..end], &text[end + 1..]))
    });
    let expression = text.find("${{").and_then(|at| {
        let end = at + text[at..].find("}}")? + 2;
        Some((&text[..at], &text[at..end], &text[end..]))
    });
    [quoted, expression].into_iter().flatten().min_by_key(|(before, ..)| before.len())
}

/// Prose without markup that keeps the space to its neighbours.
fn spaced(text: &str) -> String {
    let escaped = markdown(text);
    let blank = |at: Option<char>| if at.is_some_and(char::is_whitespace) { " " } else { "" };
    match escaped.is_empty() {
        true => blank(text.chars().next()).to_owned(),
        false => format!("{}{escaped}{}", blank(text.chars().next()), blank(text.chars().next_back())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_a_text_stays_code_and_nothing_else_means_anything() {
        for (text, shown) in [
            ("plain", "plain"),
            ("a `b|c` d", "a `b\\|c` d"),
            ("Set ${{ inputs.x }}, *now*", "Set `${{ inputs.x }}`, \\*now\\*"),
            ("one ` alone", "one \\` alone"),
            ("`` two", "\\`\\` two"),
            ("${{ open", "\\${{ open"),
            ("`${{ a }}` [x](y)", "`${{ a }}` \\[x\\](y)"),
            ("", ""),
        ] {
            assert_eq!(words_of(text), shown, "{text}");
        }
    }
}
