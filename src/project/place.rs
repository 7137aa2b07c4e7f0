//! What a file is by the folder it lies in.

use std::path::{Component, Path};

use crate::project::library::PROJECT_FILE;
use crate::runbook::program::FileKind;

/// Folders of a project, and of what is shipped, with what their files are.
const FOLDERS: [(&str, FileKind); 5] = [
    ("runbooks", FileKind::Runbook),
    ("actions", FileKind::Action),
    ("stdlib", FileKind::Action),
    ("modules", FileKind::Module),
    ("targets", FileKind::Target),
];
/// The extension of modules, wherever they lie.
pub(super) const MODULE: &str = "rhai";

/// What a file is and what its name is; `None` as kind where its place doesn't say. Of an absolute path only
/// the part below the project counts: what lies above has names of its own.
pub(super) fn place(path: &Path, root: Option<&Path>) -> (Option<FileKind>, String) {
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let is_module = path.extension().is_some_and(|extension| extension == MODULE);
    let module = is_module.then_some(FileKind::Module);
    if path.file_name().is_some_and(|name| name == PROJECT_FILE) {
        return (Some(FileKind::Project), stem());
    }
    let below = root.and_then(|root| path.strip_prefix(root).ok()).unwrap_or(path);
    let names: Vec<String> = below
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    let kind_of = |name: &String| FOLDERS.iter().find(|(folder, _)| folder == name).map(|(_, kind)| *kind);
    let Some(at) = names.iter().rposition(|name| kind_of(name).is_some()) else { return (module, stem()) };
    let kind = module.or_else(|| kind_of(&names[at]));
    // Only actions and modules have their folders in their names.
    let join = match kind {
        Some(FileKind::Action) => ".",
        Some(FileKind::Module) => "/",
        _ => return (kind, stem()),
    };
    let name: Vec<String> = names[at + 1..].iter().cloned().chain([stem()]).collect();
    (kind, name.join(join))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_says_what_a_file_is() {
        let at = |path: &str| place(Path::new(path), Some(Path::new("/srv/actions/book")));
        for (path, kind, name) in [
            ("/srv/actions/book/runbooks/backend-down.yaml", Some(FileKind::Runbook), "backend-down"),
            ("/srv/actions/book/actions/railway/redeploy.yaml", Some(FileKind::Action), "railway.redeploy"),
            ("/srv/actions/book/stdlib/web.rhai", Some(FileKind::Module), "web"),
            ("/srv/actions/book/modules/railway/common.rhai", Some(FileKind::Module), "railway/common"),
            ("/srv/actions/book/targets/production.yaml", Some(FileKind::Target), "production"),
            ("/srv/actions/book/rerail.yaml", Some(FileKind::Project), "rerail"),
            // What lies above the project says nothing.
            ("/srv/actions/book/drafts/new.yaml", None, "new"),
            ("/elsewhere/actions/restart.yaml", Some(FileKind::Action), "restart"),
            ("/elsewhere/restart.yaml", None, "restart"),
        ] {
            assert_eq!(at(path), (kind, name.to_owned()), "{path}");
        }
    }
}
