//! Draws problems the way rustc does. Shows source as it is: a character that hides or reorders text
//! is spelled out, so that nothing in a file can make its own error look different.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use crate::runbook::problem::{Problem, Severity, sort};

/// Characters of a source line shown around a caret; longer lines are cut.
const LINE_CHARS_MAX: usize = 120;
/// Characters kept before the caret in a line that is cut.
const LEAD_CHARS: usize = 60;

/// Draws problems as rustc does, without colour unless asked.
pub fn render(problems: &[Problem], colour: bool) -> String {
    let mut sorted = problems.to_vec();
    sort(&mut sorted);
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let pictures: Vec<String> = sorted.iter().map(|problem| picture(problem, &renderer)).collect();
    pictures.join("\n\n") + if pictures.is_empty() { "" } else { "\n" }
}

fn picture(problem: &Problem, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let excerpt = Excerpt::of(problem);
    let caret = AnnotationKind::Primary.span(excerpt.caret.0..excerpt.caret.1);
    let caret: Annotation = if problem.label.is_empty() { caret } else { caret.label(visible(&problem.label)) };
    let path = visible(&problem.source.shown);
    let shown_column = excerpt.text[..excerpt.caret.0].chars().count() + 1;
    let snippet = Snippet::source(excerpt.text).line_start(excerpt.line).path(&path).fold(false).annotation(caret);
    let mut group: Group = level.primary_title(visible(&problem.message)).id(problem.code).element(snippet);
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(visible(help)));
    }
    let drawn = renderer.render(&[group]);
    // The crate counts the column in the excerpt; the reader's editor counts it in the file.
    let place = |column: usize| format!("{path}:{}:{column}", excerpt.line);
    drawn.replacen(&place(shown_column), &place(excerpt.column), 1)
}

/// The line a problem points at, cut and made visible, with the caret in bytes of that text.
struct Excerpt {
    text: String,
    caret: (usize, usize),
    line: usize,
    column: usize,
}

impl Excerpt {
    fn of(problem: &Problem) -> Excerpt {
        let source = &problem.source.text;
        let start = floor_boundary(source, problem.span.start);
        let end = floor_boundary(source, problem.span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let line_end = line_start.max(line_end - usize::from(source[line_start..line_end].ends_with('\r')));
        let (line, column) = problem.source.line_column(start);

        let start = start.min(line_end);
        let before: Vec<char> = source[line_start..start].chars().rev().take(LEAD_CHARS + 1).collect();
        let (cut_before, before) = if before.len() > LEAD_CHARS && line_end - line_start > LINE_CHARS_MAX {
            ("…", before[..LEAD_CHARS].iter().rev().collect::<String>())
        } else {
            ("", source[line_start..start].to_owned())
        };
        let room = LINE_CHARS_MAX.saturating_sub(before.chars().count()).max(1);
        let rest = &source[start..line_end];
        let rest_end = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
        let caret_end = (end.min(line_end) - start).min(rest_end);
        let (inside, after) = rest[..rest_end].split_at(caret_end);
        let cut_after = if rest_end < rest.len() { "…" } else { "" };

        let head = format!("{cut_before}{}", visible(&before));
        let inside = visible(inside);
        let caret = (head.len(), head.len() + inside.len());
        Excerpt { text: format!("{head}{inside}{}{cut_after}", visible(after)), caret, line, column }
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Spells out control, bidirectional and zero-width characters: `\u{202e}`. Tabs stay.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\t' && (c.is_control() || is_invisible(c)) {
            shown.push_str(&c.escape_unicode().to_string());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a character changes the order of text, or takes no place on the screen.
pub fn is_invisible(c: char) -> bool {
    is_reordering(c)
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}'
            | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a character makes text read in another order than it is stored (CVE-2021-42574).
pub fn is_reordering(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::source::{Source, Span};

    fn problem(text: &str, word: &str) -> Problem {
        let source = Source::new("runbooks/crash-loop.yaml", text);
        let at = source.text.find(word).unwrap();
        Problem::error("E0103", &source, Span::new(at, at + word.len()), format!("unknown step key `{word}`"))
            .label("not a step key")
            .help("did you mean `uses`?")
    }

    #[test]
    fn looks_like_rustc() {
        let text = "steps:\n  - id: have\n    use: railway.variables\n";
        assert_eq!(
            render(&[problem(text, "use")], false),
            "error[E0103]: unknown step key `use`\n --> runbooks/crash-loop.yaml:3:5\n  |\n3 |     use: railway.variables\n  |     ^^^ not a step key\n  |\n  = help: did you mean `uses`?\n"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let text = format!("a: {}WORD{}\n", "x".repeat(5_000), "y".repeat(500_000));
        let picture = render(&[problem(&text, "WORD")], false);
        let lines: Vec<&str> = picture.lines().collect();
        assert!(picture.len() < 600, "{picture}");
        assert!(lines[1].ends_with(":1:5004"), "{picture}");
        let caret = lines[4].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[3].chars().skip(caret).take(4).collect::<String>(), "WORD");
        assert_eq!(lines[4].chars().filter(|c| *c == '^').count(), 4);
    }

    #[test]
    fn a_caret_wider_than_the_cut_still_starts_at_its_place() {
        let text = format!("key: {}\n", "z".repeat(10_000));
        let picture = render(&[problem(&text, &"z".repeat(10_000))], false);
        assert!(picture.contains("^^^"), "{picture}");
        assert!(picture.lines().nth(3).unwrap().chars().count() < 140, "{picture}");
    }

    #[test]
    fn hidden_characters_are_spelled_out() {
        let picture = render(&[problem("a: \u{202e}evil\u{200b} \u{1b}[31mWORD\n", "WORD")], false);
        assert!(!picture.contains(['\u{202e}', '\u{200b}', '\u{1b}']), "{picture:?}");
        assert!(picture.contains("\\u{202e}evil\\u{200b} \\u{1b}[31mWORD"), "{picture}");
        let lines: Vec<&str> = picture.lines().collect();
        assert_eq!(lines[4].find('^'), lines[3].find("WORD"));
    }

    #[test]
    fn places_past_the_end_and_inside_a_character_are_drawn() {
        let source = Source::new("a.yaml", "é");
        for span in [Span::new(1, 2), Span::new(5, 9), Span::new(2, 2)] {
            assert!(render(&[Problem::error("E0101", &source, span, "m")], false).contains("a.yaml:1:"));
        }
        assert!(
            render(&[Problem::error("E0106", &Source::new("e.yaml", ""), Span::default(), "m")], true)
                .contains("e.yaml")
        );
    }

    #[test]
    fn problems_come_sorted_by_file_and_place() {
        let source = Source::new("b.yaml", "one two");
        let other = Source::new("a.yaml", "x");
        let at = |source, start, message| Problem::error("E0103", source, Span::new(start, start + 1), message);
        let text = render(&[at(&source, 4, "third"), at(&source, 0, "second"), at(&other, 0, "first")], false);
        let places: Vec<_> = ["first", "second", "third"].iter().map(|word| text.find(word).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
    }
}
