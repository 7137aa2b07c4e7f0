//! The graph as an SVG: boxes from top to bottom, frames around what belongs together, and beside them an arc from
//! each step to the steps that read it.

use crate::runbook::spec::Effect;
use crate::transcript::graph::{Graph, Kind, Node};
use crate::transcript::markup::Markup;
use crate::transcript::{picture, words};

const STYLE: &str = include_str!("../graph.css");
const LEFT: f64 = 12.0;
/// Where boxes end and arcs begin.
const RIGHT: f64 = 660.0;
const INDENT: f64 = 16.0;
/// Groups in groups that still get an indent: the boxes must keep a width.
const INDENTS_MAX: usize = 8;
const LINE: f64 = 16.0;
const GAP: f64 = 12.0;
const TOP: f64 = 40.0;
/// Furthest an arc goes to the right.
const ARC_MAX: f64 = 280.0;
const NAME_CHARS_MAX: usize = 28;
const WHAT_CHARS_MAX: usize = 30;
const NOTE_CHARS_MAX: usize = 76;

/// Where a node stands.
#[derive(Clone, Copy, Default)]
struct Place {
    top: f64,
    bottom: f64,
}

/// The graph as an SVG file.
pub fn svg(graph: &Graph) -> String {
    let places = places(graph);
    let height = places.iter().map(|place| place.bottom).fold(TOP, f64::max) + 36.0;
    let mut page = Markup::new();
    page.tag("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"rr\" role=\"img\" viewBox=\"0 0 960 ").number(height);
    page.tag("\">\n").element("title", &graph.title).tag("\n<style>").tag(picture::STYLE).tag(STYLE).tag("</style>\n");
    text(&mut page, LEFT, 20.0, "strong", &words::shorten(&graph.title, 110));
    for (node, place) in graph.nodes.iter().zip(&places) {
        draw(&mut page, node, *place);
    }
    for (from, to) in &graph.flows {
        arc(&mut page, places[*from], places[*to]);
    }
    let more = match graph.left_out {
        0 => String::new(),
        count => format!("{} more are not drawn   ", words::count(count, "step")),
    };
    let legend = "dashed: one after another   solid: side by side   thick: changes something   arc: reads";
    text(&mut page, LEFT, height - 10.0, "dim", &format!("{more}{legend}"));
    page.tag("</svg>\n");
    page.finish()
}

/// From top to bottom; a frame ends where the last node inside it does.
fn places(graph: &Graph) -> Vec<Place> {
    let mut places = vec![Place::default(); graph.nodes.len()];
    let mut open: Vec<usize> = Vec::new();
    let mut y = TOP;
    for (at, node) in graph.nodes.iter().enumerate() {
        while let Some(frame) = open.pop_if(|frame| graph.nodes[*frame].depth >= node.depth) {
            places[frame].bottom = y - GAP / 2.0;
            y += GAP / 2.0;
        }
        let lines = 1 + usize::from(!node.notes.is_empty());
        places[at] = Place { top: y, bottom: y + 8.0 + LINE * lines as f64 };
        y = places[at].bottom + GAP;
        if node.kind.encloses() {
            open.push(at);
        }
    }
    while let Some(frame) = open.pop() {
        places[frame].bottom = y - GAP / 2.0;
        y += GAP / 2.0;
    }
    places
}

fn draw(page: &mut Markup, node: &Node, place: Place) {
    let inset = INDENT * node.depth.min(INDENTS_MAX) as f64;
    let (x, width) = (LEFT + inset, RIGHT - LEFT - inset * 1.5);
    page.tag("<g class=\"").tag(class(node.effect)).tag("\">");
    page.element("title", &format!("{} ({}, {})", node.name, node.what, node.effect.word()));
    let frame = match node.kind {
        Kind::Section | Kind::Sequence => "frame",
        Kind::Parallel => "side",
        _ => "box",
    };
    page.tag("<rect").attribute("x", x).attribute("y", place.top).attribute("width", width);
    page.attribute("height", place.bottom - place.top).tag(" rx=\"4\" class=\"").tag(frame).tag("\"/>");
    let y = place.top + LINE;
    text(page, x + 8.0, y, "strong", &cut(&node.name, NAME_CHARS_MAX));
    let what = match node.kind {
        Kind::Section => "",
        Kind::Sequence => "group",
        Kind::Parallel => "side by side",
        _ => &node.what,
    };
    text(page, x + 220.0, y, "", &cut(what, WHAT_CHARS_MAX));
    if !node.kind.encloses() {
        text(page, x + width - 88.0, y, "dim", node.effect.word());
    }
    if !node.notes.is_empty() {
        text(page, x + 8.0, y + LINE, "dim", &cut(&node.notes.join("   "), NOTE_CHARS_MAX));
    }
    page.tag("</g>\n");
}

/// From a step to one that reads it: the further, the wider.
fn arc(page: &mut Markup, from: Place, to: Place) {
    let (start, end) = (from.top + 10.0, to.top + 14.0);
    let reach = RIGHT + 20.0 + ((end - start).abs() / 3.0).min(ARC_MAX - 20.0);
    page.tag("<path class=\"flow\" d=\"M").number(RIGHT).tag(" ").number(start).tag("C").number(reach).tag(" ");
    page.number(start).tag(" ").number(reach).tag(" ").number(end).tag(" ").number(RIGHT).tag(" ").number(end);
    page.tag("\"/><path class=\"head\" d=\"M").number(RIGHT).tag(" ").number(end).tag("l7 -4v8z\"/>\n");
}

fn text(page: &mut Markup, x: f64, y: f64, class: &'static str, text: &str) {
    page.tag("<text").attribute("x", x).attribute("y", y);
    page.tag(" class=\"").tag(class).tag("\" xml:space=\"preserve\">").text(text).tag("</text>");
}

fn class(effect: Effect) -> &'static str {
    match effect {
        Effect::Pure | Effect::Read => "read",
        Effect::Notify => "notify",
        Effect::Write | Effect::Destructive => "write",
    }
}

/// The beginning of a text, and a sign that it goes on.
fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max - 1).chain(['…']).collect(),
    }
}
