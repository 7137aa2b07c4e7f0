//! One folder of a project with the embedded files below it: what has which name, and what can't be used.
//!
//! A file of the project that is there and can't be used is an error, never passed over for the embedded one
//! of its name: somebody has changed a runbook, and what would run instead is not what they wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, File};

use crate::project::files::{self, Fault, Links, unusable};
use crate::project::test_files::is_test;
use crate::runbook::problem::Problem;
use crate::runbook::source::{Source, Span};

/// Where a file came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Project,
    Embedded,
}

/// How the files of a folder get their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Stems of the files directly in it.
    Flat,
    /// Paths below it without the extension, `railway/redeploy`.
    Deep,
}

/// `runbooks/`, `actions/`, `modules/` or `targets/`.
pub(super) struct Folder<'a> {
    /// The project's directory, if there is one.
    pub root: Option<&'a Path>,
    pub name: &'static str,
    /// Files of the binary, with the folder's name there.
    pub embedded: Option<(&'static str, &'a Dir<'a>)>,
    pub extension: &'static str,
    pub names: Names,
}

/// What a folder holds.
#[derive(Default)]
pub(super) struct Contents {
    /// By name; the project's own win.
    pub files: BTreeMap<String, (Origin, Arc<Source>)>,
    /// What can't be used, or not by name.
    pub problems: Vec<Problem>,
}

/// What stands under a name, before it is read.
enum Found<'a> {
    Own(PathBuf),
    Embedded(&'a File<'a>),
}

/// What a walk through a folder saw.
#[derive(Default)]
struct Walk<'a> {
    found: BTreeMap<String, Found<'a>>,
    problems: Vec<Problem>,
    /// Files that lie deeper than names reach, by stem.
    deeper: BTreeMap<String, String>,
}

impl<'a> Folder<'a> {
    /// The text of a name, if there is one.
    ///
    /// # Errors
    /// What is wrong with the project's own file.
    pub(super) fn find(&self, name: &str) -> Result<Option<(Origin, Arc<Source>)>, Box<Problem>> {
        if !self.is_name(name) {
            return Ok(None);
        }
        if let Some(source) = self.own(name)? {
            return Ok(Some((Origin::Project, source)));
        }
        let file = self.embedded.and_then(|(_, dir)| dir.get_file(format!("{name}.{}", self.extension)));
        Ok(file.and_then(|file| self.shipped(file)).map(|source| (Origin::Embedded, source)))
    }

    fn own(&self, name: &str) -> Result<Option<Arc<Source>>, Box<Problem>> {
        let Some(base) = self.base() else { return Ok(None) };
        let mut below = base.clone();
        let folders = name.rsplit_once('/').map_or("", |(folders, _)| folders);
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            below.push(part);
            if below.is_symlink() {
                return Err(Box::new(unusable(&self.shown(&below), files::IS_LINK)));
            }
        }
        let path = base.join(format!("{name}.{}", self.extension));
        match files::read(&path, &self.shown(&path), Links::Refuse) {
            Ok(source) => Ok(Some(source)),
            Err(Fault::Unusable(problem)) => Err(problem),
            Err(Fault::Absent) => {
                let twin = path.with_extension("yml");
                match self.extension == "yaml" && files::is_there(&twin) {
                    true => Err(Box::new(self.misnamed(&twin))),
                    false => Ok(None),
                }
            }
        }
    }

    /// Everything in it, read.
    pub(super) fn contents(&self) -> Contents {
        let walk = self.walk();
        let mut contents = Contents { problems: walk.problems, ..Contents::default() };
        for (name, found) in walk.found {
            let source = match found {
                Found::Embedded(file) => self.shipped(file).map(|source| (Origin::Embedded, source)),
                Found::Own(path) => match files::read(&path, &self.shown(&path), Links::Refuse) {
                    Ok(source) => Some((Origin::Project, source)),
                    Err(Fault::Absent) => None,
                    Err(Fault::Unusable(problem)) => {
                        contents.problems.push(*problem);
                        None
                    }
                },
            };
            contents.files.extend(source.map(|source| (name, source)));
        }
        contents
    }

    /// Names alone; reads no file.
    pub(super) fn names(&self) -> Vec<String> {
        self.walk().found.into_keys().collect()
    }

    /// The file of this stem that lies deeper than names reach, if there is one.
    pub(super) fn deeper(&self, name: &str) -> Option<String> {
        self.walk().deeper.remove(name)
    }

    fn walk(&self) -> Walk<'a> {
        let mut walk = Walk::default();
        if let Some((_, dir)) = self.embedded {
            for file in shipped_below(dir, self.names).into_iter().filter(|file| self.has_extension(file.path())) {
                if let Some(name) = self.name_of(file.path()).filter(|name| self.is_name(name)) {
                    walk.found.insert(name, Found::Embedded(file));
                }
            }
        }
        let Some(base) = self.base() else { return walk };
        let mut open = vec![base.clone()];
        while let Some(dir) = open.pop() {
            let entries = match std::fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(_) if !files::is_there(&dir) => continue,
                Err(error) => {
                    walk.problems.push(unusable(&self.shown(&dir), &format!("can't be listed: {error}")));
                    continue;
                }
            };
            for entry in entries.flatten() {
                let path = entry.path();
                if entry.file_name().to_string_lossy().starts_with('.') {
                    continue;
                }
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && !self.has_extension(&path) => open.push(path),
                    Ok(kind) if kind.is_symlink() && path.is_dir() => {
                        let below = path.strip_prefix(&base).unwrap_or(&path).to_path_buf();
                        walk.found.retain(|name, _| !Path::new(name).starts_with(&below));
                        walk.problems.push(unusable(&self.shown(&path), files::IS_LINK));
                    }
                    Ok(kind) => self.see(&mut walk, &base, path, kind),
                    Err(error) => walk.problems.push(unusable(&self.shown(&path), &error.to_string())),
                }
            }
        }
        walk
    }

    /// Judges a file of the project by its place alone.
    fn see(&self, walk: &mut Walk<'_>, base: &Path, path: PathBuf, kind: std::fs::FileType) {
        let twin = self.extension == "yaml" && path.extension().is_some_and(|extension| extension == "yml");
        let relative = path.strip_prefix(base).unwrap_or(&path);
        if is_test(&path) || (!twin && !self.has_extension(&path)) {
            return;
        }
        let shown = self.shown(&path);
        let Some(name) = self.name_of(relative) else {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let why = format!("has no name: names are those of files directly in {}/", self.name);
            walk.problems.push(unreachable(&shown, &why));
            walk.deeper.insert(stem, shown);
            return;
        };
        if !self.is_name(&name) {
            let why = "has no name: one is made of letters, digits, `-` and `_`";
            walk.problems.push(unreachable(&shown, why));
        } else if twin {
            // Beside `x.yaml` it does nothing; alone it stands in the way of an embedded one.
            if !files::is_there(&path.with_extension("yaml")) {
                walk.found.remove(&name);
            }
            walk.problems.push(self.misnamed(&path));
        } else if !kind.is_file() {
            walk.found.remove(&name);
            let why = if kind.is_symlink() { files::IS_LINK } else { "is not a regular file" };
            walk.problems.push(unusable(&shown, why));
        } else {
            walk.found.insert(name, Found::Own(path));
        }
    }

    fn has_extension(&self, path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == self.extension)
    }

    fn base(&self) -> Option<PathBuf> {
        self.root.map(|root| root.join(self.name))
    }

    fn shipped(&self, file: &File) -> Option<Arc<Source>> {
        let folder = self.embedded.map_or("", |(folder, _)| folder);
        file.contents_utf8().map(|text| Source::new(format!("embedded:{folder}/{}", file.path().display()), text))
    }

    /// The name a file has by its path below the folder; `None` if names don't reach there.
    fn name_of(&self, relative: &Path) -> Option<String> {
        let relative = relative.with_extension("");
        match self.names {
            Names::Flat if relative.components().count() > 1 => None,
            Names::Flat | Names::Deep => Some(relative.to_string_lossy().into_owned()),
        }
    }

    /// Nothing that walks out of a folder; where `.` separates folders it can't be part of a name. What ends in `.test`
    /// are the tests of another name.
    fn is_name(&self, name: &str) -> bool {
        if is_test(Path::new(&format!("{name}.{}", self.extension))) {
            return false;
        }
        let deep = self.names == Names::Deep;
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || (c == '.' && !deep);
        let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(letter);
        match deep {
            true => name.split('/').all(part),
            false => part(name),
        }
    }

    fn misnamed(&self, path: &Path) -> Problem {
        let right = path.with_extension("yaml");
        let right = right.file_name().unwrap_or_default().to_string_lossy();
        unusable(&self.shown(path), "is not read: files end in `.yaml`").help(format!("rename it to `{right}`"))
    }

    fn shown(&self, path: &Path) -> String {
        let relative = self.root.and_then(|root| path.strip_prefix(root).ok());
        relative.unwrap_or(path).display().to_string()
    }
}

/// Says that a file can't be reached by name, though by path it can.
fn unreachable(shown: &str, why: &str) -> Problem {
    Problem::warning("W0406", &Source::new(shown, ""), Span::default(), format!("`{shown}` {why}"))
}

fn shipped_below<'a>(dir: &'a Dir<'a>, names: Names) -> Vec<&'a File<'a>> {
    let mut found: Vec<_> = dir.files().collect();
    if names == Names::Deep {
        for inner in dir.dirs() {
            found.extend(shipped_below(inner, names));
        }
    }
    found
}

#[cfg(test)]
mod tests;
