//! Cards for chats that read Markdown: the title, then all lines in one block of code, in which nothing is markup, mention
//! or link.

use crate::surfaces::chat::card::{Card, cut};

/// Room for title, fences and link beside the lines.
const FRAME_CHARS: usize = 400;
/// Letters of a link that is shown; a longer one is left out, since half of one leads nowhere.
const LINK_CHARS_MAX: usize = 200;

/// A card in at most so many letters.
pub fn text(card: &Card, chars_max: usize) -> String {
    let lines = card.shown().into_iter().map(|line| fenced(&line.text)).collect::<Vec<_>>().join("\n");
    let mut text = format!("**{}**", title(card.title()));
    if !lines.is_empty() {
        text.push_str(&format!("\n```text\n{}\n```", cut(&lines, chars_max.saturating_sub(FRAME_CHARS))));
    }
    if let Some(url) = card.link().filter(|url| url.chars().count() <= LINK_CHARS_MAX) {
        text.push_str(&format!("\n[page](<{}>)", url.replace(['>', '<', ')', '('], "")));
    }
    text
}

/// A line that can't end the block it stands in.
fn fenced(line: &str) -> String {
    line.replace('`', "ˋ")
}

/// Letters, digits and a few signs as they are; what could mean something gets a backslash.
fn title(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        if c.is_ascii_punctuation() && !matches!(c, '/' | ',' | '.' | ';' | ':') {
            escaped.push('\\');
        }
        escaped.push(c);
        // An address, or a mention, is found by its first letters whatever stands before them.
        if c == '@' || (c == ':' && letters.peek() == Some(&'/')) {
            escaped.push('\u{200b}');
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_block_and_nobody_is_called() {
        let hostile = "``` @here <@1> [x](http://evil.example) **b**";
        let text =
            text(&Card::new(hostile).line(hostile).line(hostile).page(Some("https://ops.example.com/r".into())), 2000);
        let (head, body) = text.split_once("\n```text\n").unwrap();
        assert_eq!(body.matches("```").count(), 1, "{text}");
        assert!(
            !head.contains("@here") && !head.contains("<@1>") && !head.contains("](") && !head.contains("://"),
            "{head}"
        );
        assert!(body.ends_with("\n```\n[page](<https://ops.example.com/r>)"), "{body}");
    }

    #[test]
    fn the_largest_card_is_as_long_as_it_may_be() {
        let mut card = Card::new(&"t".repeat(500)).page(Some(format!("https://x.example/{}", "p".repeat(500))));
        for _ in 0..100 {
            card = card.line(&"é".repeat(400));
        }
        assert!(text(&card, 2000).chars().count() <= 2000);
        assert!(!text(&card, 2000).contains("[page]"));
    }
}
