//! Who must agree: `approval` of a step, and the needs a target's policy has in the same words.

use crate::runbook::approval::{Approval, Need, OnExpiry};
use crate::runbook::node::{Entry, Node, NodeKind};
use crate::runbook::people::person_fault;
use crate::runbook::reader::{Fields, Keys, Reader};

pub(super) const APPROVAL: Keys = Keys {
    what: "approval",
    known: &["by", "all", "count", "self", "message", "expires", "remind", "on_expiry"],
    later: &[],
    foreign: &[
        ("roles", "write `by`"),
        ("role", "write `by`"),
        ("approvers", "write `by`"),
        ("reviewers", "write `by`"),
        ("required", "write `count`: how many different persons"),
        ("minimum", "write `count`: how many different persons"),
        ("prevent_self_review", "nobody approves their own run, unless it says `self: true`"),
        ("timeout", "write `expires`: how long they have"),
        ("text", "write `message`"),
        ("reminder", "write `remind`"),
        ("on_timeout", "write `on_expiry: fail` or `on_expiry: cancel`"),
    ],
};
pub(super) const ON_EXPIRY: [(&str, OnExpiry); 2] = [("fail", OnExpiry::Fail), ("cancel", OnExpiry::Cancel)];

/// Reads `approval`: a role, or a map.
pub fn approval(reader: &mut Reader, node: &Node) -> Option<Approval> {
    let span = node.span;
    if let NodeKind::Scalar(_) = &node.kind {
        let need = role(reader, node)?;
        let (message, expires, remind, on_expiry) = (None, None, None, OnExpiry::default());
        return Some(Approval { need, message, expires, remind, on_expiry, span });
    }
    let fields = reader.fields(node, &APPROVAL)?;
    let need = need(reader, &fields);
    let message = fields.get("message").and_then(|node| reader.text_template(node, "`message`"));
    let expires = fields.get("expires").and_then(|node| reader.duration_template(node, "`expires`"));
    let remind = fields.get("remind").and_then(|node| reader.duration_template(node, "`remind`"));
    let on_expiry = fields.get("on_expiry").and_then(|node| reader.word(node, "on_expiry", &ON_EXPIRY));
    Some(Approval { need: need?, message, expires, remind, on_expiry: on_expiry.unwrap_or_default(), span })
}

/// Reads one role as a need.
pub fn role(reader: &mut Reader, node: &Node) -> Option<Need> {
    let role = reader.text(node, "a role")?;
    reader.name(&role, person_fault).then(|| Need::of(role.value))
}

/// Reads `by`, `all`, `count` and `self`.
pub fn need(reader: &mut Reader, fields: &Fields<'_>) -> Option<Need> {
    let by = reader.required(fields, "by").map(|node| names(reader, node));
    let all = fields.get("all").and_then(|node| reader.boolean(node, "`all`")).unwrap_or(false);
    let self_ok = fields.get("self").and_then(|node| reader.boolean(node, "`self`")).unwrap_or(false);
    let count = match fields.entry("count") {
        Some(entry) => count(reader, entry)?,
        None => 1,
    };
    let by = by.flatten()?;
    Some(Need { by, all, count, self_ok })
}

/// A name, or a list of them.
fn names(reader: &mut Reader, node: &Node) -> Option<Vec<String>> {
    if let NodeKind::Scalar(_) = &node.kind {
        return role(reader, node).map(|need| need.by);
    }
    let names = reader.names(node, "`by`", person_fault);
    let span = reader.first_line(node.span);
    match names.len() {
        0 => {
            if matches!(node.kind, NodeKind::List(_)) {
                reader.error("E0107", span, "`by` is empty: nobody could ever agree", "at least one role");
            }
            None
        }
        many if many > Need::BY_MAX => {
            let message = format!("`by` has {many} names, more than {}", Need::BY_MAX);
            reader.error("E0114", span, message, "too many");
            None
        }
        _ => Some(names.into_iter().map(|name| name.value).collect()),
    }
}

fn count(reader: &mut Reader, entry: &Entry) -> Option<u32> {
    let count = reader.count(&entry.value, "`count`", 1)?;
    if count > Need::COUNT_MAX {
        let message = format!("expected a `count` of at most {}, got {count}", Need::COUNT_MAX);
        reader.error("E0107", reader.first_line(entry.value.span), message, "too many");
        return None;
    }
    Some(count)
}
