//! Where runbooks, actions, modules and targets come from: a project's folders, with the embedded ones
//! below. The only part of the language's world that reads and writes files.

mod error;
mod files;
mod folder;
mod library;
mod new;
mod place;
mod replace;
mod test_files;

pub use error::ProjectError;
pub use folder::Origin;
pub use library::{Listed, Project};
pub use new::{NewError, first_runbook, new_file, new_project, new_runbook_texts};
pub use replace::replace;
pub use test_files::{TestText, is_test};
