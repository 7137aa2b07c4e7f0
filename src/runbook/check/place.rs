//! Where a snippet stands, and what it may see and handle there.

use crate::script::compile::CONTEXTS;

/// A place of a snippet in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Var,
    Name,
    If,
    /// Inside `with`; `secrets` says why this argument takes none.
    Argument {
        secrets: Result<(), &'static str>,
    },
    Script,
    Assert,
    Else,
    When,
    Say,
    Suggest,
    Until,
    FailIf,
    /// `foreach`, `max_parallel`: how often, and for what.
    Items(&'static str),
    /// `every`, `within`, `timeout`, `delay`, `max_delay`.
    Time(&'static str),
    StepOutputs,
    Reveal,
    /// `happened`, `not_happened` of a `settle`.
    Settles(&'static str),
    /// `outputs` of a `settle`.
    Adopted,
    Outputs,
    /// Top-level keys that are evaluated before any step: `timeout`, `group`.
    Whole(&'static str),
    Plan,
    /// `place` of `leaves` and `overlay`.
    LeftAt,
    /// `sets`, `removes`, `was` of a `leaves`.
    Leaves(&'static str),
    /// The `script` of an `overlay`.
    Overlay,
    /// `message` of an `approval`.
    Message,
}

impl Place {
    /// The key this snippet belongs to.
    pub(super) fn key(self) -> &'static str {
        match self {
            Place::Var => "vars",
            Place::Name => "name",
            Place::If => "if",
            Place::Argument { .. } => "with",
            Place::Script => "script",
            Place::Assert => "that",
            Place::Else => "else",
            Place::When => "when",
            Place::Say => "say",
            Place::Suggest => "suggest",
            Place::Until => "until",
            Place::FailIf => "fail_if",
            Place::Items(key) | Place::Time(key) | Place::Settles(key) | Place::Whole(key) | Place::Leaves(key) => key,
            Place::StepOutputs | Place::Adopted | Place::Outputs => "outputs",
            Place::Reveal => "reveal",
            Place::Plan => "plan",
            Place::LeftAt => "place",
            Place::Overlay => "overlay",
            Place::Message => "message",
        }
    }

    /// The contexts this place can read, in the order of the language. `each` is one of them inside a `foreach`.
    pub(super) fn contexts(self, in_foreach: bool) -> Vec<&'static str> {
        CONTEXTS.into_iter().filter(|context| self.sees(context) && (in_foreach || *context != "each")).collect()
    }

    /// Whether a context can be read here.
    pub(super) fn sees(self, context: &str) -> bool {
        match context {
            // What is revealed is listed before the start.
            _ if self == Place::Reveal => context == "inputs",
            "inputs" | "vars" | "run" => true,
            "steps" | "secrets" | "each" => !matches!(self, Place::Var | Place::Whole(_)),
            "result" => matches!(self, Place::Until | Place::FailIf | Place::StepOutputs | Place::Overlay),
            _ => false,
        }
    }

    /// Whether a secret may stand here; if not, why.
    pub(super) fn takes_secrets(self) -> Result<(), &'static str> {
        match self {
            Place::Argument { secrets } => secrets,
            Place::Script | Place::StepOutputs | Place::Adopted | Place::Outputs | Place::Var => Ok(()),
            Place::Leaves(_) | Place::Overlay => Ok(()),
            Place::LeftAt => Err("a place is compared, and told to people"),
            Place::If | Place::Assert | Place::When | Place::Until | Place::FailIf | Place::Settles(_) => {
                Err("a condition can't look into a secret")
            }
            Place::Whole("group") => Err("this text is shown to whoever finds the group busy"),
            Place::Plan => Err("a plan is shown to people"),
            Place::Items(_) => Err("each item is a step of the journal, which holds no secret"),
            Place::Name | Place::Else | Place::Say | Place::Suggest | Place::Reveal | Place::Message => {
                Err("this text is shown to people")
            }
            Place::Time(_) | Place::Whole(_) => Err("a time can't be secret"),
        }
    }
}
