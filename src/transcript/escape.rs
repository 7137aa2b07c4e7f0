//! Makes text from outside harmless where it is shown: a terminal, a shell, Markdown, HTML and SVG, Mermaid.
//!
//! Not about secrets: those are taken out before, by the redactor at the door.

use crate::runbook::render::{is_invisible, visible};

/// One line for a terminal: control, escape, bidirectional and zero-width characters are spelled out.
pub fn terminal(text: &str) -> String {
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()) {
        return text.to_owned();
    }
    visible(&text.replace("\r\n", "\\n").replace('\n', "\\n").replace('\t', " "))
}

/// One word for a POSIX shell, because people copy the commands they are shown.
pub fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,#".contains(c);
    if !text.is_empty() && !text.starts_with('#') && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Running text in Markdown: no markup, link, image, HTML, table border or line break survives.
pub fn markdown(text: &str) -> String {
    let line = terminal(&one_line(text));
    let mut escaped = String::with_capacity(line.len() + 8);
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    for (at, c) in line.char_indices() {
        let rest = &line[at..];
        let marks = "\\`*_[]<>#|~!&$".contains(c)
            // Block marks count at the beginning only.
            || (at == 0 && "-+=".contains(c))
            || (digits > 0 && at == digits && (c == '.' || c == ')'))
            // Bare addresses would become links.
            || rest.starts_with("://")
            || (c == '.' && line[..at].to_ascii_lowercase().ends_with("www"));
        if marks {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A code span in Markdown, also inside a table.
pub fn markdown_code(text: &str) -> String {
    let line = terminal(&one_line(text));
    if line.is_empty() {
        return String::new();
    }
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    // A table takes `\|` for a border in text even inside code; nothing else is an escape there.
    format!("{fence}{pad}{}{pad}{fence}", line.replace('|', "\\|"))
}

/// Content or a quoted attribute of HTML and SVG. Line ends stay; what is no character of XML is spelled out.
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push('\n'),
            '\t' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push_str(&c.escape_unicode().to_string()),
            _ if c.is_control() || is_invisible(c) => escaped.push_str(&c.escape_unicode().to_string()),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A label of a Mermaid diagram, between quotes: everything that could mean something there is a number.
pub fn mermaid(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in terminal(&one_line(text)).chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '_' | '-' | '.' | ',' => escaped.push(c),
            _ if c.is_alphanumeric() => escaped.push(c),
            _ => escaped.push_str(&format!("#{};", u32::from(c))),
        }
    }
    escaped
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\x1b[2J\x1b]0;owned\x07b\r\nc\u{202e}d\u{200b}e\u{9b}31m\x08";

    #[test]
    fn nothing_reaches_a_terminal_that_moves_hides_or_colours() {
        let shown = terminal(HOSTILE);
        assert!(!shown.chars().any(|c| c.is_control() || crate::runbook::render::is_invisible(c)), "{shown:?}");
        assert_eq!(shown, "a\\u{1b}[2J\\u{1b}]0;owned\\u{7}b\\nc\\u{202e}d\\u{200b}e\\u{9b}31m\\u{8}");
        assert_eq!(terminal("plain é ✓"), "plain é ✓");
    }

    #[test]
    fn a_copied_command_holds_hostile_text_in_one_word() {
        assert_eq!(shell("https://api.test/health"), "https://api.test/health");
        assert_eq!(shell("a'; rm -rf ~ #"), r"'a'\''; rm -rf ~ #'");
        assert_eq!(shell(""), "''");
        assert_eq!(shell("#x"), "'#x'");
        assert_eq!(shell("diagnose/http.probe#1"), "diagnose/http.probe#1");
        assert_eq!(shell("$(id)"), "'$(id)'");
    }

    #[test]
    fn markdown_keeps_words_and_loses_meaning() {
        assert_eq!(
            markdown("![x](http://e.test/p.png) <img src=x onerror=y> | a\n# b `c` *d*"),
            "\\!\\[x\\](http\\://e.test/p.png) \\<img src=x onerror=y\\> \\| a \\# b \\`c\\` \\*d\\*"
        );
        assert_eq!(markdown("- item"), "\\- item");
        assert_eq!(markdown("12. item 3.5"), "12\\. item 3.5");
        assert_eq!(markdown("see www.e.test"), "see www\\.e.test");
        assert_eq!(markdown("&lt;b&gt;"), "\\&lt;b\\&gt;");
        assert!(!markdown(HOSTILE).chars().any(char::is_control));
    }

    #[test]
    fn a_mermaid_label_is_words_and_numbers() {
        assert_eq!(mermaid("a \"b\"; click x"), "a #34;b#34;#59; click x");
        assert_eq!(mermaid("<img src=x>\n%%{init}"), "#60;img src#61;x#62; #37;#37;#123;init#125;");
    }

    #[test]
    fn a_code_span_cannot_be_left() {
        assert_eq!(markdown_code("a|b"), "`a\\|b`");
        assert_eq!(markdown_code("x `` y"), "```x `` y```");
        assert_eq!(markdown_code("`"), "`` ` ``");
        assert_eq!(markdown_code("a\nb"), "`a b`");
    }
}
