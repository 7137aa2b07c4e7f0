//! Events in, text out. Pure: nothing here prints, asks the clock or touches a file, so what was shown
//! live and what is shown a year later come from the same functions over the same events.

pub mod approval;
pub mod bars;
#[cfg(test)]
pub(crate) mod corpus;
pub mod diff;
pub mod escape;
pub mod graph;
#[cfg(test)]
pub(crate) mod hostile;
pub mod html;
pub mod jsonl;
pub mod line;
pub mod markdown;
pub mod markup;
pub mod picture;
pub mod plan;
pub mod saved;
#[cfg(test)]
pub(crate) mod story;
pub mod summary;
pub mod text;
pub mod timeline;
pub mod why;
pub mod words;

pub use line::Detail;
pub use plan::Plan;
pub use text::{Line, Marks, Tone};
