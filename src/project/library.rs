//! A project as the place where names become texts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use crate::project::ProjectError;
use crate::project::files::{self, Fault, Links};
use crate::project::folder::{Contents, Folder, Names, Origin};
use crate::project::place::{MODULE, place};
use crate::runbook::commands::Commands;
use crate::runbook::nearest::nearest;
use crate::runbook::problem::{Problem, has_errors};
use crate::runbook::program::{FileKind, Library, Looked};
use crate::runbook::readings::Readings;
use crate::runbook::settings::{Settings, Target, read_settings, read_target};
use crate::runbook::source::Source;

static RUNBOOKS: Dir = include_dir!("$CARGO_MANIFEST_DIR/runbooks");
static STDLIB: Dir = include_dir!("$CARGO_MANIFEST_DIR/stdlib");

/// The file whose directory is a project.
pub(super) const PROJECT_FILE: &str = "rerail.yaml";

/// A directory with `rerail.yaml`, or just the embedded files.
#[derive(Debug, Default)]
pub struct Project {
    /// The nearest directory upwards with a `rerail.yaml`, absolute.
    pub root: Option<PathBuf>,
    pub settings: Settings,
    /// The text of its `rerail.yaml`.
    pub source: Option<Arc<Source>>,
    /// What its files were read as: kept as long as this is.
    pub readings: Readings,
}

/// A runbook, action or target by name.
#[derive(Clone, Debug)]
pub struct Listed {
    pub name: String,
    pub origin: Origin,
    pub source: Arc<Source>,
}

impl Project {
    /// Finds the project that `from` lies in, upwards.
    ///
    /// # Errors
    /// If its `rerail.yaml` is there and can't be used: what it allows and overrides would be missing.
    pub fn discover(from: &Path) -> Result<Project, ProjectError> {
        let from = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
        let is_project = |dir: &&Path| [PROJECT_FILE, "rerail.yml"].iter().any(|file| files::is_there(&dir.join(file)));
        match from.ancestors().find(is_project) {
            Some(root) => Project::open(root),
            None => Ok(Project::default()),
        }
    }

    /// The project of a directory.
    ///
    /// # Errors
    /// If it has no `rerail.yaml`, or one that can't be used.
    pub fn open(root: &Path) -> Result<Project, ProjectError> {
        let path = root.join(PROJECT_FILE);
        let shown = path.display().to_string();
        // Followed: the root is where the file is found, and it names no other file by being a link.
        let source = match files::read(&path, PROJECT_FILE, Links::Follow) {
            Ok(source) => source,
            Err(Fault::Unusable(problem)) => return Err(ProjectError::Invalid(vec![*problem])),
            Err(Fault::Absent) if files::is_there(&root.join("rerail.yml")) => {
                let problem = files::unusable("rerail.yml", "is not read: the project file is `rerail.yaml`");
                return Err(ProjectError::Invalid(vec![problem.help("rename it to `rerail.yaml`")]));
            }
            Err(Fault::Absent) => return Err(ProjectError::NoFile { shown }),
        };
        let (settings, problems) = read_settings(&source);
        if has_errors(&problems) {
            return Err(ProjectError::Invalid(problems));
        }
        Ok(Project { root: Some(root.to_owned()), settings, source: Some(source), readings: Readings::default() })
    }

    /// Every runbook by name; the project's win over embedded ones. Those that can't be used are left out,
    /// with the embedded ones they hide: [`Project::unusable`] names them.
    pub fn runbooks(&self) -> Vec<Listed> {
        listed(self.runbook_folder().contents(), |name| name)
    }

    /// Every YAML action by dotted name, as [`Project::runbooks`].
    pub fn actions(&self) -> Vec<Listed> {
        listed(self.action_folder().contents(), |name| name.replace('/', "."))
    }

    /// Every module by path, as [`Project::runbooks`].
    pub fn modules(&self) -> Vec<Listed> {
        listed(self.module_folder().contents(), |name| name)
    }

    /// Every target of the project, as [`Project::runbooks`].
    pub fn targets(&self) -> Vec<Listed> {
        listed(self.target_folder().contents(), |name| name)
    }

    /// What lies in the project's folders and can't be used, or not by name.
    pub fn unusable(&self) -> Vec<Problem> {
        let folders = [self.runbook_folder(), self.action_folder(), self.module_folder(), self.target_folder()];
        folders.iter().flat_map(|folder| folder.contents().problems).collect()
    }

    /// A runbook by name, or by path if the argument has a `/` or ends in `.yaml`.
    ///
    /// # Errors
    /// [`ProjectError::NotFound`] with the nearest name; what is wrong with a file that is there.
    pub fn runbook(&self, argument: &str) -> Result<Listed, ProjectError> {
        by_name_or_path("runbook", argument, &self.runbook_folder())
    }

    /// Whether an argument means a file and not a name.
    pub fn is_path(&self, argument: &str) -> bool {
        let path = Path::new(argument);
        argument.contains('/') || path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == MODULE)
    }

    /// A file of any kind by path, with what its place says it is.
    ///
    /// # Errors
    /// If there is none, or it can't be read.
    pub fn file(&self, argument: &str) -> Result<(Option<FileKind>, Listed), ProjectError> {
        let listed = by_path(argument)?;
        let absolute = std::path::absolute(argument).unwrap_or_else(|_| argument.into());
        let (kind, name) = place(&absolute, self.root.as_deref());
        Ok((kind, Listed { name, ..listed }))
    }

    /// A target by name or path, read and checked.
    ///
    /// # Errors
    /// As [`Project::runbook`]; [`ProjectError::Invalid`] if it has problems.
    pub fn target(&self, argument: &str) -> Result<(Target, Arc<Source>, String), ProjectError> {
        let listed = by_name_or_path("target", argument, &self.target_folder())?;
        let (target, problems) = read_target(&listed.source);
        if has_errors(&problems) {
            return Err(ProjectError::Invalid(problems));
        }
        Ok((target, listed.source, listed.name))
    }

    fn runbook_folder(&self) -> Folder<'_> {
        self.folder("runbooks", Some(("runbooks", &RUNBOOKS)), Names::Flat)
    }

    fn action_folder(&self) -> Folder<'_> {
        self.folder("actions", Some(("stdlib", &STDLIB)), Names::Deep)
    }

    fn module_folder(&self) -> Folder<'_> {
        Folder { extension: "rhai", ..self.folder("modules", Some(("stdlib", &STDLIB)), Names::Deep) }
    }

    fn target_folder(&self) -> Folder<'_> {
        self.folder("targets", None, Names::Flat)
    }

    fn folder(
        &self,
        name: &'static str,
        embedded: Option<(&'static str, &'static Dir<'static>)>,
        names: Names,
    ) -> Folder<'_> {
        Folder { root: self.root.as_deref(), name, embedded, extension: "yaml", names }
    }
}

impl Library for Project {
    fn action(&self, name: &str) -> Looked {
        // The dots of a name are its folders; a `/` in it is a mistake.
        if name.contains('/') {
            return Ok(None);
        }
        Ok(self.action_folder().find(&name.replace('.', "/"))?.map(|(_, source)| source))
    }

    fn runbook(&self, name: &str) -> Looked {
        // By name alone: what lies elsewhere on the disk is started by a person, never from a file.
        if name.contains('/') {
            return Ok(None);
        }
        Ok(self.runbook_folder().find(name)?.map(|(_, source)| source))
    }

    fn module(&self, path: &str) -> Looked {
        Ok(self.module_folder().find(path)?.map(|(_, source)| source))
    }

    fn action_names(&self) -> Vec<String> {
        self.action_folder().names().into_iter().map(|name| name.replace('/', ".")).collect()
    }

    fn runbook_names(&self) -> Vec<String> {
        self.runbook_folder().names()
    }

    fn readings(&self) -> Option<&Readings> {
        Some(&self.readings)
    }

    fn commands(&self) -> Commands {
        self.settings.exec.clone()
    }
}

fn listed(contents: Contents, name: impl Fn(String) -> String) -> Vec<Listed> {
    let files = contents.files.into_iter();
    files.map(|(found, (origin, source))| Listed { name: name(found), origin, source }).collect()
}

fn by_name_or_path(what: &'static str, argument: &str, folder: &Folder<'_>) -> Result<Listed, ProjectError> {
    if argument.contains('/') || argument.ends_with(".yaml") || argument.ends_with(".yml") {
        return by_path(argument);
    }
    match folder.find(argument) {
        Ok(Some((origin, source))) => Ok(Listed { name: argument.to_owned(), origin, source }),
        Err(problem) => Err(ProjectError::Invalid(vec![*problem])),
        Ok(None) => {
            let names = folder.names();
            let nearest = nearest(argument, names.iter().map(String::as_str)).map(str::to_owned);
            let deeper = folder.deeper(argument);
            Err(ProjectError::NotFound { what, name: argument.to_owned(), nearest, deeper })
        }
    }
}

pub(super) fn by_path(argument: &str) -> Result<Listed, ProjectError> {
    let path = Path::new(argument);
    if path.extension().is_none_or(|end| end != "yaml" && end != MODULE) && !path.is_dir() && files::is_there(path) {
        let problem = files::unusable(argument, "is not read: files end in `.yaml`");
        return Err(ProjectError::Invalid(vec![problem.help("rename it")]));
    }
    match files::read(path, argument, Links::Follow) {
        Ok(source) => {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Listed { name, origin: Origin::Project, source })
        }
        Err(Fault::Absent) => Err(ProjectError::NoFile { shown: argument.to_owned() }),
        Err(Fault::Unusable(problem)) => Err(ProjectError::Invalid(vec![*problem])),
    }
}
