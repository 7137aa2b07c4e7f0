//! What files were read as, kept: an action is read once, however many runbooks call it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::runbook::lower::{Reading, read_partly};
use crate::runbook::model::Kind;
use crate::runbook::source::Source;
use crate::script::compile::{self, Code, CompileError};

/// A module's text, compiled.
pub type Compiled = Result<Arc<Code>, CompileError>;

/// What was made of a text, by what the text is of.
type Kept<K, T> = Mutex<BTreeMap<K, (Arc<Source>, T)>>;

/// What the files of a library were read as. Whoever looks at many runbooks reads their common actions and modules once;
/// a file that has changed since is read anew.
#[derive(Debug, Default)]
pub struct Readings {
    files: Kept<(Kind, String), Arc<Reading>>,
    modules: Kept<String, Compiled>,
}

impl Readings {
    /// An action or runbook, as [`read_partly`] reads it.
    pub fn file(&self, kind: Kind, name: &str, source: &Arc<Source>) -> Arc<Reading> {
        kept(&self.files, (kind, name.to_owned()), source, || Arc::new(read_partly(name, kind, source)))
    }

    /// A module, as [`compile::module`] compiles it.
    pub fn module(&self, path: &str, source: &Arc<Source>) -> Compiled {
        kept(&self.modules, path.to_owned(), source, || compile::module(&source.text).map(Arc::new))
    }
}

/// What is known of this text, or what is made of it now. Two at once may both make it: that costs time alone.
fn kept<K: Ord, T: Clone>(all: &Kept<K, T>, key: K, source: &Arc<Source>, make: impl FnOnce() -> T) -> T {
    let lock = || all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = lock().get(&key).filter(|(text, _)| text == source) {
        return known.clone();
    }
    let made = make();
    lock().insert(key, (Arc::clone(source), made.clone()));
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTION: &str = "version: 1\ntitle: wait a little\nsteps:\n  - uses: time.wait\n    with: { for: 1s }\n";

    #[test]
    fn a_text_is_read_once_and_anew_when_it_has_changed() {
        let readings = Readings::default();
        let first = readings.file(Kind::Action, "a.b", &Source::new("a/b.yaml", ACTION));
        assert!(first.runbook.is_some());
        // Read from the disk again, as every look at a library does.
        let again = readings.file(Kind::Action, "a.b", &Source::new("a/b.yaml", ACTION));
        assert!(Arc::ptr_eq(&first, &again));
        let changed = readings.file(Kind::Action, "a.b", &Source::new("a/b.yaml", ACTION.replace("little", "while")));
        assert_eq!(changed.runbook.as_ref().map(|book| book.title.as_str()), Some("wait a while"));
        let moved = readings.file(Kind::Action, "a.b", &Source::new("elsewhere.yaml", ACTION));
        assert!(!Arc::ptr_eq(&first, &moved), "its problems would name the other file");
    }

    #[test]
    fn a_runbook_is_not_the_action_of_its_name_and_mistakes_are_told_every_time() {
        let readings = Readings::default();
        let source = Source::new("a/b.yaml", format!("{ACTION}nonsense: 1\n"));
        for _ in 0..2 {
            let told = |kind| readings.file(kind, "a.b", &source).problems.len();
            assert!(told(Kind::Action) > 0);
            // A runbook can't have this name.
            assert_eq!(told(Kind::Runbook), told(Kind::Action) + 1);
        }
    }

    #[test]
    fn a_module_is_compiled_once_and_one_that_does_not_compile_says_so_every_time() {
        let readings = Readings::default();
        let sound = |text: &str| readings.module("m", &Source::new("m.rhai", text)).map(|code| code.functions.len());
        assert_eq!(sound("fn one() { 1 }"), Ok(1));
        assert_eq!(sound("fn one() { 1 }\nfn two() { 2 }"), Ok(2));
        for _ in 0..2 {
            assert!(sound("fn one( { 1 }").is_err());
        }
    }
}
