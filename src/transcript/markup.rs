//! HTML and SVG, written so that nothing from a run can become markup.
//!
//! Markup is `&'static str` by type: only what stands in this program's text goes in as it is, everything else goes
//! through [`Markup::text`]. A template language would bring a second syntax and a place to switch escaping off, for
//! two pages that are written from top to bottom anyway.

use std::fmt::{Display, Write};

use crate::transcript::escape;

/// A page, or a piece of one.
#[derive(Clone, Debug, Default)]
pub struct Markup(String);

impl Markup {
    /// Nothing yet.
    pub fn new() -> Markup {
        Markup::default()
    }

    /// Markup of this program.
    pub fn tag(&mut self, markup: &'static str) -> &mut Markup {
        self.0.push_str(markup);
        self
    }

    /// Text from anywhere, for content and for quoted attributes.
    pub fn text(&mut self, text: &str) -> &mut Markup {
        self.0.push_str(&escape::html(text));
        self
    }

    /// A number, which needs no escape.
    pub fn number(&mut self, number: impl Into<f64> + Copy) -> &mut Markup {
        let number: f64 = number.into();
        // A tenth of a unit is finer than a screen; whole numbers stay short.
        let rounded = (number * 10.0).round() / 10.0;
        self.show(rounded)
    }

    /// ` name="number"`
    pub fn attribute(&mut self, name: &'static str, number: impl Into<f64> + Copy) -> &mut Markup {
        self.tag(" ").tag(name).tag("=\"").number(number).tag("\"")
    }

    /// `<tag>text</tag>`
    pub fn element(&mut self, tag: &'static str, text: &str) -> &mut Markup {
        self.tag("<").tag(tag).tag(">").text(text).tag("</").tag(tag).tag(">")
    }

    /// A piece that was written the same way.
    pub fn piece(&mut self, piece: &Markup) -> &mut Markup {
        self.0.push_str(&piece.0);
        self
    }

    /// The page.
    pub fn finish(self) -> String {
        self.0
    }

    fn show(&mut self, number: f64) -> &mut Markup {
        write!(self.0, "{number}").expect("writing to a string does not fail");
        self
    }
}

impl Display for Markup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_leave_neither_an_element_nor_an_attribute() {
        let mut page = Markup::new();
        page.tag("<p title=\"").text("\" onclick='x").tag("\">").text("</p><script>&amp;\0\u{202e}").tag("</p>");
        assert_eq!(
            page.to_string(),
            "<p title=\"&quot; onclick=&#39;x\">&lt;/p&gt;&lt;script&gt;&amp;amp;\\u{0}\\u{202e}</p>"
        );
    }

    #[test]
    fn numbers_are_short_and_never_anything_but_numbers() {
        let mut page = Markup::new();
        page.attribute("x", 10.0).attribute("y", 1.0 / 3.0).attribute("z", 7u32);
        assert_eq!(page.finish(), " x=\"10\" y=\"0.3\" z=\"7\"");
    }
}
