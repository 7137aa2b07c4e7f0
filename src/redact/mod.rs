//! The last net for secrets: takes known values out of text, in every form they may come back in.
//!
//! Every door (journal, transcript, log, terminal) has one [`Redactor`] in front. It knows declared
//! secrets only, and only the transformations listed in [`forms`].

mod filter;
mod forms;
mod gaps;
mod needles;
mod pieces;
mod redactor;
mod weak;
mod writer;

pub use pieces::redact_pieces;
pub use redactor::{Redactor, SECRET_BYTES_MIN};
pub use weak::weakness;
pub use writer::RedactingWriter;
