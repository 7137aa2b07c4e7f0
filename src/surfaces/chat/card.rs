//! A message as every chat can show it: a title, lines, buttons, a link. Bounded here, so that no chat cuts it off or
//! refuses it.

use crate::transcript::{Line, escape, words};

/// Lines of a card: what fits on a screen. The page has the rest.
const LINES_MAX: usize = 38;
/// Letters of a line, after which it is cut: two lines of a wide window.
const LINE_CHARS_MAX: usize = 300;
/// Letters of a title: what Slack's headers take.
const TITLE_CHARS_MAX: usize = 150;
/// Letters of a button: more are cut by every chat.
const LABEL_CHARS_MAX: usize = 70;
/// Buttons of a card: a row of them, as many as Discord and Slack show beside each other.
const BUTTONS_MAX: usize = 5;
/// Fields of a form: more is no form for a chat.
pub const FIELDS_MAX: usize = 20;
/// Letters that a hint keeps beside the names of what was left out: enough to know the field by.
const HINT_CHARS_MIN: usize = 30;

/// A message. What goes in is cut when it is shown and not before: half of a secret is one that nobody recognises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    title: String,
    lines: Vec<Said>,
    buttons: Vec<Button>,
    page: Option<String>,
}

/// One line of a message, in letters of its own width or of one width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub text: String,
    pub code: bool,
}

/// A button. What it holds says nothing: what it may do stands on the shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    pub label: String,
    pub holds: String,
    pub style: Style,
}

/// How a button looks, where a chat can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Good,
    Danger,
}

/// Questions to fill in, each with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub title: String,
    pub submit: String,
    /// As a button holds something.
    pub holds: String,
    pub fields: Vec<Field>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub hint: Option<String>,
    pub kind: FieldKind,
    pub initial: Option<String>,
    pub required: bool,
    /// Inputs for which the form had no field; named below this one, its last.
    pub left_out: Vec<String>,
}

/// What may be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Text,
    Long,
    Number { decimal: bool },
    Url,
    Email,
    Choice(Vec<String>),
}

impl Card {
    /// A message with this title.
    pub fn new(title: &str) -> Card {
        Card { title: escape::terminal(title), ..Card::default() }
    }

    /// The same with a line.
    pub fn line(mut self, text: &str) -> Card {
        self.lines.push(Said { text: escape::terminal(text), code: false });
        self
    }

    /// The same with lines of the transcript.
    pub fn lines<'l>(mut self, lines: impl IntoIterator<Item = &'l Line>) -> Card {
        self.lines.extend(lines.into_iter().map(|line| Said { text: line.plain(), code: false }));
        self
    }

    /// The same with lines that have to stand below each other as they are: a change, a plan.
    pub fn code<'l>(mut self, lines: impl IntoIterator<Item = &'l Line>) -> Card {
        self.lines.extend(lines.into_iter().map(|line| Said { text: line.plain(), code: true }));
        self
    }

    /// The same with a button; one too many is left out.
    pub fn button(mut self, label: &str, holds: &str, style: Style) -> Card {
        if self.buttons.len() < BUTTONS_MAX {
            self.buttons.push(Button { label: escape::terminal(label), holds: holds.to_owned(), style });
        }
        self
    }

    /// The same with a link to the page that says all.
    pub fn page(mut self, url: Option<String>) -> Card {
        self.page = url;
        self
    }

    /// The same without the texts of secrets, wherever they stand.
    pub fn redacted(mut self, redact: impl Fn(&str) -> String) -> Card {
        self.title = redact(&self.title);
        for line in &mut self.lines {
            line.text = redact(&line.text);
        }
        for button in &mut self.buttons {
            button.label = redact(&button.label);
        }
        self
    }

    /// As much of the title as is shown.
    pub fn title(&self) -> String {
        cut(&self.title, TITLE_CHARS_MAX)
    }

    /// As many lines as a card may have; the last one says if there were more.
    pub fn shown(&self) -> Vec<Said> {
        let most = if self.lines.len() > LINES_MAX { LINES_MAX - 1 } else { LINES_MAX };
        let said = |line: &Said| Said { text: cut(&line.text, LINE_CHARS_MAX), code: line.code };
        let mut shown: Vec<Said> = self.lines.iter().take(most).map(said).collect();
        if self.lines.len() > most {
            let left = self.lines.len() - most;
            shown.push(Said { text: format!("… and {left} more lines"), code: false });
        }
        shown
    }

    /// The buttons, with as much of their labels as is shown.
    pub fn buttons(&self) -> Vec<Button> {
        let shown = |button: &Button| {
            // A message with an empty one is refused as a whole.
            let label = if button.label.trim().is_empty() { "…" } else { &button.label };
            Button { label: cut(label, LABEL_CHARS_MAX), ..button.clone() }
        };
        self.buttons.iter().map(shown).collect()
    }

    pub fn link(&self) -> Option<&str> {
        self.page.as_deref()
    }

    /// All of it as plain text, for a chat without anything else.
    pub fn plain(&self) -> String {
        let lines = self.shown().into_iter().map(|line| line.text);
        let link = self.page.as_ref().map(|url| format!("page: {url}"));
        std::iter::once(self.title()).chain(lines).chain(link).collect::<Vec<_>>().join("\n")
    }
}

impl Field {
    /// What stands below it, in so many letters at most: `hint`, cut where it has to be, and what was left out of the form,
    /// by whole names, with the number of those that don't fit.
    pub fn below(&self, hint: &str, chars_max: usize) -> String {
        if self.left_out.is_empty() {
            return cut(hint, chars_max);
        }
        let hint_min = hint.chars().count().min(HINT_CHARS_MIN) + 1;
        let left_out = left_out(&self.left_out, chars_max.saturating_sub(hint_min));
        match chars_max.saturating_sub(left_out.chars().count() + 1) {
            room if room > 0 && !hint.trim().is_empty() => format!("{} {left_out}", cut(hint, room)),
            _ => cut(&left_out, chars_max),
        }
    }
}

/// As many of these names as so many letters hold; none if not even one does.
fn left_out(names: &[String], chars_max: usize) -> String {
    let say = |whole: usize| {
        let named = names[..whole].join(", ");
        let more = words::count(names.len() - whole, "more input");
        let said = match whole {
            0 => more,
            _ if whole == names.len() => named,
            _ => format!("{named} and {more}"),
        };
        format!("(as they are unless typed: {said})")
    };
    let fits = |said: &String| said.chars().count() <= chars_max;
    (1..=names.len()).rev().map(say).find(fits).unwrap_or_else(|| say(0))
}

/// At most so many letters, with a sign where it was cut.
pub fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => {
            let end = text.char_indices().nth(chars_max - 1).map_or(text.len(), |(at, _)| at);
            format!("{}…", &text[..end])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_bounded_whatever_goes_in() {
        let mut card = Card::new(&"t".repeat(1000));
        for at in 0..500 {
            card = card.line(&"é".repeat(5000)).button(&format!("{at}{}", "b".repeat(100)), "n", Style::Plain);
        }
        let shown = card.shown();
        assert_eq!((shown.len(), card.buttons().len(), card.title().chars().count()), (38, 5, 150));
        assert_eq!(shown.last().unwrap().text, "… and 463 more lines");
        assert!(shown.iter().all(|line| line.text.chars().count() <= 300));
        assert!(card.buttons().iter().all(|button| button.label.chars().count() <= 70));
        assert!(card.plain().len() < 25_000);
        assert_eq!(Card::new("t").button(" ", "n", Style::Plain).buttons()[0].label, "…");
    }

    #[test]
    fn nothing_on_a_card_breaks_a_line_or_hides() {
        let card = Card::new("a\nb").line("c\u{202e}d\u{200b}\re").button("f\ng", "n", Style::Good);
        let text = format!("{}{}{}", card.title(), card.shown()[0].text, card.buttons()[0].label);
        assert!(!text.chars().any(|c| c.is_control() || crate::runbook::render::is_invisible(c)), "{text:?}");
    }

    #[test]
    fn a_secret_is_taken_out_before_anything_is_cut() {
        let secret = "fake-secret-of-a-test";
        let at = |chars: usize| format!("{}{secret}", "x".repeat(chars));
        let card = Card::new(&at(140)).line(&at(290)).button(&at(60), "n", Style::Good);
        let card = card.redacted(|text| text.replace(secret, "[out]"));
        let all = format!("{} {} {}", card.title(), card.shown()[0].text, card.buttons()[0].label);
        assert!(!all.contains("fake") && all.matches("[out]").count() == 3, "{all}");
        let longer = Card::new("s").line(&"s".repeat(300)).redacted(|text| text.replace('s', "[something]"));
        assert_eq!(longer.shown()[0].text.chars().count(), 300);
    }

    #[test]
    fn what_a_form_leaves_out_is_named_whole_or_counted() {
        let below = |names: &[&str], hint: &str, chars_max: usize| {
            let left_out = names.iter().map(|name| (*name).to_owned()).collect();
            let field =
                Field { name: "n".into(), hint: None, kind: FieldKind::Text, initial: None, required: false, left_out };
            let below = field.below(hint, chars_max);
            assert!(below.chars().count() <= chars_max, "{below}");
            below
        };
        let (hint, long) = ("h".repeat(500), "n".repeat(64));
        assert_eq!(below(&[], "a hint", 100), "a hint");
        assert_eq!(below(&["a", "b"], "a hint", 100), "a hint (as they are unless typed: a, b)");
        assert_eq!(below(&["a"], " ", 100), "(as they are unless typed: a)");
        let few = below(&["region_of_the_service", "size_of_the_service", "owner_of_the_service"], &hint, 100);
        assert!(few.ends_with("h… (as they are unless typed: region_of_the_service and 2 more inputs)"), "{few}");
        let none = below(&[&long, "b", "c"], &hint, 100);
        assert!(none.ends_with("h… (as they are unless typed: 3 more inputs)"), "{none}");
        assert_eq!(below(&[&long], "", 100), format!("(as they are unless typed: {long})"), "room that no hint needs");
        // A name that would just fit is whole, and one letter less leaves it out.
        let most = "n".repeat(41);
        assert!(below(&[&most], &hint, 100).ends_with(&format!(": {most})")));
        assert!(below(&[&format!("{most}n")], &hint, 100).ends_with(": 1 more input)"));
        assert!(below(&["a"; 500], &hint, 100).ends_with(" more inputs)"));
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!((cut("abc", 3).as_str(), cut("abcd", 3).as_str(), cut("", 3).as_str()), ("abc", "ab…", ""));
    }
}
