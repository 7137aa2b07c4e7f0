//! What an action takes, gives and may do: the one schema behind argument checks, `rerail actions`
//! and dry-runs. Primitives state theirs in `steps/`; a YAML action's is read off its file.

use crate::runbook::commands::Commands;
use crate::runbook::types::Type;
use crate::script::value::{Map, Unknown, Value};

/// Primitives whose arguments end where people read them or on a disk.
const SHOW_ALL: [&str; 6] = ["email.send", "human.ask", "run.note", "run.finish", "run.fail", "file.write"];

/// Primitives of which only these arguments are kept from other eyes: a list of processes shows the rest.
const SHOW_ALL_BUT: [(&str, [&str; 2]); 1] = [("exec.run", ["env", "stdin"])];

/// Whether what is given for this argument of a primitive can be read by others, so that it may hold no secret.
pub fn shows(action: &str, argument: &str) -> bool {
    SHOW_ALL.contains(&action)
        || SHOW_ALL_BUT.iter().any(|(name, hidden)| *name == action && !hidden.contains(&argument))
}

/// The primitive that runs another runbook: the one whose contract depends on the value of an argument.
pub const RUN_CHILD: &str = "runbook";

/// The primitive that takes back what a run did.
pub const RUN_UNDO: &str = "run.undo";

/// What an action may do to the world, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Pure,
    Read,
    Notify,
    Write,
    Destructive,
}

impl Effect {
    /// The greatest of these; none of them does nothing.
    pub fn worst(effects: &[Effect]) -> Effect {
        effects.iter().max().copied().unwrap_or(Effect::Pure)
    }

    /// Whether a dry-run must not perform it and a crash leaves it in doubt.
    pub fn changes_the_world(self) -> bool {
        self >= Effect::Notify
    }

    /// The word in YAML, journal and terminal.
    pub fn word(self) -> &'static str {
        match self {
            Effect::Pure => "pure",
            Effect::Read => "read",
            Effect::Notify => "notify",
            Effect::Write => "write",
            Effect::Destructive => "destructive",
        }
    }
}

/// Whether a write may be sent again when nobody knows if it happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repeat {
    /// Never without a person's decision.
    #[default]
    Once,
    /// Sending the same bytes again leads to the same state.
    Repeatable,
    /// The other side drops a second request with the same key for this many seconds.
    Keyed { window_s: u64 },
    /// Its step can find out whether it happened.
    Verifiable,
}

/// The contract of one action.
#[derive(Clone, Debug)]
pub struct ActionSpec {
    /// Dotted: `http.probe`.
    pub name: String,
    /// One line: what it is for.
    pub title: String,
    /// The greatest effect it can have.
    pub effect: Effect,
    /// Narrows the effect for given arguments, where that can be said (`http.request` by method).
    /// Must answer [`ActionSpec::effect`] when the argument it looks at is unknown.
    pub effect_of: Option<By<Effect>>,
    /// Whether a write with these arguments may be sent again when nobody knows if it happened;
    /// [`Repeat::Once`] without it.
    pub repeat_of: Option<By<Repeat>>,
    pub args: Vec<ArgSpec>,
    pub outputs: Vec<OutputSpec>,
    /// Longer explanation in Markdown: example, errors, limits.
    pub docs: String,
}

/// What decides about a call beside the name of its action.
#[derive(Clone, Debug)]
pub enum By<T> {
    /// Its arguments alone.
    Arguments(fn(&Map) -> T),
    /// The host's line for the command in `argv`, which may also say more than [`ActionSpec::effect`].
    Command(Commands),
}

impl<T> By<T> {
    fn under(&mut self, commands: &Commands) {
        if let By::Command(lines) = self {
            lines.clone_from(commands);
        }
    }
}

impl ActionSpec {
    /// The same contract on a host that allows these commands.
    #[must_use]
    pub fn under(&self, commands: &Commands) -> ActionSpec {
        let mut spec = self.clone();
        spec.effect_of.iter_mut().for_each(|by| by.under(commands));
        spec.repeat_of.iter_mut().for_each(|by| by.under(commands));
        spec
    }

    /// The effect these arguments lead to.
    pub fn effect_with(&self, args: &Map) -> Effect {
        match &self.effect_of {
            None => self.effect,
            Some(By::Arguments(narrow)) => narrow(args),
            Some(By::Command(commands)) => commands.effect(args),
        }
    }

    /// The greatest effect of a call as written: `keys` are the arguments it names (`None` when even
    /// that isn't known), `literals` those with a literal value.
    pub fn effect_as_written<'k>(&self, keys: Option<impl IntoIterator<Item = &'k str>>, literals: &Map) -> Effect {
        let Some(keys) = keys else {
            return match &self.effect_of {
                Some(By::Command(commands)) => commands.effect(&Map::new()),
                _ => self.effect,
            };
        };
        self.effect_with(&as_written(keys, literals))
    }

    /// Whether a call as written may be sent again unasked; see [`ActionSpec::effect_as_written`].
    pub fn repeat_as_written<'k>(&self, keys: Option<impl IntoIterator<Item = &'k str>>, literals: &Map) -> Repeat {
        keys.map_or(Repeat::Once, |keys| self.repeat_with(&as_written(keys, literals)))
    }

    /// Whether a write with these arguments may be sent again unasked.
    pub fn repeat_with(&self, args: &Map) -> Repeat {
        match &self.repeat_of {
            None => Repeat::Once,
            Some(By::Arguments(repeat)) => repeat(args),
            Some(By::Command(commands)) => commands.repeat(args),
        }
    }

    /// The output of this name.
    pub fn output(&self, name: &str) -> Option<&OutputSpec> {
        self.outputs.iter().find(|output| output.name == name)
    }

    /// The argument of this name.
    pub fn arg(&self, name: &str) -> Option<&ArgSpec> {
        self.args.iter().find(|arg| arg.name == name)
    }
}

/// The arguments of a call as written: what isn't literal is unknown.
fn as_written<'k>(keys: impl IntoIterator<Item = &'k str>, literals: &Map) -> Map {
    let open = || Value::Unknown(Unknown { origin: "computed".into() });
    keys.into_iter().map(|key| (key.to_owned(), literals.get(key).cloned().unwrap_or_else(open))).collect()
}

/// One argument of an action.
#[derive(Clone, Debug)]
pub struct ArgSpec {
    pub name: String,
    pub ty: Type,
    pub required: bool,
    pub default: Option<Value>,
    pub doc: String,
    /// Why a text of the right type can't be meant; asked by checks where it is written out.
    pub fault: Option<fn(&str) -> Option<String>>,
}

/// One output of an action.
#[derive(Clone, Debug)]
pub struct OutputSpec {
    pub name: String,
    pub ty: Type,
    pub doc: String,
    pub sealed: Seal,
}

/// Whether an output is sealed: kept encrypted, and passed on without being seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Only where a place in it is named.
    Named,
    /// With `sealed: true`, and as a whole where `sealed` names a place in another one of these: it holds the same
    /// bytes.
    Body,
    /// Whatever the call says.
    Always,
}

/// The argument that says what of an answer is secret.
pub const SEALED: &str = "sealed";
