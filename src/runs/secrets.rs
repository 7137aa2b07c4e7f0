//! What is known of the secrets of targets: where they come from, where they may go, who uses them, whether they can be
//! read. Never what they are.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::journal::StoreKey;
use crate::runbook::settings::{From, SecretSource, Target};
use crate::runs::Runs;
use crate::runs::checkup::{Checkup, Fitness};
use crate::runs::error::{ErrorKind, RunsError};
use crate::runs::start::secrets_of;
use crate::steps::world::{World, WorldSettings};

/// Permission bits by which others than the owner read a file.
const READ_BY_OTHERS: u32 = 0o044;

/// A secret of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSecret {
    pub target: String,
    pub name: String,
    pub source: SecretSource,
    /// Runbooks that name it, themselves or in what they call.
    pub runbooks: BTreeSet<String>,
}

impl Runs {
    /// The secrets of one target, or of all. Reads none of them.
    ///
    /// # Errors
    /// If there is no such target, or it can't be read; without a name, targets that can't be read are left out.
    pub fn secrets(&self, target: Option<&str>) -> Result<Vec<ListedSecret>, RunsError> {
        let targets = match target {
            Some(name) => vec![self.project().target(name)?],
            None => self.project().targets().iter().filter_map(|one| self.project().target(&one.name).ok()).collect(),
        };
        let mut users: Vec<(String, BTreeSet<String>)> = Vec::new();
        for checked in self.check_runbooks()? {
            users.extend(checked.program.map(|program| (checked.listed.name, secrets_of(&program))));
        }
        let used = |secret: &str| -> BTreeSet<String> {
            users.iter().filter(|(_, used)| used.contains(secret)).map(|(name, _)| name.clone()).collect()
        };
        Ok(targets
            .into_iter()
            .flat_map(|(target, _, name)| target.secrets.into_iter().map(move |secret| (name.clone(), secret)))
            .map(|(target, (name, source))| ListedSecret { target, runbooks: used(&name), name, source })
            .collect())
    }

    /// Reads a secret that the server itself needs, such as what proves a sender. The redactor knows it from then on.
    ///
    /// # Errors
    /// If it can't be read, or is too weak to be one.
    pub fn own_secret(&self, name: &str, source: &SecretSource) -> Result<String, RunsError> {
        let ground = self.ground()?;
        let target = Target { secrets: [(name.to_owned(), source.clone())].into(), ..Target::default() };
        let world = World::new(WorldSettings::of(&ground.root, &ground.settings, Some(&target), &self.redactor));
        let read = world.measure_secret(name, str::to_owned);
        read.map_err(|failure| RunsError::new(ErrorKind::Invalid, failure.message))
    }

    /// Reads the secrets of a target, or the one called `name`, and says whether a run could. A command is run for it.
    ///
    /// # Errors
    /// If there is no such target or secret, or the target can't be read.
    pub fn check_secrets(&self, target: &str, name: Option<&str>) -> Result<Vec<Checkup>, RunsError> {
        let (target, _, target_name) = self.project().target(target)?;
        if let Some(name) = name.filter(|name| !target.secrets.contains_key(*name)) {
            let known = target.secrets.keys().cloned().collect::<Vec<_>>().join(", ");
            let said = format!("target {target_name} has no secret {name}");
            let hint = if known.is_empty() { "it has none".to_owned() } else { format!("it has {known}") };
            return Err(RunsError::new(ErrorKind::Usage, said).hint(hint));
        }
        let ground = self.ground()?;
        let key = StoreKey::existing(&self.state_dir)?;
        let world = World::new(WorldSettings::of(&ground.root, &ground.settings, Some(&target), &self.redactor));
        let asked = target.secrets.iter().filter(|(secret, _)| name.is_none_or(|name| name == secret.as_str()));
        Ok(asked
            .map(|(secret, source)| {
                let seen = world.measure_secret(secret, |text| {
                    let fingerprint = key.as_ref().map(|key| key.fingerprint(text.as_bytes()).short());
                    (length_class(text.len()), fingerprint)
                });
                match seen {
                    Err(failure) => Checkup::new(secret, Fitness::Broken, failure.message),
                    Ok((length, fingerprint)) => readable(secret, source, length, fingerprint, &ground.root),
                }
            })
            .collect())
    }
}

fn readable(name: &str, source: &SecretSource, length: &str, fingerprint: Option<String>, root: &Path) -> Checkup {
    let mut says = format!("readable, {length}");
    if let Some(fingerprint) = fingerprint {
        says.push_str(&format!(", fingerprint {fingerprint}"));
    }
    match &source.from {
        From::File { path } if read_by_others(&root.join(path)) => {
            let hint = format!("others on this machine can read it: `chmod 600 {path}`");
            Checkup::new(name, Fitness::Doubtful, says).hint(hint)
        }
        _ if source.hosts.is_empty() => Checkup::new(name, Fitness::Doubtful, format!("{says}, bound to no host"))
            .hint("name the hosts it may go to under `hosts:`, and it goes nowhere else"),
        _ => Checkup::new(name, Fitness::Well, format!("{says}, goes to {}", source.hosts.join(" "))),
    }
}

/// Whether group or others may read a file; files of containers are often like that, so it is said, not refused.
fn read_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & READ_BY_OTHERS != 0)
}

/// Roughly how long a secret is: enough to see that the wrong file was named, too little to help with guessing.
fn length_class(bytes: usize) -> &'static str {
    match bytes {
        0..16 => "under 16 bytes",
        16..64 => "16 to 63 bytes",
        64..1024 => "64 to 1023 bytes",
        _ => "1 KiB or more",
    }
}
