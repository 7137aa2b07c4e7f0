//! `rerail graph`: a runbook as a picture, or as a diagram for a wiki.

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::session::Session;
use crate::transcript::graph::{self, Graph};

#[derive(Args, Debug)]
pub struct GraphArgs {
    /// Runbook by name or path
    #[arg(value_name = "RUNBOOK")]
    runbook: String,
    /// Form of the drawing
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
}

/// Forms of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A Mermaid flowchart, which code hosts and wikis draw
    Mermaid,
    /// A picture
    Svg,
}

/// Draws a runbook.
pub fn graph(session: &Session, args: &GraphArgs) -> Result<Exit, CliError> {
    let (program, problems) = session.runs()?.check(&args.runbook)?;
    let Some(program) = program else {
        let said = CliError::new(Exit::INVALID, format!("runbook `{}` has problems", args.runbook));
        return Err(CliError { problems, ..said });
    };
    let drawn = Graph::of(&program);
    match args.format {
        _ if !session.ui.human() => session.ui.result_json(&to_json(&drawn)),
        Format::Mermaid => session.ui.result_text(&graph::mermaid(&drawn)),
        Format::Svg => session.ui.result_text(&graph::svg(&drawn)),
    }
    Ok(Exit::SUCCESS)
}

fn to_json(graph: &Graph) -> Json {
    let nodes = graph.nodes.iter().map(|node| {
        json!({
            "name": node.name,
            "what": node.what,
            "kind": node.kind.word(),
            "effect": node.effect.word(),
            "depth": node.depth,
            "notes": node.notes,
        })
    });
    json!({
        "title": graph.title,
        "nodes": nodes.collect::<Vec<_>>(),
        "reads": graph.flows.iter().map(|(from, to)| json!({ "from": from, "to": to })).collect::<Vec<_>>(),
        "left_out": graph.left_out,
    })
}
