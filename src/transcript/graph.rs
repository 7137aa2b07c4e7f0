//! A runbook as a graph: its steps with their effects and conditions, what encloses what, and which step reads which.
//!
//! Of the text, not of a run: what happened is in `bars.rs`. `mermaid.rs` and `drawing.rs` write it down.

use std::collections::{BTreeMap, BTreeSet};

use crate::runbook::model::{Block, Body, Step};
use crate::runbook::program::Program;
use crate::runbook::snippet::{Snippet, Template, TemplateNode};
use crate::runbook::source::Spanned;
use crate::runbook::spec::Effect;
use crate::transcript::words;

mod drawing;
mod mermaid;

pub use drawing::svg;
pub use mermaid::mermaid;

/// Steps of a graph: more is a wall nobody reads, and Mermaid gives up at 500 lines between them.
const NODES_MAX: usize = 250;
/// Lines between steps that read each other.
const FLOWS_MAX: usize = 400;
/// Characters of an expression.
const NOTE_CHARS_MAX: usize = 60;

/// A runbook drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    pub title: String,
    /// Depth first, in source order: what a node encloses follows it.
    pub nodes: Vec<Node>,
    /// Reads of outputs: from the step that gives to the step that takes.
    pub flows: Vec<(usize, usize)>,
    /// Steps that are not drawn.
    pub left_out: usize,
}

/// A step, or a part of the runbook that holds steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub name: String,
    /// The action, or the key of the body.
    pub what: String,
    pub effect: Effect,
    pub kind: Kind,
    /// Nodes that enclose it.
    pub depth: usize,
    /// `if …`, `until …`, `foreach …`: one short text each.
    pub notes: Vec<String>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The main steps, `on_failure` or `finally`.
    Section,
    /// Steps one after another.
    Sequence,
    /// Branches side by side.
    Parallel,
    /// A step that a person answers.
    Question,
    /// `assert` and `findings`.
    Verdict,
    Step,
}

impl Kind {
    /// The word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Section => "section",
            Kind::Sequence => "sequence",
            Kind::Parallel => "parallel",
            Kind::Question => "question",
            Kind::Verdict => "verdict",
            Kind::Step => "step",
        }
    }

    /// Whether nodes of this kind hold others.
    pub fn encloses(self) -> bool {
        matches!(self, Kind::Section | Kind::Sequence | Kind::Parallel)
    }
}

impl Graph {
    /// The graph of a checked runbook.
    pub fn of(program: &Program) -> Graph {
        let book = &program.runbook;
        let mut graph = Graph { title: format!("{}: {}", book.name, book.title), ..Graph::default() };
        let mut known = BTreeMap::new();
        for (name, block) in [("steps", &book.steps), ("on_failure", &book.on_failure), ("finally", &book.finally)] {
            if block.is_empty() {
                continue;
            }
            let blank = Node {
                name: name.to_owned(),
                what: String::new(),
                effect: Effect::Pure,
                kind: Kind::Section,
                depth: 0,
                notes: Vec::new(),
            };
            graph.nodes.push(blank);
            graph.block(program, block, 1, &mut known);
        }
        graph.flows.truncate(FLOWS_MAX);
        graph
    }

    fn block(&mut self, program: &Program, block: &Block, depth: usize, known: &mut BTreeMap<String, usize>) {
        for step in block.iter() {
            if self.nodes.len() >= NODES_MAX {
                self.left_out += 1;
                continue;
            }
            let at = self.nodes.len();
            self.nodes.push(node(program, step, depth));
            let sources: BTreeSet<usize> = reads(step).iter().filter_map(|id| known.get(*id).copied()).collect();
            self.flows.extend(sources.into_iter().map(|from| (from, at)));
            if let Some(inner) = step.body.inner() {
                self.block(program, inner, depth + 1, known);
            }
            known.insert(step.id.clone(), at);
        }
    }

    /// The end of what a node encloses: the first node after it that is not inside.
    pub fn end_of(&self, at: usize) -> usize {
        let depth = self.nodes[at].depth;
        let inside = self.nodes[at + 1..].iter().take_while(|node| node.depth > depth).count();
        at + 1 + inside
    }
}

fn node(program: &Program, step: &Step, depth: usize) -> Node {
    let kind = match &step.body {
        Body::Steps(_) => Kind::Sequence,
        Body::Parallel(_) => Kind::Parallel,
        Body::Assert(_) | Body::Findings(_) => Kind::Verdict,
        Body::Uses { action, .. } if action.value == "human.ask" => Kind::Question,
        Body::Uses { .. } | Body::Script(_) => Kind::Step,
    };
    let what = match &step.body {
        Body::Uses { action, with } => {
            let called = with.iter().find(|(key, _)| action.value == "runbook" && key.value == "name");
            let called = called.and_then(|(_, name)| name.literal()).map(|name| format!(" {name}"));
            format!("{}{}", action.value, called.unwrap_or_default())
        }
        body => body.key().to_owned(),
    };
    Node { name: step.id.clone(), what, effect: program.effect_of(step), kind, depth, notes: notes(step) }
}

fn notes(step: &Step) -> Vec<String> {
    let short = |text: &str| words::shorten(&text.split_whitespace().collect::<Vec<_>>().join(" "), NOTE_CHARS_MAX);
    let mut notes = Vec::new();
    if let Some(condition) = &step.condition {
        notes.push(format!("if {}", short(&condition.text)));
    }
    if let Some(foreach) = &step.foreach {
        let at_a_time = foreach.max_parallel.as_ref().map(|most| format!(", {} at a time", short(&written(most))));
        notes.push(format!("for each of {}{}", short(&written(&foreach.items)), at_a_time.unwrap_or_default()));
    }
    if let Some(poll) = &step.poll {
        notes.push(format!("until {}", short(&poll.until.text)));
    }
    if let Some(within) = &step.within {
        notes.push(format!("within {}", short(&written(within))));
    }
    if let Some(retry) = &step.retry {
        notes.push(format!("up to {}", words::count(retry.attempts as usize, "attempt")));
    }
    if step.undo.is_some() {
        notes.push("can be taken back".to_owned());
    }
    if step.continue_on_failure {
        notes.push("goes on if it fails".to_owned());
    }
    notes
}

/// A template as its author wrote it, near enough to be recognised.
fn written(template: &Template) -> String {
    match &template.node {
        TemplateNode::Expression(snippet) => snippet.text.trim().to_owned(),
        TemplateNode::Literal(value) => value.to_string(),
        TemplateNode::List(items) => words::count(items.len(), "item"),
        TemplateNode::Mixed(_) | TemplateNode::Map(_) => "…".to_owned(),
    }
}

/// Ids of the steps this step reads, without those inside it.
fn reads(step: &Step) -> BTreeSet<&str> {
    let mut found: Vec<&Snippet> = Vec::new();
    found.extend(step.condition.iter().chain(&step.fail_if));
    found.extend(step.poll.iter().map(|poll| &poll.until));
    let loose = [&step.name, &step.within, &step.timeout].into_iter().flatten();
    let looped =
        step.foreach.iter().flat_map(|foreach| [Some(&foreach.items), foreach.max_parallel.as_ref()]).flatten();
    loose.chain(looped).for_each(|template| template.snippets(&mut found));
    if let Some(outputs) = &step.outputs {
        of_named(outputs, &mut found);
    }
    match &step.body {
        Body::Uses { with, .. } => of_named(with, &mut found),
        Body::Script(snippet) => found.push(snippet),
        Body::Assert(assertions) => {
            for assertion in assertions {
                found.push(&assertion.that);
                assertion.otherwise.iter().for_each(|template| template.snippets(&mut found));
            }
        }
        Body::Findings(rules) => {
            for rule in rules {
                found.push(&rule.when);
                rule.say.snippets(&mut found);
                rule.suggest.iter().for_each(|suggest| of_named(&suggest.with, &mut found));
            }
        }
        Body::Steps(_) | Body::Parallel(_) => {}
    }
    let steps = found.iter().flat_map(|snippet| &snippet.code.reads).filter(|read| read.root == "steps");
    steps.filter_map(|read| read.path.first()).map(|(id, _)| id.as_str()).collect()
}

fn of_named<'a>(entries: &'a [(Spanned<String>, Template)], found: &mut Vec<&'a Snippet>) {
    entries.iter().for_each(|(_, template)| template.snippets(found));
}

#[cfg(test)]
mod tests;
