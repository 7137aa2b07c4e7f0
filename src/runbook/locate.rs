//! From the path of a step instance back to its place in the text: which step, of which runbook or action, in which
//! groups and rounds.

use std::sync::Arc;

use crate::runbook::model::{Block, Body, Runbook, Step};
use crate::runbook::program::Program;

/// Where a step instance stands.
#[derive(Clone, Debug)]
pub struct Located<'a> {
    /// The step; of a call in a script, the script's.
    pub step: &'a Arc<Step>,
    pub book: &'a Arc<Runbook>,
    /// Path of the instance of that runbook or action; empty for the run itself.
    pub base: String,
    /// What the paths of its neighbours start with.
    pub prefix: String,
    pub part: Part,
    /// Plain groups around it with their paths, outermost first; not those around a loop it stands in.
    pub groups: Vec<(String, &'a Arc<Step>)>,
    /// Rounds of loops around it in this runbook or action, outermost first; its own as well.
    pub rounds: Vec<Round<'a>>,
}

/// Parts of a runbook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Main,
    OnFailure,
    Finally,
}

/// One round of a loop.
#[derive(Clone, Debug)]
pub struct Round<'a> {
    pub step: &'a Arc<Step>,
    /// Path of the loop.
    pub path: String,
    pub index: usize,
}

/// Finds the place of a path, if the program has it.
pub fn locate<'a>(program: &'a Program, path: &str) -> Option<Located<'a>> {
    let mut found = Finder::new(&program.runbook, String::new());
    let mut segments = path.split('/').peekable();
    let mut segment = segments.next()?;
    loop {
        if let Some(part) = part_of(segment).filter(|_| found.prefix == found.base && segments.peek().is_some()) {
            found.enter_part(part, segment);
            segment = segments.next()?;
            continue;
        }
        let (id, index) = id_of(segment)?;
        let step = found.find(id)?;
        let loop_path = join(&found.prefix, id);
        let here = join(&found.prefix, segment);
        found.rounds.extend(index.map(|index| Round { step, path: loop_path, index }));
        let Some(next) = segments.next() else { return Some(found.at(step)) };
        match &step.body {
            _ if next == "settle" && step.settle.is_some() => {
                found.block = step.settle.as_ref().map(|settle| &settle.steps)?;
                (found.prefix, found.groups) = (join(&here, next), Vec::new());
                segment = segments.next()?;
            }
            Body::Steps(inner) | Body::Parallel(inner) if index.is_some() => {
                (found.block, found.prefix, found.groups) = (inner, here, Vec::new());
                segment = next;
            }
            Body::Uses { action, with } => {
                let called = with.iter().find(|(key, _)| key.value == "name").and_then(|(_, name)| name.literal());
                let child = called.and_then(|name| Some(&program.children.get(name.as_text()?)?.runbook));
                let book =
                    child.filter(|_| action.value == "runbook").or_else(|| program.actions.get(&action.value))?;
                found = Finder::new(book, here);
                segment = next;
            }
            Body::Script(_) => {
                let (name, _) = next.split_once('#')?;
                let Some(inside) = segments.next() else { return Some(found.at(step)) };
                found = Finder::new(program.actions.get(name)?, join(&here, next));
                segment = inside;
            }
            Body::Steps(_) | Body::Parallel(_) | Body::Assert(_) | Body::Findings(_) => return None,
        }
    }
}

struct Finder<'a> {
    book: &'a Arc<Runbook>,
    block: &'a Block,
    base: String,
    prefix: String,
    part: Part,
    groups: Vec<(String, &'a Arc<Step>)>,
    rounds: Vec<Round<'a>>,
}

impl<'a> Finder<'a> {
    fn new(book: &'a Arc<Runbook>, base: String) -> Finder<'a> {
        let prefix = base.clone();
        Finder { book, block: &book.steps, base, prefix, part: Part::Main, groups: Vec::new(), rounds: Vec::new() }
    }

    fn enter_part(&mut self, part: Part, segment: &str) {
        self.part = part;
        self.block = if part == Part::OnFailure { &self.book.on_failure } else { &self.book.finally };
        self.prefix = join(&self.prefix, segment);
    }

    fn find(&mut self, id: &str) -> Option<&'a Arc<Step>> {
        self.groups.clear();
        let mut around = Vec::new();
        let step = find_in(self.block, id, &mut around)?;
        self.groups.extend(around.into_iter().map(|group| (join(&self.prefix, &group.id), group)));
        Some(step)
    }

    fn at(self, step: &'a Arc<Step>) -> Located<'a> {
        let Finder { book, base, prefix, part, groups, rounds, .. } = self;
        Located { step, book, base, prefix, part, groups, rounds }
    }
}

/// The step of this id, also in plain groups, which are left in `around`. Ids in a loop can't be seen from outside.
fn find_in<'a>(block: &'a Block, id: &str, around: &mut Vec<&'a Arc<Step>>) -> Option<&'a Arc<Step>> {
    for step in block.iter() {
        if step.id == id {
            return Some(step);
        }
        if let Some(inner) = step.body.inner().filter(|_| step.foreach.is_none()) {
            around.push(step);
            if let Some(found) = find_in(inner, id, around) {
                return Some(found);
            }
            around.pop();
        }
    }
    None
}

fn part_of(segment: &str) -> Option<Part> {
    match segment {
        "on_failure" => Some(Part::OnFailure),
        "finally" => Some(Part::Finally),
        _ => None,
    }
}

/// `probe[3]` as `probe` and 3.
fn id_of(segment: &str) -> Option<(&str, Option<usize>)> {
    match segment.split_once('[') {
        None => Some((segment, None)),
        Some((id, index)) => Some((id, Some(index.strip_suffix(']')?.parse().ok()?))),
    }
}

fn join(prefix: &str, segment: &str) -> String {
    if prefix.is_empty() { segment.to_owned() } else { format!("{prefix}/{segment}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::testing::Shelf;

    const BODY: &str = "
steps:
  - id: group
    steps:
      - id: seen
        uses: look.at
        with: { url: https://api.example.com }
      - id: fix
        uses: own.fix
        with: { url: https://api.example.com }
  - id: all
    foreach: [1, 2]
    steps:
      - id: inner
        uses: look.at
        with: { url: https://api.example.com }
  - id: told
    script: |
      own::fix(#{ url: \"https://api.example.com\" })
finally:
  - id: last
    script: 1
";
    const FIX: &str = "inputs:\n  url: { type: url }\nsteps:\n  - id: look\n    uses: look.at\n    with: { url: \"${{ inputs.url }}\" }\n";

    #[test]
    fn every_path_of_a_run_leads_back_to_its_step() {
        let (program, problems) = Shelf::default().action("own.fix", FIX).load(BODY);
        let program = program.unwrap_or_else(|| panic!("{problems:?}"));
        let place = |path: &str| {
            let found = locate(&program, path)?;
            let rounds: Vec<usize> = found.rounds.iter().map(|round| round.index).collect();
            Some(format!("{} {} `{}` `{}` {rounds:?}", found.book.name, found.step.id, found.base, found.prefix))
        };
        let cases = [
            ("seen", Some("test seen `` `` []")),
            ("fix/look", Some("own.fix look `fix` `fix` []")),
            ("all[1]", Some("test all `` `` [1]")),
            ("all[1]/inner", Some("test inner `` `all[1]` [1]")),
            ("told/own.fix#1", Some("test told `` `` []")),
            ("told/own.fix#1/look", Some("own.fix look `told/own.fix#1` `told/own.fix#1` []")),
            ("finally/last", Some("test last `` `finally` []")),
            ("inner", None),
            ("seen/x", None),
            ("all[x]", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(place(path).as_deref(), expected, "{path}");
        }
        assert_eq!(locate(&program, "fix").unwrap().groups[0].0, "group");
    }
}
