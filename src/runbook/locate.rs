//! From the path of a step instance back to its place in the text: which step, of which runbook or action, in which
//! groups and rounds.

use std::sync::Arc;

use crate::runbook::model::{Block, Body, Runbook, Step, Undo};
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
    /// The step instance that it takes back, if it stands in an `undo` of this runbook or action.
    pub undoes: Option<String>,
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

/// Where the paths of what takes steps back begin.
const UNDO: &str = "undo/";

/// Finds the place of a path, if the program has it.
pub fn locate<'a>(program: &'a Program, path: &str) -> Option<Located<'a>> {
    match path.strip_prefix(UNDO) {
        None => follow(program, Finder::new(&program.runbook, String::new()), path),
        Some(undone) => in_undo(program, undone),
    }
}

/// The place below `undo/`: the body of the outermost step of the path that has one, and what is in it.
fn in_undo<'a>(program: &'a Program, path: &str) -> Option<Located<'a>> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let Some(owner) = locate(program, &path[..end]) else { continue };
        let last = path[..end].rfind('/').map_or(0, |at| at + 1);
        let Some(undo) = owner.step.undo.as_ref().filter(|_| path[last..end].split('[').next() == Some(&owner.step.id))
        else {
            continue;
        };
        let Located { book, base, prefix, part, rounds, .. } = owner;
        let prefix = format!("{UNDO}{prefix}").trim_end_matches('/').to_owned();
        let undoes = Some(path[..end].to_owned());
        let groups = Vec::new();
        let finder = Finder { book, block: &undo.block, base, prefix, part, groups, rounds, undoes, at_body: true };
        return follow(program, finder, &path[last..]);
    }
    None
}

/// Follows the segments of a path from a place on.
fn follow<'a>(program: &'a Program, mut found: Finder<'a>, path: &str) -> Option<Located<'a>> {
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
        let at_body = std::mem::take(&mut found.at_body);
        // The round is that of the step that is taken back.
        found.rounds.extend(index.filter(|_| !at_body).map(|index| Round { step, path: loop_path, index }));
        let Some(next) = segments.next() else { return Some(found.at(step)) };
        match &step.body {
            _ if next == "settle" && step.settle.is_some() => {
                found.block = step.settle.as_ref().map(|settle| &settle.steps)?;
                (found.prefix, found.groups) = (join(&here, next), Vec::new());
                segment = segments.next()?;
            }
            Body::Steps(inner) | Body::Parallel(inner) if index.is_some() || at_body => {
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
    undoes: Option<String>,
    /// It stands at the body of an `undo`, which has a path of its own whatever it is.
    at_body: bool,
}

impl<'a> Finder<'a> {
    fn new(book: &'a Arc<Runbook>, base: String) -> Finder<'a> {
        let prefix = base.clone();
        Finder {
            book,
            block: &book.steps,
            base,
            prefix,
            part: Part::Main,
            groups: Vec::new(),
            rounds: Vec::new(),
            undoes: None,
            at_body: false,
        }
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
        let Finder { book, base, prefix, part, groups, rounds, undoes, .. } = self;
        Located { step, book, base, prefix, part, groups, rounds, undoes }
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

/// The steps with an `undo` around a step instance, it included, with their paths: the outermost first, which is
/// the one that takes it back.
pub fn undone_by<'a>(program: &'a Program, path: &str) -> Vec<(String, &'a Undo)> {
    let mut found: Vec<(String, &'a Undo)> = Vec::new();
    let ends = path.match_indices(['/', '[']).map(|(at, _)| at).chain([path.len()]);
    for instance in ends.map(|end| &path[..end]) {
        let Some(place) = locate(program, instance) else { continue };
        for (group, step) in &place.groups {
            let known = found.iter().any(|(owner, _)| owner == group);
            found.extend(step.undo.as_ref().filter(|_| !known).map(|undo| (group.clone(), undo)));
        }
        let (id, index) = instance.rsplit('/').next().map_or((instance, false), |last| match last.split_once('[') {
            Some((id, _)) => (id, true),
            None => (last, false),
        });
        // A loop is taken back item by item; a call in a script is found at its script.
        if id == place.step.id && index == place.step.foreach.is_some() {
            found.extend(place.step.undo.as_ref().map(|undo| (instance.to_owned(), undo)));
        }
    }
    found
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
            assert_eq!(place(&program, path).as_deref(), expected, "{path}");
        }
        assert_eq!(locate(&program, "fix").unwrap().groups[0].0, "group");
    }

    /// Where a path leads, in one line.
    fn place(program: &Program, path: &str) -> Option<String> {
        let found = locate(program, path)?;
        let rounds: Vec<usize> = found.rounds.iter().map(|round| round.index).collect();
        Some(format!("{} {} `{}` `{}` {rounds:?}", found.book.name, found.step.id, found.base, found.prefix))
    }

    const UNDOES: &str = "
steps:
  - id: group
    steps:
      - id: one
        uses: change.it
        with: { url: https://api.example.com }
        undo:
          steps:
            - id: back
              uses: own.fix
              with: { url: https://api.example.com }
    undo: { script: '1' }
  - id: all
    foreach: [1, 2]
    steps:
      - id: inner
        uses: change.it
        with: { url: https://api.example.com }
        undo: { uses: own.fix, with: { url: https://api.example.com } }
    undo: { steps: [{ id: away, script: '1' }] }
  - id: told
    script: own::change(#{})
  - id: free
    uses: change.it
    with: { url: https://api.example.com }
";

    #[test]
    fn what_takes_a_step_back_has_its_place_and_the_outermost_one_counts() {
        let change = "steps:\n  - id: set\n    uses: change.it\n    with: { url: https://api.example.com }\n    undo: { script: '1' }\n";
        let shelf = Shelf::default().action("own.fix", FIX).action("own.change", change);
        let (program, problems) = shelf.load(UNDOES);
        let program = program.unwrap_or_else(|| panic!("{problems:?}"));
        let cases = [
            ("undo/group", Some("test group `` `undo` []")),
            ("undo/one/back", Some("test back `` `undo/one` []")),
            ("undo/one/back/look", Some("own.fix look `undo/one/back` `undo/one/back` []")),
            ("undo/all[1]", Some("test all `` `undo` [1]")),
            ("undo/all[1]/away", Some("test away `` `undo/all[1]` [1]")),
            ("undo/told/own.change#1/set", Some("own.change set `told/own.change#1` `undo/told/own.change#1` []")),
            ("undo/free", None),
            ("undo", None),
        ];
        for (path, expected) in cases {
            assert_eq!(place(&program, path).as_deref(), expected, "{path}");
        }
        let owners = |path: &str| undone_by(&program, path).into_iter().map(|(owner, _)| owner).collect::<Vec<_>>();
        assert_eq!(owners("one"), ["group", "one"]);
        assert_eq!(owners("all[1]/inner"), ["all[1]", "all[1]/inner"]);
        assert_eq!(owners("told/own.change#1/set"), ["told/own.change#1/set"]);
        assert_eq!(owners("free"), [""; 0]);
    }
}
