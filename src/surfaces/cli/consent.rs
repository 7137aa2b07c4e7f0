//! What the operator says to what was listed; before this nothing has happened.

use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::prompt;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::ui::Ui;

/// What they said.
pub enum Consent {
    Given,
    Declined,
    Interrupted,
}

impl Consent {
    /// Asks a question that is answered by yes or no.
    pub fn asked(ui: &Ui, question: &str) -> Consent {
        match prompt::confirm(ui, question) {
            Some(true) => Consent::Given,
            Some(false) => Consent::Declined,
            None => Consent::Interrupted,
        }
    }

    /// How the command ends where it wasn't given, after saying that nothing came of it: `nothing was started`.
    pub fn refused(&self, ui: &Ui, nothing: &str) -> Option<Exit> {
        match self {
            Consent::Given => None,
            Consent::Declined => {
                ui.remark(nothing);
                Some(Exit::CANCELLED)
            }
            Consent::Interrupted => {
                ui.remark(&format!("interrupted: {nothing}"));
                Some(Exit::INTERRUPTED)
            }
        }
    }
}

/// `--yes` never stands in for a destructive step: the name must be typed or given.
pub fn destructive(session: &Session, place: &str, confirm: Option<&str>) -> Result<Consent, CliError> {
    let wrong = |given: &str| CliError::usage(format!("confirmed for `{given}`, but this runs on `{place}`"));
    match confirm {
        Some(given) if given == place => return Ok(Consent::Given),
        Some(given) => return Err(wrong(given)),
        None => {}
    }
    if !session.ui.asks {
        let said = CliError::usage("it may destroy something, and nobody can be asked here");
        return Err(said.hint(format!("look first with --dry-run, then start it with --confirm {place}")));
    }
    match prompt::typed(&session.ui, &format!("This may destroy something. Type `{place}` to start:")) {
        Some(typed) if typed.trim() == place => Ok(Consent::Given),
        Some(typed) => Err(wrong(typed.trim())),
        None => Ok(Consent::Interrupted),
    }
}
