//! The demo's own project and journal, away from those of the person who tries it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::surfaces::cli::demo::stage::{Stage, TARGET};

/// Digits that tell directories of demos apart, few enough to be typed.
const NAME_DIGITS: usize = 8;

/// A directory with a target and its secrets; those are gone when this is dropped, the journal stays.
pub struct DemoProject {
    dir: PathBuf,
}

impl DemoProject {
    /// Writes a project whose target leads to a stage's world.
    ///
    /// # Errors
    /// If the directory for temporary files can't be written to.
    pub fn write(stage: &Stage) -> Result<DemoProject> {
        // The last digits of the id are random. Somebody who guessed them would make this fail, not leak.
        let id = uuid::Uuid::now_v7().simple().to_string();
        let dir = std::env::temp_dir().join(format!("rerail-demo-{}", &id[id.len() - NAME_DIGITS..]));
        make_dir(&dir)?;
        let project = DemoProject { dir };
        let root = project.root();
        for folder in [root.clone(), root.join("targets"), root.join("secrets")] {
            make_dir(&folder)?;
        }
        write(&root.join("rerail.yaml"), "version: 1\n")?;
        write(&root.join(format!("targets/{TARGET}.yaml")), &stage.target)?;
        for (file, text) in &stage.secrets {
            write(&root.join("secrets").join(file), text)?;
        }
        Ok(project)
    }

    /// Where `rerail.yaml` is.
    pub fn root(&self) -> PathBuf {
        self.dir.join("project")
    }

    /// Where the journal is; it stays.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }
}

impl Drop for DemoProject {
    fn drop(&mut self) {
        // What can't be removed is a target for a world that is gone.
        let _ = std::fs::remove_dir_all(self.root());
    }
}

/// Only for the person who runs it, as everything that holds secrets.
fn make_dir(path: &Path) -> Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

fn write(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
