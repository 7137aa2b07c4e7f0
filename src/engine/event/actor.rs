//! Who did something: the person, the way they took, and the program that acted for them.

use serde::{Deserialize, Serialize};

/// Who did something, and through which surface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The person's name in the project's `people`, or the operating system's user.
    pub id: String,
    /// `cli`, later `http`, `web`, `chat`, `mcp`.
    pub via: String,
    /// Roles the person had when it was recorded; none for whoever is no person of the project.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Whether `id` is a name of the project's `people`. Absent in journals from before there were any.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub person: bool,
    /// The program that acted for them, as it calls itself; nothing if they acted themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// The way by which programs act for somebody.
pub const AGENT: &str = "mcp";

impl Actor {
    /// Somebody who is no person of a project: an operating system's user, or a program.
    pub fn new(id: impl Into<String>, via: impl Into<String>) -> Actor {
        Actor { id: id.into(), via: via.into(), ..Actor::default() }
    }

    /// A person of a project.
    pub fn person(id: impl Into<String>, via: impl Into<String>, roles: Vec<String>) -> Actor {
        Actor { id: id.into(), via: via.into(), roles, person: true, agent: None }
    }

    /// The same person, for whom this program acts.
    pub fn by_agent(self, agent: impl Into<String>) -> Actor {
        Actor { via: AGENT.to_owned(), agent: Some(agent.into()), ..self }
    }

    /// Who it is in a few words: `ana`, `robot 1.0 for ana`.
    pub fn said(&self) -> String {
        match &self.agent {
            Some(agent) => format!("{agent} for {}", self.id),
            None => self.id.clone(),
        }
    }

    /// Whether a program acts for them: it approves nothing, and starts what its target allows programs.
    pub fn is_agent(&self) -> bool {
        self.via == AGENT || self.agent.is_some()
    }

    /// Whether this is a person who is named here, or has a role that is.
    pub fn is_one_of(&self, by: &[String]) -> bool {
        self.person && by.iter().any(|name| *name == self.id || self.roles.contains(name))
    }
}
