//! Cards for chats that read Markdown: the title, then all lines in one block of code, in which nothing is markup, mention
//! or link.

use crate::surfaces::chat::card::{Card, cut};

/// Letters of a link that is shown; a longer one is left out, since half of one leads nowhere.
const LINK_CHARS_MAX: usize = 200;

/// A card in at most so many letters.
pub fn text(card: &Card, chars_max: usize) -> String {
    let lines = card.shown().into_iter().map(|line| fenced(&line.text)).collect::<Vec<_>>().join("\n");
    let head = format!("**{}**", title(&card.title()));
    let link = card.link().filter(|url| url.chars().count() <= LINK_CHARS_MAX);
    let foot = link.map(|url| format!("\n[page](<{}>)", url.replace(['>', '<', ')', '('], ""))).unwrap_or_default();
    if lines.is_empty() {
        return format!("{head}{foot}");
    }
    // A title of signs is three times as long as it was: what is left for the lines is what is left.
    let frame = [&head, OPENS, CLOSES, &foot].map(|part| part.chars().count()).iter().sum();
    format!("{head}{OPENS}{}{CLOSES}{foot}", cut(&lines, chars_max.saturating_sub(frame).max(1)))
}

/// Around the lines.
const OPENS: &str = "\n```text\n";
const CLOSES: &str = "\n```";

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
        // An address, or a mention, is found by its first letters whatever stands before them: `https://`, `mailto:`, `www.`.
        let next = letters.peek().copied().unwrap_or(' ');
        let leads = (c == ':' && (next == '/' || next.is_alphabetic()))
            || (c == '.' && escaped.len() >= 4 && escaped[..escaped.len() - 1].to_lowercase().ends_with("www"));
        if c == '@' || leads {
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
        let hostile = "``` @here <@1> [x](http://evil.example) **b** WWW.evil.example mailto:a@evil.example";
        let text =
            text(&Card::new(hostile).line(hostile).line(hostile).page(Some("https://ops.example.com/r".into())), 2000);
        let (head, body) = text.split_once("\n```text\n").unwrap();
        assert_eq!(body.matches("```").count(), 1, "{text}");
        assert!(
            !head.contains("@here") && !head.contains("<@1>") && !head.contains("](") && !head.contains("://"),
            "{head}"
        );
        assert!(!head.contains("WWW.e") && !head.contains("mailto:a"), "{head}");
        let plain = super::text(&Card::new("fix / 7k3q9d: done at 10:45, a.b"), 2000);
        assert_eq!(plain, "**fix / 7k3q9d: done at 10:45, a.b**", "what leads nowhere is as it was");
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
        let page = format!("https://x.example/{}", "p".repeat(180));
        let mut signs = Card::new(&"@".repeat(500)).page(Some(page.clone()));
        for _ in 0..100 {
            signs = signs.line(&"`".repeat(400));
        }
        let all = text(&signs, 2000);
        assert!(all.chars().count() <= 2000 && all.contains(&page) && all.matches("```").count() == 2, "{all}");
    }
}
