//! Every key of every file with what may stand behind it and a line for whoever writes it.
//!
//! The readers say which keys there are; that both agree is tested, so that no key comes without its line.

use crate::runbook::approval::Need;
use crate::runbook::reader::Keys;
use crate::runbook::schema::form::{Form, words};
use crate::runbook::schema::{cases, places};
use crate::runbook::types::Type;
use crate::runbook::{
    lower, lower_approval, lower_inputs, lower_sealed, lower_steps, lower_times, lower_undo, lower_whole, lower_writes,
    settings,
};

/// A map with known keys.
pub(super) struct Definition {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    /// What the reader knows.
    pub(super) keys: &'static Keys,
    pub(super) rows: &'static [Row],
    pub(super) required: &'static [&'static str],
    /// Keys of which exactly one is given.
    pub(super) one_of: &'static [&'static str],
    /// Keys that need one of others beside them.
    pub(super) needs: &'static [(&'static str, &'static [&'static str])],
}

/// One key.
pub(super) struct Row {
    pub(super) key: &'static str,
    pub(super) form: Form,
    pub(super) doc: &'static str,
}

pub(super) const fn row(key: &'static str, form: Form, doc: &'static str) -> Row {
    Row { key, form, doc }
}

const LEVELS: [&str; 4] = words(&lower_steps::LEVELS);
const EFFECTS: [&str; 5] = words(&lower_writes::EFFECTS);
const REPEATS: [&str; 3] = words(&lower_writes::REPEATS);
const ON_EXPIRY: [&str; 2] = words(&lower_approval::ON_EXPIRY);
const IF_BUSY: [&str; 3] = words(&lower_whole::IF_BUSY);

const VERSION: Row = row("version", Form::Version, "Version of the language: 1.");

pub(super) const RUNBOOK: Definition = Definition {
    name: "file",
    doc: "A runbook that a person starts, or an action that steps call. The file's name is its name.",
    keys: &lower::RUNBOOK,
    required: &["version", "title", "steps"],
    one_of: &[],
    needs: &[],
    rows: &[
        VERSION,
        row("title", Form::Text, "One line for people: what is wrong, or what is done."),
        row("owner", Form::Text, "The team that keeps this file true."),
        row("reviewed", Form::Date, "The day somebody last read it against the world, such as 2026-11-01."),
        row("tags", Form::Texts, "Words to find it by."),
        row("meaning", Form::Text, "What is wrong when this is needed."),
        row("impact", Form::Text, "Whom it hurts, and how."),
        row("links", Form::Links, "Where to read more: addresses, or titles with addresses."),
        row("inputs", Form::Maps("input"), "Values the run is started with, by name; read as `inputs.NAME`."),
        row(
            "secrets",
            Form::Texts,
            "Names of the secrets it uses; a target says where they come from. Read as `secrets.NAME`.",
        ),
        row("vars", Form::Named, "Values computed once at the start, in this order; read as `vars.NAME`."),
        row("timeout", Form::Duration, "How long the whole run may take, 4h unless given."),
        row("concurrency", Form::Map("concurrency"), "Which runs may not happen at the same time."),
        row("defaults", Form::Map("defaults"), "What every `uses` of this file has unless it says otherwise."),
        row("triggers", Form::Lists("trigger"), "Alerts and times that start it."),
        row("steps", Form::List("step"), "What is done, in this order."),
        row("on_failure", Form::List("step"), "Steps after a run that failed, was rejected or timed out."),
        row("finally", Form::List("step"), "Steps at the end of every run, however it went."),
        row("plan", Form::Map("plan"), "What a rehearsal says of this action as a whole."),
        row("overlay", Form::Map("overlay"), "What this action gives behind planned writes of what it reads."),
        row("outputs", Form::NamedOr("output"), "What it gives to whoever called it, by name."),
    ],
};

const OUTPUT: Definition = Definition {
    name: "output",
    doc: "What is given, and that it is secret.",
    keys: &lower_sealed::SEALED_OUTPUT,
    required: &["value", "sealed"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("value", Form::Any, "What is given: values that a step has sealed, or secrets."),
        row("sealed", Form::Bool, "No plain text leaves by this output."),
    ],
};

const INPUT: Definition = Definition {
    name: "input",
    doc: "A value the run is started with.",
    keys: &lower_inputs::INPUT,
    required: &["type"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("type", Form::Words(&Type::WORDS), "What it is; typed text and targets are read by it."),
        row("description", Form::Text, "What to give, for whoever starts the run."),
        row("required", Form::Bool, "Whether it must be given; true unless there is a default."),
        row("default", Form::Any, "What it is when nobody gives it."),
        row("choices", Form::Texts, "The words of a `choice`."),
    ],
};

pub(super) const STEP: Definition = Definition {
    name: "step",
    doc: "One step: exactly one body, and what stands beside it.",
    keys: &lower_steps::STEP,
    required: &[],
    one_of: &lower_steps::BODIES,
    needs: &[
        ("max_parallel", &["foreach"]),
        ("until", &["within", "foreach"]),
        ("every", &["until"]),
        ("in_a_row", &["until"]),
    ],
    rows: &[
        row("id", Form::Id, "Its name in expressions: `steps.ID.outputs`. snake_case."),
        row("name", Form::Text, "One line for people."),
        row("if", Form::Expression, "Run it only if this is true; else it is skipped."),
        row("foreach", Form::Items, "Run the body once for each item: a list, or an expression that gives one."),
        row("max_parallel", Form::CountOrTemplate(1), "How many items at a time; one after another without it."),
        row("uses", Form::Action, "The action to call: a primitive such as `http.probe`, or a file of `actions/`."),
        row("with", Form::With, "Arguments of the action."),
        row("script", Form::Text, "Rhai code; its last expression is the step's output."),
        row("assert", Form::List("assertion"), "What must hold for the run to go on."),
        row("findings", Form::List("finding"), "What to tell people, under which condition."),
        row("steps", Form::List("step"), "A group of steps."),
        row("parallel", Form::List("step"), "Branches that run side by side, each to its own end."),
        row("until", Form::Expression, "Look again until this is true of `result`; reads only."),
        row("fail_if", Form::Expression, "End the step as failed if this is true of `result`; reads only."),
        row("every", Form::Duration, "Pause between two looks, 5s unless given."),
        row("within", Form::Duration, "How long the step may take with all its attempts, looks and pauses."),
        row("in_a_row", Form::Count(1), "How many looks in a row must be good."),
        row("timeout", Form::Duration, "How long one attempt may take; a write that reaches it is in doubt."),
        row("retry", Form::Map("retry"), "Try again after failures that another attempt may not have."),
        row(
            "approval",
            Form::NameOrMap("approval"),
            "Who must agree before it writes anything: a role, or what is asked of whom.",
        ),
        row(
            "effect",
            Form::Words(&EFFECTS),
            "What the call may do, if that is more than its action says; less needs a `reason`.",
        ),
        row(
            "repeat",
            Form::WordsOrMap(&REPEATS, "keyed"),
            "Whether the write may be sent again when nobody knows if it happened.",
        ),
        row("settle", Form::Map("settle"), "How to find out whether a write in doubt has happened."),
        row("leaves", Form::Map("leaves"), "What a planned write will leave behind, for the reads of a rehearsal."),
        row("undo", Form::Map("undo"), "What takes the step back, for `rerail undo` and `uses: run.undo`."),
        row("continue_on_failure", Form::Bool, "Go on with the next step if this one fails."),
        row("outputs", Form::Named, "What the step gives instead of `result`, by name."),
        row("reason", Form::Text, "Why more trust is put into this step than its action asks for."),
        row(
            "reveal",
            Form::Texts,
            "Names of sealed outputs that come as plain text all the same, and into the journal.",
        ),
    ],
};

const RETRY: Definition = Definition {
    name: "retry",
    doc: "Try again after failures that another attempt may not have.",
    keys: &lower_times::RETRY,
    required: &["attempts"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("attempts", Form::Attempts, "How often in all, the first one included."),
        row("delay", Form::Duration, "Pause before the second attempt, 1s unless given."),
        row("backoff", Form::Factor, "Each pause is so many times the one before, 2 unless given."),
        row("max_delay", Form::Duration, "Longest pause, 1m unless given."),
        row("on", Form::Failures, "Failures that are worth it; all that may be retried without it."),
    ],
};

const DEFAULTS: Definition = Definition {
    name: "defaults",
    doc: "What every `uses` of this file has unless it says otherwise.",
    keys: &lower_times::DEFAULTS,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("retry", Form::Map("retry"), "For calls that may be retried."),
        row("timeout", Form::Duration, "How long one attempt may take."),
    ],
};

const APPROVAL: Definition = Definition {
    name: "approval",
    doc: "Who must agree, and to what: exactly the changes they are shown.",
    keys: &lower_approval::APPROVAL,
    required: &["by"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("by", Form::Names, "Roles, or persons by name, of `people` in rerail.yaml."),
        row("all", Form::Bool, "One person of each of them, rather than of any."),
        row("count", Form::Between(1, Need::COUNT_MAX), "How many different persons, 1 unless given."),
        row("self", Form::Bool, "Whether whoever started the run counts as well; they don't unless given."),
        row("message", Form::Text, "What the approver is asked."),
        row("expires", Form::Duration, "How long they have, 15m unless given; then it is not done."),
        row("remind", Form::Duration, "How often it is called to mind, 5m unless given."),
        row("on_expiry", Form::Words(&ON_EXPIRY), "`fail`: the step is rejected; `cancel`: the run is cancelled."),
    ],
};

const SETTLE: Definition = Definition {
    name: "settle",
    doc: "How to find out whether a write in doubt has happened.",
    keys: &lower_writes::SETTLE,
    required: &["steps", "happened"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("steps", Form::List("step"), "Reads that look for the write."),
        row("happened", Form::Expression, "True if it has happened."),
        row(
            "not_happened",
            Form::Expression,
            "True if it has not: it is sent again. If neither is true a person decides.",
        ),
        row("outputs", Form::Named, "What the step gives if it has happened, by name."),
    ],
};

const UNDO: Definition = Definition {
    name: "undo",
    doc: "What takes a step back: one body, which sees what the step sees and what it gave.",
    keys: &lower_undo::UNDO,
    required: &[],
    one_of: &lower_undo::BODIES,
    needs: &[],
    rows: &[
        row("name", Form::Text, "One line for people."),
        row("uses", Form::Action, "The action that takes it back."),
        row("with", Form::With, "Arguments of the action."),
        row("script", Form::Text, "Rhai code."),
        row("steps", Form::List("step"), "A group of steps."),
        row("parallel", Form::List("step"), "Branches that run side by side."),
        row("timeout", Form::Duration, "How long one attempt may take."),
        row("retry", Form::Map("retry"), "Try again after failures that another attempt may not have."),
        row("effect", Form::Words(&EFFECTS), "What the call may do; less than its action says needs a `reason`."),
        row(
            "repeat",
            Form::WordsOrMap(&REPEATS, "keyed"),
            "Whether it may be sent again when nobody knows if it happened.",
        ),
        row("settle", Form::Map("settle"), "How to find out whether it has happened."),
        row(
            "safe_if_never_happened",
            Form::Bool,
            "It does no harm if the write never happened: it runs also where nobody knows.",
        ),
        row("reason", Form::Text, "Why more trust is put into it than its action asks for."),
    ],
};

const KEYED: Definition = Definition {
    name: "keyed",
    doc: "The other side drops a second request with the same key.",
    keys: &lower_writes::KEYED,
    required: &["keyed"],
    one_of: &[],
    needs: &[],
    rows: &[row("keyed", Form::Duration, "How long the other side remembers a key, such as 24h.")],
};

const CONCURRENCY: Definition = Definition {
    name: "concurrency",
    doc: "Which runs may not happen at the same time.",
    keys: &lower_whole::CONCURRENCY,
    required: &["group"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("group", Form::Text, "Runs with the same text here exclude each other."),
        row("if_busy", Form::Words(&IF_BUSY), "What a start does while the group is taken: refuse, unless given."),
    ],
};

const PLAN: Definition = Definition {
    name: "plan",
    doc: "What a rehearsal says of this action as a whole.",
    keys: &lower_whole::PLAN,
    required: &["summary"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("summary", Form::Text, "One line: what it would do."),
        row("before", Form::Any, "What is there now."),
        row("after", Form::Any, "What would be there then."),
        row("reversible", Form::Any, "Whether it can be taken back."),
    ],
};

const OVERLAY: Definition = Definition {
    name: "overlay",
    doc: "How a rehearsal lays what planned writes leave over what this action has read.",
    keys: &lower_whole::OVERLAY,
    required: &["place", "script"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("place", Form::Text, "Names what is read, with the words of the `leaves` of those that write it."),
        row(
            "script",
            Form::Text,
            "Gives `outputs` as they will be, from `result`: what was read, and what is planned.",
        ),
    ],
};

const LEAVES: Definition = Definition {
    name: "leaves",
    doc: "What a planned write will leave behind, for the reads of a rehearsal.",
    keys: &lower_writes::LEAVES,
    required: &["place"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("place", Form::Text, "Names what is changed; everything else stays as it is."),
        row("sets", Form::Any, "A map: entries that will stand there, by name."),
        row("removes", Form::Any, "A list: names of entries that will be gone."),
        row("was", Form::Any, "What stood there before, for readers who have to compare."),
    ],
};

const ASSERTION: Definition = Definition {
    name: "assertion",
    doc: "Something that must hold.",
    keys: &lower_steps::ASSERTION,
    required: &["that"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("that", Form::Expression, "What must be true."),
        row("else", Form::Text, "What to tell people if it isn't."),
    ],
};

const FINDING: Definition = Definition {
    name: "finding",
    doc: "Something to tell people.",
    keys: &lower_steps::FINDING,
    required: &["when", "level", "say"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("when", Form::Expression, "Under which condition it is told."),
        row("level", Form::Words(&LEVELS), "How bad it is; a run that ends well with a critical one exits with 12."),
        row("say", Form::Text, "What to tell people."),
        row("suggest", Form::Map("suggestion"), "What to run next."),
    ],
};

const SUGGESTION: Definition = Definition {
    name: "suggestion",
    doc: "A runbook to start next.",
    keys: &lower_steps::SUGGESTION,
    required: &["runbook"],
    one_of: &[],
    needs: &[],
    rows: &[row("runbook", Form::Runbook, "Its name."), row("with", Form::With, "Values for its inputs.")],
};

pub(super) const TARGET: Definition = Definition {
    name: "file",
    doc: "A target: input values, where secrets come from, and what may be reached.",
    keys: &settings::TARGET,
    required: &["version"],
    one_of: &[],
    needs: &[],
    rows: &[
        VERSION,
        row("title", Form::Text, "One line for people."),
        row("inputs", Form::Named, "Values for the inputs of runbooks; `-i` still wins."),
        row("secrets", Form::Maps("secret"), "Where each secret comes from. Its text never stands here."),
        row(
            "allow_hosts",
            Form::Texts,
            "Hosts that steps may connect to, `*.example.com` for all below one; every host without it.",
        ),
        row(
            "trace_hosts",
            Form::Texts,
            "Hosts that are told which span of a trace a request is (`traceparent`), where traces are exported; nobody without it.",
        ),
        row("ca", Form::Text, "A file of PEM certificates to trust beside the public ones."),
        row("providers", Form::Map("providers"), "How this place does what each place does in its own way."),
        row("policy", Form::Map("policy"), "Which approvals this place wants at least."),
    ],
};

const SECRET: Definition = Definition {
    name: "secret",
    doc: "Where a secret comes from and where it may go.",
    keys: &settings::SECRET,
    required: &["from"],
    one_of: &[],
    needs: &[],
    rows: &[
        row(
            "from",
            Form::Words(&settings::SOURCES),
            "env: a variable of the environment; file: a file's text; command: what a command prints; systemd: a credential; keyring: a key of the kernel's.",
        ),
        row("name", Form::Text, "The variable, credential or key, if it isn't named like the secret."),
        row("path", Form::Text, "The file; one newline at its end is taken off."),
        row("argv", Form::Texts, "The command, without a shell; `allow.secret_commands` of rerail.yaml must list it."),
        row("hosts", Form::Texts, "Hosts it may be sent to; every allowed one without it."),
    ],
};

pub(super) const PROJECT: Definition = Definition {
    name: "file",
    doc: "A project: the directory of this file, and what runs that start in it may do on this host.",
    keys: &settings::SETTINGS,
    required: &["version"],
    one_of: &[],
    needs: &[],
    rows: &[
        VERSION,
        row("allow", Form::Map("allow"), "What is off until it is listed here."),
        row("egress", Form::Map("egress"), "What steps of every run here may connect to."),
        row("mail", Form::Map("mail"), "How messages leave; without it none do."),
        row("people", Form::People("person"), "Who may act, by name; without it rerail has a single operator."),
        row("chat", Form::Map("chat"), "Which chats they may speak from; none without it."),
        row("hooks", Form::Map("hooks"), "Which programs may send alerts to a server."),
        row(
            "triggers",
            Form::Lists("trigger"),
            "Alerts and times that start runbooks, each with the `runbook` it starts.",
        ),
    ],
};

const ALLOW: Definition = Definition {
    name: "allow",
    doc: "What is off until it is listed here.",
    keys: &settings::ALLOW,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("env", Form::Texts, "Variables of the environment whose values `env.read` may show."),
        row("file_write", Form::Texts, "Directories that `file.write` may write below."),
        row("exec", Form::List("command"), "Commands that `exec.run` may run; the first line that fits decides."),
        row("secret_commands", Form::List("secret_command"), "Commands that may print secrets of targets."),
    ],
};

/// All of them. Three are files, and each of those stands alone.
pub(super) const DEFINITIONS: &[&Definition] = &[
    &RUNBOOK,
    &OUTPUT,
    &INPUT,
    &STEP,
    &RETRY,
    &DEFAULTS,
    &APPROVAL,
    &SETTLE,
    &UNDO,
    &KEYED,
    &CONCURRENCY,
    &PLAN,
    &OVERLAY,
    &LEAVES,
    &ASSERTION,
    &FINDING,
    &SUGGESTION,
    &TARGET,
    &SECRET,
    &PROJECT,
    &ALLOW,
    &places::COMMAND,
    &places::SECRET_COMMAND,
    &places::PROVIDERS,
    &places::PROVIDER,
    &places::RAILWAY_PLACE,
    &places::IDEMPOTENCY,
    &places::WAIT,
    &places::MAIL,
    &places::SMTP,
    &places::PERSON,
    &places::TOKEN,
    &places::IDENTITIES,
    &places::CHAT,
    &places::SLACK,
    &places::MATTERMOST,
    &places::DISCORD,
    &places::GENERIC,
    &places::POLICY,
    &places::EGRESS,
    &places::FLOOR,
    &places::NEED,
    &places::AGENTS,
    &places::AUTO,
    &places::HOOKS,
    &places::HOOK,
    &places::TRIGGER,
    &places::SCHEDULE,
    &places::TELL,
    &cases::FILE,
    &cases::TEST,
    &cases::DECISION,
    &cases::CASE,
    &cases::ANSWER,
    &cases::ERROR,
    &cases::EXPECT,
    &cases::TROUBLE,
    &cases::FINDING,
    &cases::CALL,
];

/// A definition with all it refers to.
pub(super) fn closure(root: &'static Definition) -> Vec<&'static Definition> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(definition) = found.get(next).copied() {
        next += 1;
        for name in definition.rows.iter().filter_map(|row| row.form.refers_to()) {
            let known = found.iter().any(|known| known.name == name);
            let target = DEFINITIONS.iter().find(|definition| definition.name == name);
            found.extend(target.filter(|_| !known));
        }
    }
    found
}
