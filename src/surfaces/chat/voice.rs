//! The way out to a chat: whatever is said there goes through the redactor, whoever says it.

use crate::runs::Runs;
use crate::surfaces::chat::asked::{Asked, Kind, Place};
use crate::surfaces::chat::card::{Card, Form};
use crate::surfaces::chat::room::{Room, Trouble, room};
use crate::surfaces::chat::saying::Saying;

/// A chat of the project, behind the redactor.
pub struct Voice<'r> {
    runs: &'r Runs,
    room: Box<dyn Room + 'r>,
}

impl<'r> Voice<'r> {
    /// The chat of this kind, if the project has one.
    pub fn of(runs: &'r Runs, kind: Kind, base: Option<&'r str>) -> Option<Voice<'r>> {
        Some(Voice { runs, room: room(runs, kind, base)? })
    }

    /// As [`Room::post`].
    ///
    /// # Errors
    /// As there.
    pub fn post(&self, place: &Place, saying: &Saying, card: Card) -> Result<String, Trouble> {
        self.room.post(place, &saying.name(place), &self.clean(card))
    }

    /// The same, once more at once if nobody knows whether it was taken and the chat tells repeats: for what is said in
    /// answer to somebody, which nobody says again later.
    ///
    /// # Errors
    /// As there.
    pub fn post_surely(&self, place: &Place, saying: &Saying, card: Card) -> Result<String, Trouble> {
        match self.post(place, saying, card.clone()) {
            Err(Trouble::Unreached(_)) if self.room.tells_repeats() => self.post(place, saying, card),
            posted => posted,
        }
    }

    /// As [`Room::edit`].
    ///
    /// # Errors
    /// As there.
    pub fn edit(&self, place: &Place, message: &str, card: Card) -> Result<(), Trouble> {
        self.room.edit(place, message, &self.clean(card))
    }

    /// As [`Room::whisper`].
    ///
    /// # Errors
    /// As there.
    pub fn whisper(&self, asked: &Asked, card: Card) -> Result<(), Trouble> {
        self.room.whisper(asked, &self.clean(card))
    }

    /// As [`Room::show`].
    ///
    /// # Errors
    /// As there.
    pub fn show(&self, asked: &Asked, mut form: Form) -> Result<bool, Trouble> {
        for field in &mut form.fields {
            let clean = |text: &mut Option<String>| *text = text.as_deref().map(|text| self.redact(text));
            clean(&mut field.hint);
            clean(&mut field.initial);
        }
        let shown = self.room.show(asked, &form);
        crate::failpoint::hit("chat.shown");
        shown
    }

    /// As [`Room::fields_max`].
    pub fn fields_max(&self) -> usize {
        self.room.fields_max()
    }

    /// As [`Room::defer`].
    ///
    /// # Errors
    /// As there.
    pub fn defer(&self, asked: &Asked) -> Result<(), Trouble> {
        self.room.defer(asked)
    }

    /// As [`Room::waits`].
    pub fn waits(&self) -> bool {
        self.room.waits()
    }

    /// Whether a channel may be used.
    pub fn may_speak_in(&self, channel: &str) -> bool {
        self.room.channels().iter().any(|known| known == channel)
    }

    /// Whether buttons lead back from here.
    pub fn has_buttons(&self) -> bool {
        self.room.has_buttons()
    }

    fn clean(&self, card: Card) -> Card {
        card.redacted(|text| self.redact(text))
    }

    fn redact(&self, text: &str) -> String {
        self.runs.redactor().redact(text).into_owned()
    }
}
