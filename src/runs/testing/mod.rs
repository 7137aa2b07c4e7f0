//! Running test files: a runbook in a world that only answers, in virtual time, held against what it should come to.
//! Nothing real is called, and no journal is touched.

mod coverage;
mod judge;
mod play;
mod record;
mod subject;
mod suite;
mod update;
mod world;
mod written;

pub use coverage::{Branch, Coverage};
pub use judge::Failed;
pub use record::Recorded;
pub use suite::{ExitOf, Suite, TestRequest, TestResult, Verdict};
