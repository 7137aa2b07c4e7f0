//! What a file is by what stands in it, where its place doesn't say.

use std::sync::Arc;

use crate::runbook::node::{NodeKind, parse};
use crate::runbook::program::FileKind;
use crate::runbook::source::Source;

/// Keys on top that only one kind of file has. What has steps is no other kind, whatever else it says.
const TELLING: [(&str, FileKind); 11] = [
    ("steps", FileKind::Runbook),
    ("allow_hosts", FileKind::Target),
    ("ca", FileKind::Target),
    ("providers", FileKind::Target),
    ("policy", FileKind::Target),
    ("allow", FileKind::Project),
    ("people", FileKind::Project),
    ("mail", FileKind::Project),
    ("limits", FileKind::Project),
    // Both are keys of runbooks as well, but a runbook has steps.
    ("secrets", FileKind::Target),
    ("inputs", FileKind::Target),
];

/// What a text is most likely meant to be; a runbook if nothing tells.
pub fn kind_by_content(source: &Arc<Source>) -> FileKind {
    let (root, _) = parse(source);
    let Some(NodeKind::Map(entries)) = root.map(|root| root.kind) else { return FileKind::Runbook };
    let told = TELLING.iter().find(|(key, _)| entries.iter().any(|entry| entry.key.value == *key));
    told.map_or(FileKind::Runbook, |(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_on_top_tell_what_a_file_is() {
        for (text, kind) in [
            ("version: 1\nsecrets: [A]\nsteps: []\n", FileKind::Runbook),
            ("version: 1\nallow_hosts: [a.example]\n", FileKind::Target),
            ("version: 1\nsecrets: { A: { from: env } }\n", FileKind::Target),
            ("version: 1\nallow: { env: [A] }\n", FileKind::Project),
            ("version: 1\ntitle: T\n", FileKind::Runbook),
            ("- 1\n", FileKind::Runbook),
            ("a: [\n", FileKind::Runbook),
            ("", FileKind::Runbook),
        ] {
            assert_eq!(kind_by_content(&Source::new("a.yaml", text)), kind, "{text}");
        }
    }
}
