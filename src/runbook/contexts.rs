//! The closed lists of words an expression may use behind a context: fields and outcomes.

/// What stands behind `alert.`, in a trigger.
pub const ALERT_FIELDS: [&str; 7] = ["labels", "annotations", "status", "starts_at", "fingerprint", "source", "url"];

/// What stands behind `each.`, inside a `foreach`.
pub const EACH_FIELDS: [&str; 3] = ["value", "index", "previous"];

/// What stands behind `steps.ID.`
pub const STEP_FIELDS: [&str; 5] = ["outcome", "outputs", "error", "started_at", "ms"];

/// What stands behind `steps.ID.` of a step with `foreach`: its `outputs` are a list, as its `outcomes`.
pub const FOREACH_FIELDS: [&str; 6] = ["outcome", "outcomes", "outputs", "error", "started_at", "ms"];

/// What stands behind `steps.ID.error.`
pub const ERROR_FIELDS: [&str; 2] = ["kind", "message"];

/// What stands behind `run.`
pub const RUN_FIELDS: [&str; 14] = [
    "id",
    "name",
    "url",
    "target",
    "operator",
    "started_at",
    "dry_run",
    "incident",
    "outcome",
    "failed_step",
    "error",
    "fence",
    "previous",
    "providers",
];

/// What stands behind `run.previous.`
pub const PREVIOUS_FIELDS: [&str; 4] = ["id", "outcome", "outputs", "ended_at"];

/// Outcomes of a step an expression may compare with; the engine's list, held equal by a test.
pub const OUTCOMES: [&str; 8] =
    ["done", "refused", "failed", "in_doubt", "skipped", "not_run", "rejected", "cancelled"];

/// Outcomes of an ended run, likewise.
pub const RUN_OUTCOMES: [&str; 4] = ["success", "failed", "rejected", "cancelled"];

/// Kinds of failure; the engine's words, held to them by a test.
pub const FAILURE_KINDS: [&str; 22] = [
    "dns",
    "connect",
    "tls",
    "timeout",
    "network",
    "status",
    "expect",
    "assertion",
    "script",
    "argument",
    "policy",
    "secret",
    "file",
    "outputs",
    "stopped",
    "engine_died",
    "expired",
    "rejected",
    "stale",
    "mismatch",
    "limit",
    "busy",
];

/// Kinds of failure another attempt can't change, or must not: `retry` never repeats them.
pub const NEVER_RETRIED: [&str; 9] =
    ["argument", "policy", "secret", "mismatch", "limit", "expired", "rejected", "stale", "engine_died"];

/// What `on:` of a `retry` may name beside kinds of failure.
pub const RETRY_WORDS: [&str; 3] = ["refused", "5xx", "429"];
