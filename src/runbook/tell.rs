//! `tell` of a hook and of a trigger: in which channels people hear of what comes of it.

use crate::runbook::chat::Chat;
use crate::runbook::node::{Node, NodeKind};
use crate::runbook::reader::{Keys, Reader};
use crate::runbook::source::Spanned;
use crate::runbook::words::quoted;

pub(super) const TELL: Keys = Keys {
    what: "list of channels",
    known: &["slack", "mattermost", "discord", "generic"],
    later: &[],
    foreign: &[
        ("chat", "write the chat and its channel: `slack: C024BE91L`"),
        ("channel", "write the chat and its channel: `slack: C024BE91L`"),
        ("teams", "write `generic`: anything that signs its requests"),
    ],
};

/// A channel of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The word of the chat, as under `chat`.
    pub chat: &'static str,
    pub channel: Spanned<String>,
}

impl Room {
    /// Why nobody can be told here, and what to do; `None` if they can.
    pub fn fault(&self, chat: &Chat) -> Option<(String, String)> {
        let Some(channels) = chat.channels(self.chat) else {
            let said = format!("nobody can be told in {}: this project has no such chat", quoted(self.chat));
            return Some((said, format!("say under `chat` how rerail speaks there: `chat: {{ {}: … }}`", self.chat)));
        };
        let channel = &self.channel.value;
        if channels.contains(channel) {
            return None;
        }
        let near = crate::runbook::nearest::did_you_mean(channel, channels.iter().map(String::as_str));
        let help = near.unwrap_or_else(|| format!("add it to `channels` of {}, or take one of them", self.chat));
        Some((format!("{} is no channel that {} may speak in", quoted(channel), self.chat), help))
    }
}

/// Reads `tell`: a channel for each chat.
pub(in crate::runbook) fn read(reader: &mut Reader, node: &Node) -> Vec<Room> {
    let Some(fields) = reader.fields(node, &TELL) else { return Vec::new() };
    let mut rooms = Vec::new();
    for chat in TELL.known {
        let Some(node) = fields.get(chat) else { continue };
        let Some(channel) = reader.text(node, &format!("`{chat}`")) else { continue };
        if reader.name(&channel, crate::runbook::chat::id_fault) {
            rooms.push(Room { chat, channel });
        }
    }
    if matches!(&node.kind, NodeKind::Map(entries) if entries.is_empty()) {
        let span = reader.first_line(node.span);
        reader.error("E0107", span, "`tell` names no channel", "leave it out, or name one: `slack: C024BE91L`");
    }
    rooms
}
