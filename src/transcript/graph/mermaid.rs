//! The graph as Mermaid, for a wiki or a pull request. Labels hold words and numbered characters only.

use std::fmt::Write;

use crate::runbook::spec::Effect;
use crate::transcript::escape;
use crate::transcript::graph::{Graph, Kind, Node};

/// The graph as a Mermaid flowchart.
pub fn mermaid(graph: &Graph) -> String {
    let mut text = String::from("flowchart TD\n");
    let end = graph.nodes.len();
    block(&mut text, graph, 0, end, 1);
    let sections: Vec<usize> = (0..end).filter(|at| graph.nodes[*at].kind == Kind::Section).collect();
    for (at, section) in sections.iter().enumerate() {
        for later in &sections[at + 1..] {
            let label = escape::mermaid(&graph.nodes[*later].name.replace('_', " "));
            put(&mut text, 1, &format!("n{section} -->|\"{label}\"| n{later}"));
        }
    }
    for (from, to) in &graph.flows {
        put(&mut text, 1, &format!("n{from} -.-> n{to}"));
    }
    if graph.left_out > 0 {
        put(&mut text, 1, &format!("more[\"{} more steps are not drawn\"]", graph.left_out));
    }
    put(&mut text, 1, "classDef write stroke:#c4231a,stroke-width:3px");
    put(&mut text, 1, "classDef notify stroke:#9a5b00,stroke-width:2px");
    text
}

/// The nodes from `at` to `end`, which all stand in the same node.
fn block(text: &mut String, graph: &Graph, mut at: usize, end: usize, indent: usize) {
    let mut before: Option<usize> = None;
    let parallel = at.checked_sub(1).is_some_and(|above| graph.nodes[above].kind == Kind::Parallel);
    while at < end {
        let node = &graph.nodes[at];
        let next = graph.end_of(at);
        if node.kind.encloses() {
            put(text, indent, &format!("subgraph n{at}[\"{}\"]", label(node)));
            block(text, graph, at + 1, next, indent + 1);
            put(text, indent, "end");
        } else {
            put(text, indent, &format!("n{at}{}{}", shape(node), class(node.effect)));
        }
        // Branches and the parts of a runbook don't follow one another.
        if let Some(before) = before.filter(|_| !parallel && node.kind != Kind::Section) {
            put(text, indent, &format!("n{before} --> n{at}"));
        }
        before = Some(at);
        at = next;
    }
}

fn shape(node: &Node) -> String {
    let label = label(node);
    match node.kind {
        Kind::Question => format!("{{{{\"{label}\"}}}}"),
        Kind::Verdict => format!("([\"{label}\"])"),
        _ => format!("[\"{label}\"]"),
    }
}

fn label(node: &Node) -> String {
    let mut lines = vec![escape::mermaid(&node.name)];
    let what = match node.kind {
        Kind::Section => String::new(),
        Kind::Parallel => "side by side".to_owned(),
        Kind::Sequence => "group".to_owned(),
        _ => format!("{}, {}", node.what, node.effect.word()),
    };
    lines.extend([what].iter().chain(&node.notes).filter(|line| !line.is_empty()).map(|line| escape::mermaid(line)));
    lines.join("<br/>")
}

fn class(effect: Effect) -> &'static str {
    match effect {
        Effect::Pure | Effect::Read => "",
        Effect::Notify => ":::notify",
        Effect::Write | Effect::Destructive => ":::write",
    }
}

fn put(text: &mut String, indent: usize, line: &str) {
    writeln!(text, "{}{line}", "  ".repeat(indent)).expect("writing to a string does not fail");
}
