//! Keys below `providers` of a target, and `policy` of a target, and below `allow.exec`, `mail`, `people`, `chat`, `hooks` and `triggers` of a project: what is particular to a place.

use crate::runbook::schema::form::{Form, words};
use crate::runbook::schema::table::{Definition, row};
use crate::runbook::{chat, commands, egress, hooks, mail, people, policy, providers, railway, tell, tokens, triggers};

const EFFECTS: [&str; 4] = words(&commands::EFFECTS);
const REPEATS: [&str; 2] = words(&commands::REPEATS);
const METHODS: [&str; 3] = words(&providers::METHODS);

const AGENTS_MAX: [&str; 4] = words(&policy::EFFECTS);
const AUTO_MAX: [&str; 2] = words(&policy::AUTO_EFFECTS);
const PROOFS: [&str; 4] = words(&hooks::PROOFS);
const CATCH_UPS: [&str; 3] = words(&triggers::CATCH_UPS);
const OVERLAPS: [&str; 3] = words(&triggers::OVERLAPS);

pub(super) const COMMAND: Definition = Definition {
    name: "command",
    doc: "Commands that may be run, and what each may do.",
    keys: &commands::COMMAND,
    required: &["argv", "effect"],
    one_of: &[],
    needs: &[],
    rows: &[
        row(
            "argv",
            Form::Texts,
            "Program and arguments; `*` is one word that is no option, `**` at the end all that follows.",
        ),
        row("effect", Form::Words(&EFFECTS), "What such a command may do to the world."),
        row(
            "repeat",
            Form::Words(&REPEATS),
            "Whether it may be run again when nobody knows what came of it; once without it.",
        ),
        row("env", Form::Texts, "Variables of the environment that a runbook may set for it."),
        row("hosts", Form::Texts, "Hosts it talks to: it may be given secrets that are bound to one of them."),
    ],
};

pub(super) const SECRET_COMMAND: Definition = Definition {
    name: "secret_command",
    doc: "A command that may print a secret. It is run without a shell, once a run.",
    keys: &commands::SECRET_COMMAND,
    required: &["argv"],
    one_of: &[],
    needs: &[],
    rows: &[row(
        "argv",
        Form::Texts,
        "The program and its arguments: `*` stands for one word that is no option, `**` at the end for all that follows.",
    )],
};

pub(super) const PROVIDERS: Definition = Definition {
    name: "providers",
    doc: "How this place does what each place does in its own way; read as `run.providers`.",
    keys: &providers::LIST,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("redeploy", Form::Map("provider"), "How a service is deployed again, for the action `redeploy`."),
        row("railway", Form::Maps("railway_place"), "Where on Railway services are, by a name of your own."),
    ],
};

pub(super) const RAILWAY_PLACE: Definition = Definition {
    name: "railway_place",
    doc: "One environment of a project on Railway, and what may look into it.",
    keys: &railway::PLACE,
    required: &["project", "environment"],
    one_of: &["token", "project_token"],
    needs: &[],
    rows: &[
        row("project", Form::Text, "Id of the project."),
        row("environment", Form::Text, "Name or id of the environment, such as production."),
        row("token", Form::Text, "A secret: the token of an account or workspace."),
        row("project_token", Form::Text, "A secret: the token of this project and environment."),
        row("api", Form::Text, "Address of the API; Railway's own without it."),
    ],
};

pub(super) const PROVIDER: Definition = Definition {
    name: "provider",
    doc: "One way to do it. `{service}` stands for the service; secrets are named as in expressions, nothing else is evaluated.",
    keys: &providers::PROVIDER,
    required: &["use"],
    one_of: &[],
    needs: &[],
    rows: &[
        row(
            "use",
            Form::Words(&providers::USES),
            "webhook: send a request; command: run a program that `allow.exec` names; railway, vercel, github: deploy at a place of that provider.",
        ),
        row("url", Form::Text, "Where the webhook is; may be a secret."),
        row("method", Form::Words(&METHODS), "How it is called; POST without it."),
        row("headers", Form::Any, "Headers of the request; values may hold secrets."),
        row("json", Form::Any, "Body of the request."),
        row("idempotency", Form::Map("idempotency"), "Under which key the other side drops a second request."),
        row("argv", Form::Texts, "Program and arguments, a word each."),
        row("env", Form::Any, "Variables of its environment; values may hold secrets."),
        row("place", Form::Text, "Which place of that provider; the only one, or `main`, without it."),
        row("workflow", Form::Text, "github: the file name of the workflow that deploys."),
        row("ref", Form::Text, "github: the branch or tag to run it on; main without it."),
        row("inputs", Form::Any, "github: its inputs, texts without secrets."),
        row("tag_input", Form::Text, "github: which of its inputs `run-name` shows; tag without it."),
        row(
            "timeout",
            Form::Duration,
            "How long the call may take, 30s without it; github: the run of the workflow, 30m without it.",
        ),
        row("wait", Form::Map("wait"), "What must answer before it counts as deployed."),
    ],
};

pub(super) const IDEMPOTENCY: Definition = Definition {
    name: "idempotency",
    doc: "How the other side knows a request that it has seen.",
    keys: &providers::IDEMPOTENCY,
    required: &["header", "window"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("header", Form::Text, "The header that carries the key."),
        row("window", Form::Duration, "How long the other side keeps keys."),
    ],
};

pub(super) const WAIT: Definition = Definition {
    name: "wait",
    doc: "What must answer, three times in a row.",
    keys: &providers::WAIT,
    required: &["url"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("url", Form::Text, "The address to ask."),
        row("status", Form::Any, "A status that is good, or a list of them; any 2xx without it."),
        row("delay", Form::Duration, "How long the old instance still answers; nothing is asked before."),
        row("every", Form::Duration, "Pause between two looks; 5s without it."),
        row("within", Form::Duration, "How long to wait at most; 5m without it."),
    ],
};

pub(super) const MAIL: Definition = Definition {
    name: "mail",
    doc: "How messages leave; without it none do.",
    keys: &mail::MAIL,
    required: &["smtp", "from"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("smtp", Form::Map("smtp"), "The server that takes them."),
        row("from", Form::Text, "Who they are from, such as `rerail@example.com`."),
        row("allow_domains", Form::Texts, "Domains that may get them; none without it."),
    ],
};

pub(super) const SMTP: Definition = Definition {
    name: "smtp",
    doc: "A mail server.",
    keys: &mail::SMTP,
    required: &["host"],
    one_of: &[],
    needs: &[("user", &["password_secret"]), ("password_secret", &["user"])],
    rows: &[
        row("host", Form::Text, "Its name."),
        row("port", Form::Count(1), "Its port; the usual one of `security` without it."),
        row("security", Form::Words(&mail::SECURITY_WORDS), "When TLS begins: starttls, at once, or never."),
        row("user", Form::Text, "Who logs in."),
        row("password_secret", Form::Text, "The secret of the target that holds the password."),
    ],
};

pub(super) const PERSON: Definition = Definition {
    name: "person",
    doc: "A person; at least one of `os_user`, `token_hash`, `tokens` and `chat` proves who they are.",
    keys: &people::PERSON,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("os_user", Form::Text, "The user of the operating system this person is."),
        row("roles", Form::Texts, "Roles they act in, such as oncall; approvals and questions ask for them."),
        row("token_hash", Form::Text, "Digest of their token: `rerail token new NAME` makes one."),
        row(
            "tokens",
            Form::Maps("token"),
            "Tokens for a server, by name: `rerail token new NAME --scope …` makes one.",
        ),
        row("chat", Form::Map("identities"), "Who they are in chats: ids, never names."),
    ],
};

pub(super) const IDENTITIES: Definition = Definition {
    name: "identities",
    doc: "Ids of a person in chats.",
    keys: &chat::IDENTITIES,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("slack", Form::Text, "The ids of team and user, such as `T024BE7LD/U2147483697`."),
        row("mattermost", Form::Text, "The id of the user."),
        row("discord", Form::Text, "The id of the user."),
        row("generic", Form::Text, "What the signed webhook calls the user."),
    ],
};

pub(super) const CHAT: Definition = Definition {
    name: "chat",
    doc: "Which chats people may speak from; none without it.",
    keys: &chat::CHAT,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("slack", Form::Map("slack"), "A Slack app, over its socket or over HTTP."),
        row("mattermost", Form::Map("mattermost"), "A slash command and a bot of a Mattermost server."),
        row("discord", Form::Map("discord"), "An application of Discord."),
        row("generic", Form::Map("generic"), "Anything else that signs what it sends."),
    ],
};

const CHANNELS: &str = "Ids of the channels that may be used.";
const BOT_TOKEN: &str = "What rerail posts with: where it is read from.";

pub(super) const SLACK: Definition = Definition {
    name: "slack",
    doc: "A Slack app; it needs `app_token` for Socket Mode, or `signing_secret` for requests over HTTP.",
    keys: &chat::SLACK,
    required: &["bot_token", "channels"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("signing_secret", Form::Map("secret"), "Proves what comes over HTTP."),
        row("bot_token", Form::Map("secret"), BOT_TOKEN),
        row("app_token", Form::Map("secret"), "Opens the socket."),
        row("channels", Form::Texts, CHANNELS),
        row("api", Form::Text, "The address before the name of a method; that of Slack without it."),
    ],
};

pub(super) const MATTERMOST: Definition = Definition {
    name: "mattermost",
    doc: "A slash command and a bot of a Mattermost server.",
    keys: &chat::MATTERMOST,
    required: &["url", "command_token", "bot_token", "channels"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("url", Form::Text, "The address of the server."),
        row("command_token", Form::Map("secret"), "Proves who sends a command."),
        row("bot_token", Form::Map("secret"), BOT_TOKEN),
        row("channels", Form::Texts, CHANNELS),
    ],
};

pub(super) const DISCORD: Definition = Definition {
    name: "discord",
    doc: "An application of Discord.",
    keys: &chat::DISCORD,
    required: &["public_key", "bot_token", "channels"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("public_key", Form::Text, "64 hex digits, from the page of the application."),
        row("bot_token", Form::Map("secret"), BOT_TOKEN),
        row("channels", Form::Texts, CHANNELS),
        row("api", Form::Text, "The address before the path of a call; that of Discord without it."),
    ],
};

pub(super) const GENERIC: Definition = Definition {
    name: "generic",
    doc: "A program that speaks for people and signs what it sends.",
    keys: &chat::GENERIC,
    required: &["secret", "url", "channels"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("secret", Form::Map("secret"), "Signs both ways."),
        row("url", Form::Text, "Where messages are sent to."),
        row("channels", Form::Texts, CHANNELS),
    ],
};

pub(super) const TOKEN: Definition = Definition {
    name: "token",
    doc: "What proves a person to a server, for some uses and for some time.",
    keys: &tokens::TOKEN,
    required: &["hash", "scopes", "expires"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("hash", Form::Text, "Digest of the token."),
        row("scopes", Form::Texts, "What it is for: read (looks and rehearsals), run, approve."),
        row("expires", Form::Date, "The first day on which it is worth nothing; at most 90 days ahead."),
        row("max_effect", Form::Words(&AGENTS_MAX), "The greatest effect of a run it starts; any without it."),
    ],
};

pub(super) const POLICY: Definition = Definition {
    name: "policy",
    doc: "Which approvals this place wants at least; a runbook may ask for more, never for less.",
    keys: &policy::POLICY,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("notify", Form::Map("floor"), "Before people are told something; nothing without it."),
        row("write", Form::Map("floor"), "Before something is changed; what `notify` needs without it."),
        row("destructive", Form::Map("floor"), "Before something may be destroyed; what `write` needs without it."),
        row(
            "single_operator",
            Form::Bool,
            "Whether somebody may confirm for themselves while the project names no people; true without it.",
        ),
        row("agents", Form::Map("agents"), "What runs may do that a program starts."),
        row(
            "auto",
            Form::Map("auto"),
            "What triggers that say `auto: true` may start by themselves; nothing that changes anything without it.",
        ),
        row("egress", Form::Map("egress"), "What steps may connect to here, beside what the project says."),
    ],
};

pub(super) const EGRESS: Definition = Definition {
    name: "egress",
    doc: "Whether steps may connect to addresses that are not public: private and local networks, this machine.",
    keys: &egress::EGRESS,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row(
            "deny_private",
            Form::Bool,
            "Whether addresses that are not public are refused; without it servers refuse them, terminals don't.",
        ),
        row("allow", Form::Texts, "Addresses and networks that are let through all the same, such as 10.1.0.0/16."),
    ],
};

pub(super) const AUTO: Definition = Definition {
    name: "auto",
    doc: "What triggers may start by themselves here, and how often.",
    keys: &policy::AUTO,
    required: &["max_effect", "per_hour"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("max_effect", Form::Words(&AUTO_MAX), "The greatest effect of such a run."),
        row("per_hour", Form::Between(1, policy::PER_HOUR_MAX), "How many of them may begin within any hour."),
    ],
};

pub(super) const HOOKS: Definition = Definition {
    name: "hooks",
    doc: "Which programs may send alerts to `rerail serve`, at `/hooks/…`.",
    keys: &hooks::HOOKS,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("alertmanager", Form::Map("hook"), "Alertmanager of Prometheus, at `/hooks/alertmanager`."),
        row("grafana", Form::Map("hook"), "Alerting of Grafana, at `/hooks/grafana`."),
        row("pagerduty", Form::Map("hook"), "Webhooks v3 of PagerDuty, at `/hooks/pagerduty`."),
        row("generic", Form::Maps("hook"), "Any other sender of JSON by a name of your own, at `/hooks/generic/NAME`."),
    ],
};

pub(super) const HOOK: Definition = Definition {
    name: "hook",
    doc: "One sender: how it proves who it is, and for whom it acts.",
    keys: &hooks::HOOK,
    required: &["secret"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("secret", Form::Map("secret"), "Where its token, password or signing key is read from."),
        row(
            "proof",
            Form::Words(&PROOFS),
            "bearer: the token; basic: user and password; signature: its own HMAC; standard: Standard Webhooks.",
        ),
        row("user", Form::Text, "The user of `proof: basic`."),
        row("acts_as", Form::Text, "The person of this project who stands behind what its alerts start."),
        row(
            "map",
            Form::Text,
            "Of a generic sender: a jq filter that gives `{ id, labels, annotations, status, starts_at }`.",
        ),
        row("tell", Form::Map("tell"), "In which channels people hear of what its alerts come to."),
    ],
};

pub(super) const TRIGGER: Definition = Definition {
    name: "trigger",
    doc: "An alert or a time that starts a runbook.",
    keys: &triggers::TRIGGER,
    required: &[],
    one_of: &["alert", "schedule"],
    needs: &[],
    rows: &[
        row(
            "alert",
            Form::Patterns,
            "The labels it must have: a text, a list of texts, or `re:` and an expression that fits all of it.",
        ),
        row("schedule", Form::Map("schedule"), "When it comes."),
        row("runbook", Form::Runbook, "What it starts; in a runbook that runbook."),
        row("inputs", Form::With, "What the runbook is started with: values, or expressions over `alert`."),
        row("target", Form::Text, "Against what; may be an expression over `alert`."),
        row("incident", Form::Text, "The incident the run belongs to; may be an expression over `alert`."),
        row(
            "auto",
            Form::Bool,
            "Whether it may start what changes something, if `policy.auto` of the target says so too.",
        ),
        row("acts_as", Form::Text, "Of a schedule: the person of this project who stands behind it."),
        row(
            "tell",
            Form::Map("tell"),
            "In which channels people hear of it; of an alert without it, in those that its hook names.",
        ),
        row(
            "doctor",
            Form::Bool,
            "Of a schedule of rerail.yaml: look whether this machine is fit, as `rerail doctor`.",
        ),
    ],
};

pub(super) const TELL: Definition = Definition {
    name: "tell",
    doc: "A channel for each chat: one of its `channels`.",
    keys: &tell::TELL,
    required: &[],
    one_of: &[],
    needs: &[],
    rows: &[
        row("slack", Form::Text, "The id of a channel of Slack."),
        row("mattermost", Form::Text, "The id of a channel of Mattermost."),
        row("discord", Form::Text, "The id of a channel of Discord."),
        row("generic", Form::Text, "What the signed webhook calls a channel."),
    ],
};

pub(super) const SCHEDULE: Definition = Definition {
    name: "schedule",
    doc: "Times at which something starts.",
    keys: &triggers::SCHEDULE,
    required: &["cron"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("cron", Form::Text, "Minute, hour, day of the month, month, day of the week; or a word such as @daily."),
        row("time_zone", Form::Text, "The zone it is read in, such as Europe/Berlin; UTC without it."),
        row(
            "catch_up",
            Form::Words(&CATCH_UPS),
            "What is done about times at which no server ran: nothing, one start for all, or each.",
        ),
        row("jitter", Form::PlainDuration, "Up to how much later it starts; at most 1h."),
        row(
            "overlap",
            Form::Words(&OVERLAPS),
            "While the run before is open: leave this time out, wait for its end, or cancel it first.",
        ),
    ],
};

pub(super) const FLOOR: Definition = Definition {
    name: "floor",
    doc: "What one kind of effect needs.",
    keys: &policy::FLOOR,
    required: &["approval"],
    one_of: &[],
    needs: &[],
    rows: &[row("approval", Form::TextOrMap("need"), "A role, `none`, or who has to approve.")],
};

pub(super) const NEED: Definition = Definition {
    name: "need",
    doc: "Who has to approve.",
    keys: &policy::NEED,
    required: &["by"],
    one_of: &[],
    needs: &[],
    rows: &[
        row("by", Form::Texts, "Roles or people who may approve."),
        row("all", Form::Bool, "Whether one of each of them has to; any of them without it."),
        row("count", Form::Count(1), "How many different people; 1 without it."),
        row("self", Form::Bool, "Whether whoever started the run counts; no without it."),
    ],
};

pub(super) const AGENTS: Definition = Definition {
    name: "agents",
    doc: "What runs may do that a program starts, and no person.",
    keys: &policy::AGENTS,
    required: &["max_effect"],
    one_of: &[],
    needs: &[],
    rows: &[row("max_effect", Form::Words(&AGENTS_MAX), "The greatest effect they may have; read without it.")],
};
