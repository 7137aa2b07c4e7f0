//! Volumes of a simulated Railway: backups of what is on them, and a restore, which is staged first and then committed.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::world::railway::{State, Token, id, time};

/// Looks that making a backup takes.
const LOOKS: usize = 2;

/// A disk of a service.
#[derive(Clone, Debug, Default)]
pub struct Volume {
    pub id: String,
    /// What is on it.
    pub content: String,
    /// In the order they were made.
    pub backups: Vec<Backup>,
}

/// What was on a volume at a moment.
#[derive(Clone, Debug)]
pub struct Backup {
    pub id: String,
    pub name: String,
    pub created: i64,
    pub content: String,
}

/// What happens to volumes beside the services.
#[derive(Debug, Default)]
pub struct Volumes {
    /// Looks until each workflow is complete.
    workflows: BTreeMap<String, usize>,
    /// The service and the backup that committing would restore.
    staged: Option<((usize, usize), String)>,
    /// Changes that somebody else has staged, by name.
    pub foreign: Vec<String>,
    /// Whether the next backup fails.
    pub broken: bool,
    made: u32,
}

/// Whether a field of the API is about volumes.
pub(super) fn knows(field: &str) -> bool {
    field.starts_with("volumeInstance")
        || ["workflowStatus", "environmentStagedChanges", "environmentPatchCommitStaged"].contains(&field)
}

impl State {
    /// The value of a field that is about volumes.
    pub(super) fn of_volumes(&mut self, field: &str, input: &Json, token: &Token) -> Result<Json, String> {
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        match field {
            "volumeInstanceBackupList" => {
                let at = self.volume(&text("volumeInstanceId"), token)?;
                let backups = self.volume_at(at).backups.iter().map(|backup| {
                    json!({
                        "id": backup.id,
                        "name": backup.name,
                        "createdAt": time(backup.created),
                        "expiresAt": null,
                        "usedMB": backup.content.len(),
                    })
                });
                Ok(backups.collect())
            }
            "workflowStatus" => {
                let (broken, left) = (self.volumes.broken, self.volumes.workflows.get_mut(&text("workflowId")));
                let Some(left) = left else { return Ok(json!({ "status": "NotFound", "error": null })) };
                *left = left.saturating_sub(1);
                Ok(match (*left, broken) {
                    (0, true) => json!({ "status": "Error", "error": "no space left" }),
                    (0, false) => json!({ "status": "Complete", "error": null }),
                    _ => json!({ "status": "Running", "error": null }),
                })
            }
            "environmentStagedChanges" => {
                let mut patch: BTreeMap<String, Json> =
                    self.volumes.foreign.iter().map(|name| (name.clone(), json!({ "value": "staged" }))).collect();
                if let Some((_, backup)) = &self.volumes.staged {
                    patch.insert("volumes".to_owned(), json!({ "restore": backup }));
                }
                Ok(json!({ "id": id(0x9, 1), "patch": patch }))
            }
            _ if !token.writes => Err("Not Authorized".to_owned()),
            "volumeInstanceBackupCreate" => {
                let at = self.volume(&text("volumeInstanceId"), token)?;
                self.did("backup");
                let workflow = self.workflow();
                let (number, now, broken) = (self.volumes.made, self.now, self.volumes.broken);
                let volume = self.projects[at.0].services[at.1].volume.get_or_insert_default();
                let content = volume.content.clone();
                if !broken {
                    volume.backups.push(Backup { id: id(0xb, number), name: text("name"), created: now, content });
                }
                Ok(json!({ "workflowId": workflow }))
            }
            "volumeInstanceBackupRestore" => {
                let at = self.volume(&text("volumeInstanceId"), token)?;
                let backup = text("volumeInstanceBackupId");
                if !self.volume_at(at).backups.iter().any(|one| one.id == backup) {
                    return Err("Problem processing request".to_owned());
                }
                self.did("stage");
                self.volumes.staged = Some((at, backup));
                Ok(json!({ "workflowId": self.workflow() }))
            }
            "environmentPatchCommitStaged" => {
                let Some((at, backup)) = self.volumes.staged.take() else {
                    return Err("No staged changes".to_owned());
                };
                self.did("commit");
                self.volumes.foreign.clear();
                let volume = self.projects[at.0].services[at.1].volume.get_or_insert_default();
                let kept = volume.backups.iter().position(|one| one.id == backup).map_or(0, |at| at + 1);
                volume.backups.truncate(kept);
                volume.content = volume.backups.last().map(|one| one.content.clone()).unwrap_or_default();
                let snapshot = self.values(at, false);
                self.deploy(at, snapshot, "restore");
                Ok(json!(id(0x8, 1)))
            }
            other => Err(format!("the simulator has no {other}")),
        }
    }

    fn workflow(&mut self) -> String {
        self.volumes.made += 1;
        let workflow = format!("workflow-{}", self.volumes.made);
        self.volumes.workflows.insert(workflow.clone(), LOOKS);
        workflow
    }

    /// The service with this volume.
    fn volume(&self, volume: &str, token: &Token) -> Result<(usize, usize), String> {
        for (project, one) in self.projects.iter().enumerate() {
            let own =
                one.services.iter().position(|service| service.volume.as_ref().is_some_and(|own| own.id == volume));
            if let Some(service) = own
                && self.may_see(project, token)
            {
                return Ok((project, service));
            }
        }
        Err("Not Authorized".to_owned())
    }

    fn volume_at(&mut self, at: (usize, usize)) -> &mut Volume {
        self.projects[at.0].services[at.1].volume.get_or_insert_default()
    }
}
