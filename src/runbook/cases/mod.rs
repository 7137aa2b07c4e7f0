//! Test files: what a runbook is answered, and what it should come to. Read and held against the runbook here, and
//! run by `runs/testing`.

mod expect;
mod fit;
mod mocks;
mod model;
mod pattern;
mod places;
mod read;

pub use expect::{CALL, EXPECT, FINDING, RUN_OUTCOMES, TROUBLE, UNDO_OUTCOMES};
pub use fit::{Subject, fit};
pub use mocks::{ANSWER, CASE, ERROR, ERROR_KINDS, OUTCOMES};
pub use model::{
    Answer, Case, Crash, Decided, Deed, Ends, Error, Expect, FoundFinding, Mock, Named, Place, Test, TestFile, Trouble,
    Wanted,
};
pub use pattern::{fits, shown};
pub use places::{PREFIX, find, generic, without_prefix};
pub use read::{DECIDED, DECISION, FILE, TEST, read};
