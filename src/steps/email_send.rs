//! `email.send`: one message by the project's mail server. Who it may go to, and as whom, is the project's
//! to say, not the runbook's.

use std::time::Duration;

use crate::engine::outcome::{Attempt, Failure, FailureKind};
use crate::runbook::mail::Mail;
use crate::runbook::spec::{ActionSpec, Effect};
use crate::runbook::types::Type;
use crate::script::value::{Map, Value};
use crate::steps::args::{duration, given};
use crate::steps::schema::{defaulted, optional, output, required};
use crate::steps::smtp::{letter, session};
use crate::steps::world::World;
use crate::steps::{Entry, Pending, Primitive, Write};

/// How long the whole conversation may take unless told otherwise: servers that look at a message before
/// they take it need seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Lines of a message that are shown before it is sent.
const SHOWN_LINES_MAX: usize = 12;

struct EmailSend;

/// The catalog's line.
pub(super) fn entry() -> Entry {
    Entry { spec: spec(), primitive: Primitive::Write(&EmailSend) }
}

fn spec() -> ActionSpec {
    ActionSpec {
        name: "email.send".to_owned(),
        title: "Send one e-mail".to_owned(),
        effect: Effect::Notify,
        effect_of: None,
        repeat_of: None,
        args: vec![
            required("to", Type::Any, "an address or a list of them; at most 50 with `cc`"),
            required("subject", Type::String, "one line, at most 200 characters"),
            required("text", Type::String, "the message, at most 512 KiB"),
            optional("html", Type::String, "the same for readers of HTML, at most 512 KiB"),
            optional("cc", Type::Any, "an address or a list of them"),
            optional("reply_to", Type::String, "where answers go, instead of to the sender"),
            defaulted("timeout", Type::Duration, "30s", "time for the whole conversation"),
        ],
        outputs: vec![
            output("message_id", Type::String, "identifies the message; the same when it is sent again"),
            output("accepted", Type::List, "recipients the server took"),
            output("rejected", Type::List, "`address` and `reply` of recipients it did not take"),
            output("reply", Type::String, "what the server said to the whole message, often with its own id"),
            output("ms", Type::Int, "milliseconds until it said so"),
        ],
        docs: "\
```yaml
- id: tell
  uses: email.send
  with:
    to: [ana@example.com, ben@example.com]
    subject: \"Backend: ${{ steps.verdict.outcome }}\"
    text: \"${{ steps.summary.outputs }}\"
```
Needs `mail` in `rerail.yaml`; only domains listed there get mail, and the list is empty at first:

```yaml
mail:
  smtp: { host: smtp.example.com, security: starttls, user: rerail, password_secret: SMTP_PASSWORD }
  from: \"Ops <ops@example.com>\"
  allow_domains: [example.com]
```
`security` is `starttls` (587, the default), `tls` (465) or, for a server on this machine only, `none` (25). \
`password_secret` names a secret of the target; it is never sent without TLS. A message is `done` when the server took \
it whole, which is not yet delivered; `refused` when anything said no before its final dot or right after it; `failed` \
when some recipients were refused, and the others have it; `in_doubt` when the connection was lost after the dot. It is \
never sent again unasked; who sends it again after a doubt sends the same Message-ID. People read it, so no argument \
may hold a secret."
            .to_owned(),
    }
}

impl Write for EmailSend {
    fn plan(&self, world: &World, args: &Map) -> String {
        let shown = |name: &str| args.get(name).map(Value::to_string).unwrap_or_default();
        let to = match given(args, "to") {
            Some(Value::List(items)) => items.iter().map(Value::to_string).collect::<Vec<_>>().join(", "),
            _ => shown("to"),
        };
        let plan = format!("mail to {to}: {} ({} bytes)", shown("subject"), shown("text").len());
        // What would be refused for certain is said now.
        let known = args.values().all(|value| value.unknown().is_none());
        match mail(world).and_then(|mail| if known { letter::write(mail, args, "").map(drop) } else { Ok(()) }) {
            Ok(()) => plan,
            Err(failure) => format!("{plan}; would be refused: {}", failure.message),
        }
    }

    fn detail(&self, _world: &World, args: &Map) -> Vec<String> {
        let text = args.get("text").map(Value::to_string).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().take(SHOWN_LINES_MAX).map(str::to_owned).collect();
        let left = text.lines().count() - lines.len();
        lines.extend((left > 0).then(|| format!("… {left} more lines")));
        lines
    }

    fn perform<'a>(&'a self, world: &'a World, args: &'a Map, key: &'a str) -> Pending<'a> {
        Box::pin(async move { send(world, args, key).await.unwrap_or_else(Attempt::refused) })
    }
}

/// An `Err` means that no message was sent.
async fn send(world: &World, args: &Map, key: &str) -> Result<Attempt, Failure> {
    let timeout = duration(args, "timeout", TIMEOUT)?;
    let mail = mail(world)?;
    if let Some((name, _)) = args.iter().find(|(_, value)| value.has_secret()) {
        let message = format!("argument `{name}`: holds a secret, and mail is read by people");
        return Err(Failure::new(FailureKind::Secret, message));
    }
    let letter = letter::write(mail, &world.for_people(args), key)?;
    session::deliver(world, &mail.smtp, &letter, world.deadline(timeout)).await
}

fn mail(world: &World) -> Result<&Mail, Failure> {
    world.shared.settings.mail.as_ref().ok_or_else(|| {
        let message = "this project sends no mail; `mail: {smtp, from, allow_domains}` in rerail.yaml turns it on";
        Failure::new(FailureKind::Policy, message)
    })
}
