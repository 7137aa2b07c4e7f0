//! Step paths as test files write them: without rounds and call numbers where these don't matter.

use crate::runbook::locate::{Located, locate};
use crate::runbook::model::Body;
use crate::runbook::program::Program;

/// The step that calls the action under test. Its name stands before the paths inside, and nobody sees it.
pub const PREFIX: &str = "it";

/// A path without the step that calls the action under test.
pub fn without_prefix(path: &str) -> String {
    let mut segments: Vec<&str> = path.split('/').collect();
    if let Some(at) = segments.iter().position(|segment| *segment == PREFIX).filter(|at| *at <= 1) {
        segments.remove(at);
    }
    segments.join("/")
}

/// A path without rounds and call numbers: `others[1]/look#2` is `others/look`.
pub fn generic(path: &str) -> String {
    let segment = |segment: &str| {
        let end = segment.find(['[', '#']).unwrap_or(segment.len());
        segment[..end].to_owned()
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The step of a path as a test file writes it, if the program has one; `below` is where its paths start.
pub fn find<'p>(program: &'p Program, below: &str, written: &str) -> Option<Located<'p>> {
    let (undo, rest) = written.strip_prefix("undo/").map_or(("", written), |rest| ("undo/", rest));
    let mut path = format!("{undo}{below}");
    let count = rest.split('/').count();
    let mut in_call = false;
    for (at, segment) in rest.split('/').enumerate() {
        if segment.is_empty() {
            return None;
        }
        let before = locate(program, path.trim_end_matches('/'));
        path.push_str(segment);
        // The path of a call in a script leads to the script as well.
        in_call = !in_call && before.is_some_and(|located| matches!(located.step.body, Body::Script(_)));
        if in_call && !segment.contains('#') {
            path.push_str("#1");
        }
        if at + 1 < count {
            let rounds = locate(program, &path).is_some_and(|located| located.step.foreach.is_some());
            if rounds && !segment.contains('[') {
                path.push_str("[0]");
            }
            path.push('/');
        }
    }
    locate(program, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_for_the_engine_is_taken_away_for_people() {
        assert_eq!(without_prefix("it/preflight"), "preflight");
        assert_eq!(without_prefix("undo/it/set"), "undo/set");
        assert_eq!(without_prefix("a/b/it"), "a/b/it");
        assert_eq!(generic("others[1]/look#2/x"), "others/look/x");
        assert_eq!(generic("on_failure/tell"), "on_failure/tell");
    }
}
